//! Fires the orgs whose slot has come, in batches, paced when there is much to catch up.

use std::{sync::Arc, time::Duration};

use domain::{
    Mode,
    schedule::{Firing, ScheduleError, plan_firing},
};
use jiff::{SignedDuration, Timestamp};
use nightshift_domain as domain;
use nightshift_jobs::announce_each;
use nightshift_store::{
    StoreError,
    nights::{DueOrg, FireDecision, Fired, Started},
};
use tokio_util::sync::CancellationToken;

use crate::SchedulerParts;

/// Which clock drives slots and windows.
///
/// In production the database's. A demo or a simulation runs the same code on a virtual one; leases and due times stay
/// on the database's clock.
#[derive(Clone)]
pub enum SlotClock {
    /// The database's.
    Database,
    /// Whatever it says now.
    Virtual(Arc<dyn Fn() -> Timestamp + Send + Sync>),
}

/// Fires due orgs.
pub struct Firer {
    parts: SchedulerParts,
}

/// What one round did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FireReport {
    /// Syncs started by slots.
    pub started: usize,
    /// Syncs started again in their night.
    pub retried: usize,
    /// Orgs looked at: a full batch means that there is more.
    pub seen: usize,
}

impl Firer {
    /// With these parts.
    pub fn new(parts: SchedulerParts) -> Self {
        Self { parts }
    }

    /// Fires until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = self.parts.tick;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.round().await {
                Ok(report) => pause_after(&report, &self.parts),
                Err(error) => {
                    tracing::warn!(error = error.detail(), "could not look for due orgs");
                    self.parts.tick.max(Duration::from_secs(1))
                }
            };
        }
    }

    /// One round: due slots, then retries of this night.
    pub async fn round(&self) -> Result<FireReport, StoreError> {
        let parts = &self.parts;
        let (instant, real) = match &parts.clock {
            // the transaction's own instant is the real one too
            SlotClock::Database => (None, None),
            SlotClock::Virtual(clock) => (Some(clock()), Some(parts.store.now().await?)),
        };
        let full_every = parts.full_every_nights;
        let decide =
            |due: &DueOrg, instant: Timestamp| decide(due, instant, real.unwrap_or(instant), full_every);
        let fired = parts
            .store
            .nights()
            .fire(instant, parts.fire_batch, &parts.first, decide)
            .await?;
        let retried = parts.store.nights().retry(parts.fire_batch, &parts.first).await?;
        tell(&fired, retried.len());
        let begun: Vec<_> = fired.started.iter().chain(&retried).collect();
        for started in &begun {
            record(started);
        }
        let orgs: Vec<_> = begun.iter().map(|started| started.org).collect();
        let announced = announce_each(&parts.store, parts.queue.as_ref(), &parts.jobs, &orgs);
        if let Err(error) = announced.await {
            tracing::warn!(%error, "could not announce fired syncs; the sweep will");
        }
        Ok(FireReport {
            started: fired.started.len(),
            retried: retried.len(),
            seen: fired.seen,
        })
    }
}

/// While there is much to catch up, the next batch waits so long that the pace is kept.
fn pause_after(report: &FireReport, parts: &SchedulerParts) -> Duration {
    if (report.seen as i64) < parts.fire_batch {
        return parts.tick;
    }
    let per_second = f64::from(parts.catch_up_per_minute.max(1)) / 60.0;
    Duration::from_secs_f64(report.started as f64 / per_second).max(Duration::from_millis(10))
}

/// The pure decision for one org; the window's end is turned once into an instant of the real clock.
fn decide(
    due: &DueOrg,
    instant: Timestamp,
    now: Timestamp,
    full_every: u32,
) -> Result<FireDecision, ScheduleError> {
    let firing = plan_firing(&due.schedule, due.last_night, due.slots_after, instant)?;
    let left = match &firing {
        Firing::Fire { run, .. } => run.closes.duration_since(instant),
        Firing::NotYet { .. } | Firing::Missed { .. } => SignedDuration::ZERO,
    };
    let full = full_every > 0 && due.nights_since_full + 1 >= full_every;
    let mode = if full { Mode::Full } else { Mode::Incremental };
    Ok(FireDecision {
        firing,
        mode,
        closes_at: now.checked_add(left).unwrap_or(now),
    })
}

/// The span that the sync's trace begins with; what its jobs do hangs on it.
fn record(started: &Started) {
    let own_traceparent = started.traceparent.to_string();
    tracing::info_span!(parent: None, "fire", org.id = %started.org, own_traceparent).in_scope(|| {});
}

fn tell(fired: &Fired, retried: usize) {
    for (how, syncs) in [
        ("slot", fired.started.len()),
        ("joined", fired.joined.len()),
        ("retry", retried),
    ] {
        if syncs > 0 {
            tracing::info!(target: "nightshift::metric", counter = "nightshift_fired_total", how, value = syncs as u64);
        }
    }
    for (reason, nights) in [("window_closed", fired.missed), ("paused", fired.missed_paused)] {
        if nights > 0 {
            tracing::info!(target: "nightshift::metric", counter = "nightshift_missed_nights_total", reason, value = nights);
        }
    }
    let missed = fired.missed + fired.missed_paused;
    if !fired.started.is_empty() || !fired.joined.is_empty() || missed > 0 || retried > 0 {
        tracing::info!(
            started = fired.started.len(),
            joined = fired.joined.len(),
            missed,
            retried,
            "fired {} syncs, {retried} again; {} joined, {missed} nights were missed",
            fired.started.len(),
            fired.joined.len()
        );
    }
    for (org, reason) in &fired.unreadable {
        tracing::error!(org.id = %org, reason, "the schedule of org {org} cannot be read: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        OrgId,
        schedule::{Days, Schedule, Window},
    };

    use super::*;

    fn due(nights_since_full: u32) -> DueOrg {
        let schedule = Schedule::new(
            "Europe/Berlin".parse().unwrap(),
            Window::NIGHT,
            "23:00".parse().unwrap(),
            Days::ALL,
        );
        DueOrg {
            org: OrgId::from_uuid(uuid::Uuid::nil()),
            schedule: schedule.unwrap(),
            last_night: None,
            slots_after: "2026-05-01T00:00:00Z".parse().unwrap(),
            nights_since_full,
        }
    }

    #[test]
    fn the_windows_end_is_turned_into_real_time() {
        let instant: Timestamp = "2026-05-01T22:00:00Z".parse().unwrap(); // midnight in Berlin
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let decision = decide(&due(0), instant, now, 28).unwrap();
        assert!(matches!(decision.firing, Firing::Fire { .. }));
        assert_eq!(decision.closes_at.to_string(), "2030-01-01T06:00:00Z");
    }

    #[test]
    fn every_so_many_nights_everything_is_retrieved() {
        let instant: Timestamp = "2026-05-01T22:00:00Z".parse().unwrap();
        for (nights, every, wanted) in [
            (26, 28, Mode::Incremental),
            (27, 28, Mode::Full),
            (99, 0, Mode::Incremental),
        ] {
            assert_eq!(
                decide(&due(nights), instant, instant, every).unwrap().mode,
                wanted
            );
        }
    }
}
