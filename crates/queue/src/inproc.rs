//! A queue inside one process, with the broker's manners: at least once, no order promised, unanswered messages come
//! back. The rule that the row is the truth makes it safe: what it forgets when the process ends, the sweep announces.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use domain::Class;
use futures::{
    Stream,
    future::BoxFuture,
    stream::{self, BoxStream, StreamExt},
};
use nightshift_domain as domain;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, watch};

use crate::{
    port::{
        Ack, Announced, Answer, DeadLetter, Delivery, EventMessage, Health, Queue, QueueError,
        RequestDelivery,
    },
    wire::JobMessage,
};

const REQUESTS: &str = "requests";

/// Cheap to clone; clones share the queues.
#[derive(Clone)]
pub struct InProcess {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Mutex<HashMap<&'static str, VecDeque<Letter>>>,
    dead: Mutex<Vec<(DeadLetter, &'static str, Letter)>>,
    wake: Notify,
    events: broadcast::Sender<EventMessage>,
    health: watch::Sender<Health>,
    emptied: watch::Sender<Option<Instant>>,
}

#[derive(Clone)]
struct Letter {
    body: Bytes,
    traceparent: Option<String>,
    message_id: Option<String>,
    redelivered: bool,
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl InProcess {
    /// Empty queues.
    pub fn new() -> Self {
        let shared = Shared {
            queues: Mutex::default(),
            dead: Mutex::default(),
            wake: Notify::new(),
            events: broadcast::channel(1_024).0,
            health: watch::channel(Health::Connected).0,
            // what the process before was told is gone with it
            emptied: watch::channel(Some(Instant::now())).0,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Events as they are published; what nobody listens to is gone.
    pub fn events(&self) -> broadcast::Receiver<EventMessage> {
        self.shared.events.subscribe()
    }

    /// A request, as another program would publish it.
    pub fn request(&self, body: impl Into<Bytes>, message_id: Option<String>) {
        let letter = Letter {
            body: body.into(),
            traceparent: None,
            message_id,
            redelivered: false,
        };
        self.shared.push(REQUESTS, letter);
    }
}

impl Shared {
    fn push(&self, queue: &'static str, letter: Letter) {
        lock(&self.queues).entry(queue).or_default().push_back(letter);
        self.wake.notify_waiters();
    }

    fn pop(&self, queue: &'static str) -> Option<Letter> {
        lock(&self.queues).get_mut(queue)?.pop_front()
    }

    /// The next letter, whenever it comes.
    async fn next(&self, queue: &'static str) -> Letter {
        loop {
            let woken = self.wake.notified();
            tokio::pin!(woken);
            // registered before looking, so that a letter pushed in between is not slept through
            woken.as_mut().enable();
            if let Some(letter) = self.pop(queue) {
                return letter;
            }
            woken.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts an unanswered letter back when it is dropped.
struct Held {
    shared: Arc<Shared>,
    queue: &'static str,
    letter: Option<Letter>,
    // given back to the consumer with the answer
    _place: OwnedSemaphorePermit,
}

impl Held {
    fn answer(mut self, answer: Answer) {
        let Some(letter) = self.letter.take() else { return };
        match answer {
            Answer::Ack => {}
            Answer::Requeue => self.letter = Some(letter),
            Answer::Reject(reason) => {
                let body = String::from_utf8_lossy(&letter.body)
                    .chars()
                    .take(4_096)
                    .collect();
                let dead = DeadLetter {
                    from: format!("nightshift.{}", self.queue),
                    reason,
                    body,
                };
                lock(&self.shared.dead).push((dead, self.queue, letter));
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(letter) = self.letter.take() {
            self.shared.push(
                self.queue,
                Letter {
                    redelivered: true,
                    ..letter
                },
            );
        }
    }
}

fn ack(shared: &Arc<Shared>, queue: &'static str, letter: Letter, place: OwnedSemaphorePermit) -> Ack {
    let held = Held {
        shared: Arc::clone(shared),
        queue,
        letter: Some(letter),
        _place: place,
    };
    Ack::new(move |answer| {
        held.answer(answer);
        Box::pin(std::future::ready(()))
    })
}

/// Letters of a queue for one consumer, at most `prefetch` unanswered at a time.
fn letters(
    shared: &Arc<Shared>,
    queue: &'static str,
    prefetch: u16,
) -> impl Stream<Item = (Letter, Ack)> + Send + use<> {
    let places = Arc::new(Semaphore::new(usize::from(prefetch.max(1))));
    stream::unfold((Arc::clone(shared), places), move |(shared, places)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let letter = shared.next(queue).await;
        let ack = ack(&shared, queue, letter.clone(), place);
        Some(((letter, ack), (shared, places)))
    })
}

impl Queue for InProcess {
    fn announce<'a>(&'a self, jobs: &'a [JobMessage]) -> BoxFuture<'a, Result<Vec<Announced>, QueueError>> {
        for job in jobs {
            let letter = Letter {
                body: job.encode().into(),
                traceparent: job.traceparent.clone(),
                message_id: None,
                redelivered: false,
            };
            self.shared.push(job.class.as_str(), letter);
        }
        Box::pin(std::future::ready(Ok(vec![Announced::Confirmed; jobs.len()])))
    }

    fn publish_event<'a>(&'a self, event: &'a EventMessage) -> BoxFuture<'a, Result<(), QueueError>> {
        let _ = self.shared.events.send(event.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn consume(&self, class: Class, prefetch: u16) -> BoxStream<'static, Delivery> {
        letters(&self.shared, class.as_str(), prefetch)
            .map(|(letter, ack)| Delivery {
                message: JobMessage::decode(&letter.body, letter.traceparent),
                ack,
            })
            .boxed()
    }

    fn consume_requests(&self, prefetch: u16) -> BoxStream<'static, RequestDelivery> {
        letters(&self.shared, REQUESTS, prefetch)
            .map(|(letter, ack)| RequestDelivery {
                body: letter.body,
                message_id: letter.message_id,
                redelivered: letter.redelivered,
                traceparent: letter.traceparent,
                headers: 0,
                ack,
            })
            .boxed()
    }

    fn list_dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, QueueError>> {
        let dead = lock(&self.shared.dead)
            .iter()
            .take(limit)
            .map(|(dead, ..)| dead.clone())
            .collect();
        Box::pin(std::future::ready(Ok(dead)))
    }

    fn requeue_dead(&self) -> BoxFuture<'_, Result<usize, QueueError>> {
        let dead = std::mem::take(&mut *lock(&self.shared.dead));
        let count = dead.len();
        for (_, queue, letter) in dead {
            self.shared.push(queue, letter);
        }
        Box::pin(std::future::ready(Ok(count)))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn emptied(&self) -> watch::Receiver<Option<Instant>> {
        self.shared.emptied.subscribe()
    }
}
