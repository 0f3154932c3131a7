//! The dead letters: looked at without being taken, and sent again to where they came from.

use std::time::Duration;

use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicGetOptions},
    types::{AMQPValue, FieldTable},
};

use super::{Letter, Post, Sent, consumer, must_route, properties, publish};
use crate::port::{DeadLetter, QueueError};

/// How long the broker may take for all of it.
const WITHIN: Duration = Duration::from_secs(30);
/// What one call sends at most: letters, and bytes of them.
const MOST_LETTERS: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;
/// Most characters of a body that are shown.
const SHOWN: usize = 4_096;

/// At most `limit`; they stay, because closing the channel gives all of them back.
pub(super) async fn list(post: Post, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
    let look = async {
        let live = post.consuming.live().await;
        let channel = live.connection.create_channel().await?;
        let mut letters = Vec::new();
        while letters.len() < limit {
            let Some((delivery, headers)) = next(&channel, &post.names.dead).await? else {
                break;
            };
            let body = String::from_utf8_lossy(&delivery.data);
            letters.push(DeadLetter {
                from: from(&headers).unwrap_or_else(|| "(unknown)".to_owned()),
                reason: reason(&headers),
                body: body.chars().take(SHOWN).collect(),
            });
        }
        channel.close(200, "looked".into()).await?;
        Ok(letters)
    };
    limited(look).await
}

/// Takes what is there, as far as it is not too much at once, then sends it: a letter that dies again meanwhile is not
/// sent twice, and a quorum queue's message count, which lags, is not asked for.
pub(super) async fn requeue(post: Post) -> Result<usize, QueueError> {
    let send = async {
        let live = post.consuming.live().await;
        let channel = live.connection.create_channel().await?;
        let mut sent = 0;
        for (delivery, headers) in take(&channel, &post.names.dead).await? {
            let Some(queue) = from(&headers) else { continue };
            let traceparent = consumer::text(&headers, consumer::TRACEPARENT);
            let letter = Letter {
                exchange: "",
                routing_key: &queue,
                body: &delivery.data,
                properties: properties(traceparent.as_deref(), &[]),
                options: must_route(),
            };
            if let Ok(Sent::Routed) = publish(&post.publishing, letter).await {
                delivery.acker.ack(BasicAckOptions::default()).await?;
                sent += 1;
            }
        }
        channel.close(200, "sent".into()).await?;
        Ok(sent)
    };
    limited(send).await
}

async fn take(channel: &Channel, queue: &str) -> lapin::Result<Vec<(Delivery, FieldTable)>> {
    let (mut letters, mut bytes) = (Vec::new(), 0);
    while letters.len() < MOST_LETTERS && bytes < MOST_BYTES {
        let Some(letter) = next(channel, queue).await? else {
            break;
        };
        bytes += letter.0.data.len();
        letters.push(letter);
    }
    Ok(letters)
}

/// The next letter with its headers; whoever does not acknowledge it gives it back with the channel.
async fn next(channel: &Channel, queue: &str) -> lapin::Result<Option<(Delivery, FieldTable)>> {
    let got = channel
        .basic_get(queue.into(), BasicGetOptions::default())
        .await?;
    Ok(got.map(|got| {
        let headers = got.delivery.properties.headers().clone().unwrap_or_default();
        (got.delivery, headers)
    }))
}

async fn limited<T>(work: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    match tokio::time::timeout(WITHIN, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(QueueError::Unavailable(error.to_string())),
        Err(_) => Err(QueueError::Timeout(WITHIN.as_secs())),
    }
}

/// The queue it came from: by our own header, or by the broker's.
fn from(headers: &FieldTable) -> Option<String> {
    consumer::text(headers, consumer::FROM).or_else(|| death(headers, "queue"))
}

fn reason(headers: &FieldTable) -> String {
    consumer::text(headers, consumer::REASON)
        .or_else(|| death(headers, "reason").map(|reason| format!("broker: {reason}")))
        .unwrap_or_else(|| "(none given)".to_owned())
}

/// A text of the broker's newest `x-death`.
fn death(headers: &FieldTable, name: &str) -> Option<String> {
    let AMQPValue::FieldArray(deaths) = headers.inner().get("x-death")? else {
        return None;
    };
    let AMQPValue::FieldTable(newest) = deaths.as_slice().first()? else {
        return None;
    };
    consumer::text(newest, name)
}
