//! SOAP envelopes: written whole, read as they come.
//!
//! A listing may have 50,000 entries and a retrieve's answer 500 MB, so an answer is never held: [`Envelope`] hands
//! out one element after the other. What an envelope must not have (a document type, unknown entities, depth, a tag
//! or text of megabytes) is refused here for all calls. The zip's text never goes through the XML parser
//! ([`Envelope::raw_text`]).

mod metered;
mod subtree;
mod write;

use std::io;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use memchr::memchr;
use quick_xml::{Reader, events::Event};
use secrecy::SecretString;
use tokio::io::AsyncBufReadExt;
use tokio_util::io::StreamReader;

use self::metered::Metered;
pub(crate) use self::{
    metered::Slot,
    subtree::Subtree,
    write::{Part, request},
};
use crate::{
    bounds::{EVENT_BYTES, LEAVES, LEVELS},
    counter::CallKind,
    error::{Expected, Refusal, SalesforceError, Speaker, XmlFault},
    http::{Body, Incoming},
    text,
};

/// Most tags and texts are shorter, in bytes.
const EVENT_USUAL: usize = 256;
/// Pieces of the zip's text are gathered to this size, in bytes.
const RAW_PIECE: usize = 64 << 10;

type Source = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// An answer that is read element by element.
pub(crate) struct Envelope {
    call: CallKind,
    status: u16,
    reader: Reader<Metered<Source>>,
    buffer: Vec<u8>,
    depth: usize,
    /// The root has begun: there is no second one.
    rooted: bool,
    /// An empty element was handed out as opened: its close comes next.
    closing: bool,
    /// What the body's stream could not say through `io::Error`.
    slot: Slot,
}

/// The next thing in an answer. Names are local: Salesforce's prefixes are its own business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    Open {
        name: String,
        /// As they stand in the tag.
        attributes: String,
        empty: bool,
    },
    Text(String),
    Close,
    End,
}

/// The leaves of one element, in the order in which they came; nil and empty ones are absent.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter_mut().find(|(key, _)| key == name)?;
        Some(std::mem::take(value)).filter(|value| !value.is_empty())
    }
}

impl Envelope {
    /// Of an answer with status 200.
    pub(crate) fn new(incoming: Incoming) -> Self {
        let slot = Slot::default();
        let (call, status) = (incoming.call, incoming.status);
        let pieces = stream::unfold((incoming.body, slot.clone()), next_piece).boxed();
        Self::read(call, status, pieces, slot)
    }

    fn read(call: CallKind, status: u16, pieces: BoxStream<'static, io::Result<Bytes>>, slot: Slot) -> Self {
        let mut reader = Reader::from_reader(Metered::new(StreamReader::new(pieces)));
        reader.config_mut().check_end_names = true;
        Self {
            call,
            status,
            reader,
            buffer: Vec::with_capacity(EVENT_USUAL),
            depth: 0,
            rooted: false,
            closing: false,
            slot,
        }
    }

    /// Of a body that is here already.
    pub(crate) fn of_pieces(call: CallKind, pieces: Vec<Bytes>) -> Self {
        let pieces = stream::iter(pieces.into_iter().filter(|piece| !piece.is_empty()).map(Ok)).boxed();
        Self::read(call, 200, pieces, Slot::default())
    }

    /// Of which call it is the answer.
    pub(crate) fn call(&self) -> CallKind {
        self.call
    }

    fn malformed(&self, fault: XmlFault) -> SalesforceError {
        SalesforceError::Malformed {
            call: self.call,
            fault,
        }
    }

    fn xml_error(&self, error: &quick_xml::Error) -> SalesforceError {
        if let Some(error) = self.slot.take() {
            return error;
        }
        self.malformed(match error {
            quick_xml::Error::Io(error) if Metered::<Source>::is_too_large(error) => XmlFault::TooLarge,
            quick_xml::Error::Encoding(_) => XmlFault::Encoding,
            quick_xml::Error::Syntax(_) => XmlFault::Truncated,
            other => XmlFault::Syntax(text::keep(&other.to_string(), 200, &[])),
        })
    }

