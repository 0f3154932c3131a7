//! The queues as they stand at the broker: what lies in them, who listens, whether they are what we declare.
//!
//! Asked over AMQP, which needs no right beyond ours. It does not tell policies: those are `rabbitmqctl`'s to show.

use std::time::Duration;

use domain::Class;
use lapin::{Connection, options::QueueDeclareOptions, types::FieldTable};
use nightshift_domain as domain;

use super::{Post, topology};
use crate::port::QueueError;

/// How long the broker may take for all of it.
const WITHIN: Duration = Duration::from_secs(10);

/// One queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueFacts {
    /// Its name.
    pub name: String,
    /// Of which class, if of one.
    pub class: Option<Class>,
    /// Messages that wait; a quorum queue counts with some delay.
    pub messages: u32,
    /// Who listens.
    pub consumers: u32,
    /// Whether its type and arguments are those that we declare (quorum, with dead letters).
    pub as_declared: bool,
}

pub(super) async fn inspect(post: Post) -> Result<Vec<QueueFacts>, QueueError> {
    let look = async {
        let live = post.consuming.live().await;
        let mut found = Vec::new();
        for (name, class) in post.names.queues() {
            found.push(one(&live.connection, name, class, &post.names).await?);
        }
        Ok::<_, lapin::Error>(found)
    };
    match tokio::time::timeout(WITHIN, look).await {
        Ok(found) => found.map_err(|error| QueueError::Unavailable(error.to_string())),
        Err(_) => Err(QueueError::Timeout(WITHIN.as_secs())),
    }
}

async fn one(
    connection: &Connection,
    name: String,
    class: Option<Class>,
    names: &topology::Names,
) -> lapin::Result<QueueFacts> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare(name.as_str().into(), passive, FieldTable::default())
        .await?;
    channel.close(200, "looked".into()).await?;
    Ok(QueueFacts {
        as_declared: topology::is_as_declared(connection, &name, names).await?,
        messages: queue.message_count(),
        consumers: queue.consumer_count(),
        name,
        class,
    })
}
