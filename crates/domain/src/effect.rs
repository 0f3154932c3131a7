//! What a settled step changes for readers. `store` applies each in the settling transaction.
//!
//! An effect is small: large results (listings, components, batches) were staged before, in chunks that nobody reads.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{organization_id::OrganizationId, outcome::Bill};

/// One change.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// `start` learnt who answers: stored with the org and the sync.
    OrgFacts(OrgFacts),
    /// `inventory` planned: how many distinct members and folders the retrieves will ask for.
    Planned {
        /// Distinct members and folders asked for, companions not counted.
        asked: i64,
        /// The database's time just before the first listing: when the sync ends well, the dictionary is current as of it.
        listed_at: Timestamp,
    },
    /// What an org answered about a type: remembered for its next nights.
    TypeHealth {
        /// The type's API name.
        type_name: String,
        /// How it answered.
        health: TypeHealth,
    },
    /// `finish` switches the revision.
    Switch(Switch),
    /// `finish` holds it for a person.
    Hold(HoldReason),
    /// Calls beyond the step's own bill.
    Bill(Bill),
}

/// What `start` learns of an org.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrgFacts {
    /// Must be the connected one; another was refused before this effect.
    pub organization_id: OrganizationId,
    /// `Organization.InstanceName`, such as `EU42`.
    pub instance_name: Option<String>,
    /// `Organization.OrganizationType`, such as `Enterprise Edition`.
    pub edition: Option<String>,
    /// `Organization.IsSandbox`.
    pub is_sandbox: bool,
    /// The version this sync speaks, such as `67.0`.
    pub api_version: String,
}

/// How a type answers when it is listed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TypeHealth {
    /// Listed well; may share a call with two others.
    Good,
    /// Failed together with others, well alone: asked singly.
    Single,
    /// Refused or failed also alone: a gap; asked again singly.
    Failing,
}

impl TypeHealth {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Single => "single",
            Self::Failing => "failing",
        }
    }
}

/// With what a revision is switched.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Switch {
    /// Any gap makes the sync end `succeeded_with_gaps`.
    pub gaps: i64,
    /// Which type says something about which other one, as far as it comes beside it.
    pub says_about: Vec<(&'static str, &'static str)>,
}

/// Why a person must say yes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldReason {
    /// A sentence for the case: what would be deleted.
    pub message: String,
}

/// What a switch would delete: the facts on which holding is decided.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Deletions {
    /// Components of the current revision, and those of them that would be deleted, by type.
    pub by_type: BTreeMap<String, TypeCount>,
}

/// One type's share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TypeCount {
    /// In the current revision.
    pub current: i64,
    /// Would be deleted.
    pub deleted: i64,
}
