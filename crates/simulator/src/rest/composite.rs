//! Several requests in one: each part is answered as if it had come alone, and the whole counts once.

use std::sync::Arc;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{RestRequest, answer, error};
use crate::{
    http::{Answer, Payload},
    org::Org,
    server::Shared,
};

const MOST_PARTS: usize = 25;
const MOST_QUERIES: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    composite_request: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    batch_requests: Vec<Part>,
    #[serde(default)]
    halt_on_error: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    url: String,
    #[serde(default)]
    reference_id: Option<String>,
}

/// POST .../composite.
pub(super) fn composite(shared: &Shared, org: &Arc<Org>, request: &RestRequest<'_>) -> Answer {
    let parts = match serde_json::from_slice::<Composite>(request.body) {
        Ok(composite) => composite.composite_request,
        Err(reason) => return error(400, "JSON_PARSER_ERROR", &reason.to_string()),
    };
    let queries = parts.iter().filter(|part| part.url.contains("/query")).count();
    if parts.len() > MOST_PARTS || queries > MOST_QUERIES {
        let text = format!(
            "The number of subrequests is limited to {MOST_PARTS}, of them {MOST_QUERIES} queries or sObject collections"
        );
        return error(400, "LIMIT_EXCEEDED", &text);
    }
    let results: Vec<Value> = parts
        .iter()
        .map(|part| {
            let (status, body) = of_part(shared, org, part);
            json!({ "body": body, "httpHeaders": {}, "httpStatusCode": status, "referenceId": part.reference_id })
        })
        .collect();
    Answer::json(200, &json!({ "compositeResponse": results }))
}

/// POST .../composite/batch.
pub(super) fn batch(shared: &Shared, org: &Arc<Org>, request: &RestRequest<'_>) -> Answer {
    let batch = match serde_json::from_slice::<Batch>(request.body) {
        Ok(batch) => batch,
        Err(reason) => return error(400, "JSON_PARSER_ERROR", &reason.to_string()),
    };
    if batch.batch_requests.len() > MOST_PARTS {
        let text = format!("The number of subrequests is limited to {MOST_PARTS}");
        return error(400, "LIMIT_EXCEEDED", &text);
    }
    let mut failed = false;
    let results: Vec<Value> = batch
        .batch_requests
        .iter()
        .map(|part| {
            let (status, body) = if failed && batch.halt_on_error {
                let halted =
                    json!([{ "errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted" }]);
                (412, halted)
            } else {
                of_part(shared, org, part)
            };
            failed |= status >= 400;
            json!({ "statusCode": status, "result": body })
        })
        .collect();
    Answer::json(200, &json!({ "hasErrors": failed, "results": results }))
}

/// The answer of one part: its status and its body.
fn of_part(shared: &Shared, org: &Arc<Org>, part: &Part) -> (u16, Value) {
    let (path, query) = part.url.split_once('?').unwrap_or((&part.url, ""));
    let path = path.trim_start_matches('/');
    // Batches leave `services/data` out.
    let path = path.strip_prefix("services/data/").unwrap_or(path);
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let method = Method::from_bytes(part.method.as_bytes()).unwrap_or(Method::GET);
    if path.is_empty() {
        return (
            404,
            json!([{ "errorCode": "NOT_FOUND", "message": "The requested resource does not exist" }]),
        );
    }
    let request = RestRequest {
        method: &method,
        path: &path,
        query: &query,
        body: &[],
        page: None,
        nested: true,
    };
    let answer = answer(shared, org, &request);
    let body = match answer.payload {
        Payload::Whole(body) => serde_json::from_slice(&body).unwrap_or_default(),
        Payload::Pieces(_) => Value::Null,
    };
    (answer.status.as_u16(), body)
}
