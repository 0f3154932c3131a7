//! Ids and counters that must never be mixed up.
//!
//! Each is a type of its own over a UUID (version 7: near in time, near in the index) or a number. They are drawn
//! where randomness is allowed (`store`), and written in lower-case hyphenated form everywhere.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that was drawn or read elsewhere.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for the database.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// Our own id of a connected org. It stays when a sandbox is refreshed; Salesforce's id does not.
    OrgId
);
uuid_id!(
    /// One job: a row that asks for one step.
    JobId
);
uuid_id!(
    /// One sync: one run for one org, from admission to a final state.
    SyncId
);
uuid_id!(
    /// One support case.
    CaseId
);
uuid_id!(
    /// One event of the outbox.
    EventId
);
uuid_id!(
    /// One running process (scheduler or worker), drawn at its start.
    ProcessId
);

/// A number that grows with every claim of a job. Settling compares it; a stale one writes nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub i64);

/// A whole, readable state of an org's dictionary: 1 for the first sync that succeeded, one more for each success.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub i64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
