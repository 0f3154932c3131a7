//! The bytes of the zip: one buffer over a source that cannot go back.
//!
//! Records are looked at whole before they are consumed, so the buffer holds the longest one. Here alone is the source
//! read, hence here the size of the zip is limited and its end noticed.

use std::io::{ErrorKind, Read};

use crate::error::{ArchiveError, Measure};

/// Bytes of the buffer (256 KiB): the longest record, one of the central directory, has 46 + 3 * 65,535.
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) struct Source<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes consumed: where `start` stands in the zip.
    position: u64,
    limit: u64,
    ended: bool,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self {
            inner,
            buffer,
            start: 0,
            end: 0,
            position: 0,
            limit,
            ended: false,
        }
    }

    /// Bytes consumed so far.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// What is there without reading.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// What comes next, at least `wanted` bytes unless the source ends before; nothing is consumed.
    pub(crate) fn peek(&mut self, wanted: usize) -> Result<&[u8], ArchiveError> {
        debug_assert!(wanted <= BUFFER_BYTES, "no record is longer than the buffer");
        while self.end - self.start < wanted && !self.ended {
            self.read_more()?;
        }
        Ok(self.buffered())
    }

    /// The next `wanted` bytes, not consumed; an error when the source ends before.
    pub(crate) fn need(&mut self, wanted: usize) -> Result<&[u8], ArchiveError> {
        if self.peek(wanted)?.len() < wanted {
            return Err(self.truncated());
        }
        Ok(&self.buffer[self.start..self.start + wanted])
    }

    /// Goes on by `count` bytes, which were looked at before.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start, "only what was seen is consumed");
        self.start += count;
        self.position += count as u64;
    }

    /// The error of a zip that ends where the source does.
    pub(crate) fn truncated(&self) -> ArchiveError {
        ArchiveError::Truncated {
            name: None,
            at: self.received(),
        }
    }

    fn received(&self) -> u64 {
        self.position + (self.end - self.start) as u64
    }

    fn read_more(&mut self) -> Result<(), ArchiveError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        match self.inner.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(ArchiveError::Io {
                    at: self.received(),
                    source,
                });
            }
        }
        if self.received() > self.limit {
            return Err(ArchiveError::TooLarge {
                measure: Measure::Packed,
                limit: self.limit,
            });
        }
        Ok(())
    }
}
