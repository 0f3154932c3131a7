//! The Metadata API over SOAP: one request in, one envelope out.
//!
//! Requests are read by local names, since each client has its own prefixes. Which call it is decides what is counted
//! and which faults may hit it; each call's answer is made in its own file.

mod budgets;
pub(crate) mod deliver;
pub(crate) mod describe;
pub(crate) mod envelope;
pub(crate) mod jobs;
pub(crate) mod list;
pub(crate) mod partner;
pub(crate) mod read;
pub(crate) mod request;
pub(crate) mod retrieve;
mod size;
pub(crate) mod sparse;

use crate::{
    calls::Call,
    faults::FaultKind,
    http::Answer,
    org::Org,
    server::Shared,
    xml::{Element, XmlError},
};
use envelope::fault;

/// A request that was understood as far as its call.
pub(crate) struct SoapRequest {
    pub call: Call,
    pub session: String,
    body: Element,
}

impl SoapRequest {
    /// Reads an envelope.
    pub(crate) fn read(text: &str) -> Result<Self, XmlError> {
        let (session, body) = open(text)?;
        let call = match body.name.as_str() {
            "describeMetadata" => Call::Describe,
            "listMetadata" => Call::List,
            "readMetadata" => Call::Read,
            "retrieve" => Call::Retrieve,
            "checkRetrieveStatus" if wants_zip(&body) => Call::Download,
            "checkRetrieveStatus" => Call::Poll,
            _ => Call::OtherSoap,
        };
        Ok(Self { call, session, body })
    }
}

/// The session and the call of an envelope, by local names.
fn open(text: &str) -> Result<(String, Element), XmlError> {
    let mut envelope = Element::parse(text)?;
    let session = envelope
        .child("Header")
        .and_then(|header| header.child("SessionHeader"))
        .map_or_else(String::new, |header| header.text_of("sessionId").to_owned());
    let at = envelope
        .children
        .iter()
        .position(|child| child.name == "Body")
        .ok_or(XmlError::Empty)?;
    let body = envelope.children.swap_remove(at).children.into_iter().next();
    Ok((session, body.ok_or(XmlError::Empty)?))
}

/// Whether a status request asks for the zip, which it does unless it says no.
fn wants_zip(body: &Element) -> bool {
    !body.text_of("includeZip").eq_ignore_ascii_case("false")
}

/// Answers a call of a session that was found good.
pub(crate) fn answer(shared: &Shared, org: &Org, request: &SoapRequest) -> Answer {
    match request.call {
        Call::Describe => describe::answer(org),
        Call::List => list::answer(org, &request.body),
        Call::Read => read::answer(org, &request.body),
        Call::Retrieve => retrieve::answer(shared, org, &request.body),
        Call::Poll | Call::Download => {
            let cross = org.fault(request.call, &[FaultKind::InvalidCrossReference], |_| true);
            match cross {
                Some(_) => fault("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"),
                None => deliver::answer(shared, org, request.call, request.body.text_of("asyncProcessId")),
            }
        }
        _ if request.body.name == "describeValueType" => read::value_type(&request.body),
        _ if request.body.name == "checkStatus" => fault(
            "UNSUPPORTED_API_VERSION",
            "checkStatus is not supported for retrieve since 31.0; use checkRetrieveStatus",
        ),
        _ => fault(
            "INVALID_OPERATION",
            &format!("No operation available for request {}", request.body.name),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_and_the_session_are_found_under_any_prefix() {
        let read = |text: &str| {
            SoapRequest::read(text)
                .map(|request| (request.call, request.session))
                .unwrap()
        };
        let plain = "<Envelope><Header><SessionHeader xmlns='m'><sessionId> s </sessionId></SessionHeader></Header>\
            <Body><listMetadata xmlns='m'/></Body></Envelope>";
        assert_eq!(read(plain), (Call::List, "s".to_owned()));
        let prefixed = "<e:Envelope xmlns:e='x'><e:Body><m:checkRetrieveStatus xmlns:m='y'>\
            <m:includeZip>False</m:includeZip></m:checkRetrieveStatus></e:Body></e:Envelope>";
        assert_eq!(read(prefixed), (Call::Poll, String::new()));
        let zip = "<e:Envelope xmlns:e='x'><e:Body><checkRetrieveStatus/></e:Body></e:Envelope>";
        assert_eq!(read(zip).0, Call::Download);
    }
}
