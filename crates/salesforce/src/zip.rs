//! The zip of a retrieve, streamed: envelope to text, text to bytes, in flat memory.
//!
//! A task of its own pumps the zip's text out of the answer, past the XML parser, into a channel of a few pieces;
//! [`ZipReader`] takes them on a blocking thread, undoes base64 and is read like a file. What the answer says beside
//! the zip may stand before or after it: the first part comes with [`ZipDownload`], the rest with [`ZipEnd`].

mod base64;
mod reader;

pub use self::reader::ZipReader;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::{
    counter::CallKind,
    error::{Expected, SalesforceError},
    listing::RawListing,
    retrieve::{self, Keep, Parts, RetrieveFailure, RetrieveMessage, RetrieveStatus, Stopped},
    soap::{Envelope, Slot},
};

/// Pieces of at most 128 KiB that wait between network and reader.
const WAITING: usize = 8;

/// Text behind the point where the reader stopped that is still read, in bytes: a zip may have a comment.
const SKIMMED: u64 = 1 << 20;

/// What fetching a zip brings.
#[derive(Debug)]
pub enum ZipAnswer {
    /// Here it comes.
    Zip(ZipDownload),
    /// Salesforce has handed it over before, or has thrown it away: only a new retrieve helps.
    Gone,
    /// Too early.
    NotReady(RetrieveStatus),
    /// The retrieve failed.
    Failed(RetrieveFailure),
}

/// A zip on its way.
#[derive(Debug)]
pub struct ZipDownload {
    /// File properties that came before the zip: usually all.
    pub files: Vec<RawListing>,
    /// Warnings that came before the zip.
    pub messages: Vec<RetrieveMessage>,
    /// The zip's bytes, for a blocking thread.
    pub reader: ZipReader,
    /// What comes after the zip.
    pub end: ZipEnd,
}

/// What an answer says after its zip, and whether it came whole.
#[derive(Debug)]
pub struct ZipEnd {
    rest: oneshot::Receiver<Result<Parts, SalesforceError>>,
    slot: Slot,
}

impl ZipEnd {
    /// Waits for the answer's end; call it when the reader is done with, also when reading failed: the error here is
    /// the cause, the reader's is its echo. File properties and warnings that came after the zip.
    pub async fn wait(self) -> Result<(Vec<RawListing>, Vec<RetrieveMessage>), SalesforceError> {
        let rest = self.rest.await;
        if let Some(error) = self.slot.take() {
            return Err(error);
        }
        match rest {
            Ok(Ok(parts)) => Ok((parts.files, parts.messages)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(SalesforceError::Abandoned { call: CallKind::Zip }),
        }
    }
}

/// Reads an answer up to its zip.
pub(crate) async fn open(mut envelope: Envelope) -> Result<ZipAnswer, SalesforceError> {
    retrieve::enter_result(&mut envelope).await?;
    let mut parts = Parts::default();
    let first = loop {
        if parts.read(&mut envelope, Keep::Files).await? == Stopped::AtEnd {
            envelope.finish().await?;
            return without_zip(&parts);
        }
        // An empty element with two tags is as empty as one with one.
        match envelope.raw_text(0).await? {
            Some(first) => break first,
            None => envelope.text().await?,
        };
    };
    let (pieces, waiting) = mpsc::channel(WAITING);
    let (say, rest) = oneshot::channel();
    let slot = Slot::default();
    tokio::spawn(async move {
        let ended = pump(envelope, first, pieces).await;
        // Nobody listening is fine: whoever asked has gone away.
        drop(say.send(ended));
    });
    Ok(ZipAnswer::Zip(ZipDownload {
        files: parts.files,
        messages: parts.messages,
        reader: ZipReader::new(waiting, slot.clone()),
        end: ZipEnd { rest, slot },
    }))
}

fn without_zip(parts: &Parts) -> Result<ZipAnswer, SalesforceError> {
    Ok(match parts.status(CallKind::Zip)? {
        RetrieveStatus::Succeeded { .. } => ZipAnswer::Gone,
        RetrieveStatus::Failed(failure) => ZipAnswer::Failed(failure),
        early => ZipAnswer::NotReady(early),
    })
}

/// One piece of text, or that the text came whole. A channel that closes without the latter means: broken off.
#[derive(Debug)]
pub(crate) enum Pumped {
    Text(Bytes),
    Whole,
}

async fn pump(
    mut envelope: Envelope,
    first: Bytes,
    pieces: mpsc::Sender<Pumped>,
) -> Result<Parts, SalesforceError> {
    let (mut bytes, mut skimmed, mut next) = (0, 0, Some(first));
    while let Some(piece) = next {
        bytes += piece.len() as u64;
        let length = piece.len() as u64;
        if pieces.send(Pumped::Text(piece)).await.is_err() {
            skimmed += length;
            if skimmed > SKIMMED {
                return Err(SalesforceError::Abandoned { call: CallKind::Zip });
            }
        }
        next = envelope.raw_text(bytes).await?;
    }
    // The text is whole only once its closing tag came.
    let rest = envelope.text().await?;
    if !rest.trim().is_empty() {
        return Err(SalesforceError::Base64Invalid { at: bytes });
    }
    // A reader that has gone away has all it wanted.
    let _ = pieces.send(Pumped::Whole).await;
    drop(pieces);
    let mut parts = Parts::default();
    while parts.read(&mut envelope, Keep::Files).await? == Stopped::AtZip {
        if envelope.raw_text(0).await?.is_some() {
            return Err(SalesforceError::Unexpected {
                call: CallKind::Zip,
                status: 200,
                expected: Expected::Soap,
                text: "a second zip".to_owned(),
            });
        }
        envelope.text().await?;
    }
    envelope.finish().await?;
    Ok(parts)
}

#[cfg(test)]
#[path = "zip_tests.rs"]
mod tests;
