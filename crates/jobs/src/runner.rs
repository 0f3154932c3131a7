//! One delivery, from claim to settlement.
//!
//! The order is what makes it safe: claim (the row says whose it is), run (nothing that readers see is written),
//! settle (effects, state and follow-ups in one transaction, only under the claim's fence), announce, acknowledge. A
//! process that dies anywhere in between leaves a row whose lease runs out, and the sweep tells the queue again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{Bill, FailureCode, Fence, Kind, OrgId, StepError, SyncId, Verdict, WaitReason};
use nightshift_domain as domain;
use nightshift_queue::{JobMessage, Queue};
use nightshift_store::{
    Store, StoreError,
    jobs::{ClaimAnswer, Claimed, Due, Failure, Settled, Settlement, Settling},
};
use rand::{SeedableRng, rngs::StdRng};
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    alone::{Alone, Entry},
    announce::{announce, send},
    decide::{JobFacts, decide, poison},
    error::JobsError,
    events,
    settings::JobsSettings,
    step::{AfterDeath, AnyStep, Registry, Spent, StepCx},
};

/// How long a beat may take whatever the lease is: on a busy machine short leases must not cost connections.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that running a job needs. One in each worker.
pub struct Machine<C> {
    /// The truth.
    pub store: Store,
    /// Wakes and spreads.
    pub queue: Arc<dyn Queue>,
    /// The steps this worker knows.
    pub registry: Registry<C>,
    /// What the steps share.
    pub context: Arc<C>,
    /// The numbers.
    pub settings: JobsSettings,
    /// Where jobs that have died before run, one at a time.
    pub alone: Alone,
}

/// What became of one delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ran {
    /// There was nothing to claim.
    Refused,
    /// The job was settled.
    Settled,
    /// Another worker has it, or had it meanwhile; nothing was written.
    LeaseLost,
    /// Given back because the process stops.
    Released,
}

/// For tests that kill: `claimed-KIND=return` dies here, `claimed-KIND=return(POINT)` makes POINT the place to die from now on.
/// So a point that every step passes is met in the step that a test means.
fn arm(kind: &Kind) {
    fail::fail_point!(&format!("claimed-{kind}"), |point: Option<String>| {
        let armed = point.and_then(|point| fail::cfg(point, "return").ok());
        armed.unwrap_or_else(|| std::process::abort());
    });
    let _ = kind;
}

/// How a run ended.
enum Ended {
    Answered(Box<Result<domain::Outcome, StepError>>),
    LeaseLost,
    Stopped,
}

