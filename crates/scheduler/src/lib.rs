//! The scheduler: fires what is due, carries out requests, sweeps, catches up.
//!
//! Any number of schedulers may run; rows are taken with SKIP LOCKED and there is no leader. What a night is and when a
//! slot comes are pure functions of `domain`; how a sync is admitted is `jobs`' one door; rows are `store`'s.

mod fire;
mod requests;

pub use fire::{FireReport, Firer, SlotClock};
pub use requests::serve_requests;

use std::{sync::Arc, time::Duration};

use domain::{NewJob, ProcessId};
use nightshift_domain as domain;
use nightshift_jobs::{Cleaner, JobsSettings, Sweeper};
use nightshift_queue::Queue;
use nightshift_store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a scheduler needs.
#[derive(Clone)]
pub struct SchedulerParts {
    /// The truth.
    pub store: Store,
    /// Wakes and spreads.
    pub queue: Arc<dyn Queue>,
    /// For announcing and sweeping.
    pub jobs: JobsSettings,
    /// The job with which every sync begins.
    pub first: NewJob,
    /// How long a requested sync may wait.
    pub patience: Duration,
    /// The clock of slots.
    pub clock: SlotClock,
    /// Orgs fired in one transaction.
    pub fire_batch: i64,
    /// How often due orgs are looked for.
    pub tick: Duration,
    /// Most syncs that are started a minute while catching up.
    pub catch_up_per_minute: u32,
    /// Every how many nights everything is retrieved; 0 = never.
    pub full_every_nights: u32,
    /// How this process is called in the table of processes.
    pub process: ProcessId,
    /// Where it runs.
    pub host: String,
}

/// Runs a scheduler until it is told to stop.
pub async fn run(parts: SchedulerParts, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    tasks.spawn(Firer::new(parts.clone()).run(stop.clone()));
    tasks.spawn(serve_requests(parts.clone(), stop.clone()));
    tasks.spawn(
        Sweeper::new(parts.store.clone(), Arc::clone(&parts.queue), parts.jobs.clone()).run(stop.clone()),
    );
    tasks.spawn(Cleaner::new(parts.store.clone(), parts.jobs.clone()).run(stop.clone()));
    tasks.spawn(beat(parts.clone(), stop));
    while tasks.join_next().await.is_some() {}
    if let Err(error) = parts.store.processes().leave(parts.process).await {
        tracing::debug!(%error, "could not say goodbye");
    }
}

async fn beat(parts: SchedulerParts, stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_secs(10));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Err(error) = parts
            .store
            .processes()
            .beat(parts.process, "scheduler", "", &parts.host)
            .await
        {
            tracing::debug!(%error, "a beat did not reach the database");
        }
    }
}
