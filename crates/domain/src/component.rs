//! The dictionary's types: what a component is, how it is named, listed, staged and left out.
//!
//! A component is a member, a folder, or a child that Salesforce can address by itself. Two spellings of one name
//! (escaped and not) are one component: its key is the readable name. How files become components is left to
//! `metadata`, how they are kept to `store`.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fold;

/// What identifies a component in an org: its type and its readable name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ComponentKey {
    /// API name of the type: a folder's is its listing type (`ReportFolder`).
    pub type_name: String,
    /// The full name with its percent-escapes undone, the namespace in its place. Case is kept.
    pub name: String,
}

impl ComponentKey {
    /// Of a name as Salesforce sends it.
    pub fn new(type_name: impl Into<String>, full_name: &str) -> Self {
        Self {
            type_name: type_name.into(),
            name: fold::decode(full_name),
        }
    }
}

impl fmt::Display for ComponentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name, self.name)
    }
}

/// One entry of a listing, corrected: what the org says it has tonight.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedEntry {
    /// Its identity.
    pub key: ComponentKey,
    /// The name to ask for: as Salesforce sent it, namespace corrected, escapes kept.
    pub full_name: String,
    /// In the zip, below `unpackaged/`; derived where Salesforce sent none.
    pub file_name: String,
    /// Of a managed package.
    pub namespace: Option<String>,
    /// Salesforce's id; empty ones are `None`.
    pub salesforce_id: Option<String>,
    /// `None` where Salesforce has no real date (nil, empty, 1970).
    pub last_modified: Option<Timestamp>,
    /// `Some` for a child: the component whose file carries it.
    pub parent: Option<ComponentKey>,
    /// BLAKE3 of what was read of it tonight, for members whose dates say nothing.
    pub digest: Option<[u8; 32]>,
}

/// One component found in a retrieved file, on its way to the dictionary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagedComponent {
    /// Its identity.
    pub key: ComponentKey,
    /// As Salesforce sends it.
    pub full_name: String,
    /// Of its main file, below `unpackaged/`; a child's is its parent's.
    pub file_name: String,
    /// `Some` for a child.
    pub parent: Option<ComponentKey>,
    /// Of a managed package.
    pub namespace: Option<String>,
    /// BLAKE3 of the canonical form, children left out.
    pub content_hash: [u8; 32],
    /// From the answer's file properties or tonight's listing.
    pub last_modified: Option<Timestamp>,
    /// For a child: bytes `from..to` of its parent's main file.
    pub slice: Option<(u32, u32)>,
    /// BLAKE3 of the main file's bytes: what `slice` points into.
    pub blob: [u8; 32],
}

/// One file of a member, on its way to the dictionary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagedFile {
    /// The member or folder it belongs to.
    pub key: ComponentKey,
    /// Below `unpackaged/`.
    pub path: String,
    /// BLAKE3 of its canonical form, children included (of its bytes where it is no XML): unchanged means nothing is written.
    pub canonical_hash: [u8; 32],
    /// BLAKE3 of its bytes.
    pub blob: [u8; 32],
    /// Its length in bytes.
    pub size: u64,
}

/// How a component differs between two revisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// In the later alone.
    Added,
    /// In both, with different content.
    Changed,
    /// In the earlier alone.
    Deleted,
}

impl ChangeKind {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// Something that a sync did not bring, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftOut {
    /// The type, or the type of the component.
    pub type_name: String,
    /// The component's readable name; empty when a whole type is meant.
    pub name: String,
    /// Why.
    pub reason: LeftOutReason,
    /// Salesforce's words or ours, at most 1,000 characters.
    pub detail: String,
}

/// Whether what is missing should have come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutKind {
    /// It should have: asked for again every night; the last good version stays.
    Gap,
    /// It is left out by rule.
    Excluded,
}

/// Why something is left out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// The type's listing failed or was forbidden.
    ListingFailed,
    /// Listed but no longer described: unknown.
    TypeNotDescribed,
    /// Salesforce says that it cannot be found although it was listed.
    CannotBeFound,
    /// Salesforce could not load it.
    CannotBeLoaded,
    /// It makes its whole retrieve fail.
    Poisonous,
    /// Permission or licence is missing.
    NoAccess,
    /// Asked for, no word about it, not delivered.
    NotDelivered,
    /// It came without a companion, about which it says nothing then.
    NotWhole,
    /// Its file could not be read.
    Unreadable,
    /// The sync might make no more calls.
    ApiAllowance,
    /// Salesforce took no more calls: the org's requests were used up.
    RequestLimit,
    /// A listing entry that names nothing.
    Unnamed,
    /// The type can hold secrets.
    MayHoldSecrets,
    /// The type may be retrieved only so often a day.
    DailyBudget,
    /// Content of a managed package that Salesforce hides.
    ManagedContent,
}

impl LeftOutReason {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::ListingFailed,
        Self::TypeNotDescribed,
        Self::CannotBeFound,
        Self::CannotBeLoaded,
        Self::Poisonous,
        Self::NoAccess,
        Self::NotDelivered,
        Self::NotWhole,
        Self::Unreadable,
        Self::ApiAllowance,
        Self::RequestLimit,
        Self::Unnamed,
        Self::MayHoldSecrets,
        Self::DailyBudget,
        Self::ManagedContent,
    ];

    /// Whether it should have come.
    pub fn kind(self) -> LeftOutKind {
        match self {
            Self::MayHoldSecrets | Self::DailyBudget | Self::ManagedContent => LeftOutKind::Excluded,
            Self::ListingFailed
            | Self::TypeNotDescribed
            | Self::CannotBeFound
            | Self::CannotBeLoaded
            | Self::Poisonous
            | Self::NoAccess
            | Self::NotDelivered
            | Self::NotWhole
            | Self::Unreadable
            | Self::ApiAllowance
            | Self::RequestLimit
            | Self::Unnamed => LeftOutKind::Gap,
        }
    }

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ListingFailed => "listing_failed",
            Self::TypeNotDescribed => "type_not_described",
            Self::CannotBeFound => "cannot_be_found",
            Self::CannotBeLoaded => "cannot_be_loaded",
            Self::Poisonous => "poisonous",
            Self::NoAccess => "no_access",
            Self::NotDelivered => "not_delivered",
            Self::NotWhole => "not_whole",
            Self::Unreadable => "unreadable",
            Self::ApiAllowance => "api_allowance",
            Self::RequestLimit => "request_limit",
            Self::Unnamed => "unnamed",
            Self::MayHoldSecrets => "may_hold_secrets",
            Self::DailyBudget => "daily_budget",
            Self::ManagedContent => "managed_content",
        }
    }
}

impl std::str::FromStr for LeftOutReason {
    type Err = crate::sync::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| crate::sync::UnknownWord {
                thing: "reason for leaving out",
                found: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b43_two_spellings_of_a_name_are_one_component() {
        assert_eq!(
            ComponentKey::new("Profile", "My(awesome)profile"),
            ComponentKey::new("Profile", "My%28awesome%29profile")
        );
    }

    #[test]
    fn each_reason_reads_back() {
        for reason in LeftOutReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
