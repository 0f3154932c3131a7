//! The org's instance: whether it is called, what calls to it met, and how often it may be tried again.

use domain::{
    StepError, Verdict, WaitReason,
    circuit::{Circuit, InstanceHealth, Permit, RetryPermit, Sighting, allowed},
};
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_salesforce::{Blame, CallKind, SalesforceError, Sightings};
use nightshift_store::instances::Standing;

use super::{Polite, unheard};
use crate::trouble::Trouble;

impl Polite<'_> {
    /// The circuit's word, and the probe's place when it is ours.
    pub(super) async fn permit(&mut self, standing: &Standing) -> Result<Permit, Trouble> {
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

    /// Tells how the instance was; its health as it stands then, when that was worth a write.
    pub(super) async fn report(
        &self,
        standing: &Standing,
        permit: Permit,
        seen: Sightings,
    ) -> Option<InstanceHealth> {
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

    /// An answer that streams broke off behind the call that told of it: it counts like a call that found nobody.
    pub(crate) async fn broke_off(&self, error: &SalesforceError) -> Result<(), Trouble> {
        if error.blame() == Blame::Nobody {
            return Ok(());
        }
        let standing = self.store().instances().standing(self.org, self.sync).await?;
        self.context.tally.take_back(&standing.instance);
        let seen = Sightings {
            answered: 0,
            unavailable: 1,
        };
        self.report(&standing, Permit::Go, seen).await;
        Ok(())
    }

    /// A retry takes its place in the budget of the org's night, which ends the sync when it is used up (but no retrieve,
    /// which goes on whatever a poll meets), and in that of the instance, which makes it wait.
    pub(super) async fn within_budgets(
        &mut self,
        trouble: Trouble,
        standing: &Standing,
    ) -> Result<Trouble, Trouble> {
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

    pub(super) fn instance_down(&mut self, standing: &Standing, until: Timestamp) -> Trouble {
        let words = format!(
            "instance {} is down or overloaded; nobody calls it for a while",
            standing.instance
        );
        let spread = self.context.politeness.circuit().open;
        self.wait(standing.now, until, WaitReason::InstanceDown, words, spread)
    }
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
