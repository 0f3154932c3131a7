//! Why a zip was refused: one variant for each failure code, with the member and the place.
//!
//! The error says what was seen; what to do (ask again, open a case) is the table of verdicts' to say. Names come from
//! outside, so they are shown escaped and cut.

use std::{fmt, io};

/// Characters of a refused name that an error keeps.
const NAME_SHOWN: usize = 200;

/// A zip that could not be read to its end. Positions are bytes of the zip.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// More members than the limit.
    #[error("the zip has more than {limit} entries, from {name:?} on; ask for fewer files")]
    TooManyEntries {
        /// Largest count allowed.
        limit: usize,
        /// The first member too many.
        name: String,
    },
    /// One member unpacks (or says that it would) to more than the limit.
    #[error("{name:?} in the zip unpacks to more than {limit} bytes; leave it out")]
    EntryTooLarge {
        /// The member.
        name: String,
        /// Largest size allowed, in bytes.
        limit: u64,
    },
    /// The zip, or all of its members together, are more than the limit.
    #[error("the zip has more than {limit} bytes {measure}; ask for fewer files")]
    TooLarge {
        /// Which of the two sizes.
        measure: Measure,
        /// Largest size allowed, in bytes.
        limit: u64,
    },
    /// Far more comes out than went in.
    #[error(
        "the zip unpacks to {unpacked} bytes from {packed}, more than {ratio} to 1, at {name:?}; do not trust it"
    )]
    Bomb {
        /// The member at which it was seen.
        name: String,
        /// Bytes in, of the member or of the whole so far.
        packed: u64,
        /// Bytes out, of the same.
        unpacked: u64,
        /// Largest ratio allowed.
        ratio: u64,
    },
    /// A member's name that is no plain relative path.
    #[error("the name {name:?} in the zip {rule}; do not trust it")]
    BadPath {
        /// The name, unreadable bytes replaced, cut to 200 characters.
        name: String,
        /// The rule it breaks.
        rule: NameRule,
    },
    /// A name that came before, byte for byte.
    #[error("the zip holds {name:?} twice; ask for it again")]
    Duplicate {
        /// The member.
        name: String,
    },
    /// Valid, but a kind of zip that is not read here.
    #[error("{} {feature}, which is not read here; report it", place(name.as_deref()))]
    Unsupported {
        /// The member, unless it is the whole zip's.
        name: Option<String>,
        /// What is not read.
        feature: Feature,
    },
    /// Bytes that contradict each other.
    #[error("{} is damaged near byte {at}: {damage}; ask for it again", place(name.as_deref()))]
    Corrupt {
        /// The member, when the damage is in one.
        name: Option<String>,
        /// Where it was seen.
        at: u64,
        /// What was seen.
        damage: Damage,
    },
    /// The source ended before the zip did.
    #[error("{} breaks off at byte {at}; ask for it again", place(name.as_deref()))]
    Truncated {
        /// The member that it broke off in.
        name: Option<String>,
        /// How many bytes there were.
        at: u64,
    },
    /// The source failed. Its own error (of base64, of HTTP) is the source of this one, as it came.
    #[error("the source of the zip failed at byte {at}")]
    Io {
        /// How many bytes had come.
        at: u64,
        /// What the source said.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// The failure code, as the catalogue of failures spells it.
    ///
    /// A failed source counts as `archive_truncated`, for the zip breaks off there; who knows the source looks into
    /// [`ArchiveError::Io`] first, where its own error says more.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyEntries { .. } => "archive_too_many_entries",
            Self::EntryTooLarge { .. } => "archive_entry_too_large",
            Self::TooLarge { .. } => "archive_too_large",
            Self::Bomb { .. } => "archive_bomb",
            Self::BadPath { .. } => "archive_bad_path",
            Self::Duplicate { .. } => "archive_duplicate",
            Self::Unsupported { .. } => "archive_unsupported",
            Self::Corrupt { .. } => "archive_corrupt",
            Self::Truncated { .. } | Self::Io { .. } => "archive_truncated",
        }
    }

    /// The member that the error is about, when there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::TooManyEntries { name, .. }
            | Self::EntryTooLarge { name, .. }
            | Self::Bomb { name, .. }
            | Self::BadPath { name, .. }
            | Self::Duplicate { name } => Some(name),
            Self::Unsupported { name, .. } | Self::Corrupt { name, .. } | Self::Truncated { name, .. } => {
                name.as_deref()
            }
            Self::TooLarge { .. } | Self::Io { .. } => None,
        }
    }

    pub(crate) fn bad_path(raw: &[u8], rule: NameRule) -> Self {
        let name = String::from_utf8_lossy(raw).chars().take(NAME_SHOWN).collect();
        Self::BadPath { name, rule }
    }

    pub(crate) const fn corrupt(at: u64, damage: Damage) -> Self {
        Self::Corrupt {
            name: None,
            at,
            damage,
        }
    }

    /// The same error, said to be in `member` where nothing more exact is known.
    pub(crate) fn in_member(mut self, member: &str) -> Self {
        if let Self::Unsupported { name, .. } | Self::Corrupt { name, .. } | Self::Truncated { name, .. } =
            &mut self
        {
            name.get_or_insert_with(|| member.to_owned());
        }
        self
    }
}

