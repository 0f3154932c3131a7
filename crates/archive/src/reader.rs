//! Entries one after the other: header, data, checks.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
};

use flate2::Crc;
use unicode_normalization::UnicodeNormalization;

use crate::{
    central::{self, END, END64, Facts, wide_sizes},
    error::ArchiveError,
    inflate::Inflate,
    input::Input,
    limits::Limits,
    name,
};

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
/// A descriptor that says "no bytes": Info-ZIP puts one behind an empty file that it stores, when it writes to a pipe.
const EMPTY: &[u8] = b"PK\x07\x08\0\0\0\0\0\0\0\0\0\0\0\0";
const NO_DEFLATE: &str = "its compressed data is no deflate stream";
/// Beyond so many unpacked bytes an entry's ratio counts.
const RATIO_FROM: u64 = 1 << 20;

/// Reads a zip from a stream.
pub struct ArchiveReader<R> {
    input: Input<R>,
    limits: Limits,
    inflate: Inflate,
    entries: HashMap<Vec<u8>, Facts>,
    folded: HashSet<String>,
    alike: Vec<String>,
    seen: u64,
    unpacked: u64,
    stage: Stage,
}

/// How far the zip is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Entries,
    Whole,
    /// For good: what would be read on may look like a zip.
    Failed,
}

/// What is known at the end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Summary {
    /// Entries, folders included.
    pub entries: u64,
    /// Unpacked bytes.
    pub unpacked: u64,
    /// Names that differ from an earlier one only in case or Unicode form: read, but worth a word.
    pub alike: Vec<String>,
}

/// What a local header says.
struct Header {
    name: String,
    raw_name: Vec<u8>,
    method: u16,
    has_descriptor: bool,
    wide: bool,
    crc: u32,
    compressed: u64,
    unpacked: u64,
}

impl<R: Read> ArchiveReader<R> {
    /// Over a stream.
    pub fn new(source: R, limits: Limits) -> Self {
        Self {
            input: Input::new(source, limits.compressed_bytes),
            limits,
            inflate: Inflate::new(),
            entries: HashMap::new(),
            folded: HashSet::new(),
            alike: Vec::new(),
            seen: 0,
            unpacked: 0,
            stage: Stage::Entries,
        }
    }

    /// The next file: its name, and its bytes in `into` (cleared first). `None` once the central directory has been
    /// compared, the stream has ended and the zip is whole; never after an error.
    pub fn next_entry(&mut self, into: &mut Vec<u8>) -> Result<Option<String>, ArchiveError> {
        match self.stage {
            Stage::Whole => return Ok(None),
            Stage::Failed => return Err(corrupt("the zip", "it was read on after an error")),
            Stage::Entries => {}
        }
        self.stage = Stage::Failed;
        let read = self.advance(into)?;
        self.stage = if read.is_some() {
            Stage::Entries
        } else {
            Stage::Whole
        };
        Ok(read)
    }

    fn advance(&mut self, into: &mut Vec<u8>) -> Result<Option<String>, ArchiveError> {
        loop {
            let signature = self.input.u32("an entry's header")?;
            if self.seen == 0 && ![LOCAL, END, END64].contains(&signature) {
                return Err(corrupt("the zip", "it does not begin as a zip does"));
            }
            if signature != LOCAL {
                central::compare(&mut self.input, signature, std::mem::take(&mut self.entries))?;
                return Ok(None);
            }
            let name = self.entry(into)?;
            if !name.ends_with('/') {
                return Ok(Some(name));
            }
        }
    }

    /// What was read; whole after `next_entry` gave `None`.
    pub fn summary(&self) -> Summary {
        Summary {
            entries: self.seen,
            unpacked: self.unpacked,
            alike: self.alike.clone(),
        }
    }

