//! Exchanges and queues, declared anew on every connection; declaring what is there already changes nothing.
//!
//! Limits (lengths, delivery counts) are the operator's, by policy: a queue argument could never be changed again.

use domain::Class;
use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
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

impl Names {
    /// All queues, with the class of each that has one.
    pub fn queues(&self) -> Vec<(String, Option<Class>)> {
        let of_classes = Class::ALL.map(|class| (self.of_class(class), Some(class)));
        let others = [(self.requests.clone(), None), (self.dead.clone(), None)];
        of_classes.into_iter().chain(others).collect()
    }
}

/// Whether the queue stands as we declare it: declaring it again changes nothing, or is refused.
pub(super) async fn is_as_declared(
    connection: &Connection,
    name: &str,
    names: &Names,
) -> lapin::Result<bool> {
    let arguments = if name == names.dead {
        FieldTable::default()
    } else {
        dead_letters_to(&names.dead)
    };
    match declare_queue(connection, name, arguments).await {
        Ok(()) => Ok(true),
        Err(error) if is_refused(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the broker has our exchange of jobs. One that has not was told nothing yet, or has forgotten all of it.
pub(super) async fn stands(connection: &Connection, names: &Names) -> lapin::Result<bool> {
    let channel = connection.create_channel().await?;
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = names.jobs.as_str().into();
    let looked = channel.exchange_declare(name, ExchangeKind::Topic, passive, FieldTable::default());
    match looked.await {
        Ok(()) => channel.close(200, "looked".into()).await.map(|()| true),
        Err(error) if says(&error, NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Declares all of it. A queue that stands there with other arguments is used as it is.
pub(super) async fn declare(connection: &Connection, names: &Names) -> lapin::Result<()> {
    let channel = &connection.create_channel().await?;
    exchange(channel, &names.dead, ExchangeKind::Fanout).await?;
    queue(connection, &names.dead, FieldTable::default()).await?;
    bind(channel, &names.dead, &names.dead, "").await?;
    exchange(channel, &names.jobs, ExchangeKind::Topic).await?;
    for class in Class::ALL {
        let name = names.of_class(class);
        queue(connection, &name, dead_letters_to(&names.dead)).await?;
        bind(channel, &name, &names.jobs, class.as_str()).await?;
    }
    exchange(channel, &names.requests, ExchangeKind::Fanout).await?;
    queue(connection, &names.requests, dead_letters_to(&names.dead)).await?;
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

/// The broker's answer to a declaration with other arguments than the queue has.
const PRECONDITION_FAILED: u16 = 406;
/// And to a passive one of what is not there.
const NOT_FOUND: u16 = 404;

/// On a channel of its own, which a refusal closes.
async fn queue(connection: &Connection, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    match declare_queue(connection, name, arguments).await {
        Err(error) if is_refused(&error) => {
            tracing::warn!(
                queue = name,
                "the queue {name} has other arguments than ours and is used as it is; set limits by a policy: {error}"
            );
            Ok(())
        }
        declared => declared,
    }
}

async fn declare_queue(connection: &Connection, name: &str, mut arguments: FieldTable) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(name.into(), options, arguments).await?;
    channel.close(200, "declared".into()).await
}

fn is_refused(error: &lapin::Error) -> bool {
    says(error, PRECONDITION_FAILED)
}

fn says(error: &lapin::Error, code: u16) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == code)
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
