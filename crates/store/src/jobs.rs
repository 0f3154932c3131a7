//! Jobs: claimed, kept alive, settled, announced.
//!
//! The row decides whose a job is: a claim is a compare-and-set that raises the fence, and whatever is written later
//! must still meet that fence. What a step's answer means is decided in `jobs`; here it is written.

mod announce;
mod claim;
mod effects;
mod fail;
mod hands;
mod insert;
mod look;
#[cfg(test)]
mod plan_tests;
mod settle;
mod take;

use std::collections::BTreeMap;

use domain::{Bill, Class, Effect, FailureCode, JobId, NewJob, OrgId, StepError, WaitReason};
use jiff::Timestamp;
use nightshift_domain as domain;

use crate::Store;

pub use announce::{AnnounceLimits, DueJob, Horizon, Marked, Told};
pub use claim::{Claim, ClaimAnswer, Claimed};
pub(crate) use fail::{bounded, detail, fail_sync};
pub use hands::Done;
pub(crate) use insert::{Placed, insert};
pub use look::{ClassCount, JobRow, JobsFilter};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    pub(crate) store: &'a Store,
}

impl Store {
    /// Jobs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { store: self }
    }
}

/// What a settlement writes, and what the run spent.
#[derive(Clone, PartialEq, Debug)]
pub struct Settlement {
    /// What to write.
    pub settling: Settling,
    /// Counted on the sync's bill, whatever the outcome.
    pub bill: Bill,
}

/// What becomes of the job.
#[derive(Clone, PartialEq, Debug)]
pub enum Settling {
    /// Its work is done.
    Done {
        /// What readers will see.
        effects: Vec<Effect>,
        /// What follows.
        next: Vec<NewJob>,
        /// What follows once no other job of the sync is left.
        last: Option<NewJob>,
    },
    /// Too early: due again then; no count but `waits`.
    Wait {
        /// Not before.
        until: Timestamp,
        /// For what.
        why: WaitReason,
        /// Replaces the payload.
        payload: Option<serde_json::Value>,
    },
    /// Its halves follow; what it staged is removed.
    Split {
        /// Both.
        halves: [NewJob; 2],
    },
    /// An earlier step follows, with this job's deaths; what it staged is removed.
    Again {
        /// The job.
        from: NewJob,
    },
    /// One attempt more.
    Retry {
        /// Not before.
        not_before: Timestamp,
        /// Why.
        error: StepError,
    },
    /// The sync fails; a job of no sync is kept as dead.
    Fail {
        /// With what.
        failure: Failure,
    },
    /// The process stops: due again at once, no count.
    Release,
}

impl Settling {
    /// The jobs that may follow.
    pub(crate) fn follow(&self) -> Vec<&NewJob> {
        match self {
            Self::Done { next, last, .. } => next.iter().chain(last).collect(),
            Self::Split { halves } => halves.iter().collect(),
            Self::Again { from } => vec![from],
            Self::Wait { .. } | Self::Retry { .. } | Self::Fail { .. } | Self::Release => vec![],
        }
    }

    /// Names what follows, so that a settlement that is tried again inserts the same jobs.
    pub(crate) fn draw_ids(&mut self) {
        let drawn = |job: &mut NewJob| job.id = Some(insert::id(job));
        match self {
            Self::Done { next, last, .. } => next.iter_mut().chain(last).for_each(drawn),
            Self::Split { halves } => halves.iter_mut().for_each(drawn),
            Self::Again { from } => drawn(from),
            Self::Wait { .. } | Self::Retry { .. } | Self::Fail { .. } | Self::Release => {}
        }
    }

    /// For timeline, log and metric.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Wait { .. } => "waits",
            Self::Split { .. } => "split",
            Self::Again { .. } => "again",
            Self::Retry { .. } => "retry",
            Self::Fail { .. } => "failed",
            Self::Release => "released",
        }
    }
}

/// Why a sync ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The code of the case.
    pub code: FailureCode,
    /// One sentence.
    pub message: String,
    /// Facts for support.
    pub evidence: BTreeMap<String, String>,
}

impl From<StepError> for Failure {
    fn from(error: StepError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            evidence: error.evidence,
        }
    }
}

/// What a settlement did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// All of it was written.
    Written(Due),
    /// The sync had ended: effects dropped, the job deleted.
    SyncEnded,
}

/// Whether a transaction left a job of the org due at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Due {
    /// Yes: what is due is to be marked and sent.
    Now,
    /// Yes, and these are marked: they are to be sent.
    Marked(Vec<DueJob>),
    /// Later, or none.
    Later,
}

/// Names a job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct JobKey {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub job: JobId,
    /// Its queue.
    pub class: Class,
}
