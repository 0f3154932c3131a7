//! A queue that looks for each message's row before it lets it pass, and that has bad manners on demand.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use nightshift_domain::Class;
use nightshift_queue::{
    Announced, DeadLetter, Delivery, EventMessage, Health, InProcess, JobMessage, Queue, QueueError,
    RequestDelivery,
};
use nightshift_store::Store;
use tokio::sync::watch;

/// How it treats announcements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manners {
    Good,
    /// Whoever announces finds no broker, every third time.
    EveryThirdFails,
    ConfirmsAndLoses,
    /// Each message comes three times.
    Trebles,
    /// Good, and no row is looked for.
    Blind,
}

/// In-process, with a witness.
pub struct Witness {
    inner: InProcess,
    store: Store,
    manners: Mutex<Manners>,
    seen: Mutex<Vec<JobMessage>>,
    early: AtomicUsize,
    calls: AtomicUsize,
    failed: AtomicUsize,
}

impl Witness {
    pub fn new(store: Store) -> Self {
        Self {
            inner: InProcess::new(),
            store,
            manners: Mutex::new(Manners::Good),
            seen: Mutex::default(),
            early: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        }
    }

    pub fn behave(&self, manners: Manners) {
        *lock(&self.manners) = manners;
    }

    /// Messages so far.
    pub fn seen(&self) -> Vec<JobMessage> {
        lock(&self.seen).clone()
    }

    /// Messages whose row was not there.
    pub fn early(&self) -> usize {
        self.early.load(Ordering::Relaxed)
    }

    /// Announcements that found no broker.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether no message waits for somebody.
    pub async fn is_empty(&self) -> bool {
        let mut deliveries = self.inner.consume(Class::Control, 1);
        let next = tokio::time::timeout(Duration::from_millis(200), deliveries.next());
        next.await.is_err()
    }

    async fn take(&self, jobs: &[JobMessage]) -> Result<Vec<Announced>, QueueError> {
        let manners = *lock(&self.manners);
        if manners != Manners::Blind {
            for job in jobs {
                let there = self.store.jobs().show(job.job).await.is_ok();
                self.early.fetch_add(usize::from(!there), Ordering::Relaxed);
            }
        }
        lock(&self.seen).extend_from_slice(jobs);
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        match manners {
            Manners::EveryThirdFails if calls.is_multiple_of(3) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                Err(QueueError::Unavailable("no broker".into()))
            }
            Manners::ConfirmsAndLoses => Ok(vec![Announced::Confirmed; jobs.len()]),
            Manners::Trebles => {
                self.inner.announce(jobs).await?;
                self.inner.announce(jobs).await?;
                self.inner.announce(jobs).await
            }
            _ => self.inner.announce(jobs).await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue for Witness {
    fn announce<'a>(&'a self, jobs: &'a [JobMessage]) -> BoxFuture<'a, Result<Vec<Announced>, QueueError>> {
        Box::pin(self.take(jobs))
    }

    fn publish_event<'a>(&'a self, event: &'a EventMessage) -> BoxFuture<'a, Result<(), QueueError>> {
        self.inner.publish_event(event)
    }

    fn consume(&self, class: Class, prefetch: u16) -> BoxStream<'static, Delivery> {
        self.inner.consume(class, prefetch)
    }

    fn consume_requests(&self, prefetch: u16) -> BoxStream<'static, RequestDelivery> {
        self.inner.consume_requests(prefetch)
    }

    fn list_dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, QueueError>> {
        self.inner.list_dead(limit)
    }

    fn requeue_dead(&self) -> BoxFuture<'_, Result<usize, QueueError>> {
        self.inner.requeue_dead()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    fn emptied(&self) -> watch::Receiver<Option<Instant>> {
        self.inner.emptied()
    }
}