    /// The next piece; white space between elements is a text like any other.
    pub(crate) async fn next(&mut self) -> Result<Piece, SalesforceError> {
        if std::mem::take(&mut self.closing) {
            self.depth -= 1;
            return Ok(Piece::Close);
        }
        loop {
            self.buffer.clear();
            self.reader.get_mut().reset();
            let event = match self.reader.read_event_into_async(&mut self.buffer).await {
                Ok(event) => event,
                Err(error) => return Err(self.xml_error(&error)),
            };
            let (start, empty) = match event {
                Event::Start(start) => (start, false),
                Event::Empty(start) => (start, true),
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(Piece::Close);
                }
                Event::Text(text) => {
                    let text = text.xml10_content().into_owned();
                    return self.checked_text(text);
                }
                Event::CData(text) => {
                    let text = text.xml10_content().into_owned();
                    return self.checked_text(text);
                }
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(c)) => Some(c),
                        Ok(None) => predefined(&reference),
                        Err(_) => None,
                    };
                    return match resolved {
                        Some(c) => self.checked_text(c.to_string()),
                        None => Err(self.malformed(XmlFault::Entity)),
                    };
                }
                Event::DocType(_) => return Err(self.malformed(XmlFault::Doctype)),
                Event::Eof if self.depth > 0 => return Err(self.malformed(XmlFault::Truncated)),
                Event::Eof => return Ok(Piece::End),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
            };
            if self.depth == 0 && std::mem::replace(&mut self.rooted, true) {
                return Err(self.malformed(XmlFault::Syntax("a second root element".to_owned())));
            }
            let piece = Piece::Open {
                name: start.local_name().as_ref().to_owned(),
                attributes: start.attributes_raw().trim().to_owned(),
                empty,
            };
            self.depth += 1;
            self.closing = empty;
            if self.depth > LEVELS {
                return Err(self.malformed(XmlFault::TooDeep));
            }
            return Ok(piece);
        }
    }

    fn checked_text(&self, text: String) -> Result<Piece, SalesforceError> {
        if text.contains('\0') {
            return Err(self.malformed(XmlFault::Encoding));
        }
        if self.depth == 0 && !text.trim().is_empty() {
            return Err(self.malformed(XmlFault::Syntax("text outside the root element".to_owned())));
        }
        Ok(Piece::Text(text))
    }

    /// Opens the next element inside the current one; `None` when the current one closes (it is then consumed).
    pub(crate) async fn child(&mut self) -> Result<Option<(String, Nil)>, SalesforceError> {
        loop {
            match self.next().await? {
                Piece::Open {
                    name,
                    attributes,
                    empty,
                } => return Ok(Some((name, Nil::of(is_nil(&attributes), empty)))),
                Piece::Close | Piece::End => return Ok(None),
                Piece::Text(_) => {}
            }
        }
    }

    /// The text of the element that was just opened, to its close. Elements inside are skipped.
    pub(crate) async fn text(&mut self) -> Result<String, SalesforceError> {
        let (mut all, mut inside) = (String::new(), 0_usize);
        loop {
            match self.next().await? {
                Piece::Open { .. } => inside += 1,
                Piece::Text(text) if inside == 0 => {
                    all.push_str(&text);
                    if all.len() > EVENT_BYTES {
                        return Err(self.malformed(XmlFault::TooLarge));
                    }
                }
                Piece::Text(_) => {}
                Piece::Close | Piece::End if inside == 0 => return Ok(all),
                Piece::Close | Piece::End => inside -= 1,
            }
        }
    }

    /// The leaves of the element that was just opened, to its close.
    pub(crate) async fn fields(&mut self) -> Result<Fields, SalesforceError> {
        let mut fields = Fields::default();
        while let Some((name, _)) = self.child().await? {
            let value = self.text().await?;
            if !value.is_empty() {
                fields.0.push((name, value));
            }
            if fields.0.len() > LEAVES {
                return Err(self.malformed(XmlFault::TooMany));
            }
        }
        Ok(fields)
    }

    /// Goes into the response of this call; a fault there is a refusal.
    pub(crate) async fn enter(&mut self, response: &str) -> Result<(), SalesforceError> {
        let mut path: Vec<String> = Vec::new();
        loop {
            match self.next().await? {
                Piece::Open { name, .. } if name == "Fault" && path == ["Envelope", "Body"] => {
                    let fields = self.fields().await?;
                    return Err(SalesforceError::Refused(Box::new(fault(
                        self.call,
                        self.status,
                        &fields,
                        &[],
                    ))));
                }
                Piece::Open { name, .. } if name == response && path == ["Envelope", "Body"] => return Ok(()),
                Piece::Open { name, .. } => path.push(name),
                Piece::Close => {
                    path.pop();
                }
                Piece::Text(_) => {}
                Piece::End => {
                    return Err(SalesforceError::Unexpected {
                        call: self.call,
                        status: self.status,
                        expected: Expected::Soap,
                        text: "no response element".to_owned(),
                    });
                }
            }
        }
    }

    /// Reads what is left: an answer that breaks off after its interesting part is broken all the same.
    pub(crate) async fn finish(&mut self) -> Result<(), SalesforceError> {
        while self.next().await? != Piece::End {}
        Ok(())
    }

    /// The next piece of the text of the element that was just opened, as it stands, found without the XML parser;
    /// `None` at the next markup. A body that ends here is cut: the zip's text broke off.
    pub(crate) async fn raw_text(&mut self, so_far: u64) -> Result<Option<Bytes>, SalesforceError> {
        let mut piece = BytesMut::new();
        loop {
            let source = self.reader.get_mut();
            source.reset();
            let (taken, ended) = match source.fill_buf().await {
                Ok([]) => {
                    return Err(SalesforceError::Base64Truncated {
                        at: so_far + piece.len() as u64,
                    });
                }
                Ok(bytes) => {
                    let end = memchr(b'<', bytes);
                    let taken = end.unwrap_or(bytes.len()).min(RAW_PIECE);
                    piece.extend_from_slice(&bytes[..taken]);
                    (taken, end == Some(taken))
                }
                Err(error) => return Err(self.xml_error(&quick_xml::Error::Io(error.into()))),
            };
            source.consume(taken);
            if piece.len() >= RAW_PIECE || (ended && !piece.is_empty()) {
                return Ok(Some(piece.freeze()));
            }
            if ended {
                return Ok(None);
            }
        }
    }
}

