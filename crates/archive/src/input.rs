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

    /// The next `n` bytes (at most a block), which stay; fewer only where the stream ends before.
    pub(crate) fn peek(&mut self, n: usize) -> Result<&[u8], ArchiveError> {
        if self.buffer.len() - self.start < n {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < n {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Io(error)),
            }
        }
        Ok(&self.buffer[self.start..self.end.min(self.start + n)])
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time, and says between them that a signal came.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let n = into.len().min(self.0.len()).min(1);
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn what_was_looked_at_is_still_there_to_be_taken() {
        let mut input = Input::new(Slow(b"abcdefgh", false), 100);
        assert_eq!(input.bytes(2, "x").unwrap(), b"ab");
        assert_eq!(input.peek(4).unwrap(), b"cdef");
        assert_eq!(input.taken(), 2);
        assert_eq!(input.bytes(5, "x").unwrap(), b"cdefg");
        assert_eq!(input.peek(4).unwrap(), b"h");
        assert_eq!(input.bytes(1, "x").unwrap(), b"h");
        assert!(input.peek(4).unwrap().is_empty());
    }

    #[test]
    fn looking_past_the_end_of_a_block_moves_what_waits_and_loses_nothing() {
        let all: Vec<u8> = (0..BLOCK + 10).map(|at| (at % 251) as u8).collect();
        let mut input = Input::new(all.as_slice(), u64::MAX);
        input.bytes(BLOCK - 2, "x").unwrap();
        assert_eq!(input.peek(8).unwrap(), &all[BLOCK - 2..BLOCK + 6]);
        assert_eq!(input.bytes(12, "x").unwrap(), &all[BLOCK - 2..]);
    }

    #[test]
    fn a_stream_longer_than_its_limit_is_too_large_and_one_that_is_shorter_breaks_off() {
        let mut input = Input::new(&[0; 9][..], 8);
        assert!(input.bytes(8, "x").is_ok());
        assert!(matches!(input.bytes(1, "x"), Err(ArchiveError::TooLarge(8))));
        let mut input = Input::new(&[0; 3][..], 8);
        assert!(matches!(input.u32("the tail"), Err(ArchiveError::Truncated(place)) if place == "the tail"));
    }
}
