//! What stands below `/services/data`: which resource answers a request.
//!
//! A request comes here once its session was found good and was counted. Composite requests come back to the same
//! door with each of their parts, so that a part is answered as if it had come alone.

mod bulk;
mod columns;
mod composite;
mod csv;
mod describe;
mod query;
mod records;
mod resources;

use std::sync::Arc;

use axum::http::Method;
use serde_json::json;

pub(crate) use bulk::BulkJob;
pub(crate) use query::Cursor;
pub(crate) use resources::{limit_info, versions};

use crate::{calls::Call, http::Answer, org::Org, server::Shared, tables::Api};

/// A request below `/services/data`.
pub(crate) struct RestRequest<'a> {
    pub method: &'a Method,
    /// From the version on: `["v67.0", "query"]`.
    pub path: &'a [&'a str],
    pub query: &'a [(String, String)],
    pub body: &'a [u8],
    /// Most rows of a page, as the client wishes.
    pub page: Option<usize>,
    /// A part of a composite request, which may not hold another.
    pub nested: bool,
}

impl RestRequest<'_> {
    /// A parameter of the URL; empty when absent.
    fn of(&self, key: &str) -> &str {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }

    /// The version as a URL has it: `67.0`.
    fn version(&self) -> &str {
        self.path[0].trim_start_matches('v')
    }
}

/// Which API, and the rest of the path from the resource on.
fn split<'a>(path: &'a [&'a str]) -> (Api, &'a [&'a str]) {
    match path {
        [_, "tooling", rest @ ..] => (Api::Tooling, rest),
        [_, rest @ ..] => (Api::Data, rest),
        [] => (Api::Data, &[]),
    }
}

/// As what a request is counted.
pub(crate) fn call(method: &Method, path: &[&str]) -> Call {
    let (_, rest) = split(path);
    match rest {
        _ if path.is_empty() => Call::Versions,
        [] => Call::Resources,
        ["limits"] => Call::Limits,
        ["query" | "queryAll"] => Call::Query,
        ["query" | "queryAll", _] => Call::QueryMore,
        ["sobjects", ..] => Call::Sobject,
        ["composite", ..] => Call::Composite,
        ["jobs", "query"] if method == Method::POST => Call::BulkCreate,
        ["jobs", "query", _, "results"] => Call::BulkResults,
        ["jobs", "query", ..] => Call::BulkJob,
        _ => Call::Other,
    }
}

/// Answers a request of an open session.
pub(crate) fn answer(shared: &Shared, org: &Arc<Org>, request: &RestRequest<'_>) -> Answer {
    if !resources::is_served(shared, request.version()) {
        return not_found();
    }
    let (api, rest) = split(request.path);
    let get = request.method == Method::GET;
    let post = request.method == Method::POST;
    match rest {
        [] if get => resources::resources(shared, org, request.version(), api),
        ["limits"] if get => resources::limits(org),
        ["query" | "queryAll"] if get => query::first(shared, org, request, api),
        ["query" | "queryAll", locator] if get => query::next(shared, org, request, api, locator),
        ["sobjects"] if get => describe::all(org, request.version(), api),
        ["sobjects", object] if get => describe::basic(org, request.version(), api, object),
        ["sobjects", object, "describe"] if get => describe::one(org, request.version(), api, object),
        ["sobjects", object, id] if get => query::record(org, request, api, object, id),
        ["composite"] if post && !request.nested => composite::composite(shared, org, request),
        ["composite", "batch"] if post && !request.nested => composite::batch(shared, org, request),
        ["jobs", "query", rest @ ..] => bulk::answer(shared, org, request, api, rest),
        ["limits" | "query" | "queryAll" | "sobjects", ..] => not_allowed(request.method, "GET"),
        ["composite"] | ["composite", "batch"] if !request.nested => not_allowed(request.method, "POST"),
        _ => not_found(),
    }
}

/// One error in REST's shape.
fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!([{ "message": message, "errorCode": code }]))
}

pub(crate) fn not_found() -> Answer {
    error(404, "NOT_FOUND", "The requested resource does not exist")
}

fn not_allowed(method: &Method, allowed: &str) -> Answer {
    let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
    error(405, "METHOD_NOT_ALLOWED", &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_path() {
        let of = |method: Method, path: &[&str]| call(&method, path);
        assert_eq!(of(Method::GET, &[]), Call::Versions);
        assert_eq!(of(Method::GET, &["v67.0"]), Call::Resources);
        assert_eq!(of(Method::GET, &["v67.0", "tooling", "query"]), Call::Query);
        assert_eq!(of(Method::GET, &["v67.0", "query", "0r8-2000"]), Call::QueryMore);
        assert_eq!(of(Method::POST, &["v67.0", "jobs", "query"]), Call::BulkCreate);
        assert_eq!(
            of(Method::GET, &["v67.0", "tooling", "jobs", "query", "750"]),
            Call::BulkJob
        );
        assert_eq!(of(Method::GET, &["v67.0", "chatter"]), Call::Other);
    }
}
