//! Inflates one entry, in place while it is small and in two passes when it is not.
//!
//! What a header says of a size may be a lie, and a server that streams says nothing. So an entry inflates where it will
//! lie only up to [`AT_ONCE`]; beyond that it is counted into nothing, its compressed bytes are kept, and it is inflated a
//! second time, into exactly as much room as it needs, once size and checksum are known to be right. A bad entry thus
//! holds its compressed bytes at most, which have a limit of their own (`limits.rs`); the bounds are the reader's.

use std::collections::VecDeque;

use flate2::{Crc, Decompress, DecompressError, FlushDecompress, Status};

/// Up to so many unpacked bytes an entry is inflated once.
const AT_ONCE: usize = 16 << 20;
/// Room that an entry's buffer grows by at least.
const GROWTH: usize = 64 << 10;
/// Compressed bytes are kept in pieces of this size, which are given back one by one.
const PIECE: usize = 1 << 20;

/// One entry after the other.
pub(crate) struct Inflate {
    stream: Decompress,
    kept: VecDeque<Vec<u8>>,
    /// Of what went into nothing; `None` while everything is in its place.
    counted: Option<Crc>,
    nothing: Vec<u8>,
}

/// What one step did.
pub(crate) struct Step {
    /// Bytes that it took.
    pub consumed: usize,
    /// All that the entry has become so far.
    pub unpacked: u64,
    /// Whether the entry is at its end.
    pub ended: bool,
    /// Whether the step took or gave anything, or made room.
    pub moved: bool,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self {
            stream: Decompress::new(false),
            kept: VecDeque::new(),
            counted: None,
            nothing: Vec::new(),
        }
    }

    /// Begins an entry that says it has `said` bytes.
    pub(crate) fn begin(&mut self, said: u64, into: &mut Vec<u8>) {
        self.stream.reset(false);
        self.counted = None;
        self.kept.truncate(1);
        self.kept.iter_mut().for_each(Vec::clear);
        // an entry before it may have been a large one
        into.shrink_to(AT_ONCE);
        into.reserve((said.min(AT_ONCE as u64 / 2) as usize).max(GROWTH));
    }

    /// Goes on with what waits.
    pub(crate) fn step(&mut self, waiting: &[u8], into: &mut Vec<u8>) -> Result<Step, DecompressError> {
        let (taken, given) = (self.stream.total_in(), self.stream.total_out());
        let status = match &mut self.counted {
            None => self.stream.decompress_vec(waiting, into, FlushDecompress::None)?,
            Some(crc) => {
                let status = self
                    .stream
                    .decompress(waiting, &mut self.nothing, FlushDecompress::None)?;
                crc.update(&self.nothing[..(self.stream.total_out() - given) as usize]);
                status
            }
        };
        let consumed = (self.stream.total_in() - taken) as usize;
        self.keep(&waiting[..consumed]);
        let ended = status == Status::StreamEnd;
        let full = !ended && self.counted.is_none() && into.len() == into.capacity();
        if full {
            self.make_room(into);
        }
        Ok(Step {
            consumed,
            unpacked: self.stream.total_out(),
            ended,
            moved: full || consumed > 0 || self.stream.total_out() > given,
        })
    }

    /// The checksum of the entry that has ended.
    pub(crate) fn checksum(&self, into: &[u8]) -> u32 {
        let mut crc = Crc::new();
        crc.update(into);
        self.counted.as_ref().unwrap_or(&crc).sum()
    }

    /// The entry's `unpacked` bytes, if they went into nothing the first time. They are the same ones: what was kept is
    /// what was read, and each byte of it was taken.
    pub(crate) fn again(&mut self, unpacked: u64, into: &mut Vec<u8>) -> Result<(), DecompressError> {
        if self.counted.take().is_none() {
            return Ok(());
        }
        self.stream.reset(false);
        into.reserve_exact(unpacked as usize);
        while let Some(piece) = self.kept.pop_front() {
            let before = self.stream.total_in();
            while ((self.stream.total_in() - before) as usize) < piece.len() {
                let rest = &piece[(self.stream.total_in() - before) as usize..];
                let status = self.stream.decompress_vec(rest, into, FlushDecompress::None)?;
                if status != Status::Ok {
                    break;
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        match self.kept.back_mut() {
            Some(piece) if piece.len() + bytes.len() <= PIECE => piece.extend_from_slice(bytes),
            _ => self.kept.push_back(bytes.to_vec()),
        }
    }

    fn make_room(&mut self, into: &mut Vec<u8>) {
        let room = into.capacity().max(GROWTH).min(AT_ONCE - into.len().min(AT_ONCE));
        if room > 0 {
            into.reserve_exact(room);
            return;
        }
        let mut crc = Crc::new();
        crc.update(into);
        self.counted = Some(crc);
        *into = Vec::new();
        self.nothing.resize(GROWTH, 0);
    }
}
