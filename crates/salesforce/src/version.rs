//! The version of Salesforce's API that a sync speaks.
//!
//! Orgs are not all on the same release: a sandbox may be ahead, an instance late. A sync takes the lesser of what we
//! have tested and what the org offers, once, at its start.

use std::{fmt, str::FromStr};

/// Such as `67.0`; the part behind the point is always 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ApiVersion(u16);

/// A text that is no version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no API version (such as 67.0)")]
pub struct VersionError(pub String);

impl ApiVersion {
    /// The newest that our tests have seen (Summer '26).
    pub const NEWEST_TESTED: Self = Self(67);
    /// Older ones were retired by Salesforce.
    pub const OLDEST: Self = Self(31);

    /// The version to speak with an org that offers `offered`: `None` when it offers none that we can speak.
    pub fn choose(offered: &[Self]) -> Option<Self> {
        let greatest = offered.iter().max()?;
        Some(Self::NEWEST_TESTED.min(*greatest)).filter(|version| *version >= Self::OLDEST)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.0", self.0)
    }
}

impl FromStr for ApiVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix(".0")
            .and_then(|number| number.parse().ok())
            .filter(|number| (1..1000).contains(number))
            .map(Self)
            .ok_or_else(|| VersionError(text.chars().take(20).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_of_what_we_tested_and_what_the_org_offers_is_spoken() {
        let offers = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<ApiVersion>>()
        };
        assert_eq!(
            ApiVersion::choose(&offers(&["20.0", "66.0"]))
                .unwrap()
                .to_string(),
            "66.0"
        );
        assert_eq!(
            ApiVersion::choose(&offers(&["68.0", "67.0"])),
            Some(ApiVersion::NEWEST_TESTED)
        );
        assert_eq!(ApiVersion::choose(&offers(&["20.0"])), None);
        assert_eq!(ApiVersion::choose(&[]), None);
    }

    #[test]
    fn a_text_that_is_no_version_is_refused() {
        for text in ["67", "v67.0", "67.1", "", "-1.0", "../x.0"] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}
