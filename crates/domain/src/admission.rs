//! May this request start a sync? The one rule behind the four doors.
//!
//! A slot, a request message, the CLI or API and a same-night retry all ask here; `jobs::admit_sync` reads the facts
//! under the org's row lock and carries out the answer.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{OrgId, SyncId},
    sync::{Mode, SyncState, UnknownWord},
};

/// Who knocked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// The org's own slot of the night.
    Slot,
    /// A message on `nightshift.requests`.
    QueueMessage,
    /// A person or program at the command line or the API.
    Hand,
    /// A failed sync of this night that may heal.
    SameNightRetry,
}

impl Door {
    /// All doors.
    pub const ALL: [Self; 4] = [Self::Slot, Self::QueueMessage, Self::Hand, Self::SameNightRetry];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slot => "slot",
            Self::QueueMessage => "queue_message",
            Self::Hand => "hand",
            Self::SameNightRetry => "same_night_retry",
        }
    }

    /// Doors through which a sync comes that nobody asked for.
    pub const BY_ITSELF: [Self; 2] = [Self::Slot, Self::SameNightRetry];
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Door {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|door| door.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "door of a sync",
                found: text.to_owned(),
            })
    }
}

/// What somebody asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncRequest {
    /// For which org.
    pub org: OrgId,
    /// How much.
    pub mode: Mode,
    /// Through which door.
    pub door: Door,
    /// Free words of the asker, at most 1,000 characters; shown in the timeline.
    pub reason: Option<String>,
}

/// The org's sync that is not over, as read under the org's row lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenSync {
    /// Its id.
    pub id: SyncId,
    /// `queued` or `running`; anything else does not occupy the org.
    pub state: SyncState,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Insert a new sync and its first job.
    Open,
    /// The org is being synced already: the asker gets that one.
    Join(SyncId),
    /// Nothing is started.
    Refuse(Refusal),
}

/// Why nothing is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The administrator paused the org; only a hand may still start a sync.
    #[error("the org is paused; resume it, or start the sync by hand")]
    Paused,
}

/// What is known of the org when somebody knocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrgStanding {
    /// Its sync that is not over.
    pub open: Option<OpenSync>,
    /// Whether slots are paused.
    pub schedule: Standing,
}

/// Whether an org's schedule runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Slots fire.
    Active,
    /// The administrator paused it.
    Paused,
}

/// Decides. A broken connection does not refuse: the sync fails at its first step with its code and adds an
/// occurrence to the case, so that every night leaves a trace.
pub fn admit(org: OrgStanding, request: &SyncRequest) -> Admission {
    match org {
        OrgStanding { open: Some(open), .. } if open.state.is_open() => Admission::Join(open.id),
        OrgStanding {
            schedule: Standing::Paused,
            ..
        } if request.door != Door::Hand => Admission::Refuse(Refusal::Paused),
        _ => Admission::Open,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn request(door: Door) -> SyncRequest {
        SyncRequest {
            org: OrgId::from_uuid(Uuid::nil()),
            mode: Mode::Incremental,
            door,
            reason: None,
        }
    }

    #[test]
    fn whoever_knocks_while_a_sync_is_open_joins_it() {
        let id = SyncId::from_uuid(Uuid::max());
        for state in SyncState::ALL {
            let open = Some(OpenSync { id, state });
            for door in Door::ALL {
                let org = OrgStanding {
                    open,
                    schedule: Standing::Active,
                };
                let wanted = if state.is_open() {
                    Admission::Join(id)
                } else {
                    Admission::Open
                };
                assert_eq!(admit(org, &request(door)), wanted, "{state:?} {door:?}");
            }
        }
    }

    #[test]
    fn a_paused_org_is_synced_by_hand_alone() {
        let org = OrgStanding {
            open: None,
            schedule: Standing::Paused,
        };
        for door in Door::ALL {
            let opened = admit(org, &request(door)) == Admission::Open;
            assert_eq!(opened, door == Door::Hand, "{door:?}");
        }
    }
}
