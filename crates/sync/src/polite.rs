//! Politeness: every step asks here before it calls Salesforce, and tells here what it met.
//!
//! Before: is the org's instance called at all, and how many calls do the org's day and night still allow? Whoever may not
//! call waits, which costs no attempt; when waiting is over, or no use, the sync ends with what it has. Afterwards: calls
//! that found nobody there open the instance's circuit for the whole fleet, and a retry needs a place in the budgets of
//! the org's night and of its instance. The rules are `domain`'s and pure, the rows `store`'s.

mod day;
mod instance;
mod settings;
mod tally;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use domain::{
    OrgId, StepError, SyncId, Verdict, WaitReason,
    allowance::Shortfall,
    circuit::{Circuit, InstanceHealth, Permit},
};
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_jobs::{Spent, StepCx};
use nightshift_salesforce::CallCounter;
use nightshift_store::{Store, StoreError, instances::Standing};
use rand::{RngExt, SeedableRng, rngs::StdRng};

pub use self::settings::PolitenessSettings;
pub(crate) use self::tally::Tally;
use crate::{
    context::{Counted, SyncContext, sync_of},
    trouble::Trouble,
};

/// One step's way to Salesforce.
pub(crate) struct Polite<'a> {
    context: &'a SyncContext,
    org: OrgId,
    sync: SyncId,
    give_up_at: Option<Timestamp>,
    bill: Spent,
    rng: StdRng,
    /// When the database was asked for the time.
    began: Instant,
}

impl<'a> Polite<'a> {
    /// For the step that runs.
    pub(crate) fn of(cx: &mut StepCx<'a, SyncContext>) -> Result<Self, Trouble> {
        Ok(Self {
            context: cx.context,
            org: cx.org,
            sync: sync_of(cx)?,
            give_up_at: cx.give_up_at,
            bill: cx.bill.clone(),
            rng: StdRng::from_rng(&mut cx.rng),
            began: Instant::now(),
        })
    }

    /// Runs `work` with a counter if it may call, puts what it counted on the bill, and tells the fleet what it met.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Trouble>>>(
        mut self,
        work: impl FnOnce(CallCounter) -> F,
    ) -> Result<T, Trouble> {
        self.began = Instant::now();
        let standing = self.store().instances().standing(self.org, self.sync).await?;
        let rules = self.context.politeness.circuit();
        if let (Permit::Later(until), _) = standing.health.asks(standing.now, &rules) {
            return Err(self.instance_down(&standing, until));
        }
        let left = self.room(&standing).await?;
        let permit = self.permit(&standing).await?;
        let calls = CallCounter::limited(left);
        let counted = Counted::new(self.bill.clone(), calls.clone());
        let result = work(calls.clone()).await;
        drop(counted);
        self.report_day(&standing, &calls).await;
        let health = self.report(&standing, permit, calls.sightings()).await;
        match result {
            Ok(done) => Ok(done),
            Err(trouble) => Err(self.after_trouble(trouble, &standing, &calls, health).await?),
        }
    }

    fn store(&self) -> &'a Store {
        &self.context.store
    }

    /// What becomes of an error: the step's own, or a wait.
    async fn after_trouble(
        &mut self,
        trouble: Trouble,
        standing: &Standing,
        calls: &CallCounter,
        health: Option<InstanceHealth>,
    ) -> Result<Trouble, Trouble> {
        if trouble.is_short_of_calls() {
            let mut standing = self.store().instances().standing(self.org, self.sync).await?;
            standing.tonight += calls.total();
            standing.by_themselves += calls.total();
            let short = self.left(&standing).err().unwrap_or(Shortfall::Day);
            return Ok(self.short_of_calls(&standing, short));
        }
        if let Some(Circuit::Open { until, .. }) = health.map(|health| health.circuit)
            && trouble.blames_instance()
        {
            return Ok(self.instance_down(standing, until));
        }
        match trouble.verdict() {
            Some(Verdict::Wait {
                why: WaitReason::RequestLimit,
                ..
            }) => Ok(self.refused(standing, &trouble)),
            Some(Verdict::Retry { .. }) => self.within_budgets(trouble, standing).await,
            _ => Ok(trouble),
        }
    }

    /// Postpones the job, spread over some time so that a fleet does not come back at once; never beyond its patience
    /// while it could be back before.
    fn wait(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        why: WaitReason,
        words: String,
        spread: Duration,
    ) -> Trouble {
        let jitter = Duration::from_millis(self.rng.random_range(0..=spread.as_millis() as u64));
        let spread = until.checked_add(jitter).unwrap_or(until);
        // a second before the end: what settles is a moment later than this
        let last = |end: Timestamp| end.checked_sub(Duration::from_secs(1)).unwrap_or(end);
        let until = self
            .give_up_at
            .map_or(spread, |end| spread.min(last(end).max(until)));
        let after = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        postponed(why);
        Trouble::Judged(StepError {
            code: why.failure_code(),
            verdict: Verdict::Wait {
                why,
                after: after.saturating_sub(self.began.elapsed()),
            },
            message: words,
            evidence: BTreeMap::new(),
        })
    }
}

/// What could not be told is known by the next who meets it.
fn unheard(told: Result<(), StoreError>) {
    if let Err(error) = told {
        tracing::debug!(error = error.detail(), "what a step met could not be told");
    }
}

fn postponed(why: WaitReason) {
    let why = why.as_str();
    tracing::info!(target: "nightshift::metric", counter = "nightshift_postponed_total", why, value = 1_u64);
}
