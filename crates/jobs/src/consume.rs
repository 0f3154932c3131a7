//! A worker's loop over one class of jobs: take, run, acknowledge, and drain when the process stops.

use std::{sync::Arc, time::Duration};

use domain::Class;
use futures::StreamExt;
use nightshift_domain as domain;
use nightshift_queue::Delivery;
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{events, runner::Machine};

/// How one class is consumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumeSettings {
    /// Steps that run at the same time.
    pub concurrency: u16,
    /// How long a running step may go on after the process was told to stop; then its job is released.
    pub drain: Duration,
}

/// How often a job is tried, a second apart, while its row cannot be reached. A message is not given back meanwhile: some
/// brokers count that and bury it in the end. After the last try it is let go, and the sweep announces the job again.
const TRIES: usize = 60;

/// Consumes until `stop`, then drains: nothing new is taken, what runs may end within the deadline or is released.
pub async fn consume<C: Send + Sync + 'static>(
    machine: Arc<Machine<C>>,
    class: Class,
    settings: ConsumeSettings,
    stop: CancellationToken,
) {
    let mut deliveries = machine.queue.consume(class, settings.concurrency);
    let room = Arc::new(Semaphore::new(usize::from(settings.concurrency)));
    let release = CancellationToken::new();
    let mut running = JoinSet::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&room).acquire_owned() => permit.expect("the semaphore is never closed"),
        };
        let delivery = tokio::select! {
            () = stop.cancelled() => break,
            delivery = deliveries.next() => delivery,
        };
        let Some(delivery) = delivery else { break };
        let (machine, release) = (Arc::clone(&machine), release.clone());
        running.spawn(async move {
            deliver(&machine, delivery, &release).await;
            drop(permit);
        });
        while running.try_join_next().is_some() {}
    }
    drain(running, settings.drain, &release).await;
    drop(deliveries);
}

async fn drain(mut running: JoinSet<()>, within: Duration, release: &CancellationToken) {
    let all = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(within, all).await.is_err() {
        tracing::info!("the drain deadline has come; running jobs are released");
        release.cancel();
        let rest = async { while running.join_next().await.is_some() {} };
        // releasing is one short transaction; a database that is away must not hold the process
        let _ = tokio::time::timeout(Duration::from_secs(5), rest).await;
    }
}

async fn deliver<C: Send + Sync + 'static>(
    machine: &Machine<C>,
    delivery: Delivery,
    release: &CancellationToken,
) {
    let message = match delivery.message {
        Ok(message) => message,
        Err(error) => {
            tracing::warn!(%error, "a message is no job's; it goes to the dead letters");
            delivery.ack.reject(&error.to_string()).await;
            return;
        }
    };
    fail::fail_point!("delivered", |_| std::process::abort());
    let span = tracing::info_span!(
        "step",
        org.id = %message.org,
        job.id = %message.job,
        job.class = message.class.as_str(),
        traceparent = message.traceparent.as_deref(),
    );
    for _ in 0..TRIES {
        match machine.run(&message, release).instrument(span.clone()).await {
            Ok(_) => break,
            Err(error) => events::not_run(message.job, &error),
        }
        // a breath, so that an outage makes no hot loop
        tokio::select! {
            () = release.cancelled() => break,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    fail::fail_point!("before-ack", |_| std::process::abort());
    delivery.ack.ack().await;
    fail::fail_point!("acked", |_| std::process::abort());
}
