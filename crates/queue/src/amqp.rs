//! The queue over AMQP 0-9-1: RabbitMQ 3.10 and later.
//!
//! Two connections, one that publishes and one that consumes, so that a broker that blocks publishers (memory, disk)
//! still takes acknowledgements. Each is kept by a supervisor (`link`) that rebuilds connection, topology and channel
//! from nothing, for ever; consumers (`consumer`) follow it. A published message counts when the broker has confirmed
//! it. The URL holds a password and is never shown.

mod consumer;
mod dead;
mod inspect;
mod link;
mod topology;

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::Class;
use futures::{
    future::{BoxFuture, join_all},
    stream::{BoxStream, StreamExt},
};
use lapin::{
    BasicProperties, Confirmation,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable, LongString},
    uri::AMQPUri,
};
use nightshift_domain as domain;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    port::{Announced, DeadLetter, Delivery, EventMessage, Health, Queue, QueueError, RequestDelivery},
    wire::JobMessage,
};
pub use inspect::QueueFacts;
use link::{Board, Link, Side, rebuild};
use topology::Names;

/// How long a publisher waits for a connection and a confirm.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// AMQP's code for a message that survives a restart.
const PERSISTENT: u8 = 2;

/// Where the broker is.
#[derive(Clone, Debug)]
pub struct AmqpSettings {
    /// `amqp://user:password@host:port/vhost?heartbeat=10`, or `amqps://`.
    pub url: SecretString,
    /// With which the names of exchanges and queues begin; another one makes a fleet of its own on the same broker.
    pub prefix: String,
}

impl AmqpSettings {
    /// The usual names.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            prefix: "nightshift".to_owned(),
        }
    }
}

/// The queue at a broker. Dropping it ends its connections.
pub struct Amqp {
    names: Arc<Names>,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    board: Arc<Board>,
}

impl Amqp {
    /// Begins to connect, in the background and for ever; refuses only a URL that is none.
    pub fn start(settings: &AmqpSettings) -> Result<Self, QueueError> {
        AMQPUri::from_str(settings.url.expose_secret()).map_err(|_| QueueError::BadUrl)?;
        let names = Arc::new(Names::new(&settings.prefix));
        let board = Arc::new(Board::new());
        let link = |side| Link::start(side, settings.url.clone(), Arc::clone(&names), Arc::clone(&board));
        let (publishing, consuming) = (link(Side::Publish), link(Side::Consume));
        Ok(Self {
            names,
            publishing,
            consuming,
            board,
        })
    }

    async fn announce_one(&self, message: &JobMessage) -> Announced {
        let letter = Letter {
            exchange: &self.names.jobs,
            routing_key: message.class.as_str(),
            body: &message.encode(),
            properties: properties(message.traceparent.as_deref(), &[]),
            options: must_route(),
        };
        match publish(&self.publishing, letter).await {
            Ok(Sent::Routed) => Announced::Confirmed,
            Ok(Sent::Unroutable) => Announced::Unroutable,
            Err(_) => Announced::Unknown,
        }
    }
}

