//! Exchanges and queues, declared anew on every connection; declaring what is there already changes nothing.
//!
//! Limits (lengths, delivery counts) are the operator's, by policy: a queue argument could never be changed again.

use domain::Class;
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use nightshift_domain as domain;

/// The names of one fleet's exchanges and queues.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Names {
    prefix: String,
    /// Exchange (topic) to one queue for each class.
    pub jobs: String,
    /// Exchange (fanout) and queue.
    pub requests: String,
    /// Exchange (topic).
    pub events: String,
    /// Exchange (fanout) and queue.
    pub dead: String,
}

impl Names {
    pub fn new(prefix: &str) -> Self {
        let name = |what: &str| format!("{prefix}.{what}");
        Self {
            prefix: prefix.to_owned(),
            jobs: name("jobs"),
            requests: name("requests"),
            events: name("events"),
            dead: name("dead"),
        }
    }

    /// The queue of a class.
    pub fn of_class(&self, class: Class) -> String {
        format!("{}.{class}", self.prefix)
    }
}

/// Declares all of it.
pub(super) async fn declare(channel: &Channel, names: &Names) -> lapin::Result<()> {
    exchange(channel, &names.dead, ExchangeKind::Fanout).await?;
    queue(channel, &names.dead, FieldTable::default()).await?;
    bind(channel, &names.dead, &names.dead, "").await?;
    exchange(channel, &names.jobs, ExchangeKind::Topic).await?;
    for class in Class::ALL {
        let name = names.of_class(class);
        queue(channel, &name, dead_letters_to(&names.dead)).await?;
        bind(channel, &name, &names.jobs, class.as_str()).await?;
    }
    exchange(channel, &names.requests, ExchangeKind::Fanout).await?;
    queue(channel, &names.requests, dead_letters_to(&names.dead)).await?;
    bind(channel, &names.requests, &names.requests, "").await?;
    exchange(channel, &names.events, ExchangeKind::Topic).await
}

fn dead_letters_to(exchange: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    let exchange = AMQPValue::LongString(LongString::from(exchange));
    arguments.insert("x-dead-letter-exchange".into(), exchange);
    arguments
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
}

async fn queue(channel: &Channel, name: &str, mut arguments: FieldTable) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel
        .queue_declare(name.into(), options, arguments)
        .await
        .map(|_| ())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> lapin::Result<()> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            options,
            FieldTable::default(),
        )
        .await
}
