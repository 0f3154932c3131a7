//! One line of a history, as a value: tests make them by hand too.

use std::fmt;

use uuid::Uuid;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Microseconds of the database's clock.
    pub at: i64,
    /// The transaction that wrote it.
    pub tx: i64,
    /// Whose.
    pub org: Uuid,
    /// Of which sync.
    pub sync: Option<Uuid>,
    /// Of which job.
    pub job: Option<Uuid>,
    /// What.
    pub happened: Happened,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happened {
    /// A job's row was inserted.
    Added {
        /// Those it brought along.
        deaths: i64,
    },
    /// It was claimed.
    Claimed {
        /// The number of the claim.
        fence: i64,
        /// Until when it is good.
        lease: i64,
        /// Counted by then.
        deaths: i64,
    },
    /// Its lease was moved.
    Kept {
        /// Under which claim.
        fence: i64,
        /// Until when it is good now.
        lease: i64,
    },
    /// It is due again: it waits, is tried again, was released.
    Freed,
    /// It is kept for a person.
    Buried,
    /// The queue was told.
    Announced,
    /// Another column of its row changed.
    Changed,
    /// Its claimed row was deleted.
    Settled,
    /// Its due row was deleted: its sync has ended.
    Dropped,
    /// Rows were staged.
    Staged {
        /// Under which claim.
        fence: i64,
        /// How many.
        rows: i64,
        /// Where.
        table: String,
    },
    /// A settlement wrote what readers see.
    Effects {
        /// Under which claim.
        fence: i64,
        /// What became of the job.
        outcome: String,
    },
    /// A sync was admitted, or accepted: it is open.
    SyncOpen,
    /// It ended well.
    SyncSucceeded {
        /// The revision that it brought.
        revision: i64,
    },
    /// It failed.
    SyncFailed {
        /// With what.
        code: String,
    },
    /// It waits for a person, or nobody waits for it any more.
    SyncAside,
    /// Readers see this revision from now on.
    Revision(i64),
    /// A case was opened.
    CaseOpened(String),
    /// The open case has one occurrence more.
    CaseAgain(String),
    /// It was resolved.
    CaseResolved(String),
    /// A local night was done, joined or missed.
    Night(String),
}

impl Happened {
    /// From the columns that the triggers write.
    ///
    /// # Panics
    /// When a trigger and this list have parted.
    pub(super) fn read(event: &str, fence: i64, lease: Option<i64>, number: i64, word: String) -> Self {
        let lease = lease.unwrap_or(i64::MIN);
        match event {
            "added" => Self::Added { deaths: number },
            "claimed" => Self::Claimed {
                fence,
                lease,
                deaths: number,
            },
            "kept" => Self::Kept { fence, lease },
            "freed" => Self::Freed,
            "buried" => Self::Buried,
            "announced" => Self::Announced,
            "changed" => Self::Changed,
            "settled" => Self::Settled,
            "dropped" => Self::Dropped,
            "staged" => Self::Staged {
                fence,
                rows: number,
                table: word,
            },
            "effects" => Self::Effects { fence, outcome: word },
            "sync_queued" | "sync_running" => Self::SyncOpen,
            "sync_succeeded" | "sync_succeeded_with_gaps" => Self::SyncSucceeded { revision: number },
            "sync_failed" => Self::SyncFailed { code: word },
            "sync_held" | "sync_superseded" => Self::SyncAside,
            "revision" => Self::Revision(number),
            "case_opened" => Self::CaseOpened(word),
            "case_again" => Self::CaseAgain(word),
            "case_resolved" => Self::CaseResolved(word),
            "night" => Self::Night(word),
            other => panic!("a trigger wrote {other:?}, which no Event is called"),
        }
    }
}

/// Seconds for people, from microseconds.
pub(super) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { deaths: 0 } => write!(f, "is added"),
            Self::Added { deaths } => write!(f, "is added with {deaths} deaths"),
            Self::Claimed { fence, deaths, .. } => write!(f, "is claimed: fence {fence}, deaths {deaths}"),
            Self::Kept { fence, .. } => write!(f, "has its lease moved: fence {fence}"),
            Self::Freed => write!(f, "is due again"),
            Self::Buried => write!(f, "is kept as dead"),
            Self::Announced => write!(f, "is announced"),
            Self::Changed => write!(f, "changes"),
            Self::Settled => write!(f, "is settled: its row goes"),
            Self::Dropped => write!(f, "is dropped with its sync"),
            Self::Staged { fence, rows, table } => write!(f, "stages {rows} rows in {table}: fence {fence}"),
            Self::Effects { fence, outcome } => {
                write!(f, "has its effects written ({outcome}): fence {fence}")
            }
            Self::SyncOpen => write!(f, "is open"),
            Self::SyncSucceeded { revision } => write!(f, "succeeds with revision {revision}"),
            Self::SyncFailed { code } => write!(f, "fails with {code}"),
            Self::SyncAside => write!(f, "is held or superseded"),
            Self::Revision(revision) => write!(f, "gives readers revision {revision}"),
            Self::CaseOpened(code) => write!(f, "opens a case {code}"),
            Self::CaseAgain(code) => write!(f, "adds to the case {code}"),
            Self::CaseResolved(code) => write!(f, "resolves the case {code}"),
            Self::Night(night) => write!(f, "records the night {night}"),
        }
    }
}