impl std::fmt::Debug for Amqp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Amqp")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Queue for Amqp {
    fn announce<'a>(&'a self, jobs: &'a [JobMessage]) -> BoxFuture<'a, Result<Vec<Announced>, QueueError>> {
        Box::pin(async move {
            let one_by_one = join_all(jobs.iter().map(|job| self.announce_one(job)));
            let answers = tokio::time::timeout(CONFIRM_WITHIN, one_by_one);
            answers
                .await
                .map_err(|_| QueueError::Timeout(CONFIRM_WITHIN.as_secs()))
        })
    }

    fn publish_event<'a>(&'a self, event: &'a EventMessage) -> BoxFuture<'a, Result<(), QueueError>> {
        let body = json!({
            "version": 1, "id": event.id.to_string(), "org": event.org.to_string(), "sequence": event.sequence,
            "event": event.topic, "body": event.body,
        })
        .to_string();
        let properties = properties(event.traceparent.as_deref(), &[])
            .with_message_id(event.id.to_string().into())
            .with_content_type("application/json".into());
        Box::pin(async move {
            let letter = Letter {
                exchange: &self.names.events,
                routing_key: &event.topic,
                body: body.as_bytes(),
                properties,
                options: BasicPublishOptions::default(),
            };
            let sent = tokio::time::timeout(CONFIRM_WITHIN, publish(&self.publishing, letter));
            sent.await
                .map_err(|_| QueueError::Timeout(CONFIRM_WITHIN.as_secs()))?
                .map(|_| ())
        })
    }

    fn consume(&self, class: Class, prefetch: u16) -> BoxStream<'static, Delivery> {
        let queue = self.names.of_class(class);
        consumer::deliveries(self.post(), queue, prefetch)
            .map(consumer::job)
            .boxed()
    }

    fn consume_requests(&self, prefetch: u16) -> BoxStream<'static, RequestDelivery> {
        let queue = self.names.requests.clone();
        consumer::deliveries(self.post(), queue, prefetch)
            .map(consumer::request)
            .boxed()
    }

    fn list_dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, QueueError>> {
        Box::pin(dead::list(self.post(), limit))
    }

    fn requeue_dead(&self) -> BoxFuture<'_, Result<usize, QueueError>> {
        Box::pin(dead::requeue(self.post()))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.board.health()
    }

    fn emptied(&self) -> watch::Receiver<Option<Instant>> {
        self.board.emptied()
    }
}

impl Amqp {
    /// The queues as they stand at the broker.
    pub async fn inspect(&self) -> Result<Vec<QueueFacts>, QueueError> {
        inspect::inspect(self.post()).await
    }

    fn post(&self) -> Post {
        Post {
            names: Arc::clone(&self.names),
            publishing: Arc::clone(&self.publishing),
            consuming: Arc::clone(&self.consuming),
        }
    }
}

/// What consumers and dead letters need: both connections.
#[derive(Clone)]
struct Post {
    names: Arc<Names>,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
}

/// A message on its way.
struct Letter<'a> {
    exchange: &'a str,
    routing_key: &'a str,
    body: &'a [u8],
    properties: BasicProperties,
    options: BasicPublishOptions,
}

/// A message that no queue takes comes back.
fn must_route() -> BasicPublishOptions {
    BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    }
}

/// What the broker said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// It has it.
    Routed,
    /// No queue takes it.
    Unroutable,
}

/// Publishes and waits for the confirm. No time limit of its own.
async fn publish(link: &Link, letter: Letter<'_>) -> Result<Sent, QueueError> {
    let live = link.live().await;
    let refused = |error: lapin::Error| {
        // a channel that failed once fails for ever: the supervisor builds a new one
        rebuild(&live);
        QueueError::Unavailable(error.to_string())
    };
    fail::fail_point!("before-publish", |_| std::process::abort());
    let confirm = live
        .channel
        .basic_publish(
            letter.exchange.into(),
            letter.routing_key.into(),
            letter.options,
            letter.body,
            letter.properties,
        )
        .await
        .map_err(refused)?;
    fail::fail_point!("published", |_| std::process::abort());
    let confirmed = confirm.await.map_err(refused)?;
    fail::fail_point!("confirmed", |_| std::process::abort());
    match confirmed {
        Confirmation::Ack(None) => Ok(Sent::Routed),
        Confirmation::Ack(Some(_)) => Ok(Sent::Unroutable),
        Confirmation::Nack(_) => Err(QueueError::Refused("it did not take a message (nack)".into())),
        Confirmation::NotRequested => Err(QueueError::Refused("the channel confirms nothing".into())),
    }
}

/// Persistent, with the trace and further headers.
fn properties(traceparent: Option<&str>, headers: &[(&str, &str)]) -> BasicProperties {
    let mut table = FieldTable::default();
    let trace = traceparent.map(|trace| (consumer::TRACEPARENT, trace));
    for (name, value) in headers.iter().copied().chain(trace) {
        table.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    }
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(table)
}
