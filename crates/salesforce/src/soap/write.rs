//! Writes the envelope of a call.
//!
//! The session stands in the header, as the Metadata API wants it, beside our name for Salesforce's logs. All text is
//! escaped by the writer: a component's name may have `&` and `<`.

use std::borrow::Cow;

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};
use secrecy::{ExposeSecret, SecretString};

use crate::operations::Operation;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const METADATA: &str = "http://soap.sforce.com/2006/04/metadata";

/// Part of a request: elements in their order.
pub(crate) enum Part {
    Leaf(&'static str, String),
    Node(&'static str, Vec<Part>),
}

impl Part {
    pub(crate) fn leaf(name: &'static str, value: impl Into<String>) -> Self {
        Self::Leaf(name, value.into())
    }

    fn write(&self, writer: &mut Writer<&mut Vec<u8>>) -> std::io::Result<()> {
        let name = match self {
            Self::Leaf(name, _) | Self::Node(name, _) => *name,
        };
        writer.write_event(Event::Start(BytesStart::new(name)))?;
        match self {
            Self::Leaf(_, value) => writer.write_event(Event::Text(BytesText::new(&allowed(value))))?,
            Self::Node(_, parts) => parts.iter().try_for_each(|part| part.write(writer))?,
        }
        writer.write_event(Event::End(BytesEnd::new(name)))
    }
}

/// `value` without the characters that no XML 1.0 document can hold, escaped or not.
fn allowed(value: &str) -> Cow<'_, str> {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if value.chars().all(|c| allowed(&c)) {
        Cow::Borrowed(value)
    } else {
        Cow::Owned(value.chars().filter(allowed).collect())
    }
}

/// The envelope of one call.
pub(crate) fn request(
    operation: Operation,
    session: &SecretString,
    client_name: &str,
    arguments: Vec<Part>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(&mut out, operation, session, client_name, arguments).expect("a vector takes every write");
    out
}

fn write(
    out: &mut Vec<u8>,
    operation: Operation,
    session: &SecretString,
    client_name: &str,
    arguments: Vec<Part>,
) -> std::io::Result<()> {
    let mut writer = Writer::new(out);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let envelope =
        BytesStart::new("soapenv:Envelope").with_attributes([("xmlns:soapenv", SOAP), ("xmlns", METADATA)]);
    writer.write_event(Event::Start(envelope))?;
    let header = Part::Node(
        "soapenv:Header",
        vec![
            Part::Node(
                "SessionHeader",
                vec![Part::leaf("sessionId", session.expose_secret())],
            ),
            Part::Node("CallOptions", vec![Part::leaf("client", client_name)]),
        ],
    );
    header.write(&mut writer)?;
    let body = Part::Node("soapenv:Body", vec![Part::Node(operation.as_str(), arguments)]);
    body.write(&mut writer)?;
    writer.write_event(Event::End(BytesEnd::new("soapenv:Envelope")))
}
