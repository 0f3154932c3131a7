//! The life of one sync as a table: which state follows which event.
//!
//! SQL repeats the guard (`WHERE state = $from`) and a check constraint lists the names; this table is where they
//! come from. Who raises an event, and in which transaction, is left to `store` and `jobs`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a sync stands. Its text form is the one in SQL, JSON and metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// Admitted; no job of it was claimed yet.
    Queued,
    /// At least one job was claimed.
    Running,
    /// Done; the revision is readable.
    Succeeded,
    /// Done; the revision is readable, some components kept their last good version.
    SucceededWithGaps,
    /// Done but doubtful: it waits for a person's yes, the old revision stays.
    Held,
    /// Was held, and a later sync ended well.
    Superseded,
    /// Ended without a new revision; a case says why.
    Failed,
}

/// What happens to a sync.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SyncEvent {
    /// A worker claimed the first of its jobs.
    FirstClaim,
    /// `finish` switched the revision.
    Finished,
    /// `finish` switched the revision, with gaps.
    FinishedWithGaps,
    /// `finish` found more deletions than a night should bring.
    DoubtfulDeletions,
    /// A person said yes to a held one.
    Accepted,
    /// A later sync ended well.
    Superseded,
    /// A step failed for good.
    GaveUp,
}

impl SyncState {
    /// All states, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::SucceededWithGaps,
        Self::Held,
        Self::Superseded,
        Self::Failed,
    ];

    /// The state after `event`, or `None` where the event has no business.
    pub fn after(self, event: SyncEvent) -> Option<Self> {
        use {SyncEvent as E, SyncState as S};
        Some(match (self, event) {
            (S::Queued, E::FirstClaim) | (S::Held, E::Accepted) => S::Running,
            (S::Running, E::Finished) => S::Succeeded,
            (S::Running, E::FinishedWithGaps) => S::SucceededWithGaps,
            (S::Running, E::DoubtfulDeletions) => S::Held,
            (S::Held, E::Superseded) => S::Superseded,
            (S::Queued | S::Running, E::GaveUp) => S::Failed,
            _ => return None,
        })
    }

    /// No event changes it any more.
    pub fn is_final(self) -> bool {
        SyncEvent::ALL
            .into_iter()
            .all(|event| self.after(event).is_none())
    }

    /// It occupies its org: no second sync starts. A held one does not.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }

    /// It ended with a readable revision.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::SucceededWithGaps)
    }

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::SucceededWithGaps => "succeeded_with_gaps",
            Self::Held => "held",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
        }
    }
}

impl SyncEvent {
    /// All events.
    pub const ALL: [Self; 7] = [
        Self::FirstClaim,
        Self::Finished,
        Self::FinishedWithGaps,
        Self::DoubtfulDeletions,
        Self::Accepted,
        Self::Superseded,
        Self::GaveUp,
    ];
}

impl fmt::Display for SyncState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no state, mode or door.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no {thing}")]
pub struct UnknownWord {
    /// What was looked for.
    pub thing: &'static str,
    /// What was found.
    pub found: String,
}

impl FromStr for SyncState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "state of a sync",
                found: text.to_owned(),
            })
    }
}

/// How much a sync retrieves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Only what changed since the last good listing, gaps, and what has no trustworthy date.
    Incremental,
    /// Everything.
    Full,
}

impl Mode {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Full => "full",
        }
    }
}

impl FromStr for Mode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Incremental, Self::Full]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "mode of a sync (incremental, full)",
                found: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_state_answers_no_event() {
        for state in SyncState::ALL.into_iter().filter(|s| s.is_final()) {
            for event in SyncEvent::ALL {
                assert_eq!(state.after(event), None, "{state:?} after {event:?}");
            }
        }
        assert_eq!(SyncState::ALL.into_iter().filter(|s| s.is_final()).count(), 4);
    }

    #[test]
    fn no_event_leads_back_into_the_queue_and_each_text_reads_back() {
        for state in SyncState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            for event in SyncEvent::ALL {
                assert_ne!(state.after(event), Some(SyncState::Queued));
            }
        }
    }

    #[test]
    fn an_open_sync_can_always_be_given_up() {
        for state in SyncState::ALL.into_iter().filter(|s| s.is_open()) {
            assert_eq!(state.after(SyncEvent::GaveUp), Some(SyncState::Failed));
        }
    }
}
