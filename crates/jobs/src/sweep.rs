//! Announces jobs that nobody is working on, and sends the outbox.
//!
//! A job is *due* when its `not_before` has passed and no lease covers it. A due job is *lost* when it was announced
//! more than `reannounce_seconds` ago and not claimed: its message was dropped, or the worker died. This file finds
//! both and announces them through the same door as a settlement does, at most a room's worth of each class, so that
//! a wiped broker is filled at the speed of the workers. Several sweepers may run: rows are taken with SKIP LOCKED.
//!
//! It changes no job: whether a lost job has died is known only when somebody claims it.

use std::{sync::Arc, time::Duration};

use nightshift_queue::{EventMessage, Queue};
use nightshift_store::{Store, jobs::Horizon};
use tokio_util::sync::CancellationToken;

use crate::{announce::announce_all, error::JobsError, events, settings::JobsSettings};

/// How many events of the outbox are sent in one round.
const EVENTS_A_ROUND: i64 = 200;
/// After how many rounds jobs are counted for the metrics.
const ROUNDS_A_COUNT: u64 = 20;
/// After how many rounds one looks at everything: half a minute.
const ROUNDS_A_WHOLE: u64 = 60;

/// One sweeper.
pub struct Sweeper {
    store: Store,
    queue: Arc<dyn Queue>,
    settings: JobsSettings,
    rounds: u64,
    horizon: Horizon,
}

impl Sweeper {
    /// Has swept nothing yet.
    pub fn new(store: Store, queue: Arc<dyn Queue>, settings: JobsSettings) -> Self {
        Self {
            store,
            queue,
            settings,
            rounds: 0,
            horizon: Horizon::EVERYTHING,
        }
    }

    /// Sweeps until told to stop. An outage of database or broker is waited out.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut every = tokio::time::interval(self.settings.sweep_every());
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut complained = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            match self.round().await {
                Ok(_) => complained = false,
                Err(error) if complained => tracing::debug!(%error, "the sweep still fails"),
                Err(error) => {
                    tracing::warn!(%error, "the sweep failed; it goes on trying");
                    complained = true;
                }
            }
        }
    }

    /// One round; says how many jobs were announced.
    pub async fn round(&mut self) -> Result<usize, JobsError> {
        if self.rounds.is_multiple_of(ROUNDS_A_WHOLE) {
            self.horizon = Horizon::EVERYTHING;
        }
        let announced;
        (announced, self.horizon) =
            announce_all(&self.store, self.queue.as_ref(), &self.settings, self.horizon).await?;
        self.send_events().await?;
        self.rounds += 1;
        events::swept();
        if self.rounds.is_multiple_of(ROUNDS_A_COUNT) {
            events::counted(&self.store.jobs().counts().await?);
            events::circuits(&self.store.instances().list().await?);
            events::paused(&self.store.pauses().counts().await?);
            events::requests_left(&self.store.instances().requests_left().await?);
            events::oldest_snapshot(self.store.oldest_snapshot().await?);
            events::unsent(self.store.outbox().waiting().await?);
        }
        Ok(announced)
    }

    /// The outbox: one event of an org at a time, in order, deleted once the broker has it.
    async fn send_events(&self) -> Result<(), JobsError> {
        for event in self
            .store
            .outbox()
            .take(EVENTS_A_ROUND, Duration::from_secs(30))
            .await?
        {
            let message = EventMessage {
                id: event.id,
                org: event.org,
                sequence: event.sequence,
                topic: event.topic.clone(),
                body: event.body.clone(),
                traceparent: event.traceparent.clone(),
            };
            self.queue.publish_event(&message).await?;
            fail::fail_point!("event-published", |_| std::process::abort());
            self.store.outbox().delete(&event).await?;
            fail::fail_point!("event-deleted", |_| std::process::abort());
            events::published(&event.topic, &event.body);
        }
        Ok(())
    }
}
