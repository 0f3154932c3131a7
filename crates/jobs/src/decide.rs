//! From what a step answered to what is settled. Pure.
//!
//! Waiting is not failing, being interrupted is not failing, a dead worker is not a failed step: three counts, and
//! this file is where they meet their limits.

use domain::{FailureCode, Outcome, StepError, Verdict};
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_store::jobs::{Failure, Settling};
use rand::Rng;

use crate::{backoff, settings::JobsSettings};

/// What is known of the job when its step has answered.
#[derive(Clone, Copy, Debug)]
pub struct JobFacts {
    /// Errors before this run.
    pub attempts: u32,
    /// The database's time, about now.
    pub now: Timestamp,
    /// When the sync's patience ends; a job of no sync has none.
    pub give_up_at: Option<Timestamp>,
}

/// Decides what is written.
pub fn decide(
    answer: Result<Outcome, StepError>,
    job: JobFacts,
    settings: &JobsSettings,
    rng: &mut impl Rng,
) -> Settling {
    match answer {
        Ok(Outcome::Done { effects, next, last }) => Settling::Done { effects, next, last },
        Ok(Outcome::Split { halves }) => Settling::Split { halves },
        Ok(Outcome::Again { from }) => Settling::Again { from },
        Ok(Outcome::Wait { until, why, payload }) => {
            if job.give_up_at.is_some_and(|end| until > end) {
                return Settling::Fail {
                    failure: out_of_patience(why),
                };
            }
            Settling::Wait { until, why, payload }
        }
        Err(error) => after_error(error, job, settings, rng),
    }
}

fn after_error(error: StepError, job: JobFacts, settings: &JobsSettings, rng: &mut impl Rng) -> Settling {
    match error.verdict {
        Verdict::Permanent | Verdict::Reauthenticate => Settling::Fail {
            failure: error.into(),
        },
        Verdict::Wait { why, after } => {
            let until = later(job.now, after);
            if job.give_up_at.is_some_and(|end| until > end) {
                return Settling::Fail {
                    failure: error.into(),
                };
            }
            let spread = later(until, backoff::jitter(after / 4, rng));
            let until = job.give_up_at.map_or(spread, |end| spread.min(end));
            Settling::Wait {
                until,
                why,
                payload: None,
            }
        }
        Verdict::Retry { after } => {
            let attempts = job.attempts + 1;
            if attempts >= settings.max_attempts {
                return Settling::Fail {
                    failure: error.into(),
                };
            }
            let delay = after.unwrap_or_default() + backoff::delay(settings, attempts, rng);
            let not_before = later(job.now, delay);
            if job.give_up_at.is_some_and(|end| not_before > end) {
                return Settling::Fail {
                    failure: error.into(),
                };
            }
            Settling::Retry { not_before, error }
        }
    }
}

/// A wait that would end after the sync's patience.
fn out_of_patience(why: domain::WaitReason) -> Failure {
    let code = why.failure_code();
    let message = format!("the sync's time ended while it waited ({})", why.as_str());
    Failure {
        code,
        message,
        evidence: [("waited_for".to_owned(), why.as_str().to_owned())].into(),
    }
}

/// A job whose leases ran out too often.
pub fn poison(deaths: u32, kind: &str) -> Failure {
    Failure {
        code: FailureCode::Poison,
        message: format!("{deaths} workers in a row died or stopped during step {kind}"),
        evidence: [
            ("step".to_owned(), kind.to_owned()),
            ("deaths".to_owned(), deaths.to_string()),
        ]
        .into(),
    }
}

fn later(now: Timestamp, by: std::time::Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::WaitReason;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn job(attempts: u32) -> JobFacts {
        JobFacts {
            attempts,
            now: at(0),
            give_up_at: Some(at(600)),
        }
    }

    fn error(verdict: Verdict) -> StepError {
        StepError {
            code: FailureCode::SalesforceUnavailable,
            verdict,
            message: "poll got no answer".into(),
            evidence: [].into(),
        }
    }

    fn settle(answer: Result<Outcome, StepError>, job: JobFacts) -> Settling {
        decide(
            answer,
            job,
            &JobsSettings::default(),
            &mut StdRng::seed_from_u64(1),
        )
    }

    #[test]
    fn the_last_attempt_fails_the_sync_and_earlier_ones_do_not() {
        for attempts in 0..4 {
            let settling = settle(Err(error(Verdict::Retry { after: None })), job(attempts));
            assert!(matches!(settling, Settling::Retry { .. }), "{attempts}");
        }
        let settling = settle(Err(error(Verdict::Retry { after: None })), job(4));
        assert!(
            matches!(settling, Settling::Fail { failure } if failure.code == FailureCode::SalesforceUnavailable)
        );
    }

    #[test]
    fn a_retry_waits_at_least_as_long_as_salesforce_said() {
        let after = Some(Duration::from_secs(120));
        let Settling::Retry { not_before, .. } = settle(Err(error(Verdict::Retry { after })), job(0)) else {
            panic!("no retry");
        };
        assert!(not_before >= at(120));
    }

    #[test]
    fn a_wait_beyond_the_patience_fails_with_the_code_of_what_it_waited_for() {
        let wait = |until| {
            Ok(Outcome::Wait {
                until,
                why: WaitReason::SalesforcePending,
                payload: None,
            })
        };
        assert!(matches!(settle(wait(at(600)), job(0)), Settling::Wait { .. }));
        let settling = settle(wait(at(601)), job(0));
        assert!(
            matches!(settling, Settling::Fail { failure } if failure.code == FailureCode::SalesforceQueueStuck)
        );
    }

    #[test]
    fn whoever_waits_for_the_same_comes_back_at_different_moments_and_within_the_patience() {
        let wait = |seed, seconds| {
            let verdict = Verdict::Wait {
                why: WaitReason::Maintenance,
                after: Duration::from_secs(seconds),
            };
            let mut rng = StdRng::seed_from_u64(seed);
            let settling = decide(Err(error(verdict)), job(0), &JobsSettings::default(), &mut rng);
            let Settling::Wait { until, .. } = settling else {
                panic!("no wait")
            };
            until
        };
        let back: std::collections::BTreeSet<_> = (0..20).map(|seed| wait(seed, 400)).collect();
        assert!(back.len() > 15 && back.first() >= Some(&at(400)) && back.last() <= Some(&at(500)));
        assert!((0..20).all(|seed| wait(seed, 599) <= at(600)));
    }

    #[test]
    fn a_permanent_error_fails_at_once() {
        for verdict in [Verdict::Permanent, Verdict::Reauthenticate] {
            assert!(matches!(
                settle(Err(error(verdict)), job(0)),
                Settling::Fail { .. }
            ));
        }
    }
}
