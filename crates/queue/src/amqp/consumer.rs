//! Consumers that never end: each follows the supervised connection and is set up anew on every one.
//!
//! Two silences of the broker's side are not waited for: an answer whose connection dies under it (lapin's future may
//! then never end), and a consumer that a deleted and redeclared queue forgot (an idle one is renewed).

use std::{sync::Arc, time::Duration};

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

use nightshift_domain::Traceparent;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{CONFIRM_WITHIN, Letter, Post, Sent, link::rebuild, must_route, properties, publish};
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

/// How long a consumer may be silent and hold nothing before it is set up anew.
const RENEW_AFTER: Duration = Duration::from_secs(30);

/// A message as it came.
pub(super) struct Incoming {
    body: Bytes,
    redelivered: bool,
    message_id: Option<String>,
    traceparent: Option<String>,
    headers: usize,
    held: Held,
}

struct Running {
    // the consumer ends with its channel
    channel: Channel,
    consumer: Consumer,
    lost: CancellationToken,
    /// As many copies as there are messages that nobody answered yet, and one.
    unanswered: Arc<()>,
}

impl Running {
    fn holds_nothing(&self) -> bool {
        Arc::strong_count(&self.unanswered) == 1
    }

    /// Closing gives back what came meanwhile.
    async fn end(self) {
        let _ = timeout(CONFIRM_WITHIN, self.channel.close(200, "renewing".into())).await;
    }
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
                match timeout(RENEW_AFTER, current.consumer.next()).await {
                    Ok(Some(Ok(delivery))) => {
                        let incoming = incoming(&post, &queue, delivery, &current);
                        return Some((incoming, (post, queue, Some(current))));
                    }
                    Ok(Some(Err(error))) => tracing::warn!(queue, "a consumer failed: {error}"),
                    Ok(None) => tracing::debug!(queue, "a consumer was ended by the broker"),
                    Err(_) if current.holds_nothing() => current.end().await,
                    Err(_) => running = Some(current),
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
                channel,
                consumer,
                lost: live.lost.clone(),
                unanswered: Arc::new(()),
            })
        };
        match timeout(CONFIRM_WITHIN, open).await {
            Ok(Ok(running)) => return running,
            Ok(Err(error)) => tracing::warn!(queue, "could not consume: {error}"),
            Err(_) => tracing::warn!(queue, "could not consume: no answer"),
        }
        // the queue may have been deleted: only a new connection declares it again
        rebuild(&live);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn incoming(post: &Post, queue: &str, delivery: lapin::message::Delivery, from: &Running) -> Incoming {
    let properties = &delivery.properties;
    let message_id = properties.message_id().as_ref().map(ToString::to_string);
    let traceparent = properties
        .headers()
        .as_ref()
        .and_then(|table| text(table, TRACEPARENT))
        // a foreign client may write anything there, and it becomes part of a row
        .filter(|trace| trace.parse::<Traceparent>().is_ok());
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
            lost: from.lost.clone(),
            _unanswered: Arc::clone(&from.unanswered),
        },
        body,
        traceparent,
        headers: properties
            .headers()
            .as_ref()
            .map_or(0, |table| table.inner().len()),
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
        headers: incoming.headers,
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
    lost: CancellationToken,
    _unanswered: Arc<()>,
}

impl Held {
    fn into_ack(self) -> Ack {
        Ack::new(move |answer| Box::pin(self.answer(answer)))
    }

    async fn answer(mut self, answer: Answer) {
        let Some(acker) = self.acker.take() else { return };
        let lost = self.lost.clone();
        let said = timeout(2 * CONFIRM_WITHIN, self.say(&acker, answer));
        let why = tokio::select! {
            said = said => match said {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer in time".to_owned(),
            },
            () = lost.cancelled() => "its connection is lost".to_owned(),
        };
        // with its connection the message is the broker's again
        tracing::debug!(queue = self.queue, "a message could not be answered: {why}");
    }

    async fn say(&self, acker: &Acker, answer: Answer) -> lapin::Result<bool> {
        match answer {
            Answer::Ack => acker.ack(BasicAckOptions::default()).await,
            Answer::Reject(reason) if self.bury(&reason).await => acker.ack(BasicAckOptions::default()).await,
            Answer::Requeue | Answer::Reject(_) => back(acker).await,
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
        let sent = timeout(CONFIRM_WITHIN, publish(&self.post.publishing, letter)).await;
        tracing::info!(target: "nightshift::metric", counter = "nightshift_dead_letters_total", queue = self.queue, value = 1_u64);
        matches!(sent, Ok(Ok(Sent::Routed)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(acker), Ok(runtime)) = (self.acker.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { timeout(CONFIRM_WITHIN, back(&acker)).await });
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
