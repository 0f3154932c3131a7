//! Zips that went wrong on the way, or were made with ill intent.
//!
//! Spoiling needs the zip's length, so a zip that is to be spoilt is made whole first; good ones never are.

use std::io;

use bytes::Bytes;

use crate::{
    error::SimulatorError,
    faults::{Fault, FaultKind},
    http::{PIECE, Pieces},
    zip::{Content, ZipEntry, ZipPieces},
};

/// Faults that hit the call that hands the zip over.
pub(crate) const KINDS: &[FaultKind] = &[
    FaultKind::TruncatedZip,
    FaultKind::FlippedBit,
    FaultKind::Base64BrokenOff,
    FaultKind::ResetInMidTransfer,
    FaultKind::SlowDrip,
    FaultKind::ZipWithDotdot,
    FaultKind::ZipBomb,
    FaultKind::XmlWithEntities,
    FaultKind::Xml10000Levels,
];

/// More than the 629,145,600 bytes that Salesforce itself allows.
const BOMB: u64 = 700 << 20;
const LEVELS: usize = 10_000;

type Entries = Box<dyn Iterator<Item = Result<ZipEntry, SimulatorError>> + Send>;

/// The zip as the fault leaves it.
pub(crate) fn zip(fault: &Fault, top: &str, entries: Entries) -> Pieces {
    match fault.kind {
        FaultKind::TruncatedZip => whole(entries, |zip| {
            zip.truncate(zip.len() * 2 / 3);
            End::Whole
        }),
        FaultKind::FlippedBit => whole(entries, |zip| {
            let at = zip.len() / 2;
            zip[at] ^= 0b100;
            End::Whole
        }),
        FaultKind::ResetInMidTransfer => whole(entries, |zip| {
            zip.truncate(zip.len() / 2);
            End::Break
        }),
        FaultKind::ZipWithDotdot => {
            with(entries, format!("{top}classes/../../../../tmp/escaped.cls"), Content::Bytes(b"class A {}".to_vec()))
        }
        FaultKind::ZipBomb => {
            with(entries, format!("{top}staticresources/Bomb.resource"), Content::Zeros(fault.bytes.unwrap_or(BOMB)))
        }
        FaultKind::XmlWithEntities => {
            let laughs = "<?xml version=\"1.0\"?>\n<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">\
                <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY f SYSTEM \"file:///etc/passwd\">]>\n\
                <CustomObject xmlns=\"http://soap.sforce.com/2006/04/metadata\"><label>&c;&f;</label></CustomObject>\n";
            replaced(entries, laughs.as_bytes().to_vec())
        }
        FaultKind::Xml10000Levels => {
            let deep = format!("<?xml version=\"1.0\"?>\n{}{}\n", "<a>".repeat(LEVELS), "</a>".repeat(LEVELS));
            replaced(entries, deep.into_bytes())
        }
        _ => Box::new(ZipPieces::new(entries)),
    }
}

fn with(entries: Entries, path: String, content: Content) -> Pieces {
    Box::new(ZipPieces::new(entries.chain(std::iter::once(Ok(ZipEntry { path, content })))))
}

/// The first XML file after package.xml gets another content.
fn replaced(entries: Entries, bytes: Vec<u8>) -> Pieces {
    let mut instead = Some(bytes);
    Box::new(ZipPieces::new(entries.map(move |entry| {
        entry.map(|mut entry| {
            if !entry.path.ends_with("package.xml")
                && is_xml(&entry)
                && let Some(bytes) = instead.take()
            {
                entry.content = Content::Bytes(bytes);
            }
            entry
        })
    })))
}

fn is_xml(entry: &ZipEntry) -> bool {
    matches!(&entry.content, Content::Bytes(bytes) if bytes.starts_with(b"<?xml"))
}

/// How a spoilt zip ends.
#[derive(PartialEq, Eq)]
enum End {
    Whole,
    /// The connection breaks off.
    Break,
}

fn whole(entries: Entries, spoil: impl FnOnce(&mut Vec<u8>) -> End) -> Pieces {
    let mut zip = Vec::new();
    for piece in ZipPieces::new(entries) {
        match piece {
            Ok(piece) => zip.extend_from_slice(&piece),
            Err(error) => return Box::new(std::iter::once(Err(error))),
        }
    }
    let end = spoil(&mut zip);
    let mut pieces: Vec<io::Result<Bytes>> = zip.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    if end == End::Break {
        pieces.push(Err(io::Error::new(io::ErrorKind::ConnectionReset, "broken off by a fault")));
    }
    Box::new(pieces.into_iter())
}

/// Base64 that ends in the middle of a group of four, a third of the way.
pub(crate) fn broken_base64(text: impl Iterator<Item = io::Result<Bytes>>) -> Pieces {
    let mut whole = Vec::new();
    for piece in text.map_while(Result::ok) {
        whole.extend_from_slice(&piece);
    }
    whole.truncate(whole.len() / 3 / 4 * 4 + 1);
    Box::new(std::iter::once(Ok(Bytes::from(whole))))
}
