//! Bulk API 2.0 query jobs: made, worked on for a moment, fetched page by page as CSV, aborted, deleted.
//!
//! A job's rows are chosen when it is made and written when they are fetched; its locators are the places of rows, so
//! that a page can be fetched again while the job is there.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    RestRequest,
    csv::{csv, locator, place},
    error, not_allowed, not_found,
    records::{Found, find},
};
use crate::{calls::Call, faults::FaultKind, http::Answer, ids::id18, org::Org, server::Shared, tables::Api};

/// Rows of a page of results when the client does not say.
const PAGE: usize = 50_000;
/// Most rows of MetadataComponentDependency in one job.
const MOST_DEPENDENCIES: usize = 100_000;
const LIFE_OF_A_JOB: Duration = Duration::from_hours(7 * 24);
const COMMA: &str = "COMMA";

/// A query job.
pub(crate) struct BulkJob {
    found: Arc<Found>,
    operation: String,
    version: String,
    line_ending: String,
    started: Duration,
    pending: Duration,
    /// How long it is worked on, from its start.
    takes: Duration,
    created: String,
    aborted: bool,
    /// Ends Failed, by a fault.
    fails: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    operation: String,
    query: String,
    column_delimiter: Option<String>,
    line_ending: Option<String>,
    content_type: Option<String>,
}

#[derive(Deserialize)]
struct Change {
    state: String,
}

/// Answers a request below `.../jobs/query`.
pub(super) fn answer(
    shared: &Shared,
    org: &Arc<Org>,
    request: &RestRequest<'_>,
    api: Api,
    rest: &[&str],
) -> Answer {
    match (request.method.as_str(), rest) {
        ("POST", []) => create(shared, org, request, api),
        ("GET", []) => all(shared, org),
        ("GET", [id]) => look(shared, org, id),
        ("GET", [id, "results"]) => results(shared, org, request, id),
        ("PATCH", [id]) => abort(shared, org, request, id),
        ("DELETE", [id]) => delete(shared, org, id),
        (_, [] | [_]) => not_allowed(request.method, "GET,POST,PATCH,DELETE"),
        _ => not_found(),
    }
}

fn create(shared: &Shared, org: &Org, request: &RestRequest<'_>, api: Api) -> Answer {
    let order: Order = match serde_json::from_slice(request.body) {
        Ok(order) => order,
        Err(reason) => return error(400, "JSON_PARSER_ERROR", &reason.to_string()),
    };
    if !matches!(order.operation.as_str(), "query" | "queryAll") {
        return error(400, "INVALIDJOB", "Unsupported operation for query job");
    }
    if order.content_type.is_some_and(|kind| kind != "CSV")
        || order.column_delimiter.is_some_and(|sign| sign != COMMA)
    {
        return error(400, "INVALIDJOB", "The simulator writes CSV with commas only");
    }
    let mut found = match find(org, api, &order.query) {
        Ok(found) => found,
        Err(refused) => return error(400, refused.code, &refused.message(&order.query)),
    };
    if found.count_only || found.whole_definitions() {
        return error(
            400,
            "API_ERROR",
            "Aggregate Relationships not supported in Bulk Query",
        );
    }
    if found.object == "MetadataComponentDependency" {
        found.chosen.truncate(MOST_DEPENDENCIES);
    }
    let number = shared.next_number();
    let pace = shared.settings.latency.pace(number, shared.settings.pace);
    let job = BulkJob {
        takes: pace.pending + pace.in_progress + pace.per_file * found.chosen.len() as u32,
        found: Arc::new(found),
        operation: order.operation,
        version: request.version().to_owned(),
        line_ending: order.line_ending.unwrap_or_else(|| "LF".to_owned()),
        started: shared.clock.now(),
        created: now(),
        aborted: false,
        fails: org
            .fault(Call::BulkCreate, &[FaultKind::BulkJobFails], |_| true)
            .is_some(),
        pending: pace.pending,
    };
    let id = id18("750", number);
    let answer = Answer::json(200, &job.told(shared, org, &id));
    let mut jobs = org.bulk_jobs();
    jobs.retain(|_, job| shared.clock.now() < job.started + LIFE_OF_A_JOB);
    jobs.insert(id, job);
    answer
}

fn now() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a foreign server tells the time by its own clock"
    )]
    let now = jiff::Timestamp::now();
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%S.000+0000", now).unwrap_or_default()
}

