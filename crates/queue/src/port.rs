//! What the rest of Nightshift may ask of a queue, whichever it is.

use std::time::Instant;

use bytes::Bytes;
use domain::{Class, EventId, OrgId};
use futures::{future::BoxFuture, stream::BoxStream};
use nightshift_domain as domain;
use serde_json::Value;
use tokio::sync::watch;

use crate::wire::{
    ID_CHARACTERS_MAX, JobMessage, REQUEST_HEADERS_MAX, RequestError, RequestMessage, WireError, length,
};

/// A queue. Consumers' streams never end by themselves: an adapter rebuilds what it lost, for ever.
pub trait Queue: Send + Sync + 'static {
    /// Tells about jobs; an answer for each, in order. Gives up after ten seconds: the sweep repeats.
    fn announce<'a>(&'a self, jobs: &'a [JobMessage]) -> BoxFuture<'a, Result<Vec<Announced>, QueueError>>;

    /// Sends an event to whoever subscribed; `Ok` once the broker has it, routed or not.
    fn publish_event<'a>(&'a self, event: &'a EventMessage) -> BoxFuture<'a, Result<(), QueueError>>;

    /// Messages of one class, at most `prefetch` unacknowledged at a time.
    fn consume(&self, class: Class, prefetch: u16) -> BoxStream<'static, Delivery>;

    /// Request messages of other programs.
    fn consume_requests(&self, prefetch: u16) -> BoxStream<'static, RequestDelivery>;

    /// Dead letters, at most `limit`; they stay.
    fn list_dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, QueueError>>;

    /// Sends dead letters again to where they came from, up to 10,000 a call; how many.
    fn requeue_dead(&self) -> BoxFuture<'_, Result<usize, QueueError>>;

    /// How it is.
    fn health(&self) -> watch::Receiver<Health>;

    /// Of what it had been told before this instant it was found to have nothing any more, by this process as one of the
    /// first that met it so; `None`: never yet.
    fn emptied(&self) -> watch::Receiver<Option<Instant>>;
}

/// What became of an announcement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announced {
    /// A queue has it.
    Confirmed,
    /// No queue takes it.
    Unroutable,
    /// Nobody said so in time.
    Unknown,
}

/// How a queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// It works.
    Connected,
    /// It is being rebuilt.
    Connecting,
    /// The broker takes no messages now (memory, disk); consuming goes on.
    Blocked,
}

/// An event for others.
#[derive(Clone, PartialEq, Debug)]
pub struct EventMessage {
    /// The same when it is sent twice.
    pub id: EventId,
    /// Whose.
    pub org: OrgId,
    /// The org's own count.
    pub sequence: i64,
    /// Such as `sync.failed`.
    pub topic: String,
    /// What happened.
    pub body: Value,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

/// A message of a class.
#[derive(Debug)]
pub struct Delivery {
    /// What it says, if it can be read.
    pub message: Result<JobMessage, WireError>,
    /// To be answered.
    pub ack: Ack,
}

/// A request, as it came.
#[derive(Debug)]
pub struct RequestDelivery {
    /// Its bytes.
    pub body: Bytes,
    /// AMQP's own id, if the sender gave one.
    pub message_id: Option<String>,
    /// The broker has handed it out before.
    pub redelivered: bool,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// How many headers came with it.
    pub headers: usize,
    /// To be answered.
    pub ack: Ack,
}

impl RequestDelivery {
    /// What it asks for; everything that came with it is checked.
    pub fn read(&self) -> Result<RequestMessage, RequestError> {
        if self.headers > REQUEST_HEADERS_MAX {
            return Err(RequestError::Headers(self.headers));
        }
        if let Some(id) = &self.message_id {
            length("message_id", id, ID_CHARACTERS_MAX)?;
        }
        RequestMessage::decode(&self.body)
    }
}

/// A letter that nobody could read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// The queue it came from.
    pub from: String,
    /// Why.
    pub reason: String,
    /// At most 4 KiB of its text.
    pub body: String,
}

/// What to answer to a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done with.
    Ack,
    /// To the dead letters, with the reason.
    Reject(String),
    /// Back to where it came from.
    Requeue,
}

/// The right to answer a delivery once; one that is dropped unanswered goes back by itself.
#[must_use = "a delivery that is not answered is delivered again"]
pub struct Ack(Option<Box<dyn FnOnce(Answer) -> BoxFuture<'static, ()> + Send + Sync>>);

impl Ack {
    /// Made by an adapter.
    pub fn new(answer: impl FnOnce(Answer) -> BoxFuture<'static, ()> + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(answer)))
    }

    /// Done with.
    pub async fn ack(self) {
        self.answer(Answer::Ack).await;
    }

    /// To the dead letters, with the reason.
    pub async fn reject(self, reason: &str) {
        self.answer(Answer::Reject(reason.chars().take(1_000).collect()))
            .await;
    }

    /// Back to where it came from.
    pub async fn requeue(self) {
        self.answer(Answer::Requeue).await;
    }

    /// Any of them: for a queue that stands before another one.
    pub async fn answer(mut self, answer: Answer) {
        if let Some(give) = self.0.take() {
            give(answer).await;
        }
    }
}

impl std::fmt::Debug for Ack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ack")
    }
}

/// The queue could not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueueError {
    /// It is not connected now.
    #[error("the broker is not connected; {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("the broker did not answer within {0} s")]
    Timeout(u64),
    /// Its address is none.
    #[error("broker.url is no address; write it like amqp://user:password@host:5672/%2f?heartbeat=10")]
    BadUrl,
    /// It refused.
    #[error("the broker refused: {0}")]
    Refused(String),
}
