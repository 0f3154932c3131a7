//! Whose turn it is: the next member, the rest of the last one, or the end.
//!
//! A member that the caller left half read is read to its end before the next one comes, so that none escapes the
//! checks; after an error nothing more is handed out.

use std::{
    io::{self, Read},
    mem,
    sync::Arc,
};

use flate2::Decompress;

use crate::{
    body::{Body, Head, Room},
    error::{ArchiveError, Damage, Feature},
    limits::Limits,
    members::{Members, Summary},
    name,
    record::{CENTRAL, DESCRIPTOR, END, LOCAL, Local, SPANNED, ZIP64_END},
    source::Source,
    tail,
};

/// Bytes at a time of a member that nobody reads (64 KiB).
const SCRATCH_BYTES: usize = 64 << 10;

enum Stage {
    /// A record begins here.
    Between,
    /// In the data of a file, or just behind it.
    Inside(Body),
    /// All of the zip was read and found right.
    Ended,
    /// It was not.
    Failed,
}

/// Reads a zip from a source that cannot go back, one entry after the other.
///
/// Memory: 256 KiB, the names of the entries, and what the caller unpacks. Each call blocks as long as the source does.
///
/// ```
/// # fn f(source: impl std::io::Read) -> Result<(), nightshift_archive::ArchiveError> {
/// let mut archive = nightshift_archive::ArchiveReader::new(source, nightshift_archive::Limits::default());
/// let mut content = Vec::new();
/// while let Some(mut entry) = archive.next_entry()? {
///     entry.read_to_vec(&mut content)?; // verified when it returns
///     println!("{}: {} bytes", entry.name(), content.len());
/// }
/// let summary = archive.finish()?;
/// # drop(summary); Ok(()) }
/// ```
pub struct ArchiveReader<R> {
    source: Source<R>,
    inflate: Decompress,
    limits: Limits,
    members: Members,
    stage: Stage,
    scratch: Vec<u8>,
}

impl<R: Read> ArchiveReader<R> {
    /// A reader of the zip that `source` gives from here to its end. Nothing is read yet.
    pub fn new(source: R, limits: Limits) -> Self {
        Self {
            source: Source::new(source, limits.packed_bytes),
            inflate: Decompress::new(false),
            limits,
            members: Members::default(),
            stage: Stage::Between,
            scratch: Vec::new(),
        }
    }

    /// The next file; directories are checked and passed over. What was left of the one before is read and checked.
    ///
    /// `None` once the central directory, the end record and the end of the source were seen and agree with all that
    /// was handed out. Only then is the zip known to be whole.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, R>>, ArchiveError> {
        let name = self.advance()?;
        Ok(name.map(|name| Entry { reader: self, name }))
    }

    /// Reads and checks what is left, and says what the zip was.
    pub fn finish(mut self) -> Result<Summary, ArchiveError> {
        while self.advance()?.is_some() {}
        Ok(self.members.into_summary(self.source.position()))
    }

    /// Goes on to the next file. Whatever fails leaves `Stage::Failed` behind.
    fn advance(&mut self) -> Result<Option<Arc<str>>, ArchiveError> {
        match mem::replace(&mut self.stage, Stage::Failed) {
            Stage::Failed => return Err(self.asked_again()),
            Stage::Ended => {
                self.stage = Stage::Ended;
                return Ok(None);
            }
            Stage::Inside(body) => self.drain(body)?,
            Stage::Between => {}
        }
        loop {
            match tail::signature(&mut self.source)? {
                LOCAL => {}
                CENTRAL | ZIP64_END | END => {
                    tail::read(&mut self.source, &mut self.members)?;
                    self.stage = Stage::Ended;
                    return Ok(None);
                }
                other => return Err(self.no_record(other)),
            }
            let (name, body) = self.open()?;
            if name::is_directory(&name) {
                self.drain(body)?;
            } else {
                self.stage = Stage::Inside(body);
                return Ok(Some(name));
            }
        }
    }

    /// Reads a local header up to the data.
    fn open(&mut self) -> Result<(Arc<str>, Body), ArchiveError> {
        let offset = self.source.position();
        let length = Local::length(self.source.need(Local::FIXED)?);
        let local = Local::parse(self.source.need(length)?);
        let name =
            name::check(local.name, &self.limits).map_err(|rule| ArchiveError::bad_path(local.name, rule))?;
        let head = Head::of(&local).map_err(|feature| ArchiveError::Unsupported {
            name: Some(name.to_owned()),
            feature,
        })?;
        let name = self.members.open(name, head.method, offset, &self.limits)?;
        self.source.consume(length);
        let body = Body::open(
            Arc::clone(&name),
            &head,
            &mut self.source,
            &mut self.inflate,
            &self.limits,
        )
        .map_err(|error| error.in_member(&name))?;
        Ok((name, body))
    }

    /// Reads and checks the rest of a member, and notes what it was.
    fn drain(&mut self, mut body: Body) -> Result<(), ArchiveError> {
        self.scratch.resize(SCRATCH_BYTES, 0);
        loop {
            let room = Room::Slice(&mut self.scratch);
            let before = self.members.unpacked_bytes();
            if body.read(&mut self.source, &mut self.inflate, room, before, &self.limits)? == 0 {
                break;
            }
        }
        self.members.close(body.measured());
        Ok(())
    }

    fn no_record(&self, signature: u32) -> ArchiveError {
        let at = self.source.position();
        match (at, signature) {
            (0, DESCRIPTOR | SPANNED) => ArchiveError::Unsupported {
                name: None,
                feature: Feature::MultiDisk,
            },
            (0, _) => ArchiveError::corrupt(at, Damage::NotAZip),
            _ => ArchiveError::corrupt(at, Damage::NoRecord),
        }
    }

    fn asked_again(&self) -> ArchiveError {
        ArchiveError::corrupt(self.source.position(), Damage::AskedAgain)
    }
}

/// One file of the zip, while it stands at its turn.
///
/// Also a [`Read`]: its errors are the source's own, or an [`ArchiveError`] inside an `io::Error`. The end (0 bytes)
/// comes only after CRC and sizes were found right.
pub struct Entry<'a, R> {
    reader: &'a mut ArchiveReader<R>,
    name: Arc<str>,
}

impl<R: Read> Entry<'_, R> {
    /// The path in the zip, which keeps every rule of names: relative, with `/`, no `..`, UTF-8.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts what is left of the file (all of it, if nothing was read before) into `buffer`, in place of what that held.
    ///
    /// `Ok` means that CRC and sizes were right. After an error the buffer's content is worth nothing. Give the same
    /// buffer each time: it keeps its capacity.
    pub fn read_to_vec(&mut self, buffer: &mut Vec<u8>) -> Result<(), ArchiveError> {
        buffer.clear();
        loop {
            if let Stage::Inside(body) = &self.reader.stage {
                body.grow(buffer, &self.reader.limits);
            }
            if self.step(Room::Spare(buffer))? == 0 {
                return Ok(());
            }
        }
    }

    fn step(&mut self, room: Room<'_>) -> Result<usize, ArchiveError> {
        let reader = &mut *self.reader;
        let Stage::Inside(body) = &mut reader.stage else {
            return Err(reader.asked_again());
        };
        let before = reader.members.unpacked_bytes();
        let read = body.read(
            &mut reader.source,
            &mut reader.inflate,
            room,
            before,
            &reader.limits,
        );
        read.map_err(|error| {
            reader.stage = Stage::Failed;
            error.in_member(&self.name)
        })
    }
}

impl<R: Read> Read for Entry<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.step(Room::Slice(buffer))?)
    }
}
