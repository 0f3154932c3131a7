//! Salesforce's id of an org: two spellings, one value.
//!
//! Salesforce shows 15 case-sensitive characters in Setup and sends 18 (three more, a checksum of the upper-case
//! letters) in its answers. Everything of ours is stored and compared in the long form.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Salesforce's own id of an org, always in its 18-character form.
///
/// Source: `organization_id` of the identity answer. The 15-character form is accepted and completed, because
/// people paste it from Setup.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganizationId(String);

/// Why a text is no organization id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrganizationIdError {
    /// Neither 15 nor 18 characters.
    #[error("an organization id has 15 or 18 characters, this one has {0}")]
    Length(usize),
    /// Another object's key prefix.
    #[error("an organization id begins with 00D, this one with {0:?}")]
    Prefix(String),
    /// A character at this place (from 0) that is no ASCII letter or digit.
    #[error("character {0} of the organization id is not a letter or digit")]
    Character(usize),
    /// The last three characters do not fit the first fifteen: a typing error.
    #[error(
        "the last three characters of the organization id are {found:?}, the first fifteen ask for {wanted:?}"
    )]
    Checksum {
        /// As given.
        found: String,
        /// As computed.
        wanted: String,
    },
}

impl OrganizationId {
    /// The 18 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Each five characters give one letter: bit i is set when character i is upper-case.
fn checksum(fifteen: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    fifteen
        .as_bytes()
        .chunks(5)
        .map(|chunk| {
            let bits = chunk
                .iter()
                .enumerate()
                .fold(0, |bits, (i, c)| bits | usize::from(c.is_ascii_uppercase()) << i);
            char::from(LETTERS[bits])
        })
        .collect()
}

impl FromStr for OrganizationId {
    type Err = OrganizationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(at) = text.chars().position(|c| !c.is_ascii_alphanumeric()) {
            return Err(OrganizationIdError::Character(at));
        }
        if text.len() != 15 && text.len() != 18 {
            return Err(OrganizationIdError::Length(text.len()));
        }
        if !text.starts_with("00D") {
            return Err(OrganizationIdError::Prefix(text[..3].to_owned()));
        }
        let (fifteen, given) = text.split_at(15);
        let wanted = checksum(fifteen);
        if !given.is_empty() && given != wanted {
            return Err(OrganizationIdError::Checksum {
                found: given.to_owned(),
                wanted,
            });
        }
        Ok(Self(format!("{fifteen}{wanted}")))
    }
}

impl TryFrom<String> for OrganizationId {
    type Error = OrganizationIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OrganizationId> for String {
    fn from(id: OrganizationId) -> Self {
        id.0
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_and_eighteen_characters_name_the_same_org() {
        let short: OrganizationId = "00Dxx0000001gER".parse().unwrap();
        let long: OrganizationId = "00Dxx0000001gEREAY".parse().unwrap();
        assert_eq!(short, long);
    }

    #[test]
    fn each_kind_of_mistake_is_named() {
        let check = |text: &str| text.parse::<OrganizationId>().unwrap_err();
        assert_eq!(check("00D12"), OrganizationIdError::Length(5));
        assert_eq!(
            check("001xx0000001gER"),
            OrganizationIdError::Prefix("001".into())
        );
        assert_eq!(check("00Dxx000000-gER"), OrganizationIdError::Character(11));
        assert!(matches!(
            check("00Dxx0000001gEREAA"),
            OrganizationIdError::Checksum { .. }
        ));
    }
}
