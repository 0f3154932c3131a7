//! The blocking half of an ingest: from the zip's bytes to members and compressed bodies.

use std::{collections::HashSet, io::Read};

use nightshift_archive::{ArchiveError, ArchiveReader, Limits};
use nightshift_metadata::{Assembled, Assembler, Described};
use nightshift_store::staging::compress;
use tokio::sync::mpsc::Sender;

/// What one file brings.
pub(crate) enum Item {
    /// Bytes to keep, once for each distinct content.
    Blob {
        /// BLAKE3 of the bytes.
        hash: [u8; 32],
        /// Compressed.
        body: Vec<u8>,
        /// Before compression.
        size: u64,
    },
    /// A member that is whole, or lost.
    Assembled(Assembled),
}

/// Reads to the end, or to the first fault of the zip. Whoever receives may go away: then reading ends without a word.
pub(crate) fn read(source: impl Read, described: &Described, to: &Sender<Item>) -> Result<(), ArchiveError> {
    let mut archive = ArchiveReader::new(source, Limits::default());
    let mut assembler = Assembler::new(described);
    let mut kept = HashSet::new();
    let mut bytes = Vec::new();
    while let Some(path) = archive.next_entry(&mut bytes)? {
        let taken = assembler.file(&path, &bytes);
        if let Some(hash) = taken.blob.filter(|hash| kept.insert(*hash)) {
            let blob = Item::Blob {
                hash,
                body: compress(&bytes),
                size: bytes.len() as u64,
            };
            if to.blocking_send(blob).is_err() {
                return Ok(());
            }
        }
        if let Some(assembled) = taken.assembled
            && to.blocking_send(Item::Assembled(assembled)).is_err()
        {
            return Ok(());
        }
    }
    for name in archive.summary().alike {
        tracing::warn!(
            file = name,
            "the zip has two names that differ only in case: {name}"
        );
    }
    for assembled in assembler.finish() {
        if to.blocking_send(Item::Assembled(assembled)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
