//! The name that an administrator gives to an org.
//!
//! It is what people type in commands and read in cases, so it is short, printable and unique without regard to case.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// 1 to 100 characters, no control character, no space at either end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrgName(String);

/// Why a text cannot name an org.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or longer than 100 characters.
    #[error("an org's name has 1 to 100 characters, this one has {0}")]
    Length(usize),
    /// A control character at this place (from 0), or white space at an end.
    #[error("an org's name has no control characters and no white space at its ends (see character {0})")]
    Character(usize),
}

impl OrgName {
    /// The name as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrgName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if !(1..=100).contains(&length) {
            return Err(NameError::Length(length));
        }
        let bad = |(at, c): (usize, char)| {
            let at_an_end = at == 0 || at == length - 1;
            (c.is_control() || (at_an_end && c.is_whitespace())).then_some(at)
        };
        match text.chars().enumerate().find_map(bad) {
            Some(at) => Err(NameError::Character(at)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl TryFrom<String> for OrgName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OrgName> for String {
    fn from(name: OrgName) -> Self {
        name.0
    }
}

impl fmt::Display for OrgName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        assert!("Acme (EU), Produktion".parse::<OrgName>().is_ok());
        assert_eq!("".parse::<OrgName>(), Err(NameError::Length(0)));
        assert_eq!("x".repeat(101).parse::<OrgName>(), Err(NameError::Length(101)));
        assert_eq!("a\tb".parse::<OrgName>(), Err(NameError::Character(1)));
        assert_eq!(" a".parse::<OrgName>(), Err(NameError::Character(0)));
    }
}