/// Whether an opened element has a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nil {
    /// `xsi:nil="true"`, or an empty tag: its close comes next.
    Yes,
    /// Text or elements follow.
    No,
}

impl Nil {
    fn of(nil: bool, empty: bool) -> Self {
        if nil || empty { Self::Yes } else { Self::No }
    }
}

fn is_nil(attributes: &str) -> bool {
    attributes
        .split_once("nil")
        .map(|(_, rest)| rest.trim_start().trim_start_matches('=').trim_start())
        .is_some_and(|value| {
            ["\"true\"", "'true'", "\"1\"", "'1'"]
                .iter()
                .any(|yes| value.starts_with(yes))
        })
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

async fn next_piece((mut body, slot): (Body, Slot)) -> Option<(io::Result<Bytes>, (Body, Slot))> {
    match body.next().await {
        Ok(Some(bytes)) => Some((Ok(bytes), (body, slot))),
        Ok(None) => None,
        Err(error) => {
            slot.put(error);
            Some((
                Err(io::Error::other("the body ended with an error")),
                (body, slot),
            ))
        }
    }
}

fn fault(call: CallKind, status: u16, fields: &Fields, secrets: &[&SecretString]) -> Refusal {
    let words = text::keep(fields.get("faultstring").unwrap_or(""), text::KEPT, secrets);
    let code = text::keep(fields.get("faultcode").unwrap_or(""), 100, secrets);
    Refusal::new(call, Speaker::Soap, status, &code, &words)
}

/// What a SOAP answer with an error status says.
pub(crate) async fn refused(mut incoming: Incoming, secrets: &[&SecretString]) -> SalesforceError {
    if let Err(page) = incoming.refuse_page(secrets).await {
        return page;
    }
    let (call, status) = (incoming.call, incoming.status);
    let body = incoming.body.head().await;
    let pieces = stream::iter([Ok(Bytes::from(body.clone()))]).boxed();
    let mut envelope = Envelope::read(call, status, pieces, Slot::default());
    if let Err(SalesforceError::Refused(refusal)) = envelope.enter("Fault").await {
        let words = text::keep(&refusal.text, text::KEPT, secrets);
        SalesforceError::Refused(Box::new(Refusal {
            text: words,
            ..*refusal
        }))
    } else {
        let words = text::keep(&String::from_utf8_lossy(&body), 500, secrets);
        SalesforceError::Refused(Box::new(Refusal::new(call, Speaker::Soap, status, "", &words)))
    }
}

#[cfg(test)]
#[path = "soap_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "soap/schema_tests.rs"]
mod schema_tests;