impl BulkJob {
    fn state(&self, shared: &Shared) -> &'static str {
        let age = shared.clock.now().saturating_sub(self.started);
        if self.aborted {
            "Aborted"
        } else if age < self.pending {
            "UploadComplete"
        } else if age < self.takes {
            "InProgress"
        } else if self.fails {
            "Failed"
        } else {
            "JobComplete"
        }
    }

    /// The job as its creation and its list tell it.
    fn told(&self, shared: &Shared, org: &Org, id: &str) -> Value {
        json!({
            "id": id,
            "operation": self.operation,
            "object": self.found.object,
            "createdById": org.user_id,
            "createdDate": self.created,
            "systemModstamp": self.created,
            "state": self.state(shared),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": self.version.parse::<f64>().unwrap_or_default(),
            "lineEnding": self.line_ending,
            "columnDelimiter": COMMA,
        })
    }
}

fn all(shared: &Shared, org: &Org) -> Answer {
    let jobs = org.bulk_jobs();
    let records: Vec<Value> = jobs.iter().map(|(id, job)| job.told(shared, org, id)).collect();
    Answer::json(
        200,
        &json!({ "done": true, "nextRecordsUrl": null, "records": records }),
    )
}

fn look(shared: &Shared, org: &Org, id: &str) -> Answer {
    let jobs = org.bulk_jobs();
    let Some(job) = jobs.get(id) else {
        return not_found();
    };
    let done = job.state(shared) == "JobComplete";
    let mut told = job.told(shared, org, id);
    told["jobType"] = "V2Query".into();
    told["numberRecordsProcessed"] = if done { job.found.chosen.len() } else { 0 }.into();
    told["retries"] = 0.into();
    told["totalProcessingTime"] = if done { job.takes.as_millis() as u64 } else { 0 }.into();
    told["isPkChunkingSupported"] = false.into();
    Answer::json(200, &told)
}

fn abort(shared: &Shared, org: &Org, request: &RestRequest<'_>, id: &str) -> Answer {
    let wanted = serde_json::from_slice::<Change>(request.body);
    if !wanted.is_ok_and(|change| change.state == "Aborted") {
        return error(400, "INVALIDJOBSTATE", "A query job can only be set to Aborted");
    }
    let mut jobs = org.bulk_jobs();
    let Some(job) = jobs.get_mut(id) else {
        return not_found();
    };
    if job.state(shared) == "JobComplete" {
        return error(
            400,
            "INVALIDJOBSTATE",
            "Aborting already Completed Job not allowed",
        );
    }
    job.aborted = true;
    Answer::json(200, &job.told(shared, org, id))
}

fn delete(shared: &Shared, org: &Org, id: &str) -> Answer {
    let mut jobs = org.bulk_jobs();
    match jobs.get(id).map(|job| job.state(shared)) {
        None => not_found(),
        Some("JobComplete" | "Aborted" | "Failed") => {
            jobs.remove(id);
            Answer::new(204, "application/json;charset=UTF-8", "")
        }
        Some(_) => error(
            400,
            "INVALIDJOBSTATE",
            "Deleting a job that is worked on is not allowed; abort it first",
        ),
    }
}

fn results(shared: &Shared, org: &Arc<Org>, request: &RestRequest<'_>, id: &str) -> Answer {
    let jobs = org.bulk_jobs();
    let Some(job) = jobs.get(id) else {
        return not_found();
    };
    if job.version != request.version() {
        return error(
            409,
            "API_ERROR",
            "Results have to be asked for with the API version of the job",
        );
    }
    if job.state(shared) != "JobComplete" {
        return error(400, "INVALIDJOBSTATE", "The job is not in the state JobComplete");
    }
    let total = job.found.chosen.len();
    let from = match request.of("locator") {
        "" => Some(0),
        locator => place(locator).filter(|from| *from < total),
    };
    let Some(from) = from else {
        return error(400, "INVALID_LOCATOR", "invalid query locator");
    };
    let most = request.of("maxRecords").parse().unwrap_or(PAGE).max(1);
    let to = total.min(from.saturating_add(most));
    let next = if to < total {
        locator(to)
    } else {
        "null".to_owned()
    };
    let end = if job.line_ending == "CRLF" { "\r\n" } else { "\n" };
    let pieces = csv(org.clone(), job.found.clone(), from..to, end);
    Answer::pieces("text/csv", Box::new(pieces))
        .with("sforce-locator", next)
        .with("sforce-numberofrecords", (to - from).to_string())
}
