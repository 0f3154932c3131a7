//! The blocking half of an ingest: from the zip's bytes to members and compressed bodies.

use std::{collections::HashSet, io::Read};

use nightshift_archive::{ArchiveError, ArchiveReader, Limits};
use nightshift_metadata::{Assembled, Assembler, Described};
use nightshift_store::staging::compress;
use tokio::sync::mpsc::Sender;

/// What one file brings.
#[derive(Debug)]
pub enum Item {
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

/// Bytes of a parcel, about: while one chunk is written the next one is read, so what waits must be as much.
const PARCEL_BYTES: u64 = 256 << 10;
/// What a member weighs in a parcel for each of its components and files.
const ROW_BYTES: u64 = 256;

/// Reads to the end, or to the first fault of the zip. Whoever receives may go away: then reading ends without a word.
/// Call it on a blocking thread.
pub fn read(
    source: impl Read,
    described: &Described,
    limits: Limits,
    to: &Sender<Vec<Item>>,
) -> Result<(), ArchiveError> {
    let mut parcels = Parcels {
        to,
        items: Vec::new(),
        weight: 0,
    };
    match parcels.fill(source, described, limits) {
        Ok(()) | Err(Ended::NobodyTakesIt) => Ok(()),
        Err(Ended::Fault(fault)) => Err(fault),
    }
}

/// Why reading ended before the zip did.
enum Ended {
    Fault(ArchiveError),
    NobodyTakesIt,
}

impl From<ArchiveError> for Ended {
    fn from(fault: ArchiveError) -> Self {
        Self::Fault(fault)
    }
}

/// Items on their way, many at a time.
struct Parcels<'s> {
    to: &'s Sender<Vec<Item>>,
    items: Vec<Item>,
    weight: u64,
}

impl Parcels<'_> {
    fn fill(&mut self, source: impl Read, described: &Described, limits: Limits) -> Result<(), Ended> {
        let read = self.files(source, described, limits);
        // what stood before a fault is staged all the same
        self.send()?;
        read
    }

    fn files(&mut self, source: impl Read, described: &Described, limits: Limits) -> Result<(), Ended> {
        let mut archive = ArchiveReader::new(source, limits);
        let mut assembler = Assembler::new(described);
        let mut kept = HashSet::new();
        let mut bytes = Vec::new();
        while let Some(path) = archive.next_entry(&mut bytes)? {
            let taken = assembler.file(&path, &bytes);
            if let Some(hash) = taken.blob.filter(|hash| kept.insert(*hash)) {
                let (body, size) = (compress(&bytes), bytes.len() as u64);
                self.put(body.len() as u64, Item::Blob { hash, body, size })?;
            }
            if let Some(assembled) = taken.assembled {
                self.put(weight(&assembled), Item::Assembled(assembled))?;
            }
        }
        for name in archive.summary().alike {
            tracing::warn!(
                file = name,
                "the zip has two names that differ only in case: {name}"
            );
        }
        for assembled in assembler.finish() {
            self.put(weight(&assembled), Item::Assembled(assembled))?;
        }
        Ok(())
    }

    fn put(&mut self, weight: u64, item: Item) -> Result<(), Ended> {
        self.items.push(item);
        self.weight += weight;
        if self.weight < PARCEL_BYTES {
            return Ok(());
        }
        self.send()
    }

    fn send(&mut self) -> Result<(), Ended> {
        self.weight = 0;
        let items = std::mem::take(&mut self.items);
        self.to.blocking_send(items).map_err(|_| Ended::NobodyTakesIt)
    }
}

fn weight(assembled: &Assembled) -> u64 {
    match assembled {
        Assembled::Member(member) => ROW_BYTES * (1 + member.children.len() + member.files.len()) as u64,
        Assembled::Unreadable(_) => ROW_BYTES,
    }
}
