//! The page where a person allows an app: here everybody says yes, unless a fault says no.
//!
//! It answers with a redirection to the app, with a code that is good once and for some minutes; what is wrong with
//! the app itself is shown on Salesforce's own error page and never reaches the app.

use std::{collections::HashMap, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use url::form_urlencoded::Serializer;

use crate::{calls::Call, faults::FaultKind, http::Answer, org::Org, server::Shared, xml::escape};

const LIFE_OF_A_CODE: Duration = Duration::from_mins(10);

/// What a code stands for until it is used.
pub(crate) struct Code {
    redirect_uri: String,
    challenge: String,
    ends: Duration,
}

impl Code {
    /// Whether a token request may use it: what is wrong, in Salesforce's words.
    pub(super) fn fits(&self, redirect_uri: &str, verifier: &str, now: Duration) -> Result<(), &'static str> {
        let digest = || URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        if now >= self.ends {
            Err("expired authorization code")
        } else if redirect_uri != self.redirect_uri {
            Err("redirect_uri must match configuration")
        } else if !self.challenge.is_empty() && digest() != self.challenge {
            Err("invalid code verifier")
        } else {
            Ok(())
        }
    }
}

/// GET /services/oauth2/authorize.
pub(crate) fn authorize(shared: &Shared, org: Option<&Org>, query: &HashMap<String, String>) -> Answer {
    let of = |key: &str| query.get(key).map_or("", String::as_str);
    let Some(org) = org else {
        return own_page(shared, "invalid_client_id", "client identifier invalid");
    };
    let redirect_uri = of("redirect_uri");
    if url::Url::parse(redirect_uri).is_err() {
        return own_page(
            shared,
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        );
    }
    let back = |pairs: &[(&str, &str)]| {
        let state = Some(("state", of("state"))).filter(|(_, state)| !state.is_empty());
        redirection(redirect_uri, pairs.iter().copied().chain(state))
    };
    if let Some(fault) = org.fault(Call::Authorize, &[FaultKind::ApprovalError], |_| true) {
        let code = fault.code.as_deref().unwrap_or("OAUTH_APPROVAL_ERROR_GENERIC");
        return own_page(shared, code, fault.text.as_deref().unwrap_or_default());
    }
    if let Some(fault) = org.fault(Call::Authorize, &[FaultKind::OauthError], |fault| {
        fault.calls.contains(&Call::Authorize)
    }) {
        let code = fault.code.as_deref().unwrap_or("access_denied");
        let text = fault.text.as_deref().unwrap_or("end-user denied authorization");
        return back(&[("error", code), ("error_description", text)]);
    }
    if of("response_type") != "code" {
        let text = "response type must be one of the following: code";
        return back(&[
            ("error", "unsupported_response_type"),
            ("error_description", text),
        ]);
    }
    let code = org.tokens().code();
    let kept = Code {
        redirect_uri: redirect_uri.to_owned(),
        challenge: of("code_challenge").trim_end_matches('=').to_owned(),
        ends: shared.clock.now() + LIFE_OF_A_CODE,
    };
    org.codes().insert(code.clone(), kept);
    back(&[("code", &code)])
}

fn redirection<'a>(to: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Answer {
    let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let mark = if to.contains('?') { '&' } else { '?' };
    Answer::new(302, "text/html;charset=UTF-8", "").with("location", format!("{to}{mark}{query}"))
}

const ERROR_PAGE: &str = "/setup/secur/RemoteAccessErrorPage.apexp";

fn own_page(shared: &Shared, error: &str, description: &str) -> Answer {
    let page = format!("{}{ERROR_PAGE}", shared.base_url());
    redirection(&page, [("error", error), ("error_description", description)])
}

/// GET /setup/secur/RemoteAccessErrorPage.apexp.
pub(crate) fn error_page(error: &str, description: &str) -> Answer {
    let page = format!(
        "<!DOCTYPE html>\n<html><head><title>OAuth Error</title></head><body><p>{} : {}</p></body></html>\n",
        escape(error),
        escape(description)
    );
    Answer::html(200, &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_wants_its_address_its_verifier_and_its_time() {
        // The example of RFC 7636, appendix B.
        let code = Code {
            redirect_uri: "http://a/cb".to_owned(),
            challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(),
            ends: Duration::from_secs(10),
        };
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let now = Duration::from_secs(1);
        assert_eq!(code.fits("http://a/cb", verifier, now), Ok(()));
        assert_eq!(
            code.fits("http://a/cb", "other", now),
            Err("invalid code verifier")
        );
        assert!(code.fits("http://b/cb", verifier, now).is_err());
        assert!(code.fits("http://a/cb", verifier, code.ends).is_err());
    }
}
