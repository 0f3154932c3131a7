//! The stream, in blocks, with a count of what was taken from it.

use std::io::{ErrorKind, Read};

use crate::error::ArchiveError;

const BLOCK: usize = 128 << 10;

/// Bytes that wait, and those that were taken.
pub(crate) struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    taken: u64,
    limit: u64,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R, limit: u64) -> Self {
        Self {
            source,
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            taken: 0,
            limit,
        }
    }

    /// Bytes taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// What waits; empty only at the end of the stream.
    pub(crate) fn fill(&mut self) -> Result<&[u8], ArchiveError> {
        while self.start == self.end {
            match self.source.read(&mut self.buffer) {
                Ok(0) => return Ok(&[]),
                Ok(read) => (self.start, self.end) = (0, read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Io(error)),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Takes `n` of the waiting bytes.
    pub(crate) fn consume(&mut self, n: usize) -> Result<(), ArchiveError> {
        self.start += n;
        self.taken += n as u64;
        if self.taken > self.limit {
            Err(ArchiveError::TooLarge(self.limit))
        } else {
            Ok(())
        }
    }

    /// Takes exactly as many bytes as `into` has; `place` names where the stream would break off.
    pub(crate) fn exact(&mut self, into: &mut [u8], place: &str) -> Result<(), ArchiveError> {
        let mut filled = 0;
        while filled < into.len() {
            let waiting = self.fill()?;
            if waiting.is_empty() {
                return Err(ArchiveError::Truncated(place.to_owned()));
            }
            let n = waiting.len().min(into.len() - filled);
            into[filled..filled + n].copy_from_slice(&waiting[..n]);
            filled += n;
            self.consume(n)?;
        }
        Ok(())
    }

    /// Takes `n` bytes as a vector; callers have bounded `n`.
    pub(crate) fn bytes(&mut self, n: usize, place: &str) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = vec![0; n];
        self.exact(&mut bytes, place)?;
        Ok(bytes)
    }

    /// Little-endian.
    pub(crate) fn u32(&mut self, place: &str) -> Result<u32, ArchiveError> {
        let mut bytes = [0; 4];
        self.exact(&mut bytes, place)?;
        Ok(u32::from_le_bytes(bytes))
    }
}
