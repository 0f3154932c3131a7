//! What was read so far: one line for each member, to refuse doubles and to hold against the central directory.
//!
//! This is all that grows with the zip: names and numbers, a few MiB at the limit of entries.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    descriptor::Measured,
    error::{ArchiveError, Damage, Feature, Measure},
    limits::Limits,
    name,
    record::Central,
};

/// What a zip was, once all of it was read and found right.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Members that are files.
    pub files: usize,
    /// Members that are directories, which are checked and not handed out.
    pub directories: usize,
    /// Bytes of the zip.
    pub packed_bytes: u64,
    /// Bytes of all files, unpacked.
    pub unpacked_bytes: u64,
    /// Names that differ, but only in case or Unicode composition. Salesforce takes such names for one, so each pair is
    /// worth a look.
    pub lookalikes: Vec<Lookalikes>,
}

/// Two different names that look alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookalikes {
    /// The one that came first.
    pub first: String,
    /// The later one.
    pub second: String,
}

struct Member {
    name: Arc<str>,
    /// Where its local header begins.
    offset: u64,
    method: u16,
    /// `None` while its data is being read.
    measured: Option<Measured>,
    listed: bool,
}

#[derive(Default)]
pub(crate) struct Members {
    /// In the order of their offsets.
    list: Vec<Member>,
    paths: HashSet<Arc<str>>,
    /// Folded path to the first member that has it.
    folded: HashMap<String, usize>,
    summary: Summary,
}

impl Members {
    /// Lets a member in whose header begins at `offset`; its name is checked already.
    pub(crate) fn open(
        &mut self,
        name: &str,
        method: u16,
        offset: u64,
        limits: &Limits,
    ) -> Result<Arc<str>, ArchiveError> {
        if self.list.len() >= limits.entries {
            return Err(ArchiveError::TooManyEntries {
                limit: limits.entries,
                name: name.to_owned(),
            });
        }
        let path = name::path(name);
        let name: Arc<str> = name.into();
        let key = if path.len() == name.len() {
            Arc::clone(&name)
        } else {
            path.into()
        };
        if !self.paths.insert(key) {
            return Err(ArchiveError::Duplicate {
                name: name.to_string(),
            });
        }
        let first = *self.folded.entry(name::fold(path)).or_insert(self.list.len());
        if let Some(first) = self.list.get(first) {
            let (first, second) = (first.name.to_string(), name.to_string());
            self.summary.lookalikes.push(Lookalikes { first, second });
        }
        if name::is_directory(&name) {
            self.summary.directories += 1;
        } else {
            self.summary.files += 1;
        }
        self.list.push(Member {
            name: Arc::clone(&name),
            offset,
            method,
            measured: None,
            listed: false,
        });
        Ok(name)
    }

    /// Notes what the data of the last member was.
    pub(crate) fn close(&mut self, measured: Measured) {
        self.summary.unpacked_bytes += measured.unpacked;
        if let Some(last) = self.list.last_mut() {
            last.measured = Some(measured);
        }
    }

    /// Unpacked bytes of the members that were read to their end.
    pub(crate) const fn unpacked_bytes(&self) -> u64 {
        self.summary.unpacked_bytes
    }

    pub(crate) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Holds one line of the central directory, at byte `at`, against the member that it means.
    pub(crate) fn list(&mut self, line: &Central<'_>, at: u64) -> Result<(), ArchiveError> {
        let shown = || String::from_utf8_lossy(line.name);
        let corrupt = |damage| ArchiveError::corrupt(at, damage).in_member(&shown());
        let unsupported = |feature| ArchiveError::Unsupported {
            name: Some(shown().into_owned()),
            feature,
        };
        if line.flags.encrypted() {
            return Err(unsupported(Feature::Encryption));
        }
        if line.disk != 0 {
            return Err(unsupported(Feature::MultiDisk));
        }
        let member = self
            .list
            .binary_search_by_key(&line.offset, |member| member.offset)
            .map(|index| &mut self.list[index])
            .map_err(|_| corrupt(Damage::NotWhereListed))?;
        if std::mem::replace(&mut member.listed, true) {
            return Err(corrupt(Damage::ListedTwice));
        }
        if member.name.as_bytes() != line.name || member.method != line.method {
            return Err(ArchiveError::corrupt(at, Damage::ListedDifferently).in_member(&member.name));
        }
        let stated = Measured {
            crc: line.crc,
            packed: line.packed,
            unpacked: line.unpacked,
        };
        match member.measured.and_then(|found| difference(&stated, &found)) {
            Some(damage) => Err(corrupt(damage)),
            None => Ok(()),
        }
    }

    /// After the last line of the central directory, which ends at byte `at`: was every member listed?
    pub(crate) fn all_listed(&self, at: u64) -> Result<(), ArchiveError> {
        match self.list.iter().find(|member| !member.listed) {
            Some(member) => Err(ArchiveError::corrupt(at, Damage::NotListed).in_member(&member.name)),
            None => Ok(()),
        }
    }

    /// The whole, once `packed_bytes` of zip were read.
    pub(crate) fn into_summary(self, packed_bytes: u64) -> Summary {
        Summary {
            packed_bytes,
            ..self.summary
        }
    }
}

/// The first value in which what was stated is not what was found.
pub(crate) fn difference(stated: &Measured, found: &Measured) -> Option<Damage> {
    let size = |measure, stated, found| {
        (stated != found).then_some(Damage::Size {
            measure,
            stated,
            found,
        })
    };
    (stated.crc != found.crc)
        .then_some(Damage::Crc {
            stated: stated.crc,
            found: found.crc,
        })
        .or_else(|| size(Measure::Packed, stated.packed, found.packed))
        .or_else(|| size(Measure::Unpacked, stated.unpacked, found.unpacked))
}
