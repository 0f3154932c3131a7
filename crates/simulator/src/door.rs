//! What happens at the door, before an org looks at a request: faults of the network and of the whole service.

use std::time::Duration;

use crate::{
    calls::Call,
    faults::{Fault, FaultKind},
    http::Answer,
    org::Org,
    soap::envelope::fault as soap_fault,
};

const KINDS: &[FaultKind] = &[
    FaultKind::Html503,
    FaultKind::Html200,
    FaultKind::Html420,
    FaultKind::Empty406,
    FaultKind::Reset,
    FaultKind::Slow,
    FaultKind::ExpiredSession,
    FaultKind::SessionNotUsable,
    FaultKind::RequestLimitExceeded,
    FaultKind::ConcurrentLimitExceeded,
    FaultKind::ServerUnavailable,
    FaultKind::UrlNotReset,
    FaultKind::Error,
];

/// What the door does with a request.
pub(crate) enum Door {
    Open,
    Late(Duration),
    Reset,
    Answer(Box<Answer>),
}

/// Lets a request in, or not.
pub(crate) fn door(org: &Org, call: Call) -> Door {
    let Some(fault) = org.fault(call, KINDS, |fault| concerns(fault, call)) else { return Door::Open };
    let error = |status, code: &str, text: &str| {
        let text = fault.text.as_deref().unwrap_or(text);
        Door::Answer(Box::new(error_answer(call, status, code, text)))
    };
    match fault.kind {
        FaultKind::Html503 => Door::Answer(Box::new(Answer::html(503, MAINTENANCE))),
        FaultKind::Html200 => Door::Answer(Box::new(Answer::html(200, LOGIN_PAGE))),
        FaultKind::Html420 => Door::Answer(Box::new(Answer::html(420, SETTING_UP))),
        FaultKind::Empty406 => Door::Answer(Box::new(Answer::new(406, "text/plain", ""))),
        FaultKind::Reset => Door::Reset,
        FaultKind::Slow => Door::Late(Duration::from_millis(fault.millis.unwrap_or(0))),
        FaultKind::ExpiredSession => {
            org.tokens().expire_access();
            error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        }
        FaultKind::SessionNotUsable if call.is_soap() => {
            error(401, "INVALID_SESSION_ID", "This session is not valid for use with the API")
        }
        FaultKind::SessionNotUsable => {
            error(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API")
        }
        FaultKind::RequestLimitExceeded => error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        FaultKind::ConcurrentLimitExceeded => {
            error(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.")
        }
        FaultKind::ServerUnavailable => error(503, "SERVER_UNAVAILABLE", "Server is unavailable"),
        FaultKind::UrlNotReset => {
            error(400, "URL_NOT_RESET", "Destination URL not reset. The URL returned from login must be set")
        }
        _ => error(500, fault.code.as_deref().unwrap_or("UNKNOWN_EXCEPTION"), "An error was ordered"),
    }
}

/// Without a list of calls: pages and the network hit every call, Salesforce's own errors all but the token endpoint.
fn concerns(fault: &Fault, call: Call) -> bool {
    use FaultKind::{Empty406, Html200, Html420, Html503, Reset, Slow};
    let anywhere = matches!(fault.kind, Html503 | Html200 | Html420 | Empty406 | Reset | Slow);
    anywhere || !call.is_oauth()
}

/// An error in the shape of the call: a SOAP fault, a word for the identity documents, else REST's list.
pub(crate) fn error_answer(call: Call, status: u16, code: &str, text: &str) -> Answer {
    if call.is_soap() {
        return soap_fault(code, text);
    }
    if matches!(call, Call::Userinfo | Call::Identity) && code == "INVALID_SESSION_ID" {
        return Answer::new(403, "text/plain;charset=UTF-8", "Bad_OAuth_Token");
    }
    Answer::json(status, &serde_json::json!([{ "message": text, "errorCode": code }]))
}

const MAINTENANCE: &str = "<html><head><title>Salesforce</title></head><body><h1>Down for maintenance</h1>\
    <p>We are down for maintenance. We will be back soon.</p></body></html>\n";
const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Login | Salesforce</title></head><body>\
    <form id=\"login_form\">Username Password</form></body></html>\n";
const SETTING_UP: &str = "<!DOCTYPE HTML>\n<html><body><h1>We are setting things up</h1></body></html>\n";
