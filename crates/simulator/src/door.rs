//! What happens at the door, before an org looks at a request: faults of the network and of the whole service.

use std::time::Duration;

use crate::{
    calls::Call,
    faults::{Fault, FaultKind},
    http::Answer,
    org::Org,
    server::Shared,
    soap::{
        envelope::{XML, fault as soap_fault},
        partner,
    },
};

const KINDS: &[FaultKind] = &[
    FaultKind::Html503,
    FaultKind::Html200,
    FaultKind::Html420,
    FaultKind::Empty406,
    FaultKind::Empty400,
    FaultKind::Reset,
    FaultKind::Garbage,
    FaultKind::GarbledAnswer,
    FaultKind::Slow,
    FaultKind::ExpiredSession,
    FaultKind::SessionNotUsable,
    FaultKind::RequestLimitExceeded,
    FaultKind::ConcurrentLimitExceeded,
    FaultKind::ServerUnavailable,
    FaultKind::UrlNotReset,
    FaultKind::Error,
    FaultKind::SeveralErrors,
    FaultKind::MovedInstance,
];

const NOT_RESET: &str = "Destination URL not reset. The URL returned from login must be set";

/// What the door does with a request.
pub(crate) enum Door {
    Open,
    Late(Duration),
    Reset,
    Garbage,
    Answer(Box<Answer>),
}

/// Lets a request that came to `host` in, or not.
pub(crate) fn door(shared: &Shared, org: &Org, call: Call, host: &str) -> Door {
    let concerns = |fault: &Fault| match fault.kind {
        FaultKind::MovedInstance => !call.is_oauth() && !is_new_host(shared, fault, host),
        _ => concerns(fault, call),
    };
    let Some(fault) = org.fault(call, KINDS, concerns) else {
        return Door::Open;
    };
    let error = |status, code: &str, text: &str| {
        let text = fault.text.as_deref().unwrap_or(text);
        Door::Answer(Box::new(error_answer(call, status, code, text)))
    };
    match fault.kind {
        FaultKind::Html503 => Door::Answer(Box::new(Answer::html(503, MAINTENANCE))),
        FaultKind::Html200 => Door::Answer(Box::new(Answer::html(200, LOGIN_PAGE))),
        FaultKind::Html420 => Door::Answer(Box::new(Answer::html(420, SETTING_UP))),
        FaultKind::Empty406 => Door::Answer(Box::new(Answer::new(406, "text/plain", ""))),
        FaultKind::Empty400 => Door::Answer(Box::new(Answer::new(400, "text/plain", ""))),
        FaultKind::Reset => Door::Reset,
        FaultKind::Garbage => Door::Garbage,
        FaultKind::GarbledAnswer => Door::Answer(Box::new(garbled(call))),
        FaultKind::Slow => Door::Late(Duration::from_millis(fault.millis.unwrap_or(0))),
        FaultKind::ExpiredSession => {
            org.tokens().expire_access();
            error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        }
        FaultKind::SessionNotUsable if call.is_soap() => error(
            401,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the API",
        ),
        FaultKind::SessionNotUsable => error(
            401,
            "INVALID_SESSION_ID",
            "This session is not valid for use with the REST API",
        ),
        FaultKind::RequestLimitExceeded => {
            error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        }
        FaultKind::ConcurrentLimitExceeded => error(
            403,
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        ),
        FaultKind::ServerUnavailable => error(503, "SERVER_UNAVAILABLE", "Server is unavailable"),
        // SOAP has no code for it.
        FaultKind::UrlNotReset | FaultKind::MovedInstance if call.is_soap() => {
            error(500, "UNKNOWN_EXCEPTION", NOT_RESET)
        }
        FaultKind::UrlNotReset => error(400, "URL_NOT_RESET", NOT_RESET),
        // The fault's text is the new host.
        FaultKind::MovedInstance => {
            Door::Answer(Box::new(error_answer(call, 400, "URL_NOT_RESET", NOT_RESET)))
        }
        FaultKind::SeveralErrors if !call.is_soap() => Door::Answer(Box::new(several(&fault))),
        _ => error(
            fault.status.unwrap_or(500),
            fault.code.as_deref().unwrap_or("UNKNOWN_EXCEPTION"),
            "An error was ordered",
        ),
    }
}

/// Whether a request came to where the org has moved.
fn is_new_host(shared: &Shared, fault: &Fault, host: &str) -> bool {
    let instance = shared.moved_to(fault);
    instance
        .split_once("://")
        .is_some_and(|(_, authority)| authority.trim_end_matches('/') == host)
}

fn several(fault: &Fault) -> Answer {
    let of = |code: &str, text: &str| serde_json::json!({ "message": text, "errorCode": code });
    let first = of(
        fault.code.as_deref().unwrap_or("UNKNOWN_EXCEPTION"),
        fault.text.as_deref().unwrap_or("An error was ordered"),
    );
    let second = of("INVALID_TYPE", "sObject type 'X' is not supported.");
    Answer::json(fault.status.unwrap_or(400), &serde_json::json!([first, second]))
}

/// An answer of the right type that ends in the middle of a word.
fn garbled(call: Call) -> Answer {
    if call.is_soap() {
        Answer::new(
            200,
            XML,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope><soapenv:Bo",
        )
    } else {
        Answer::new(200, "application/json;charset=UTF-8", "[{\"mess")
    }
}

/// A fault meets the calls that it names. Without names: pages and the network hit every call, Salesforce's own errors all but the token endpoint.
fn concerns(fault: &Fault, call: Call) -> bool {
    use FaultKind::{Empty400, Empty406, Garbage, GarbledAnswer, Html200, Html420, Html503, Reset, Slow};
    let anywhere = matches!(
        fault.kind,
        Html503 | Html200 | Html420 | Empty406 | Empty400 | Reset | Garbage | GarbledAnswer | Slow
    );
    anywhere || !call.is_oauth() || fault.calls.contains(&call)
}

/// An error in the shape of the call: a SOAP fault, a word for the identity documents, else REST's list.
pub(crate) fn error_answer(call: Call, status: u16, code: &str, text: &str) -> Answer {
    if call == Call::Login {
        return partner::fault(code, text, "LoginFault");
    }
    if call.is_soap() {
        return soap_fault(code, text);
    }
    if call.is_oauth() {
        let told = serde_json::json!({ "error": code, "error_description": text });
        return Answer::json(400, &told);
    }
    if matches!(call, Call::Userinfo | Call::Identity) && code == "INVALID_SESSION_ID" {
        return Answer::new(403, "text/plain;charset=UTF-8", "Bad_OAuth_Token");
    }
    Answer::json(
        status,
        &serde_json::json!([{ "message": text, "errorCode": code }]),
    )
}

const MAINTENANCE: &str = "<html><head><title>Salesforce</title></head><body><h1>Down for maintenance</h1>\
    <p>We are down for maintenance. We will be back soon.</p></body></html>\n";
const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Login | Salesforce</title></head><body>\
    <form id=\"login_form\">Username Password</form></body></html>\n";
const SETTING_UP: &str = "<!DOCTYPE HTML>\n<html><body><h1>We are setting things up</h1></body></html>\n";
