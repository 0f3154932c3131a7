//! A queue that does to messages what the worst broker may do: it loses, doubles, delays and reorders them.
//!
//! It stands before another queue and draws from a seed what becomes of each message. It never invents one and never
//! says `Unroutable`, which is a truth about the broker. Whoever uses it must not notice, except by the time it takes:
//! the row is the truth, and the sweep says again what did not arrive.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{
    future::{BoxFuture, FutureExt},
    stream::{BoxStream, StreamExt},
};
use nightshift_domain::Class;
use nightshift_queue::{
    Ack, Announced, DeadLetter, Delivery, EventMessage, Health, JobMessage, Queue, QueueError,
    RequestDelivery,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio::sync::watch;

/// The longest delay of a message.
const LATE: Duration = Duration::from_millis(1_500);

/// How often what happens, each in a hundred messages (or calls, where it says so).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hostility {
    /// Confirmed, and gone.
    pub lost: u32,
    /// Delivered twice, the second time late.
    pub doubled: u32,
    /// Delivered up to [`LATE`] later.
    pub late: u32,
    /// Delivered, and the sender is not told.
    pub unheard: u32,
    /// Of a hundred calls: refused as a whole, although a part of it went out.
    pub refused: u32,
    /// Of a hundred answers: the acknowledgement is lost, the message comes again.
    pub unacknowledged: u32,
}

impl Hostility {
    /// More than half of all messages meet something.
    pub const BAD: Self = Self {
        lost: 15,
        doubled: 15,
        late: 20,
        unheard: 5,
        refused: 8,
        unacknowledged: 10,
    };
}

/// What happened so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Harm {
    /// Messages that came to it.
    pub messages: u32,
    /// Of them lost.
    pub lost: u32,
    /// Doubled.
    pub doubled: u32,
    /// Delayed.
    pub late: u32,
    /// Answered with `Unknown`.
    pub unheard: u32,
    /// Calls refused.
    pub refused: u32,
    /// Acknowledgements lost.
    pub unacknowledged: u32,
}

/// The queue. Delayed messages need a runtime to be alive in.
pub struct Hostile {
    inner: Arc<dyn Queue>,
    shared: Arc<Shared>,
}

struct Shared {
    hostility: Hostility,
    drawing: Mutex<(StdRng, Harm)>,
}

/// What becomes of one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Lost,
    Doubled(Duration),
    Late(Duration),
    Unheard,
    Spared,
}

impl Hostile {
    /// Before another queue; the same seed draws the same fates in the order of the calls.
    pub fn before(inner: Arc<dyn Queue>, hostility: Hostility, seed: u64) -> Self {
        let shared = Shared {
            hostility,
            drawing: Mutex::new((StdRng::seed_from_u64(seed), Harm::default())),
        };
        Self {
            inner,
            shared: Arc::new(shared),
        }
    }

    /// What it has done.
    pub fn harm(&self) -> Harm {
        self.shared.drawing().1
    }

    async fn deliver(&self, jobs: &[JobMessage]) -> Result<Vec<Announced>, QueueError> {
        let mut answers = vec![Announced::Confirmed; jobs.len()];
        let mut now = Vec::new();
        for (answer, job) in answers.iter_mut().zip(jobs) {
            match self.shared.fate() {
                Fate::Lost => {}
                Fate::Late(by) => self.later(job.clone(), by),
                Fate::Doubled(by) => {
                    self.later(job.clone(), by);
                    now.push(job.clone());
                }
                Fate::Unheard => {
                    *answer = Announced::Unknown;
                    now.push(job.clone());
                }
                Fate::Spared => now.push(job.clone()),
            }
        }
        self.shared.shuffle(&mut now);
        if self.shared.refuses() {
            now.truncate(now.len() / 2);
            self.inner.announce(&now).await?;
            return Err(QueueError::Timeout(10));
        }
        self.inner.announce(&now).await?;
        Ok(answers)
    }

    fn later(&self, job: JobMessage, by: Duration) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            tokio::time::sleep(by).await;
            // one that cannot be delivered by then is lost, which it may be
            let _ = inner.announce(&[job]).await;
        });
    }
}

impl Shared {
    fn drawing(&self) -> MutexGuard<'_, (StdRng, Harm)> {
        self.drawing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fate(&self) -> Fate {
        let mut drawing = self.drawing();
        let (rng, harm) = &mut *drawing;
        let (drawn, by) = (rng.random_range(0..100), rng.random_range(Duration::ZERO..LATE));
        harm.messages += 1;
        let of = self.hostility;
        let lost = of.lost;
        let doubled = lost + of.doubled;
        let late = doubled + of.late;
        let unheard = late + of.unheard;
        let (fate, count) = match drawn {
            n if n < lost => (Fate::Lost, &mut harm.lost),
            n if n < doubled => (Fate::Doubled(by), &mut harm.doubled),
            n if n < late => (Fate::Late(by), &mut harm.late),
            n if n < unheard => (Fate::Unheard, &mut harm.unheard),
            _ => return Fate::Spared,
        };
        *count += 1;
        fate
    }

    fn shuffle(&self, jobs: &mut [JobMessage]) {
        jobs.shuffle(&mut self.drawing().0);
    }

    fn refuses(&self) -> bool {
        let mut drawing = self.drawing();
        let (rng, harm) = &mut *drawing;
        let refuses = rng.random_range(0..100) < self.hostility.refused;
        harm.refused += u32::from(refuses);
        refuses
    }

    /// An answer that may be lost on its way: the message comes again then, as after a cut connection.
    fn may_lose(self: &Arc<Self>, ack: Ack) -> Ack {
        let shared = Arc::clone(self);
        Ack::new(move |answer| {
            let lost = {
                let mut drawing = shared.drawing();
                let (rng, harm) = &mut *drawing;
                let lost = rng.random_range(0..100) < shared.hostility.unacknowledged;
                harm.unacknowledged += u32::from(lost);
                lost
            };
            if lost {
                ack.requeue().boxed()
            } else {
                ack.answer(answer).boxed()
            }
        })
    }
}

impl Queue for Hostile {
    fn announce<'a>(&'a self, jobs: &'a [JobMessage]) -> BoxFuture<'a, Result<Vec<Announced>, QueueError>> {
        self.deliver(jobs).boxed()
    }

    fn publish_event<'a>(&'a self, event: &'a EventMessage) -> BoxFuture<'a, Result<(), QueueError>> {
        async {
            self.inner.publish_event(event).await?;
            if self.shared.refuses() {
                return Err(QueueError::Timeout(10));
            }
            Ok(())
        }
        .boxed()
    }

    fn consume(&self, class: Class, prefetch: u16) -> BoxStream<'static, Delivery> {
        let shared = Arc::clone(&self.shared);
        let deliveries = self.inner.consume(class, prefetch);
        deliveries
            .map(move |delivery| Delivery {
                message: delivery.message,
                ack: shared.may_lose(delivery.ack),
            })
            .boxed()
    }

    fn consume_requests(&self, prefetch: u16) -> BoxStream<'static, RequestDelivery> {
        let shared = Arc::clone(&self.shared);
        let deliveries = self.inner.consume_requests(prefetch);
        deliveries
            .map(move |delivery| RequestDelivery {
                ack: shared.may_lose(delivery.ack),
                ..delivery
            })
            .boxed()
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
