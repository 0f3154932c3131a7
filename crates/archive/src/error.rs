//! Why a zip cannot be read. Each variant but the last is a failure code of its own.

use std::io;

/// What is wrong, with the entry's name where there is one.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// More entries than the limit.
    #[error("the zip has more than {0} entries")]
    TooManyEntries(u64),
    /// One entry is larger than the limit.
    #[error("{name} has more than {limit} {what}")]
    EntryTooLarge {
        /// Which.
        name: String,
        /// In bytes.
        limit: u64,
        /// Which bytes: all, or the compressed ones.
        what: &'static str,
    },
    /// The whole is larger than the limit.
    #[error("the zip has more than {0} bytes")]
    TooLarge(u64),
    /// It unpacks to far more than a zip of metadata does.
    #[error("{name} unpacks to more than {ratio} times its size")]
    Bomb {
        /// Which.
        name: String,
        /// The limit.
        ratio: u64,
    },
    /// A name that points outside, or is none.
    #[error("the entry name {name:?} is not allowed: {reason}")]
    BadPath {
        /// As it stands, escaped.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// One name twice.
    #[error("{0} stands in the zip twice")]
    Duplicate(String),
    /// A method or feature that is not read.
    #[error("{name}: {feature} is not supported")]
    Unsupported {
        /// Which entry; `the zip` for the whole.
        name: String,
        /// Which.
        feature: &'static str,
    },
    /// Bytes that contradict each other.
    #[error("{name} is damaged: {reason}")]
    Corrupt {
        /// Which entry, or the part of the zip.
        name: String,
        /// How.
        reason: &'static str,
    },
    /// It breaks off.
    #[error("the zip breaks off in {0}")]
    Truncated(String),
    /// The stream itself failed: the cause is the network's or the base64 text's.
    #[error("the zip could not be read on")]
    Io(#[source] io::Error),
}

impl ArchiveError {
    /// The failure code; `None` where the stream's own error is the cause.
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::TooManyEntries(_) => "archive_too_many_entries",
            Self::EntryTooLarge { .. } => "archive_entry_too_large",
            Self::TooLarge(_) => "archive_too_large",
            Self::Bomb { .. } => "archive_bomb",
            Self::BadPath { .. } => "archive_bad_path",
            Self::Duplicate(_) => "archive_duplicate",
            Self::Unsupported { .. } => "archive_unsupported",
            Self::Corrupt { .. } => "archive_corrupt",
            Self::Truncated(_) => "archive_truncated",
            Self::Io(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_zip_has_a_code_of_its_own_in_the_catalogue() {
        let name = || "a".to_owned();
        let all = [
            ArchiveError::TooManyEntries(1),
            ArchiveError::EntryTooLarge {
                name: name(),
                limit: 1,
                what: "bytes",
            },
            ArchiveError::TooLarge(1),
            ArchiveError::Bomb {
                name: name(),
                ratio: 1,
            },
            ArchiveError::BadPath {
                name: name(),
                reason: "x",
            },
            ArchiveError::Duplicate(name()),
            ArchiveError::Unsupported {
                name: name(),
                feature: "x",
            },
            ArchiveError::Corrupt {
                name: name(),
                reason: "x",
            },
            ArchiveError::Truncated(name()),
        ];
        let codes: std::collections::BTreeSet<_> = all.iter().filter_map(ArchiveError::code).collect();
        assert_eq!(codes.len(), all.len());
        let catalogue = include_str!("../../domain/src/failures.toml");
        for code in codes {
            assert!(catalogue.contains(&format!("\ncode = \"{code}\"\n")), "{code}");
        }
        let io = ArchiveError::Io(io::ErrorKind::ConnectionReset.into());
        assert_eq!(
            io.code(),
            None,
            "the cause is the stream's, which has codes of its own"
        );
    }
}