impl<C: Send + Sync + 'static> Machine<C> {
    /// Runs the job that a message names. `stop` ends a running step: its job is released, with no count.
    ///
    /// An error means that the database could not be asked; the message must be given back.
    pub async fn run(&self, message: &JobMessage, stop: &CancellationToken) -> Result<Ran, JobsError> {
        fail::fail_point!("before-claim", |_| std::process::abort());
        let (org, job, jobs) = (message.org, message.job, self.store.jobs());
        let (lease, room) = (self.settings.lease(), self.settings.calls_per_org);
        let answer = if self.alone.is_taken() {
            jobs.claim_fresh(org, job, lease, room, self.settings.breath())
                .await?
        } else {
            jobs.claim(org, job, lease, room).await?
        };
        let claimed = match answer {
            ClaimAnswer::Ours(claimed) => claimed,
            ClaimAnswer::Refused => {
                events::refused(message.class);
                return Ok(Ran::Refused);
            }
        };
        arm(&claimed.kind);
        events::claimed(&claimed.kind);
        self.run_claimed(*claimed, stop).await
    }

    async fn run_claimed(&self, claimed: Claimed, stop: &CancellationToken) -> Result<Ran, JobsError> {
        let started = Instant::now();
        let (org, job, kind) = (claimed.claim.org(), claimed.claim.job(), claimed.kind.clone());
        if claimed.died {
            events::death(org, job, &kind, claimed.deaths);
        }
        let (sync, spent) = (claimed.sync, Spent::default());
        let place = self.alone.enter(claimed.deaths);
        let settling = match self.before_running(&claimed) {
            Some(settling) => settling,
            None if matches!(place, Entry::Taken) => self.look_again(&claimed),
            None => match self.run_step(&claimed, &spent, stop).await? {
                Ended::Answered(answer) => self.decide(*answer, &claimed, started),
                Ended::Stopped => Settling::Release,
                Ended::LeaseLost => {
                    events::lease_lost(org, job, &kind);
                    self.book(org, sync, &kind, &spent.bill()).await;
                    return Ok(Ran::LeaseLost);
                }
            },
        };
        let outcome = settling.name();
        tell(org, &claimed, &settling);
        let released = matches!(settling, Settling::Release);
        fail::fail_point!("before-settle", |_| std::process::abort());
        let settled = match self.settle(claimed, settling, spent.bill()).await {
            Ok(settled) => settled,
            Err(JobsError::Store(StoreError::LeaseLost)) => {
                events::lease_lost(org, job, &kind);
                self.book(org, sync, &kind, &spent.bill()).await;
                return Ok(Ran::LeaseLost);
            }
            Err(error) => return Err(error),
        };
        fail::fail_point!("settled", |_| std::process::abort());
        events::settled(org, job, &kind, outcome, started.elapsed());
        // a failure to announce is no failure of the job: the sweep finds what was not announced
        if let Err(error) = self.announce(org, settled).await {
            tracing::warn!(%error, "could not announce what follows job {job}; the sweep will");
        }
        Ok(if released { Ran::Released } else { Ran::Settled })
    }

    async fn announce(&self, org: OrgId, settled: Settled) -> Result<(), JobsError> {
        let (store, queue) = (&self.store, self.queue.as_ref());
        match settled {
            Settled::Written(Due::Now) => announce(store, queue, &self.settings, org).await,
            Settled::Written(Due::Marked(jobs)) => {
                fail::fail_point!("before-announce", |_| std::process::abort());
                send(store, queue, jobs).await
            }
            Settled::Written(Due::Later) | Settled::SyncEnded => Ok(()),
        }
    }

    /// The calls of a run that may settle nothing any more were made all the same.
    async fn book(&self, org: OrgId, sync: Option<SyncId>, kind: &Kind, bill: &Bill) {
        if let Err(error) = self.store.ledger().book(org, sync, kind, bill).await {
            tracing::warn!(org.id = %org, job.step = kind.as_str(), %error, "the calls of a lost {kind} are not in the ledger");
        }
    }

    /// A job that has died before finds another such one at work in this process. It waits without holding its lease: in
    /// hand it would die with the other.
    fn look_again(&self, claimed: &Claimed) -> Settling {
        let breath = self.settings.breath();
        Settling::Wait {
            until: claimed.now.checked_add(breath).unwrap_or(claimed.now),
            why: WaitReason::RunsAlone,
            payload: None,
        }
    }

    /// What is known without running the step.
    fn before_running(&self, claimed: &Claimed) -> Option<Settling> {
        let nothing = Settling::Done {
            effects: vec![],
            next: vec![],
            last: None,
        };
        if claimed.sync.is_some() && !claimed.sync_state.is_some_and(domain::SyncState::is_open) {
            return Some(nothing); // the settlement sees the same and deletes the job
        }
        if claimed.deaths >= self.settings.max_deaths {
            return Some(Settling::Fail {
                failure: poison(claimed.deaths, claimed.kind.as_str()),
            });
        }
        let Some(step) = self.registry.find(&claimed.kind) else {
            // a newer release wrote it: leave it to a worker that knows it
            return Some(unknown_kind(claimed));
        };
        if claimed.died {
            match step.after_death(&claimed.payload) {
                Ok(AfterDeath::GoBack(from)) => return Some(Settling::Again { from }),
                Ok(AfterDeath::RunAgain) => {}
                Err(error) => return Some(internal(&error)),
            }
        }
        None
    }

    async fn run_step(
        &self,
        claimed: &Claimed,
        spent: &Spent,
        stop: &CancellationToken,
    ) -> Result<Ended, JobsError> {
        let step = self.registry.find(&claimed.kind).expect("looked up before");
        let mut cx = StepCx {
            context: self.context.as_ref(),
            org: claimed.claim.org(),
            sync: claimed.sync,
            now: claimed.now,
            attempts: claimed.attempts,
            waits: claimed.waits,
            give_up_at: claimed.give_up_at,
            rng: StdRng::from_rng(&mut rng()),
            staging: self.store.staging().writer(&claimed.claim, self.settings.lease()),
            bill: spent.clone(),
        };
        if claimed.claim.fence() > Fence(1) {
            match self.store.staging().remove_older_fences(&claimed.claim).await {
                Ok(_) => {}
                Err(StoreError::LeaseLost) => return Ok(Ended::LeaseLost),
                Err(error) => return Err(error.into()),
            }
        }
        fail::fail_point!("before-step", |_| std::process::abort());
        let run = run_limited(step, &mut cx, claimed);
        tokio::select! {
            answer = run => Ok(Ended::Answered(Box::new(answer))),
            () = self.keep_alive(claimed) => Ok(Ended::LeaseLost),
            () = stop.cancelled() => Ok(Ended::Stopped),
        }
    }

    /// Extends the lease until it is lost. An unreachable database is no loss as long as the lease lasts; one that does not
    /// answer is asked again, over another connection, when the next beat is due.
    async fn keep_alive(&self, claimed: &Claimed) {
        let lease = self.settings.lease();
        let every = lease / 3;
        let mut extended = Instant::now();
        let mut beats = interval_at(extended.into(), every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beats.tick().await;
        loop {
            beats.tick().await;
            fail::fail_point!("before-heartbeat", |_| std::process::abort());
            let patience = every.max(PATIENCE);
            let beat = timeout(patience, self.store.jobs().heartbeat(&claimed.claim, lease));
            let failed = match beat.await {
                Ok(Ok(())) => {
                    fail::fail_point!("heartbeat", |_| std::process::abort());
                    extended = Instant::now();
                    continue;
                }
                Ok(Err(StoreError::LeaseLost)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if extended.elapsed() >= lease {
                tracing::warn!(error = failed, "the lease ran out while the database was away");
                return;
            }
            tracing::warn!(error = failed, "a heartbeat did not reach the database");
        }
    }

    fn decide(
        &self,
        answer: Result<domain::Outcome, StepError>,
        claimed: &Claimed,
        started: Instant,
    ) -> Settling {
        let now = claimed.now.checked_add(started.elapsed()).unwrap_or(claimed.now);
        let facts = JobFacts {
            attempts: claimed.attempts,
            now,
            give_up_at: claimed.give_up_at,
        };
        decide(answer, facts, &self.settings, &mut rng())
    }

    async fn settle(&self, claimed: Claimed, settling: Settling, bill: Bill) -> Result<Settled, JobsError> {
        let settlement = Settlement { settling, bill };
        let limits = self.settings.announcing();
        let settled = self
            .store
            .jobs()
            .settle_and_mark(claimed.claim, settlement, &limits);
        Ok(settled.await?)
    }
}

async fn run_limited<C: ?Sized + Send + Sync + 'static>(
    step: &dyn AnyStep<C>,
    cx: &mut StepCx<'_, C>,
    claimed: &Claimed,
) -> Result<domain::Outcome, StepError> {
    let limit = step.limit();
    let run = match step.run(cx, claimed.payload.clone()) {
        Ok(run) => run,
        Err(error) => return Err(internal_error(&error, Verdict::Permanent)),
    };
    match timeout(limit, run).await {
        Ok(answer) => answer,
        Err(_) => Err(StepError {
            code: FailureCode::SalesforceUnavailable,
            verdict: Verdict::Retry { after: None },
            message: format!("step {} did not end within {} s", claimed.kind, limit.as_secs()),
            evidence: [("step".to_owned(), claimed.kind.as_str().to_owned())].into(),
        }),
    }
}

fn internal_error(error: &dyn std::error::Error, verdict: Verdict) -> StepError {
    StepError {
        code: FailureCode::Internal,
        verdict,
        message: error.to_string(),
        evidence: [].into(),
    }
}

fn internal(error: &dyn std::error::Error) -> Settling {
    Settling::Fail {
        failure: Failure::from(internal_error(error, Verdict::Permanent)),
    }
}

fn unknown_kind(claimed: &Claimed) -> Settling {
    let message = format!(
        "no step is called {}; a worker of another release may know it",
        claimed.kind
    );
    let not_before = claimed
        .now
        .checked_add(Duration::from_secs(30))
        .unwrap_or(claimed.now);
    let error = StepError {
        code: FailureCode::Internal,
        verdict: Verdict::Retry { after: None },
        message,
        evidence: [("step".to_owned(), claimed.kind.as_str().to_owned())].into(),
    };
    Settling::Retry { not_before, error }
}

fn tell(org: OrgId, claimed: &Claimed, settling: &Settling) {
    let (job, kind) = (claimed.claim.job(), &claimed.kind);
    match settling {
        Settling::Fail { failure } => events::failed(org, job, kind, failure.code, &failure.message),
        Settling::Retry { error, .. } => events::retry(org, job, kind, error.code, &error.message),
        _ => {}
    }
}

/// The process's own randomness: the one place of this crate that draws a seed.
fn rng() -> rand::rngs::ThreadRng {
    rand::rng()
}
