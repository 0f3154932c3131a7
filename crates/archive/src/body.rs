//! The data of one member: unpacked straight into the caller's memory, measured and limited as it comes, and compared
//! with what was stated in the call that reads its last byte.
//!
//! So nobody gets the end of a member that is damaged, and a bomb costs no more than the step that passes a limit.

use std::{io::Read, sync::Arc};

use flate2::{Crc, Decompress, DecompressError, FlushDecompress, Status};

use crate::{
    descriptor::{self, Descriptor, LOOK_AHEAD, Measured},
    error::{ArchiveError, Damage, Feature, Measure},
    limits::Limits,
    members::difference,
    name,
    record::Local,
    source::Source,
};

const STORED: u16 = 0;
const DEFLATE: u16 = 8;

/// Room that a buffer gets at least when it grows, in bytes (64 KiB).
const GROWTH: usize = 64 << 10;

/// Room below which a buffer grows, in bytes: inflate is slow in the last 260 bytes of its room.
const TIGHT: usize = 512;

/// Where unpacked bytes go: over a slice, or behind what a vector holds, as far as its capacity reaches.
pub(crate) enum Room<'a> {
    Slice(&'a mut [u8]),
    Spare(&'a mut Vec<u8>),
}

impl Room<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Slice(slice) => slice.is_empty(),
            Self::Spare(vec) => vec.len() == vec.capacity(),
        }
    }

    fn inflate(&mut self, inflate: &mut Decompress, input: &[u8]) -> Result<Status, DecompressError> {
        match self {
            Self::Slice(slice) => inflate.decompress(input, slice, FlushDecompress::None),
            Self::Spare(vec) => inflate.decompress_vec(input, vec, FlushDecompress::None),
        }
    }

    /// Copies as much of `input` as fits.
    fn copy(&mut self, input: &[u8]) -> usize {
        match self {
            Self::Slice(slice) => {
                let count = input.len().min(slice.len());
                slice[..count].copy_from_slice(&input[..count]);
                count
            }
            Self::Spare(vec) => {
                let count = input.len().min(vec.capacity() - vec.len());
                vec.extend_from_slice(&input[..count]);
                count
            }
        }
    }

    /// The `count` bytes that were written last.
    fn written(&self, count: usize) -> &[u8] {
        match self {
            Self::Slice(slice) => &slice[..count],
            Self::Spare(vec) => &vec[vec.len() - count..],
        }
    }
}

/// What a member's own header states; nothing where the descriptor will.
#[derive(Debug, Clone, Copy)]
struct Stated {
    crc: Option<u32>,
    packed: Option<u64>,
    unpacked: Option<u64>,
}

enum State {
    Stored,
    Deflate,
    /// Read, compared, found right.
    Done,
}

pub(crate) struct Body {
    name: Arc<str>,
    state: State,
    stated: Stated,
    descriptor: bool,
    packed: u64,
    unpacked: u64,
    crc: Crc,
}

impl Body {
    /// The data that follows `local`, whose header is consumed.
    pub(crate) fn open<R: Read>(
        name: Arc<str>,
        local: &Head,
        source: &mut Source<R>,
        inflate: &mut Decompress,
        limits: &Limits,
    ) -> Result<Self, ArchiveError> {
        let state = if local.method == STORED {
            State::Stored
        } else {
            State::Deflate
        };
        let mut stated = local.stated;
        if stated.unpacked.is_some_and(|bytes| bytes > limits.entry_bytes) {
            return Err(ArchiveError::EntryTooLarge {
                name: name.to_string(),
                limit: limits.entry_bytes,
            });
        }
        if stated.packed.is_some_and(|bytes| bytes > limits.packed_bytes) {
            return Err(ArchiveError::TooLarge {
                measure: Measure::Packed,
                limit: limits.packed_bytes,
            });
        }
        if local.method == STORED && stated.packed.is_none() {
            let empty = Measured {
                crc: 0,
                packed: 0,
                unpacked: 0,
            };
            match descriptor::find(source.peek(LOOK_AHEAD)?, &empty) {
                // an empty one (a directory of a writer that streams) ends where it begins
                Descriptor::Agrees { .. } => stated.packed = Some(0),
                Descriptor::Unfinished => return Err(source.truncated()),
                Descriptor::Differs(_) => {
                    let feature = Feature::StoredWithDescriptor;
                    return Err(ArchiveError::Unsupported {
                        name: Some(name.to_string()),
                        feature,
                    });
                }
            }
        }
        inflate.reset(false);
        let mut body = Self {
            name,
            state,
            stated,
            descriptor: local.descriptor,
            packed: 0,
            unpacked: 0,
            crc: Crc::new(),
        };
        let nothing = stated.packed == Some(0)
            && (local.method == STORED || (stated.unpacked == Some(0) && !local.descriptor));
        if nothing {
            body.settle(source)?;
        }
        Ok(body)
    }

