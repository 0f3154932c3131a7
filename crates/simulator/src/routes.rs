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
    oauth,
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
}

/// What becomes of a request.
pub(crate) enum Outcome {
    Now(Answer),
    Late(Duration, Answer),
    Reset,
}

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
            partner_answer(shared, incoming.body)
        }
        ["services", "Soap", "m", ..] if incoming.method == Method::POST => {
            soap_answer(shared, incoming.body)
        }
        _ => rest_answer(shared, incoming),
    }
}

/// Counts the call, asks the door, and lets the org answer.
fn through(
    org: Option<&Arc<Org>>,
    call: Call,
    nobody: impl FnOnce() -> Answer,
    inside: impl FnOnce(&Arc<Org>) -> Answer,
) -> Outcome {
    let Some(org) = org else {
        return Outcome::Now(nobody());
    };
    org.count(call);
    match door(org, call) {
        Door::Open => Outcome::Now(inside(org)),
        Door::Late(time) => Outcome::Late(time, inside(org)),
        Door::Reset => Outcome::Reset,
        Door::Answer(answer) => Outcome::Now(*answer),
    }
}

/// What stands below `/services/oauth2` and needs no session.
fn oauth_answer(shared: &Shared, incoming: &Incoming<'_>, what: &str) -> Outcome {
    let form = match what {
        "authorize" => incoming.query.iter().cloned().collect(),
        _ => oauth::form(incoming.body, incoming.authorization),
    };
    let of = |key: &str| form.get(key).map_or("", String::as_str);
    let by_client = |id: &str| shared.by(|org| org.client_id == id);
    let by_token = |token: &str| {
        shared
            .by(|org| org.tokens().owns(token))
            .or_else(|| shared.by_session(token))
    };
    let post = incoming.method == Method::POST;
    match what {
        "authorize" => {
            let org = by_client(of("client_id"));
            let nobody = || oauth::authorize(shared, None, &form);
            through(org.as_ref(), Call::Authorize, nobody, |org| {
                oauth::authorize(shared, Some(org), &form)
            })
        }
        "token" if post => {
            let org = by_token(of("refresh_token"))
                .or_else(|| by_client(of("client_id")))
                .or_else(|| by_client(&oauth::issuer(of("assertion"))?));
            through(
                org.as_ref(),
                Call::Token,
                || oauth::nobody(&form),
                |org| oauth::token(shared, org, &form),
            )
        }
        "revoke" => {
            let org = by_token(of("token"));
            through(
                org.as_ref(),
                Call::Revoke,
                || oauth::revoke(None, &form),
                |org| oauth::revoke(Some(org), &form),
            )
        }
        "introspect" if post => {
            let org = by_token(of("token"));
            let nobody = || oauth::introspect(shared, None, &form);
            through(org.as_ref(), Call::Introspect, nobody, |org| {
                oauth::introspect(shared, Some(org), &form)
            })
        }
        _ => Outcome::Now(rest::not_found()),
    }
}

/// The partner and the enterprise API, of which only logins are served.
fn partner_answer(shared: &Shared, body: &[u8]) -> Outcome {
    let Some(request) = std::str::from_utf8(body).ok().and_then(partner::Request::read) else {
        return Outcome::Now(unparsable("the request is no envelope"));
    };
    let org = match request.username() {
        Some(username) => shared.by(|org| tables::username(org) == username),
        None => shared.by_session(&request.session),
    };
    through(
        org.as_ref(),
        Call::Login,
        || request.refused(),
        |org| partner::answer(shared, org, &request),
    )
}

const NO_SESSION: &str =
    "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session hash";

fn soap_answer(shared: &Shared, body: &[u8]) -> Outcome {
    let request = match std::str::from_utf8(body) {
        Ok(text) => SoapRequest::read(text),
        Err(error) => return Outcome::Now(unparsable(&error.to_string())),
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Now(unparsable(&error.to_string())),
    };
    let refused = || soap::envelope::fault("INVALID_SESSION_ID", NO_SESSION);
    let org = shared.by_session(&request.session);
    through(org.as_ref(), request.call, refused, |org| {
        if org.tokens().is_good(&request.session, shared.clock.now()) {
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
    through(org.as_ref(), call, nobody, |org| {
        if call == Call::Versions {
            return rest::versions(shared).with("sforce-limit-info", rest::limit_info(org));
        }
        if !org.tokens().is_good(session, shared.clock.now()) {
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
