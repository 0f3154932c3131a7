//! The worker: consumes classes of jobs, runs their steps, drains when it is told to stop.
//!
//! It holds no state: what it needs it reads from the row, and a row whose worker is gone is run by another. The loop
//! over one class is `jobs::consume`; what a step does is `sync`'s.

use std::{sync::Arc, time::Duration};

use domain::{Class, ProcessId};
use nightshift_domain as domain;
use nightshift_jobs::{
    Machine,
    consume::{self, ConsumeSettings},
};
use nightshift_store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What a worker needs.
pub struct WorkerParts<C> {
    /// Runs jobs.
    pub machine: Arc<Machine<C>>,
    /// Classes, and how many steps of each at a time.
    pub classes: Vec<(Class, u16)>,
    /// How long running steps may go on after the stop.
    pub drain: Duration,
    /// How this process is called in the table of processes.
    pub process: ProcessId,
    /// Where it runs.
    pub host: String,
}

/// Runs a worker until it is told to stop, then drains.
pub async fn run<C: Send + Sync + 'static>(parts: WorkerParts<C>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for (class, concurrency) in &parts.classes {
        let settings = ConsumeSettings {
            concurrency: *concurrency,
            drain: parts.drain,
        };
        tasks.spawn(consume::consume(
            Arc::clone(&parts.machine),
            *class,
            settings,
            stop.clone(),
        ));
    }
    let classes: Vec<&str> = parts.classes.iter().map(|(class, _)| class.as_str()).collect();
    let (store, classes) = (parts.machine.store.clone(), classes.join(","));
    tasks.spawn(beat(store.clone(), parts.process, classes, parts.host, stop));
    while tasks.join_next().await.is_some() {}
    if let Err(error) = store.processes().leave(parts.process).await {
        tracing::debug!(%error, "could not say goodbye");
    }
}

async fn beat(store: Store, process: ProcessId, classes: String, host: String, stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_secs(10));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        if let Err(error) = store.processes().beat(process, "worker", &classes, &host).await {
            tracing::debug!(%error, "a beat did not reach the database");
        }
    }
}