    fn entry(&mut self, into: &mut Vec<u8>) -> Result<String, ArchiveError> {
        let header = self.header()?;
        self.admit(&header)?;
        into.clear();
        let before = self.input.taken();
        let (crc, unpacked) = match header.method {
            0 => self.stored(&header, into)?,
            8 => self.deflated(&header, into, before)?,
            _ => return Err(unsupported(&header.name, "this method of compression")),
        };
        let facts = Facts {
            crc,
            compressed: self.input.taken() - before,
            unpacked,
        };
        self.check(&header, facts)?;
        if header.name.ends_with('/') && facts.unpacked > 0 {
            return Err(corrupt(&header.name, "a folder with content"));
        }
        self.unpacked += facts.unpacked;
        if self.unpacked > self.limits.unpacked_bytes {
            return Err(ArchiveError::TooLarge(self.limits.unpacked_bytes));
        }
        if self.unpacked > RATIO_FROM && self.unpacked / self.limits.ratio > self.input.taken() {
            return Err(ArchiveError::Bomb {
                name: header.name,
                ratio: self.limits.ratio,
            });
        }
        self.inflate
            .again(facts.unpacked, into)
            .map_err(|_| corrupt(&header.name, NO_DEFLATE))?;
        debug_assert_eq!(into.len() as u64, facts.unpacked, "twice the same");
        self.entries.insert(header.raw_name, facts);
        Ok(header.name)
    }

    fn header(&mut self) -> Result<Header, ArchiveError> {
        let place = "an entry's header";
        let mut fixed = [0; 26];
        self.input.exact(&mut fixed, place)?;
        let u16_at = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let (flags, method) = (u16_at(2), u16_at(4));
        let raw_name = self.input.bytes(usize::from(u16_at(22)), place)?;
        let extra = self.input.bytes(usize::from(u16_at(24)), place)?;
        let name = name::check(&raw_name, &self.limits)?;
        if flags & 0x2041 != 0 {
            return Err(unsupported(&name, "encryption"));
        }
        let (narrow_compressed, narrow_unpacked) = (u32_at(14), u32_at(18));
        let wide = wide_sizes(&extra);
        let mut numbers = wide.iter().copied();
        let mut size = |narrow: u32| {
            if narrow == u32::MAX {
                numbers.next().unwrap_or(u64::from(narrow))
            } else {
                u64::from(narrow)
            }
        };
        let (unpacked, compressed) = (size(narrow_unpacked), size(narrow_compressed));
        Ok(Header {
            name,
            raw_name,
            method,
            has_descriptor: flags & 8 != 0,
            wide: !wide.is_empty(),
            crc: u32_at(10),
            compressed,
            unpacked,
        })
    }

    /// Counts, names and the size that is said, before any byte of data is read.
    fn admit(&mut self, header: &Header) -> Result<(), ArchiveError> {
        self.seen += 1;
        if self.seen > self.limits.entries {
            return Err(ArchiveError::TooManyEntries(self.limits.entries));
        }
        if self.entries.contains_key(&header.raw_name) {
            return Err(ArchiveError::Duplicate(header.name.clone()));
        }
        self.bounded_unpacked(header, header.unpacked)?;
        if !self.folded.insert(folded(&header.name)) {
            self.alike.push(header.name.clone());
        }
        Ok(())
    }

    fn stored(&mut self, header: &Header, into: &mut Vec<u8>) -> Result<(u32, u64), ArchiveError> {
        let unknown = header.has_descriptor && header.compressed == 0 && !header.name.ends_with('/');
        if unknown && self.input.peek(EMPTY.len())? != EMPTY {
            // Its end cannot be found: the data itself may hold signatures.
            return Err(unsupported(&header.name, "stored data of unknown length"));
        }
        self.bounded_compressed(header, header.compressed)?;
        let mut left = header.compressed as usize;
        while left > 0 {
            let waiting = self.input.fill()?;
            if waiting.is_empty() {
                return Err(ArchiveError::Truncated(header.name.clone()));
            }
            let n = waiting.len().min(left);
            into.extend_from_slice(&waiting[..n]);
            self.input.consume(n)?;
            left -= n;
        }
        let mut crc = Crc::new();
        crc.update(into);
        Ok((crc.sum(), into.len() as u64))
    }

    fn deflated(
        &mut self,
        header: &Header,
        into: &mut Vec<u8>,
        before: u64,
    ) -> Result<(u32, u64), ArchiveError> {
        self.inflate.begin(header.unpacked, into);
        loop {
            let waiting = self.input.fill()?;
            let at_end = waiting.is_empty();
            let step = self
                .inflate
                .step(waiting, into)
                .map_err(|_| corrupt(&header.name, NO_DEFLATE))?;
            self.input.consume(step.consumed)?;
            self.bounded(header, step.unpacked, before)?;
            if step.ended {
                return Ok((self.inflate.checksum(into), step.unpacked));
            }
            if at_end && !step.moved {
                return Err(ArchiveError::Truncated(header.name.clone()));
            }
            if !step.moved {
                return Err(corrupt(&header.name, "its compressed data makes no progress"));
            }
        }
    }

