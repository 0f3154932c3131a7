//! Which org a request belongs to, which call it is, and who answers it.
//!
//! A request finds its org by what it carries: the access token (whose first fifteen characters are the org's id), the
//! refresh token, the client id or the user's name. Every request is counted before anything may go wrong with it, so
//! that a client's own bill can be compared with the counts here.

use std::{sync::Arc, time::Duration};

use axum::http::Method;

use crate::{
    calls::Call,
    door::{Door, door, error_answer},
    http::Answer,
    mangle, oauth,
    org::Org,
    rest::{self, RestRequest},
    server::Shared,
    soap::{self, SoapRequest, envelope::unparsable, partner},
    tables,
};

/// A request, read as far as HTTP goes.
pub(crate) struct Incoming<'a> {
    pub method: &'a Method,
    pub path: &'a [&'a str],
    pub query: &'a [(String, String)],
    /// The header as it came.
    pub authorization: &'a str,
    /// To which host and port it came.
    pub host: &'a str,
    pub body: &'a [u8],
    /// Most rows of a page, from `Sforce-Query-Options`.
    pub page: Option<usize>,
}

impl Incoming<'_> {
    /// A parameter of the URL; empty when absent.
    fn of(&self, key: &str) -> &str {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }

    fn visit<'a>(&'a self, shared: &'a Shared, org: Option<&'a Arc<Org>>, call: Call) -> Visit<'a> {
        Visit {
            shared,
            host: self.host,
            org,
            call,
        }
    }
}

/// What becomes of a request.
pub(crate) enum Outcome {
    Now(Answer),
    Late(Duration, Answer),
    Reset,
    /// Bytes that are no HTTP.
    Garbage,
}

const TOTAL_REQUESTS: &str = "TotalRequests Limit exceeded.";
const CONCURRENT_REQUESTS: &str = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";

/// Whom a request is for: its call, its org if one is found, and the answer once the door is open.
pub(crate) fn answer(shared: &Shared, incoming: &Incoming<'_>) -> Outcome {
    match incoming.path {
        ["services", "oauth2", "userinfo"] => rest_answer(shared, incoming),
        ["services", "oauth2", what] => oauth_answer(shared, incoming, what),
        ["setup", "secur", "RemoteAccessErrorPage.apexp"] => Outcome::Now(oauth::error_page(
            incoming.of("error"),
            incoming.of("error_description"),
        )),
        ["services", "Soap", "u" | "c", ..] if incoming.method == Method::POST => {
            partner_answer(shared, incoming)
        }
        ["services", "Soap", "m", ..] if incoming.method == Method::POST => soap_answer(shared, incoming),
        _ => rest_answer(shared, incoming),
    }
}

/// A request on its way to an org.
struct Visit<'a> {
    shared: &'a Shared,
    host: &'a str,
    org: Option<&'a Arc<Org>>,
    call: Call,
}

impl Visit<'_> {
    /// Counts the call, asks the door and the org's limits, and lets the org answer.
    fn through(self, nobody: impl FnOnce() -> Answer, inside: impl FnOnce(&Arc<Org>) -> Answer) -> Outcome {
        let Self {
            shared,
            host,
            org,
            call,
        } = self;
        let Some(org) = org else {
            return Outcome::Now(nobody());
        };
        let latency = shared.settings.latency.of(org, call, org.count(call));
        let late = match door(shared, org, call, host) {
            Door::Open => Duration::ZERO,
            Door::Late(time) => time,
            Door::Reset => return Outcome::Reset,
            Door::Garbage => return Outcome::Garbage,
            Door::Answer(answer) => return Outcome::Now(*answer),
        };
        if !call.is_oauth() && !org.spend() {
            return Outcome::Now(error_answer(call, 403, "REQUEST_LIMIT_EXCEEDED", TOTAL_REQUESTS));
        }
        let Some(place) = org.enter() else {
            return Outcome::Now(error_answer(
                call,
                403,
                "REQUEST_LIMIT_EXCEEDED",
                CONCURRENT_REQUESTS,
            ));
        };
        let mut answer = mangle::sent(org, call, inside(org));
        answer.place = Some(place);
        match late + latency {
            Duration::ZERO => Outcome::Now(answer),
            time => Outcome::Late(time, answer),
        }
    }
}