    /// What the data was so far.
    pub(crate) fn measured(&self) -> Measured {
        Measured {
            crc: self.crc.sum(),
            packed: self.packed,
            unpacked: self.unpacked,
        }
    }

    /// Makes room in `buffer`: all of it at once when the size is stated, else by doubling, never beyond the limit.
    pub(crate) fn grow(&self, buffer: &mut Vec<u8>, limits: &Limits) {
        if matches!(self.state, State::Done) || buffer.capacity() - buffer.len() >= TIGHT {
            return;
        }
        let left = self
            .stated
            .unpacked
            .map_or(0, |bytes| bytes.saturating_sub(self.unpacked)) as usize;
        let most = (limits.entry_bytes.saturating_sub(self.unpacked) as usize).saturating_add(TIGHT);
        buffer.reserve_exact((left + TIGHT).max(GROWTH).max(buffer.len()).min(most));
    }

    /// Unpacks some bytes; 0 only after the end, when all was compared and found right, or without room.
    ///
    /// `before` are the unpacked bytes of the members before this one.
    pub(crate) fn read<R: Read>(
        &mut self,
        source: &mut Source<R>,
        inflate: &mut Decompress,
        mut room: Room<'_>,
        before: u64,
        limits: &Limits,
    ) -> Result<usize, ArchiveError> {
        if room.is_empty() {
            return Ok(0);
        }
        let (count, ended) = match self.state {
            State::Done => return Ok(0),
            State::Stored => self.copy(source, &mut room)?,
            State::Deflate => self.inflate(source, inflate, &mut room)?,
        };
        self.unpacked += count as u64;
        self.crc.update(room.written(count));
        self.stay_within(source.position(), before, limits)?;
        if ended {
            self.settle(source)?;
        }
        Ok(count)
    }

    fn copy<R: Read>(
        &mut self,
        source: &mut Source<R>,
        room: &mut Room<'_>,
    ) -> Result<(usize, bool), ArchiveError> {
        if source.peek(1)?.is_empty() {
            return Err(source.truncated());
        }
        let left = self.left();
        let count = room.copy(within(source.buffered(), left));
        self.went_in(source, count);
        Ok((count, left == Some(count as u64)))
    }

    /// One step of inflate that gives bytes or ends the stream.
    fn inflate<R: Read>(
        &mut self,
        source: &mut Source<R>,
        inflate: &mut Decompress,
        room: &mut Room<'_>,
    ) -> Result<(usize, bool), ArchiveError> {
        loop {
            let input = within(source.buffered(), self.left());
            let fed = !input.is_empty();
            let (bytes_in, bytes_out) = (inflate.total_in(), inflate.total_out());
            let status = room
                .inflate(inflate, input)
                .map_err(|_| self.corrupt(source.position(), Damage::Deflate))?;
            let took = (inflate.total_in() - bytes_in) as usize;
            let gave = (inflate.total_out() - bytes_out) as usize;
            self.went_in(source, took);
            if status == Status::StreamEnd || gave > 0 {
                return Ok((gave, status == Status::StreamEnd));
            }
            if took > 0 {
                continue;
            }
            // nothing moved: it was not fed, or (never seen) it refuses food and has room
            if fed {
                return Err(self.corrupt(source.position(), Damage::Deflate));
            }
            if self.left() == Some(0) {
                return Err(self.corrupt(source.position(), Damage::DataLength));
            }
            if source.peek(1)?.is_empty() {
                return Err(source.truncated());
            }
        }
    }

