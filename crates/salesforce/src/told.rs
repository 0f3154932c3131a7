//! What each request tells: a span under the step that makes it, its count and its time.
//!
//! It knows the API by the request's path and says call, API, status and outcome. It never says an address, a header or a
//! body: those hold names, ids and secrets.

use std::time::Instant;

use tracing::{Span, field::Empty};

use crate::counter::CallKind;

/// One request on its way.
pub(crate) struct Told {
    call: CallKind,
    api: &'static str,
    began: Instant,
    span: Span,
}

impl Told {
    /// It is about to leave.
    pub(crate) fn begin(call: CallKind, path: &str) -> Self {
        let api = api(path);
        Self {
            call,
            api,
            began: Instant::now(),
            span: tracing::info_span!(
                "salesforce",
                api,
                call = call.as_str(),
                status = Empty,
                outcome = Empty
            ),
        }
    }

    /// To wait in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The head of its answer is there; `None`: there will be none.
    pub(crate) fn end(self, status: Option<reqwest::StatusCode>) {
        let outcome = match status {
            None => "no_answer",
            Some(status) if status.is_success() => "answered",
            Some(_) => "refused",
        };
        if let Some(status) = status {
            self.span.record("status", status.as_u16());
        }
        self.span.record("outcome", outcome);
        let (api, call) = (self.api, self.call.as_str());
        tracing::info!(
            target: "nightshift::metric",
            counter = "nightshift_salesforce_calls_total",
            api,
            call,
            outcome,
            value = 1_u64
        );
        let seconds = self.began.elapsed().as_secs_f64();
        tracing::info!(target: "nightshift::metric", histogram = "nightshift_salesforce_call_seconds", api, call, seconds);
    }
}

/// Which of Salesforce's APIs a path belongs to.
fn api(path: &str) -> &'static str {
    const BY_PART: [(&str, &str); 5] = [
        ("/oauth2/", "oauth"),
        ("/Soap/", "soap"),
        ("/tooling/", "tooling"),
        ("/jobs/", "bulk"),
        ("/data", "rest"),
    ];
    let known = BY_PART.iter().find(|(part, _)| path.contains(part));
    known.map_or("other", |(_, api)| api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_belongs_to_one_api() {
        for (path, wanted) in [
            ("/services/oauth2/token", "oauth"),
            ("/services/oauth2/userinfo", "oauth"),
            ("/services/Soap/m/62.0/00D000000000062", "soap"),
            ("/services/data/v62.0/tooling/query", "tooling"),
            ("/services/data/v62.0/jobs/query/750", "bulk"),
            ("/services/data/v62.0/query", "rest"),
            ("/services/data", "rest"),
            ("/", "other"),
        ] {
            assert_eq!(api(path), wanted, "{path}");
        }
    }
}