/// What stands below `/services/oauth2` and needs no session.
fn oauth_answer(shared: &Shared, incoming: &Incoming<'_>, what: &str) -> Outcome {
    let form = match what {
        "authorize" => incoming.query.iter().cloned().collect(),
        _ => oauth::form(incoming.body, incoming.authorization),
    };
    let of = |key: &str| form.get(key).map_or("", String::as_str);
    let by_client = |id: &str| shared.by_client(id);
    let by_token = |token: &str| {
        shared
            .by(|org| org.tokens().owns(token))
            .or_else(|| shared.by_session(token))
    };
    let post = incoming.method == Method::POST;
    let visit = |org, call| incoming.visit(shared, org, call);
    match what {
        "authorize" => {
            let org = by_client(of("client_id"));
            let nobody = || oauth::authorize(shared, None, &form);
            visit(org.as_ref(), Call::Authorize)
                .through(nobody, |org| oauth::authorize(shared, Some(org), &form))
        }
        "token" if post => {
            // The app's own org first: with thousands of orgs, few requests need the search for the token's.
            let org = by_client(of("client_id"))
                .filter(|org| of("refresh_token").is_empty() || org.tokens().owns(of("refresh_token")))
                .or_else(|| by_token(of("refresh_token")))
                .or_else(|| by_client(of("client_id")))
                .or_else(|| by_client(&oauth::issuer(of("assertion"))?));
            visit(org.as_ref(), Call::Token)
                .through(|| oauth::nobody(&form), |org| oauth::token(shared, org, &form))
        }
        "revoke" => {
            let org = by_token(of("token"));
            visit(org.as_ref(), Call::Revoke).through(
                || oauth::revoke(None, &form),
                |org| oauth::revoke(Some(org), &form),
            )
        }
        "introspect" if post => {
            let org = by_token(of("token"));
            let nobody = || oauth::introspect(shared, None, &form);
            visit(org.as_ref(), Call::Introspect)
                .through(nobody, |org| oauth::introspect(shared, Some(org), &form))
        }
        _ => Outcome::Now(rest::not_found()),
    }
}

/// The partner and the enterprise API, of which only logins are served.
fn partner_answer(shared: &Shared, incoming: &Incoming<'_>) -> Outcome {
    let Some(request) = std::str::from_utf8(incoming.body)
        .ok()
        .and_then(partner::Request::read)
    else {
        return Outcome::Now(unparsable("the request is no envelope"));
    };
    let org = match request.username() {
        Some(username) => shared.by(|org| tables::username(org) == username),
        None => shared.by_session(&request.session),
    };
    incoming
        .visit(shared, org.as_ref(), Call::Login)
        .through(|| request.refused(), |org| partner::answer(shared, org, &request))
}

const NO_SESSION: &str =
    "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session hash";

fn soap_answer(shared: &Shared, incoming: &Incoming<'_>) -> Outcome {
    let request = match std::str::from_utf8(incoming.body) {
        Ok(text) => SoapRequest::read(text),
        Err(error) => return Outcome::Now(unparsable(&error.to_string())),
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Now(unparsable(&error.to_string())),
    };
    let refused = || soap::envelope::fault("INVALID_SESSION_ID", NO_SESSION);
    let org = shared.by_session(&request.session);
    incoming
        .visit(shared, org.as_ref(), request.call)
        .through(refused, |org| {
            // SOAP knows no JWT for a session.
            if request.session.contains('!') && org.opens(&request.session) {
                soap::answer(shared, org, &request)
            } else {
                refused()
            }
        })
}

fn rest_answer(shared: &Shared, incoming: &Incoming<'_>) -> Outcome {
    let path = incoming.path;
    let call = match path {
        ["services", "oauth2", "userinfo"] => Call::Userinfo,
        ["id", _, _] => Call::Identity,
        ["services", "data", rest @ ..] => rest::call(incoming.method, rest),
        _ => Call::Other,
    };
    let session = match incoming.authorization.split_once(' ') {
        Some((_, token)) => token.trim(),
        None => incoming.of("oauth_token"),
    };
    let org = shared.by_session(session);
    let refused = || error_answer(call, 401, "INVALID_SESSION_ID", "Session expired or invalid");
    let nobody = || {
        if call == Call::Versions {
            rest::versions(shared)
        } else {
            refused()
        }
    };
    incoming.visit(shared, org.as_ref(), call).through(nobody, |org| {
        if call == Call::Versions {
            return rest::versions(shared).with("sforce-limit-info", rest::limit_info(org));
        }
        if !org.opens(session) {
            return refused();
        }
        let answer = match path {
            ["services", "oauth2", "userinfo"] => oauth::userinfo(shared, org),
            ["id", _, _] => oauth::identity(shared, org),
            ["services", "data", rest @ ..] => rest::answer(
                shared,
                org,
                &RestRequest {
                    method: incoming.method,
                    path: rest,
                    query: incoming.query,
                    body: incoming.body,
                    page: incoming.page,
                    nested: false,
                },
            ),
            _ => rest::not_found(),
        };
        answer.with("sforce-limit-info", rest::limit_info(org))
    })
}
