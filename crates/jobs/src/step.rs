//! A step: the function that does a job.
//!
//! A step gets what it may use (its context, the clock's reading, randomness, a writer of staged rows) and answers
//! with an [`Outcome`]. It gets neither the pool nor the queue: what readers see is written by the settlement alone.
//! `jobs` is generic over the context and knows steps by their registered names, so that it is tested with toys.

use std::{future::Future, sync::Arc, time::Duration};

use domain::{Bill, Class, Kind, NewJob, OrgId, Outcome, StepError, SyncId};
use futures::future::BoxFuture;
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_store::staging::StagingWriter;
use rand::rngs::StdRng;
use serde::{Serialize, de::DeserializeOwned};

/// What a run of a step may look at.
pub struct StepCx<'a, C: ?Sized> {
    /// The use case's own tools.
    pub context: &'a C,
    /// Whose job.
    pub org: OrgId,
    /// Of which sync; `None` for a job of no sync.
    pub sync: Option<SyncId>,
    /// The database's time, as the claim returned it.
    pub now: Timestamp,
    /// Errors before this run.
    pub attempts: u32,
    /// Waits before this run.
    pub waits: u32,
    /// When the sync's patience ends.
    pub give_up_at: Option<Timestamp>,
    /// Drawn for this run.
    pub rng: StdRng,
    /// Writes rows that nobody reads until `finish`.
    pub staging: StagingWriter,
    /// What the run spent, whatever its outcome.
    pub bill: Spent,
}

/// Counts calls while a step runs; shared with whoever makes them.
#[derive(Clone, Default, Debug)]
pub struct Spent(Arc<std::sync::Mutex<Bill>>);

impl Spent {
    /// One call more of this kind.
    pub fn count(&self, kind: &str) {
        self.lock().add(kind, 1);
    }

    /// Calls that somebody else counted.
    pub fn add(&self, bill: &Bill) {
        let mut mine = self.lock();
        for (kind, calls) in &bill.0 {
            mine.add(kind, *calls);
        }
    }

    /// What was counted.
    pub fn bill(&self) -> Bill {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bill> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What to do with a job whose lease ran out under an earlier worker.
#[derive(Clone, PartialEq, Debug)]
pub enum AfterDeath {
    /// Run it again as it stands.
    RunAgain,
    /// What it lived on is gone: go back to this job.
    GoBack(NewJob),
}

/// One kind of step.
pub trait Step<C: ?Sized + Send + Sync + 'static>: Send + Sync + 'static {
    /// What the job's row carries.
    type Payload: Serialize + DeserializeOwned + Send + Sync;

    /// The registered name.
    const KIND: Kind;
    /// The queue it travels through.
    const CLASS: Class;
    /// Longest run; beyond it the run is cut off and counts as an attempt.
    const LIMIT: Duration;

    /// Does it once. May run again after any crash: everything it writes is staged under the claim's fence.
    fn run(
        &self,
        cx: &mut StepCx<'_, C>,
        payload: Self::Payload,
    ) -> impl Future<Output = Result<Outcome, StepError>> + Send;

    /// What to do when a worker died on it.
    fn after_death(&self, _payload: &Self::Payload) -> AfterDeath {
        AfterDeath::RunAgain
    }

    /// A job that asks for this step.
    fn job(payload: &Self::Payload) -> NewJob {
        let payload = serde_json::to_value(payload).expect("payloads are plain data with string keys");
        NewJob::new(Self::KIND, Self::CLASS, payload)
    }
}

/// A payload that the step cannot read: a row of another version, or a hand that wrote it.
#[derive(Debug, thiserror::Error)]
#[error("the payload of a {kind} job cannot be read: {reason}")]
pub struct PayloadError {
    kind: String,
    reason: String,
}

/// A step without its types: what the registry keeps.
pub(crate) trait AnyStep<C: ?Sized>: Send + Sync {
    fn kind(&self) -> Kind;
    fn class(&self) -> Class;
    fn limit(&self) -> Duration;
    fn after_death(&self, payload: &serde_json::Value) -> Result<AfterDeath, PayloadError>;
    fn run<'a>(
        &'a self,
        cx: &'a mut StepCx<'_, C>,
        payload: serde_json::Value,
    ) -> Result<BoxFuture<'a, Result<Outcome, StepError>>, PayloadError>;
}

pub(crate) struct Erased<S>(pub S);

impl<C: ?Sized + Send + Sync + 'static, S: Step<C>> AnyStep<C> for Erased<S> {
    fn kind(&self) -> Kind {
        S::KIND
    }

    fn class(&self) -> Class {
        S::CLASS
    }

    fn limit(&self) -> Duration {
        S::LIMIT
    }

    fn after_death(&self, payload: &serde_json::Value) -> Result<AfterDeath, PayloadError> {
        Ok(self.0.after_death(&read::<C, S>(payload.clone())?))
    }

    fn run<'a>(
        &'a self,
        cx: &'a mut StepCx<'_, C>,
        payload: serde_json::Value,
    ) -> Result<BoxFuture<'a, Result<Outcome, StepError>>, PayloadError> {
        let payload = read::<C, S>(payload)?;
        Ok(Box::pin(async move { self.0.run(cx, payload).await }))
    }
}

fn read<C: ?Sized + Send + Sync + 'static, S: Step<C>>(
    payload: serde_json::Value,
) -> Result<S::Payload, PayloadError> {
    serde_json::from_value(payload).map_err(|error| PayloadError {
        kind: S::KIND.as_str().to_owned(),
        reason: error.to_string(),
    })
}

/// The steps that a process knows, by name.
pub struct Registry<C: ?Sized> {
    steps: Vec<Box<dyn AnyStep<C>>>,
}

impl<C: ?Sized + Send + Sync + 'static> Registry<C> {
    /// Knows no step.
    pub fn new() -> Self {
        Self { steps: Vec::new() }
    }

    /// Knows one more. A second one of the same name would never be found, so it is refused.
    ///
    /// # Panics
    /// When the name is taken: a mistake in the program, seen at its start.
    #[must_use]
    pub fn with<S: Step<C>>(mut self, step: S) -> Self {
        assert!(self.find(&S::KIND).is_none(), "two steps are called {}", S::KIND);
        self.steps.push(Box::new(Erased(step)));
        self
    }

    /// The names, for loops over every step.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, Class)> + '_ {
        self.steps.iter().map(|step| (step.kind(), step.class()))
    }

    pub(crate) fn find(&self, kind: &Kind) -> Option<&dyn AnyStep<C>> {
        self.steps
            .iter()
            .find(|step| step.kind() == *kind)
            .map(Box::as_ref)
    }
}

impl<C: ?Sized + Send + Sync + 'static> Default for Registry<C> {
    fn default() -> Self {
        Self::new()
    }
}