    /// The data has ended: does everything that was said about it hold?
    fn settle<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), ArchiveError> {
        if self.left().is_some_and(|left| left > 0) {
            return Err(self.corrupt(source.position(), Damage::DataLength));
        }
        let found = self.measured();
        if self.descriptor {
            match descriptor::find(source.peek(LOOK_AHEAD)?, &found) {
                Descriptor::Agrees { length } => source.consume(length),
                Descriptor::Unfinished => return Err(source.truncated()),
                Descriptor::Differs(damage) => return Err(self.corrupt(source.position(), damage)),
            }
        }
        let stated = Measured {
            crc: self.stated.crc.unwrap_or(found.crc),
            packed: self.stated.packed.unwrap_or(found.packed),
            unpacked: self.stated.unpacked.unwrap_or(found.unpacked),
        };
        if let Some(damage) = difference(&stated, &found) {
            return Err(self.corrupt(source.position(), damage));
        }
        if name::is_directory(&self.name) && found.unpacked > 0 {
            return Err(self.corrupt(source.position(), Damage::DirectoryWithData));
        }
        self.state = State::Done;
        Ok(())
    }

    fn stay_within(&self, position: u64, before: u64, limits: &Limits) -> Result<(), ArchiveError> {
        if self.unpacked > limits.entry_bytes {
            return Err(ArchiveError::EntryTooLarge {
                name: self.name.to_string(),
                limit: limits.entry_bytes,
            });
        }
        let whole = before + self.unpacked;
        if whole > limits.unpacked_bytes {
            return Err(ArchiveError::TooLarge {
                measure: Measure::Unpacked,
                limit: limits.unpacked_bytes,
            });
        }
        for (packed, unpacked) in [(self.packed, self.unpacked), (position, whole)] {
            if limits.is_bomb(packed, unpacked) {
                let name = self.name.to_string();
                return Err(ArchiveError::Bomb {
                    name,
                    packed,
                    unpacked,
                    ratio: limits.ratio,
                });
            }
        }
        Ok(())
    }

    /// Packed bytes that are still to come, when that is stated.
    fn left(&self) -> Option<u64> {
        self.stated.packed.map(|stated| stated - self.packed)
    }

    fn went_in<R: Read>(&mut self, source: &mut Source<R>, count: usize) {
        source.consume(count);
        self.packed += count as u64;
    }

    fn corrupt(&self, at: u64, damage: Damage) -> ArchiveError {
        ArchiveError::Corrupt {
            name: Some(self.name.to_string()),
            at,
            damage,
        }
    }
}

/// As much of `input` as belongs to the member.
fn within(input: &[u8], left: Option<u64>) -> &[u8] {
    let most = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
    &input[..input.len().min(most)]
}

/// What a local header says about the data, once its kind is known to be read here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) method: u16,
    descriptor: bool,
    stated: Stated,
}

impl Head {
    /// Refuses kinds of data that are not read.
    pub(crate) fn of(local: &Local<'_>) -> Result<Self, Feature> {
        if local.flags.encrypted() {
            return Err(Feature::Encryption);
        }
        if local.flags.patch() {
            return Err(Feature::Patch);
        }
        if !matches!(local.method, STORED | DEFLATE) {
            return Err(Feature::Method(local.method));
        }
        let descriptor = local.flags.descriptor();
        // with a descriptor, zero means "not known yet"; a writer that knows may say so in both places (B39)
        let size = |bytes: u64| (!descriptor || bytes != 0).then_some(bytes);
        let stated = Stated {
            crc: (!descriptor || local.crc != 0).then_some(local.crc),
            packed: size(local.packed),
            unpacked: size(local.unpacked),
        };
        Ok(Self {
            method: local.method,
            descriptor,
            stated,
        })
    }
}
