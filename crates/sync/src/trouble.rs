//! What goes wrong inside a step, on its way to the one table of verdicts.

use std::time::Duration;

use domain::{FailureCode, StepError, Verdict};
use nightshift_domain as domain;
use nightshift_salesforce::SalesforceError;
use nightshift_store::StoreError;

use crate::ingest::StageError;

/// An error of a step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Salesforce, judged by its own table.
    #[error(transparent)]
    Salesforce(#[from] SalesforceError),
    /// Our database. It is tried again; a lost lease is found out by the settlement.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Judged already.
    #[error(transparent)]
    Judged(#[from] StepError),
}

impl Trouble {
    /// An impossibility of our own.
    pub(crate) fn internal(message: &str) -> Self {
        Self::Judged(StepError {
            code: FailureCode::Internal,
            verdict: Verdict::Permanent,
            message: message.to_owned(),
            evidence: [].into(),
        })
    }

    /// A failure that trying again would not change.
    pub(crate) fn permanent(code: FailureCode, message: String) -> Self {
        Self::Judged(StepError {
            code,
            verdict: Verdict::Permanent,
            message,
            evidence: [].into(),
        })
    }
}

impl From<StageError> for Trouble {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Store(error) => error.into(),
            StageError::Panicked => Self::internal(&error.to_string()),
        }
    }
}

impl From<Trouble> for StepError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Salesforce(error) => error.step_error(),
            Trouble::Judged(error) => error,
            Trouble::Store(error) => {
                let verdict = match &error {
                    StoreError::Refused { .. } | StoreError::Decode { .. } | StoreError::Keyring(_) => {
                        Verdict::Permanent
                    }
                    _ => Verdict::Retry {
                        after: Some(Duration::from_secs(1)),
                    },
                };
                tracing::warn!(error = error.detail(), "a step could not use the database");
                StepError {
                    code: FailureCode::Internal,
                    verdict,
                    message: error.to_string(),
                    evidence: [].into(),
                }
            }
        }
    }
}