    /// The bounds that must hold while an entry grows.
    fn bounded(&self, header: &Header, unpacked: u64, before: u64) -> Result<(), ArchiveError> {
        self.bounded_unpacked(header, unpacked)?;
        let compressed = self.input.taken() - before;
        self.bounded_compressed(header, compressed)?;
        if unpacked > RATIO_FROM && (unpacked - RATIO_FROM) / self.limits.ratio > compressed {
            return Err(ArchiveError::Bomb {
                name: header.name.clone(),
                ratio: self.limits.ratio,
            });
        }
        Ok(())
    }

    fn bounded_unpacked(&self, header: &Header, bytes: u64) -> Result<(), ArchiveError> {
        if bytes > self.limits.entry_bytes {
            return Err(too_large(header, self.limits.entry_bytes, "bytes"));
        }
        Ok(())
    }

    fn bounded_compressed(&self, header: &Header, bytes: u64) -> Result<(), ArchiveError> {
        let limit = self.limits.entry_compressed_bytes;
        if bytes > limit {
            return Err(too_large(header, limit, "compressed bytes"));
        }
        Ok(())
    }

    /// What was read against what the header, or the descriptor behind the data, says.
    fn check(&mut self, header: &Header, facts: Facts) -> Result<(), ArchiveError> {
        if !header.has_descriptor {
            return compare(header, facts, (header.crc, header.compressed, header.unpacked));
        }
        let said = self.descriptor(header, facts)?;
        compare(header, facts, said)?;
        // What the header leaves to the descriptor is 0 in it; Info-ZIP gives the unpacked size alone.
        let differs = |early: u64, late: u64| early != 0 && early != late;
        if differs(header.crc.into(), said.0.into())
            || differs(header.compressed, said.1)
            || differs(header.unpacked, said.2)
        {
            return Err(corrupt(&header.name, "its header and its descriptor differ"));
        }
        Ok(())
    }

    /// 12, 16, 20 or 24 bytes: with or without signature, sizes of 32 or 64 bits. The wide form is used by writers that
    /// said so in the header.
    fn descriptor(&mut self, header: &Header, facts: Facts) -> Result<(u32, u64, u64), ArchiveError> {
        let place = header.name.as_str();
        let mut crc = self.input.u32(place)?;
        if crc == DESCRIPTOR && (facts.crc != DESCRIPTOR || self.next_is_checksum(facts.crc)?) {
            crc = self.input.u32(place)?;
        }
        if header.wide {
            let mut sizes = [0; 16];
            self.input.exact(&mut sizes, place)?;
            let (compressed, unpacked) = sizes.split_at(8);
            let wide = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            return Ok((crc, wide(compressed), wide(unpacked)));
        }
        let compressed = self.input.u32(place)?;
        Ok((crc, u64::from(compressed), u64::from(self.input.u32(place)?)))
    }

    /// For the one checksum that looks like the signature: does the checksum follow?
    fn next_is_checksum(&mut self, crc: u32) -> Result<bool, ArchiveError> {
        Ok(self.input.peek(4)? == crc.to_le_bytes())
    }
}

fn too_large(header: &Header, limit: u64, what: &'static str) -> ArchiveError {
    ArchiveError::EntryTooLarge {
        name: header.name.clone(),
        limit,
        what,
    }
}

fn compare(
    header: &Header,
    facts: Facts,
    (crc, compressed, unpacked): (u32, u64, u64),
) -> Result<(), ArchiveError> {
    if facts.crc != crc {
        return Err(corrupt(&header.name, "its checksum does not fit"));
    }
    if facts.compressed != compressed || facts.unpacked != unpacked {
        return Err(corrupt(&header.name, "its size does not fit"));
    }
    Ok(())
}

/// Alike for names that one file system or another would take for one.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc().flat_map(char::to_lowercase).collect()
}

fn corrupt(name: &str, reason: &'static str) -> ArchiveError {
    ArchiveError::Corrupt {
        name: name.to_owned(),
        reason,
    }
}

fn unsupported(name: &str, feature: &'static str) -> ArchiveError {
    ArchiveError::Unsupported {
        name: name.to_owned(),
        feature,
    }
}
