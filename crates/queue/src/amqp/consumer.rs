//! Consumers that never end: each follows the supervised connection and is set up anew on every one.

use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    stream::{self},
};
use lapin::{
    Acker, Channel, Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};

use super::{Letter, Post, Sent, link::rebuild, must_route, properties, publish};
use crate::{
    port::{Ack, Answer, Delivery, RequestDelivery},
    wire::JobMessage,
};

/// W3C trace context.
pub(super) const TRACEPARENT: &str = "traceparent";
/// Why a letter is dead.
pub(super) const REASON: &str = "x-nightshift-reason";
/// The queue it came from.
pub(super) const FROM: &str = "x-nightshift-from";

/// A message as it came.
pub(super) struct Incoming {
    body: Bytes,
    redelivered: bool,
    message_id: Option<String>,
    traceparent: Option<String>,
    held: Held,
}

struct Running {
    // the consumer ends with its channel
    _channel: Channel,
    consumer: Consumer,
}

/// All messages of a queue, for ever.
pub(super) fn deliveries(post: Post, queue: String, prefetch: u16) -> impl Stream<Item = Incoming> + Send {
    stream::unfold(
        (post, queue, None::<Running>),
        move |(post, queue, mut running)| async move {
            loop {
                let mut current = match running.take() {
                    Some(current) => current,
                    None => begin(&post, &queue, prefetch).await,
                };
                match current.consumer.next().await {
                    Some(Ok(delivery)) => {
                        let incoming = incoming(&post, &queue, delivery);
                        return Some((incoming, (post, queue, Some(current))));
                    }
                    Some(Err(error)) => tracing::warn!(queue, "a consumer failed: {error}"),
                    None => tracing::debug!(queue, "a consumer was ended by the broker"),
                }
            }
        },
    )
}

/// Tries until it consumes.
async fn begin(post: &Post, queue: &str, prefetch: u16) -> Running {
    loop {
        let live = post.consuming.live().await;
        let open = async {
            let channel = live.connection.create_channel().await?;
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            let consumer = channel
                .basic_consume(queue.into(), "".into(), options, arguments)
                .await?;
            Ok::<_, lapin::Error>(Running {
                _channel: channel,
                consumer,
            })
        };
        match tokio::time::timeout(super::CONFIRM_WITHIN, open).await {
            Ok(Ok(running)) => return running,
            Ok(Err(error)) => tracing::warn!(queue, "could not consume: {error}"),
            Err(_) => tracing::warn!(queue, "could not consume: no answer"),
        }
        // the queue may have been deleted: only a new connection declares it again
        rebuild(&live);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

fn incoming(post: &Post, queue: &str, delivery: lapin::message::Delivery) -> Incoming {
    let properties = &delivery.properties;
    let message_id = properties.message_id().as_ref().map(ToString::to_string);
    let traceparent = properties
        .headers()
        .as_ref()
        .and_then(|table| text(table, TRACEPARENT));
    let body = Bytes::from(delivery.data);
    Incoming {
        redelivered: delivery.redelivered,
        message_id,
        held: Held {
            post: post.clone(),
            queue: queue.to_owned(),
            body: body.clone(),
            traceparent: traceparent.clone(),
            acker: Some(delivery.acker),
        },
        body,
        traceparent,
    }
}

/// A header that is a text.
pub(super) fn text(table: &FieldTable, name: &str) -> Option<String> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}

/// As a job's message.
pub(super) fn job(incoming: Incoming) -> Delivery {
    Delivery {
        message: JobMessage::decode(&incoming.body, incoming.traceparent),
        ack: incoming.held.into_ack(),
    }
}

/// As a request.
pub(super) fn request(incoming: Incoming) -> RequestDelivery {
    RequestDelivery {
        body: incoming.body,
        message_id: incoming.message_id,
        redelivered: incoming.redelivered,
        traceparent: incoming.traceparent,
        ack: incoming.held.into_ack(),
    }
}

/// The right to answer; dropped unanswered, the message goes back.
struct Held {
    post: Post,
    queue: String,
    body: Bytes,
    traceparent: Option<String>,
    acker: Option<Acker>,
}

impl Held {
    fn into_ack(self) -> Ack {
        Ack::new(move |answer| Box::pin(self.answer(answer)))
    }

    async fn answer(mut self, answer: Answer) {
        let Some(acker) = self.acker.take() else { return };
        let done = match answer {
            Answer::Ack => acker.ack(BasicAckOptions::default()).await,
            Answer::Requeue => back(&acker).await,
            Answer::Reject(reason) => {
                if self.bury(&reason).await {
                    acker.ack(BasicAckOptions::default()).await
                } else {
                    back(&acker).await
                }
            }
        };
        if let Err(error) = done {
            // its connection is gone, and with it the message is the broker's again
            tracing::debug!(queue = self.queue, "a message could not be answered: {error}");
        }
    }

    /// To the dead letters with its reason; only then it may be acknowledged.
    async fn bury(&self, reason: &str) -> bool {
        let headers = [(REASON, reason), (FROM, self.queue.as_str())];
        let letter = Letter {
            exchange: &self.post.names.dead,
            routing_key: "",
            body: &self.body,
            properties: properties(self.traceparent.as_deref(), &headers),
            options: must_route(),
        };
        let sent = tokio::time::timeout(super::CONFIRM_WITHIN, publish(&self.post.publishing, letter)).await;
        tracing::info!(target: "nightshift::metric", counter = "nightshift_dead_letters_total", queue = self.queue, value = 1_u64);
        matches!(sent, Ok(Ok(Sent::Routed)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(acker), Ok(runtime)) = (self.acker.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { back(&acker).await });
        }
    }
}

async fn back(acker: &Acker) -> lapin::Result<bool> {
    let options = BasicNackOptions {
        requeue: true,
        ..BasicNackOptions::default()
    };
    acker.nack(options).await
}
