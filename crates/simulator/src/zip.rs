//! Writes a zip as a stream, the way a server does: sizes and checksums behind the data.
//!
//! Each entry carries bit 3 and a data descriptor, since its size is not known when its header leaves. One file at a
//! time is in memory; what stays is the central directory, some 80 bytes a file.

use std::{io, path::Path};

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::{error::SimulatorError, http::PIECE, inventory::SourceFile};

/// Bit 3: sizes follow the data. Bit 11: names are UTF-8.
const FLAGS: u16 = 0b1000_0000_1000;
const DEFLATED: u16 = 8;
const VERSION: u16 = 20;
/// 2026-01-01 in the zip's own calendar.
const DATE: u16 = (46 << 9) | (1 << 5) | 1;

/// What goes into an entry.
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// So many zeros, packed without being held.
    Zeros(u64),
}

/// One entry.
pub(crate) struct ZipEntry {
    pub path: String,
    pub content: Content,
}

impl From<SourceFile> for ZipEntry {
    fn from(file: SourceFile) -> Self {
        Self { path: file.path, content: Content::Bytes(file.bytes) }
    }
}

/// A zip of the entries of an iterator, piece by piece.
pub(crate) struct ZipPieces<I> {
    entries: Option<I>,
    central: Vec<u8>,
    count: u16,
    offset: u64,
    packer: Compress,
}

impl<I> ZipPieces<I>
where
    I: Iterator<Item = Result<ZipEntry, SimulatorError>>,
{
    pub(crate) fn new(entries: I) -> Self {
        let packer = Compress::new(Compression::new(3), false);
        Self { entries: Some(entries), central: Vec::new(), count: 0, offset: 0, packer }
    }

    fn add(&mut self, entry: &ZipEntry, out: &mut Vec<u8>) -> io::Result<()> {
        let begin = out.len();
        let name = entry.path.as_bytes();
        put32(out, 0x0403_4b50);
        put16(out, VERSION);
        put16(out, FLAGS);
        put16(out, DEFLATED);
        put16(out, 0);
        put16(out, DATE);
        out.extend([0; 12]);
        put16(out, name.len() as u16);
        put16(out, 0);
        out.extend(name);
        let data = out.len();
        let mut crc = Crc::new();
        let size = self.pack(&entry.content, &mut crc, out)?;
        let packed = (out.len() - data) as u32;
        for number in [0x0807_4b50, crc.sum(), packed, size as u32] {
            put32(out, number);
        }
        let central = &mut self.central;
        put32(central, 0x0201_4b50);
        for number in [VERSION, VERSION, FLAGS, DEFLATED, 0, DATE] {
            put16(central, number);
        }
        for number in [crc.sum(), packed, size as u32] {
            put32(central, number);
        }
        put16(central, name.len() as u16);
        central.extend([0; 12]);
        put32(central, self.offset as u32);
        central.extend(name);
        self.count += 1;
        self.offset += (out.len() - begin) as u64;
        Ok(())
    }

    fn pack(&mut self, content: &Content, crc: &mut Crc, out: &mut Vec<u8>) -> io::Result<u64> {
        self.packer.reset();
        match content {
            Content::Bytes(bytes) => {
                crc.update(bytes);
                self.feed(bytes, FlushCompress::Finish, out)?;
                Ok(bytes.len() as u64)
            }
            Content::Zeros(count) => {
                let block = vec![0_u8; 1 << 20];
                let mut left = *count;
                while left > 0 {
                    let now = left.min(block.len() as u64) as usize;
                    crc.update(&block[..now]);
                    self.feed(&block[..now], FlushCompress::None, out)?;
                    left -= now as u64;
                }
                self.feed(&[], FlushCompress::Finish, out)?;
                Ok(*count)
            }
        }
    }

    fn feed(&mut self, mut bytes: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> io::Result<()> {
        loop {
            out.reserve(bytes.len() / 2 + 4_096);
            let before = self.packer.total_in();
            let status = self.packer.compress_vec(bytes, out, flush).map_err(io::Error::other)?;
            bytes = &bytes[(self.packer.total_in() - before) as usize..];
            match (flush, status) {
                (FlushCompress::Finish, Status::StreamEnd) => return Ok(()),
                (FlushCompress::None, _) if bytes.is_empty() && out.len() < out.capacity() => return Ok(()),
                _ => {}
            }
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend(&self.central);
        put32(out, 0x0605_4b50);
        put32(out, 0);
        put16(out, self.count);
        put16(out, self.count);
        put32(out, self.central.len() as u32);
        put32(out, self.offset as u32);
        put16(out, 0);
    }
}

impl<I> Iterator for ZipPieces<I>
where
    I: Iterator<Item = Result<ZipEntry, SimulatorError>>,
{
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 4);
        while out.len() < PIECE {
            match self.entries.as_mut()?.next() {
                Some(Ok(entry)) => {
                    if let Err(error) = self.add(&entry, &mut out) {
                        self.entries = None;
                        return Some(Err(error));
                    }
                }
                Some(Err(error)) => {
                    self.entries = None;
                    return Some(Err(io::Error::other(error)));
                }
                None => {
                    self.entries = None;
                    self.end(&mut out);
                    break;
                }
            }
        }
        Some(Ok(Bytes::from(out)))
    }
}

fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend(number.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_le_bytes());
}

/// Whether a path of a tree is a meta file.
pub(crate) fn is_meta(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().ends_with("-meta.xml"))
}
