//! What goes wrong inside a step, on its way to the one table of verdicts.

use std::time::Duration;

use domain::{FailureCode, StepError, Verdict, WaitReason, allowance::OutOfCalls};
use nightshift_domain as domain;
use nightshift_salesforce::{Blame, CallKind, SalesforceError};
use nightshift_store::StoreError;

use crate::ingest::StageError;

/// Before a database that could not be used is tried again.
pub(crate) const DATABASE_AGAIN: Duration = Duration::from_secs(2);

/// An error of a step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Salesforce, judged by its own table.
    #[error(transparent)]
    Salesforce(SalesforceError),
    /// Our database. It is tried again; a lost lease is found out by the settlement.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No more calls for this night: the sync ends with what it has.
    #[error("{words}")]
    Spent {
        /// Whose word it is.
        why: OutOfCalls,
        /// For people.
        words: String,
    },
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

    /// What would be done about it.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Salesforce(error) => Some(error.ruling().verdict()),
            Self::Judged(error) => Some(error.verdict),
            Self::Store(_) | Self::Spent { .. } => None,
        }
    }

    /// The call that met it, where it is known.
    pub(crate) fn call(&self) -> Option<CallKind> {
        match self {
            Self::Salesforce(error) => error.call(),
            _ => None,
        }
    }

    /// Whether a call was held back that the org's shares do not allow.
    pub(crate) fn is_short_of_calls(&self) -> bool {
        match self {
            Self::Salesforce(error) => matches!(error, SalesforceError::AllowanceReached { .. }),
            Self::Judged(error) => error.code == FailureCode::ApiAllowance,
            Self::Store(_) | Self::Spent { .. } => false,
        }
    }

    /// Whether every org of the instance would meet it.
    pub(crate) fn blames_instance(&self) -> bool {
        use FailureCode::{SalesforceUnavailable, SalesforceUnreachable};
        match self {
            Self::Salesforce(error) => error.blame() == Blame::Instance,
            Self::Judged(error) => matches!(error.code, SalesforceUnavailable | SalesforceUnreachable),
            Self::Store(_) | Self::Spent { .. } => false,
        }
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

impl From<SalesforceError> for Trouble {
    /// The client met our database where it looked for the org's token: that is the database's trouble.
    fn from(error: SalesforceError) -> Self {
        let SalesforceError::TokenStore(source) = error else {
            return Self::Salesforce(error);
        };
        match source.downcast::<StoreError>() {
            Ok(store) if store.is_transient() => Self::Store(*store),
            Ok(store) => Self::Salesforce(SalesforceError::TokenStore(store)),
            Err(source) => Self::Salesforce(SalesforceError::TokenStore(source)),
        }
    }
}

/// A database that is away or has no room costs no attempt: it comes back, and nothing of the step is wrong.
fn ruled(error: &StoreError) -> (FailureCode, Verdict) {
    let after = DATABASE_AGAIN;
    match error {
        _ if error.is_transient() => (
            FailureCode::DatabaseUnavailable,
            Verdict::Wait {
                why: WaitReason::Database,
                after,
            },
        ),
        StoreError::Refused { .. } | StoreError::Decode { .. } | StoreError::Keyring(_) => {
            (FailureCode::Internal, Verdict::Permanent)
        }
        _ => (FailureCode::Internal, Verdict::Retry { after: Some(after) }),
    }
}

impl From<Trouble> for StepError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Salesforce(error) => error.step_error(),
            Trouble::Judged(error) => error,
            Trouble::Spent { why, words } => StepError {
                code: why.code(),
                verdict: Verdict::Permanent,
                message: format!("the night's work could not begin: {words}"),
                evidence: [].into(),
            },
            Trouble::Store(error) => {
                tracing::warn!(error = error.detail(), "a step could not use the database");
                let (code, verdict) = ruled(&error);
                StepError {
                    code,
                    verdict,
                    message: error.to_string(),
                    evidence: [].into(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_does_not_answer_costs_no_attempt_wherever_it_is_met() {
        let away = || StoreError::UnknownCommit {
            statement: "tokens.save",
        };
        let met_by_the_client = SalesforceError::TokenStore(Box::new(away()));
        for trouble in [Trouble::Store(away()), Trouble::from(met_by_the_client)] {
            let error = StepError::from(trouble);
            assert_eq!(error.code, FailureCode::DatabaseUnavailable);
            assert!(
                matches!(
                    error.verdict,
                    Verdict::Wait {
                        why: WaitReason::Database,
                        ..
                    }
                ),
                "{error:?}"
            );
        }
        let lost = Trouble::from(SalesforceError::TokenStore(Box::new(StoreError::LeaseLost)));
        assert_eq!(StepError::from(lost).code, FailureCode::Internal);
    }
}
