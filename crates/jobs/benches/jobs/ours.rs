//! Our side: the machinery as a worker has it, with a toy for a step, and the sweep as a scheduler has it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nightshift_domain::{Class, Kind, NewJob, Outcome, StepError};
use nightshift_jobs::{
    Alone, JobsSettings, Machine, Registry, Step, StepCx, Sweeper,
    consume::{ConsumeSettings, consume},
};
use nightshift_queue::Amqp;
use nightshift_store::Store;
use nightshift_testkit::servers::amqp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::site::{Done, Site, rate};

/// A step that makes one call and is followed by one more.
struct Link;

impl Step<AtomicU64> for Link {
    type Payload = ();
    const KIND: Kind = Kind::new("link");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(60);

    async fn run(&self, cx: &mut StepCx<'_, AtomicU64>, (): ()) -> Result<Outcome, StepError> {
        cx.context.fetch_add(1, Ordering::Relaxed);
        cx.bill.count("rest");
        Ok(Outcome::done(vec![], vec![link()]))
    }
}

/// A job for it.
pub fn link() -> NewJob {
    <Link as Step<AtomicU64>>::job(&())
}

/// Queues of our own at the broker.
pub async fn queue() -> Arc<Amqp> {
    queue_of(&format!("bench-{}", Uuid::now_v7().simple())).await
}

/// Queues whose names begin so.
pub async fn queue_of(prefix: &str) -> Arc<Amqp> {
    Arc::new(amqp(prefix).await)
}

/// A worker and a sweep.
pub struct Ours {
    machine: Arc<Machine<AtomicU64>>,
}

/// One of them at work.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Drains, as a process does that is told to stop.
    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

impl Ours {
    pub fn new(store: Store, queue: Arc<Amqp>) -> Self {
        let machine = Machine {
            store,
            queue,
            registry: Registry::new().with(Link),
            context: Done::default(),
            settings: JobsSettings::default(),
            alone: Alone::default(),
        };
        Self {
            machine: Arc::new(machine),
        }
    }

    pub async fn on(site: &Site) -> Self {
        Self::new(site.store.clone(), queue().await)
    }

    /// Steps that ran so far.
    pub fn done(&self) -> &Done {
        &self.machine.context
    }

    /// A worker with so many steps at a time.
    pub fn work(&self, at_a_time: u16) -> Running {
        let stop = CancellationToken::new();
        let settings = ConsumeSettings {
            concurrency: at_a_time,
            drain: Duration::from_secs(10),
        };
        let consuming = consume(Arc::clone(&self.machine), Class::Control, settings, stop.clone());
        Running {
            stop,
            task: tokio::spawn(consuming),
        }
    }

    /// A scheduler's sweep.
    pub fn sweep(&self) -> Running {
        let stop = CancellationToken::new();
        let machine = &self.machine;
        let (store, queue) = (machine.store.clone(), Arc::clone(&machine.queue));
        let sweeper = Sweeper::new(store, queue, machine.settings.clone());
        Running {
            stop: stop.clone(),
            task: tokio::spawn(sweeper.run(stop)),
        }
    }

    /// Jobs a second of both.
    pub async fn rate(&self, at_a_time: u16) -> f64 {
        let (working, sweeping) = (self.work(at_a_time), self.sweep());
        let rate = rate(self.done()).await;
        working.end().await;
        sweeping.end().await;
        rate
    }
}
