//! Politeness: every step asks here before it calls Salesforce, and tells here what it met.
//!
//! Before: is the org's instance called at all, and how many calls do the org's day and night still allow? Whoever may not
//! call waits, which costs no attempt; when waiting is over, or no use, the sync ends with what it has. Afterwards: calls
//! that found nobody there open the instance's circuit for the whole fleet, and a retry needs a place in the budgets of
//! the org's night and of its instance. The rules are `domain`'s and pure, the rows `store`'s.

mod settings;
mod tally;

use std::{collections::BTreeMap, time::Duration};

use domain::{
    OrgId, StepError, SyncId, Verdict, WaitReason,
    allowance::{DayUse, Shortfall, calls_left},
    circuit::{Circuit, InstanceHealth, Permit, RetryPermit, Sighting, allowed},
};
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_jobs::{Spent, StepCx};
use nightshift_salesforce::{ApiVersion, CallCounter, CallKind, Sightings};
use nightshift_store::{
    Store, StoreError,
    instances::{DayReport, Standing},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

pub use self::settings::PolitenessSettings;
pub(crate) use self::tally::Tally;
use crate::{
    context::{Counted, SyncContext, sync_of},
    trouble::Trouble,
};

/// Bounds of the time between two looks whether the day's requests have come back.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(1_800)];
/// Calls of one look: the question, and a refresh of the token when it is needed.
const LOOK_CALLS: i64 = 4;

/// One step's way to Salesforce.
pub(crate) struct Polite<'a> {
    context: &'a SyncContext,
    org: OrgId,
    sync: SyncId,
    give_up_at: Option<Timestamp>,
    bill: Spent,
    rng: StdRng,
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
        })
    }

    /// Runs `work` with a counter if it may call, puts what it counted on the bill, and tells the fleet what it met.
    pub(crate) async fn call<T, F: Future<Output = Result<T, Trouble>>>(
        mut self,
        work: impl FnOnce(CallCounter) -> F,
    ) -> Result<T, Trouble> {
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

    /// How many calls the step may make. What the org said of its day is asked for anew when it is old: its users and other
    /// programs call too, and SOAP's answers do not tell.
    async fn room(&mut self, standing: &Standing) -> Result<i64, Trouble> {
        let left = self.left(standing);
        let look = match left {
            Ok(_) => age_of_day(standing).is_some_and(|age| age >= LOOK_AGAIN[1]),
            Err(Shortfall::Day) => self.may_have_come_back(standing),
            Err(Shortfall::Night) => false,
        };
        if !look {
            return left.map_err(|short| self.short_of_calls(standing, short));
        }
        self.look(standing).await;
        let standing = self.store().instances().standing(self.org, self.sync).await?;
        self.left(&standing)
            .map_err(|short| self.short_of_calls(&standing, short))
    }

    /// What the shares leave, one call kept for each other job that runs at this moment.
    fn left(&self, standing: &Standing) -> Result<i64, Shortfall> {
        let Some(seen) = standing.day else {
            return Ok(i64::MAX);
        };
        let day = DayUse {
            used: seen.day.used + standing.others,
            ..seen.day
        };
        let tonight = standing.tonight + standing.others;
        calls_left(&self.context.politeness.allowance(), day, tonight)
    }

    /// Whether the org's last word about its day is so old that asking again is worth a call.
    fn may_have_come_back(&self, standing: &Standing) -> bool {
        let again = look_again(standing.now, self.give_up_at).unwrap_or(LOOK_AGAIN[0]);
        age_of_day(standing).is_none_or(|age| age >= again / 2)
    }

    /// Asks the org what is left of its day. What comes of it is in the store; an error leaves the old word standing.
    async fn look(&self, standing: &Standing) {
        let version = standing
            .api_version
            .as_deref()
            .and_then(|text| text.parse().ok())
            .unwrap_or(ApiVersion::NEWEST_TESTED);
        let calls = CallCounter::limited(LOOK_CALLS);
        let counted = Counted::new(self.bill.clone(), calls.clone());
        let answer = self.context.client(self.org, &calls, version).limits().await;
        drop(counted);
        if let Err(error) = answer {
            tracing::info!(org.id = %self.org, "the day's requests could not be asked for: {error}");
        }
        self.report_day(standing, &calls).await;
    }

    /// The circuit's word, and the probe's place when it is ours.
    async fn permit(&mut self, standing: &Standing) -> Result<Permit, Trouble> {
        let rules = self.context.politeness.circuit();
        let asked = match standing.health.asks(standing.now, &rules).0 {
            Permit::Probe => {
                let asks = |health: InstanceHealth, now| health.asks(now, &rules);
                self.store().instances().change(&standing.instance, asks).await?.0
            }
            other => other,
        };
        match asked {
            Permit::Later(until) => Err(self.instance_down(standing, until)),
            permit => Ok(permit),
        }
    }

    async fn report_day(&self, standing: &Standing, calls: &CallCounter) {
        let Some(usage) = calls.usage() else { return };
        let report = DayReport {
            day: DayUse {
                used: usage.used,
                allowed: usage.allowed,
            },
            night: standing.night,
            booked: standing.tonight + calls.total(),
        };
        unheard(self.store().instances().saw_day(self.org, report).await);
    }

    /// Tells how the instance was; its health as it stands then, when that was worth a write.
    async fn report(&self, standing: &Standing, permit: Permit, seen: Sightings) -> Option<InstanceHealth> {
        let (rules, name) = (self.context.politeness.circuit(), standing.instance.as_str());
        let sighting = match permit {
            Permit::Probe if seen.unavailable > 0 => Sighting::ProbeFailed,
            Permit::Probe if seen.answered > 0 => Sighting::ProbeAnswered,
            Permit::Probe => Sighting::ProbeToldNothing,
            _ if seen.unavailable == 0 => {
                self.context
                    .tally
                    .add(name, seen.answered, standing.now, rules.window);
                return None;
            }
            _ => Sighting::Calls {
                answered: seen.answered + self.context.tally.take(name, standing.now, rules.window),
                unavailable: seen.unavailable,
            },
        };
        let tell = |health: InstanceHealth, now| (health.circuit, health.after(sighting, now, &rules));
        match self.store().instances().change(name, tell).await {
            Ok((before, health)) => {
                changed(name, before, health.circuit);
                Some(health)
            }
            Err(error) => {
                unheard(Err(error));
                None
            }
        }
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
            let short = self.left(&standing).err().unwrap_or(Shortfall::Day);
            return Ok(self.short_of_calls(&standing, short));
        }
        if let Some(Circuit::Open { until, .. }) = health.map(|health| health.circuit)
            && trouble.blames_instance()
        {
            return Ok(self.instance_down(standing, until));
        }
        match trouble.verdict() {
            Some(Verdict::Retry { .. }) => self.within_budgets(trouble, standing).await,
            _ => Ok(trouble),
        }
    }

    /// A retry takes its place in the budget of the org's night, which ends the sync when it is used up (but no retrieve,
    /// which goes on whatever a poll meets), and in that of the instance, which makes it wait.
    async fn within_budgets(&mut self, trouble: Trouble, standing: &Standing) -> Result<Trouble, Trouble> {
        let settings = &self.context.politeness;
        if trouble.call() != Some(CallKind::Poll) {
            let tries = self.store().syncs().tries_tonight(self.org, self.sync).await?;
            let most = allowed(
                tries.tries,
                u64::from(settings.retry_percent),
                u64::from(settings.retries_min),
            );
            if tries.retries >= most {
                let mut error = StepError::from(trouble);
                let spent = format!("{} retries beside {} tries tonight", tries.retries, tries.tries);
                error.evidence.insert("retry_budget".to_owned(), spent);
                let verdict = Verdict::Permanent;
                return Ok(Trouble::Judged(StepError { verdict, ..error }));
            }
        }
        let rules = settings.circuit();
        let asks = |health: InstanceHealth, now| health.asks_retry(now, &rules);
        match self.store().instances().change(&standing.instance, asks).await?.0 {
            RetryPermit::Granted => Ok(trouble),
            RetryPermit::Later(until) => {
                let words = format!(
                    "the retries of instance {} are used up for now",
                    standing.instance
                );
                Ok(self.wait(standing.now, until, WaitReason::RetryBudget, words, rules.window))
            }
        }
    }

    fn instance_down(&mut self, standing: &Standing, until: Timestamp) -> Trouble {
        let words = format!(
            "instance {} is down or overloaded; nobody calls it for a while",
            standing.instance
        );
        let spread = self.context.politeness.circuit().open;
        self.wait(standing.now, until, WaitReason::InstanceDown, words, spread)
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
        let until = self.give_up_at.map_or(spread, |end| spread.min(end.max(until)));
        postponed(why);
        Trouble::Judged(StepError {
            code: why.failure_code(),
            verdict: Verdict::Wait {
                why,
                after: until.duration_since(now).try_into().unwrap_or_default(),
            },
            message: words,
            evidence: BTreeMap::new(),
        })
    }

    /// The org's requests are used up as far as they are ours: wait for the day's, end for the night's.
    fn short_of_calls(&mut self, standing: &Standing, short: Shortfall) -> Trouble {
        let words = told(standing, short, &self.context.politeness);
        match look_again(standing.now, self.give_up_at).filter(|_| short == Shortfall::Day) {
            Some(after) => {
                let until = standing.now.checked_add(after).unwrap_or(standing.now);
                self.wait(standing.now, until, WaitReason::DailyAllowance, words, after / 4)
            }
            None => Trouble::Spent(words),
        }
    }
}

