//! What can be wrong with a file, as facts: which rule it broke, where, and the limit.
//!
//! Texts quote no content of the file beyond a bounded name, so that a secret in it stays in it. Which component it
//! was is known to the caller; whether it becomes a gap or fails the sync is decided there too.

/// Why a file or a table could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MetadataError {
    /// More levels than [`crate::XmlLimits::depth`].
    #[error("the xml has more than {limit} levels (byte {at})")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
        /// Byte of the file.
        at: usize,
    },
    /// Too many elements, attributes of one tag, or bytes of one tag.
    #[error("the xml has more than {limit} {what} (byte {at})")]
    TooComplex {
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
        /// Byte of the file.
        at: usize,
    },
    /// One text is larger than [`crate::XmlLimits::text_bytes`].
    #[error("a text of the xml is larger than {limit} bytes (byte {at})")]
    TextTooLarge {
        /// Bytes allowed.
        limit: usize,
        /// Byte of the file.
        at: usize,
    },
    /// A DOCTYPE, or a processing instruction other than the declaration: metadata has neither.
    #[error("the xml has a DOCTYPE or a processing instruction (byte {at}), metadata never does")]
    Doctype {
        /// Byte of the file.
        at: usize,
    },
    /// A reference that is none of the five predefined and no legal number.
    #[error(
        "the xml refers to &{name}; (byte {at}), only the five predefined and numeric references are read"
    )]
    Entity {
        /// The reference's name, at most 32 characters.
        name: String,
        /// Byte of the file.
        at: usize,
    },
    /// Not UTF-8, or declared as something else.
    #[error("the xml is not UTF-8: {found}")]
    Encoding {
        /// What was found, at most 32 characters.
        found: String,
    },
    /// The file ends inside an element, a tag, a comment, or before its root.
    #[error("the xml breaks off with {open} elements open")]
    Truncated {
        /// Elements not closed.
        open: usize,
    },
    /// Not well-formed.
    #[error("the xml is not well-formed at byte {at}: {why}")]
    Malformed {
        /// Byte of the file.
        at: usize,
        /// Which rule is broken.
        why: &'static str,
    },
    /// A component in the file has a longer name than [`crate::NAME_BYTES`].
    #[error("a component's name is longer than {limit} bytes (byte {at})")]
    NameTooLong {
        /// Bytes allowed.
        limit: usize,
        /// Byte of the file where its element begins.
        at: usize,
    },
    /// Two files of one answer claim to be the same file of one member.
    #[error("the member came twice in one answer, under two spellings of its name")]
    Duplicate,
    /// A line of one of this crate's own tables is wrong; a test finds it before anybody else.
    #[error("line {line} of {table}: {why}")]
    Table {
        /// The table's file.
        table: &'static str,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
}

impl MetadataError {
    /// The code under which cases, gaps and the table of limits name it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooDeep { .. } => "xml_too_deep",
            Self::TooComplex { .. } => "xml_too_complex",
            Self::TextTooLarge { .. } => "xml_text_too_large",
            Self::Doctype { .. } => "xml_doctype",
            Self::Entity { .. } => "xml_entity",
            Self::Encoding { .. } => "xml_encoding",
            Self::Truncated { .. } => "xml_truncated",
            Self::Malformed { .. } => "xml_malformed",
            Self::NameTooLong { .. } => "invalid_name",
            Self::Duplicate => "member_duplicate",
            Self::Table { .. } => "table_malformed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_code_of_its_own_and_a_text_that_begins_small() {
        let (at, limit) = (7, 9);
        let all = [
            MetadataError::TooDeep { limit, at },
            MetadataError::TooComplex {
                what: "elements",
                limit,
                at,
            },
            MetadataError::TextTooLarge { limit, at },
            MetadataError::Doctype { at },
            MetadataError::Entity {
                name: "nope".to_owned(),
                at,
            },
            MetadataError::Encoding {
                found: "a NUL byte".to_owned(),
            },
            MetadataError::Truncated { open: 1 },
            MetadataError::Malformed { at, why: "two roots" },
            MetadataError::NameTooLong { limit, at },
            MetadataError::Duplicate,
            MetadataError::Table {
                table: "types.tsv",
                line: 3,
                why: "too short",
            },
        ];
        let codes: std::collections::BTreeSet<&str> = all.iter().map(MetadataError::code).collect();
        assert_eq!(codes.len(), all.len());
        for error in &all {
            let text = error.to_string();
            assert!(text.starts_with(char::is_lowercase), "{text}");
        }
    }
}
