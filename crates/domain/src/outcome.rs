//! What a step answers, and what is done about an error.
//!
//! A step writes nothing that readers can see: it returns an [`Outcome`], and `jobs` settles it in one transaction.
//! An error carries facts; its [`Verdict`] was read from the one table of its crate, so that no step decides by
//! itself whether to try again.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{effect::Effect, failure::FailureCode, job::NewJob};

/// What a step asks the settlement to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// The step's work is done: apply `effects`, insert `next`, in one transaction.
    Done {
        /// What readers will see.
        effects: Vec<Effect>,
        /// The jobs that follow.
        next: Vec<NewJob>,
        /// Inserted when, after `next`, no other job of the sync is left: exactly one of several last jobs does it.
        last: Option<NewJob>,
    },
    /// Nothing is wrong, it is only too early. Costs no attempt, however often.
    Wait {
        /// Not before this instant of the database's clock.
        until: Timestamp,
        /// For the timeline.
        why: WaitReason,
        /// Replaces the job's payload (what it learnt meanwhile); `None` keeps it.
        payload: Option<serde_json::Value>,
    },
    /// The work is too large as it is: this job ends, its halves follow.
    Split {
        /// Both are inserted; what this job staged is removed.
        halves: [NewJob; 2],
    },
    /// What this step lives on is gone (a result that is served once): go back. The deaths go with it.
    Again {
        /// The earlier step's job. What this job staged is removed.
        from: NewJob,
    },
}

impl Outcome {
    /// Effects and following jobs, no last one.
    pub fn done(effects: Vec<Effect>, next: Vec<NewJob>) -> Self {
        Self::Done {
            effects,
            next,
            last: None,
        }
    }
}

/// What a job waits for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// Salesforce has the retrieve in its queue.
    SalesforcePending,
    /// Salesforce works on the retrieve.
    SalesforceInProgress,
    /// Another worker refreshes the org's token.
    TokenBeingRefreshed,
    /// Salesforce counts too many requests; a reset must come first.
    RequestLimit,
    /// Salesforce is down for maintenance.
    Maintenance,
    /// The user may not log in at this hour.
    LoginHours,
    /// The circuit of the org's instance is open.
    InstanceDown,
    /// The retries that the org's instance is given are used up for now.
    RetryBudget,
    /// What a sync may take of the org's daily requests is used up for now.
    DailyAllowance,
    /// The job has died before, and another such one runs in the same process.
    RunsAlone,
    /// Our own database does not answer, or has no room.
    Database,
}

impl WaitReason {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SalesforcePending => "salesforce_pending",
            Self::SalesforceInProgress => "salesforce_in_progress",
            Self::TokenBeingRefreshed => "token_being_refreshed",
            Self::RequestLimit => "request_limit",
            Self::Maintenance => "maintenance",
            Self::LoginHours => "login_hours",
            Self::InstanceDown => "instance_down",
            Self::RetryBudget => "retry_budget",
            Self::DailyAllowance => "daily_allowance",
            Self::RunsAlone => "runs_alone",
            Self::Database => "database",
        }
    }

    /// The code of a sync whose patience ended on this wait.
    pub fn failure_code(self) -> FailureCode {
        match self {
            Self::SalesforcePending => FailureCode::SalesforceQueueStuck,
            Self::SalesforceInProgress => FailureCode::PollingTimedOut,
            Self::TokenBeingRefreshed => FailureCode::TokenRefreshStuck,
            Self::RequestLimit => FailureCode::RequestLimitExceeded,
            Self::Maintenance | Self::InstanceDown | Self::RetryBudget => FailureCode::SalesforceUnavailable,
            Self::LoginHours => FailureCode::LoginHours,
            Self::DailyAllowance => FailureCode::ApiAllowance,
            Self::RunsAlone => FailureCode::WindowEnded,
            Self::Database => FailureCode::DatabaseUnavailable,
        }
    }
}

/// What to do about an error. The step that meets it does not decide; the table of its crate does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Try the same again: one attempt more, after a backoff with full jitter, or after `after` if Salesforce said so.
    Retry {
        /// At least this long.
        after: Option<Duration>,
    },
    /// Costs no attempt: a reset or a window must come. Looked at again after this long.
    Wait {
        /// For the timeline and, when patience ends, the code.
        why: WaitReason,
        /// When to look again.
        after: Duration,
    },
    /// A person must re-authenticate: fails at once and marks the org.
    Reauthenticate,
    /// Trying again is no use: fails at once.
    Permanent,
}

/// A step that did not reach its outcome.
///
/// `message` and `evidence` go into the timeline and the case: bounded (4 KiB), without secrets.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// What the sync fails with, if this error is the last.
    pub code: FailureCode,
    /// What to do.
    pub verdict: Verdict,
    /// One sentence: thing, place, remedy.
    pub message: String,
    /// Facts for support: call, Salesforce's code and text, error id, ...
    pub evidence: BTreeMap<String, String>,
}

/// What a step spent, by kind of call: every HTTP request, OAuth included. Settled whatever the outcome.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bill(pub BTreeMap<String, i64>);

impl Bill {
    /// Adds calls of one kind.
    pub fn add(&mut self, kind: &str, calls: i64) {
        *self.0.entry(kind.to_owned()).or_default() += calls;
    }
}