/// When to look again whether the day's requests have come back; `None`: not within the sync's patience.
fn look_again(now: Timestamp, give_up_at: Option<Timestamp>) -> Option<Duration> {
    let [shortest, longest] = LOOK_AGAIN;
    let Some(end) = give_up_at else {
        return Some(longest);
    };
    let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    let after = (left / 4).clamp(shortest, longest);
    (after < left).then_some(after)
}

fn age_of_day(standing: &Standing) -> Option<Duration> {
    let seen = standing.day?.seen_at;
    Some(standing.now.duration_since(seen).unsigned_abs())
}

fn told(standing: &Standing, short: Shortfall, settings: &PolitenessSettings) -> String {
    let day = standing
        .day
        .map_or(DayUse { used: 0, allowed: 0 }, |seen| seen.day);
    match short {
        Shortfall::Day => format!(
            "about {} of the org's {} daily API requests are used, and the last {} % are left alone \
             (politeness.day_left_percent)",
            day.used, day.allowed, settings.day_left_percent
        ),
        Shortfall::Night => format!(
            "the night's {} calls are the {} % of the org's {} daily API requests that a night may take \
             (politeness.night_percent)",
            standing.tonight, settings.night_percent, day.allowed
        ),
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

/// An instance's circuit has changed: the log line and the metric.
fn changed(instance: &str, before: Circuit, after: Circuit) {
    let state = match (before, after) {
        (Circuit::Closed, Circuit::Open { .. }) => "opened",
        (Circuit::Probing { .. }, Circuit::Open { .. }) => "still_open",
        (Circuit::Probing { .. }, Circuit::Closed) => "closed",
        _ => return,
    };
    tracing::warn!(
        salesforce.instance = instance,
        "circuit_{state}: the circuit of instance {instance}"
    );
    tracing::info!(target: "nightshift::metric", counter = "nightshift_circuits_total", instance, state, value = 1_u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn looks_come_closer_as_the_patience_ends_and_never_after_it() {
        let (mut now, end, mut looks) = (0, at(9 * 3_600), 0);
        while let Some(after) = look_again(at(now), Some(end)) {
            assert!(after >= LOOK_AGAIN[0] && after <= LOOK_AGAIN[1]);
            now += after.as_secs().cast_signed();
            looks += 1;
            assert!(at(now) < end);
        }
        assert!(looks < 30, "{looks}");
        assert!(look_again(at(0), Some(at(50))).is_none());
    }
}