/// For readers that only know `std::io`: the source's own error as it came, any other inside an `io::Error`.
impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Io { source, .. } => source,
            ArchiveError::Truncated { .. } => Self::new(io::ErrorKind::UnexpectedEof, error),
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}

fn place(name: Option<&str>) -> String {
    name.map_or_else(|| "the zip".to_owned(), |name| format!("{name:?} in the zip"))
}

/// Which size of a zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The zip itself.
    Packed,
    /// Its members.
    Unpacked,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packed => "packed",
            Self::Unpacked => "unpacked",
        })
    }
}

/// What a name must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// Nothing at all.
    Empty,
    /// More bytes than the limit.
    TooLong,
    /// More segments than the limit.
    TooDeep,
    /// Bytes that are no UTF-8.
    NotUtf8,
    /// NUL or another control character.
    ControlCharacter,
    /// A backslash, which is a separator elsewhere.
    Backslash,
    /// `C:` in front.
    DriveLetter,
    /// `/` in front.
    Absolute,
    /// A segment that is empty, `.` or `..`.
    Segment,
}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "is too long",
            Self::TooDeep => "is too deep",
            Self::NotUtf8 => "is no utf-8",
            Self::ControlCharacter => "holds a control character",
            Self::Backslash => "holds a backslash",
            Self::DriveLetter => "begins with a drive letter",
            Self::Absolute => "is absolute",
            Self::Segment => "has an empty segment, `.` or `..`",
        })
    }
}

/// What a zip may have and is not read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// An encrypted member or directory.
    Encryption,
    /// A method other than stored and deflate.
    Method(u16),
    /// A stored member without sizes: nothing says where it ends, and its content may look like any record.
    StoredWithDescriptor,
    /// A zip in several parts.
    MultiDisk,
    /// A patch instead of data.
    Patch,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encryption => f.write_str("is encrypted"),
            Self::Method(method) => write!(f, "is packed by method {method}"),
            Self::StoredWithDescriptor => f.write_str("is stored without its size"),
            Self::MultiDisk => f.write_str("is one part of several"),
            Self::Patch => f.write_str("is a patch"),
        }
    }
}

/// What is wrong with a damaged zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The first bytes are not a zip's (a page of HTML, say).
    NotAZip,
    /// Bytes that begin no record that may stand here.
    NoRecord,
    /// Bytes that are no deflate stream.
    Deflate,
    /// The data does not end where its stated size does.
    DataLength,
    /// The CRC-32 of the data is not the stated one.
    Crc {
        /// What header, descriptor or directory say.
        stated: u32,
        /// What the data has.
        found: u32,
    },
    /// A size of the data is not the stated one.
    Size {
        /// Which size.
        measure: Measure,
        /// What header, descriptor or directory say, in bytes.
        stated: u64,
        /// What the data has, in bytes.
        found: u64,
    },
    /// A directory that has content.
    DirectoryWithData,
    /// The central directory names a member that is not at the place it says.
    NotWhereListed,
    /// The central directory names a member twice.
    ListedTwice,
    /// The central directory gives another name or method than the member has.
    ListedDifferently,
    /// The central directory lacks a member that was there.
    NotListed,
    /// The end record (or the one of zip64) does not fit the central directory.
    EndRecord,
    /// Bytes after the end.
    BytesAfterEnd,
    /// No new damage: the reader was asked again after it had failed.
    AskedAgain,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAZip => "it does not begin like a zip",
            Self::NoRecord => "no record of a zip begins there",
            Self::Deflate => "it is no deflate stream",
            Self::DataLength => "its data does not end where its stated size does",
            Self::Crc { stated, found } => {
                return write!(f, "crc-32 {found:08x}, but {stated:08x} is stated");
            }
            Self::Size {
                measure,
                stated,
                found,
            } => {
                return write!(f, "{found} bytes {measure}, but {stated} are stated");
            }
            Self::DirectoryWithData => "it is a directory with content",
            Self::NotWhereListed => "the central directory lists it at a place where it is not",
            Self::ListedTwice => "the central directory lists it twice",
            Self::ListedDifferently => "the central directory lists another name or method",
            Self::NotListed => "the central directory does not list it",
            Self::EndRecord => "the end record does not fit the central directory",
            Self::BytesAfterEnd => "bytes follow its end",
            Self::AskedAgain => "it was read on after an error",
        })
    }
}
