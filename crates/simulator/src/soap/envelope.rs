//! Envelopes and faults, and the XML of what a listing and a retrieve say about a component.

use jiff::{Timestamp, fmt::strtime};

use crate::{http::Answer, inventory::Listed, xml::escape};

pub(crate) const XML: &str = "text/xml; charset=UTF-8";
/// Who has created and changed everything.
pub(crate) const USER_NAME: &str = "Sim Admin";
/// What stands for a date that is not known.
const EPOCH: &str = "1970-01-01T00:00:00.000Z";

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
    <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
    xmlns=\"http://soap.sforce.com/2006/04/metadata\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>";
const FOOT: &str = "</soapenv:Body></soapenv:Envelope>";

/// The beginning of an answer, up to its content.
pub(crate) fn head(call: &str) -> String {
    format!("{HEAD}<{call}Response>")
}

/// The end of an answer.
pub(crate) fn foot(call: &str) -> String {
    format!("</{call}Response>{FOOT}")
}

/// A whole answer.
pub(crate) fn response(call: &str, content: &str) -> Answer {
    Answer::new(200, XML, format!("{}{content}{}", head(call), foot(call)))
}

/// A fault, always with HTTP 500.
pub(crate) fn fault(code: &str, text: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sf=\"http://soap.sforce.com/2006/04/metadata\"><soapenv:Body><soapenv:Fault>\
         <faultcode>sf:{code}</faultcode><faultstring>{code}: {}</faultstring>\
         </soapenv:Fault>{FOOT}",
        escape(text)
    );
    Answer::new(500, XML, body)
}

/// A request that is no envelope.
pub(crate) fn unparsable(reason: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body><soapenv:Fault>\
         <faultcode>soapenv:Client</faultcode><faultstring>{}</faultstring></soapenv:Fault>{FOOT}",
        escape(reason)
    );
    Answer::new(500, XML, body)
}

/// A time as Salesforce writes it; the epoch when there is none.
pub(crate) fn date(at: Option<Timestamp>) -> String {
    at.and_then(|at| strtime::format("%Y-%m-%dT%H:%M:%S.000Z", at).ok())
        .unwrap_or_else(|| EPOCH.to_owned())
}

/// Which of a component's properties are nil.
#[derive(Clone, Copy, Default)]
pub(crate) struct Nil {
    pub kind: bool,
    pub file_name: bool,
    pub dates: bool,
}

/// The properties of a component as one element, in the order of the WSDL.
pub(crate) fn properties(
    element: &str,
    of: &Listed,
    file_name: &str,
    user_id: &str,
    nil: Nil,
    out: &mut String,
) {
    let created = date(of.created);
    let modified = date(of.modified);
    for part in ["<", element, ">"] {
        out.push_str(part);
    }
    let mut put = |name: &str, text: Option<&str>| match text {
        Some(text) => {
            for part in ["<", name, ">", &escape(text), "</", name, ">"] {
                out.push_str(part);
            }
        }
        None => {
            for part in ["<", name, " xsi:nil=\"true\"/>"] {
                out.push_str(part);
            }
        }
    };
    let content = [
        ("createdById", Some(user_id)),
        ("createdByName", Some(USER_NAME)),
        ("createdDate", (!nil.dates).then_some(created.as_str())),
        ("fileName", (!nil.file_name).then_some(file_name)),
        ("fullName", Some(of.full_name.as_str())),
        ("id", Some(of.id.as_str())),
        ("lastModifiedById", Some(user_id)),
        ("lastModifiedByName", Some(USER_NAME)),
        ("lastModifiedDate", (!nil.dates).then_some(modified.as_str())),
        ("manageableState", Some(of.manageable_state)),
    ];
    for (name, text) in content {
        put(name, text);
    }
    if let Some(namespace) = &of.namespace {
        put("namespacePrefix", Some(namespace));
    }
    put("type", (!nil.kind).then_some(&of.kind));
    for part in ["</", element, ">"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_milliseconds_and_the_epoch_stands_for_none() {
        assert_eq!(date(None), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            date(Some("2026-01-02T03:04:05Z".parse().unwrap())),
            "2026-01-02T03:04:05.000Z"
        );
    }
}
