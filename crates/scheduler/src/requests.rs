//! Requests of other programs: a message starts a sync at once.
//!
//! The same request delivered twice starts one sync: by the sender's id within a day, or by the body's hash when the
//! broker says that it delivers again. What cannot be carried out goes to the dead letters with its reason.

use std::time::Duration;

use domain::{Door, SyncRequest};
use futures::StreamExt;
use nightshift_domain as domain;
use nightshift_jobs::admit_sync;
use nightshift_queue::{RequestDelivery, RequestMessage};
use nightshift_store::{
    StoreError,
    requests::IdSource,
    syncs::{AdmissionAnswer, Patience},
};
use tokio_util::sync::CancellationToken;

use crate::SchedulerParts;

/// Unacknowledged requests at a time.
const PREFETCH: u16 = 16;

/// What becomes of a delivery.
enum Verdict {
    Done,
    Dead(String),
    /// The database is away: it comes again.
    Back,
}

impl Verdict {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Dead(_) => "dead",
            Self::Back => "back",
        }
    }
}

/// Serves requests until told to stop.
pub async fn serve_requests(parts: SchedulerParts, stop: CancellationToken) {
    let mut deliveries = parts.queue.consume_requests(PREFETCH);
    loop {
        let delivery = tokio::select! {
            () = stop.cancelled() => return,
            delivery = deliveries.next() => delivery,
        };
        let Some(delivery) = delivery else { return };
        let verdict = serve(&parts, &delivery).await;
        tracing::info!(target: "nightshift::metric", counter = "nightshift_requests_total", outcome = verdict.as_str(), value = 1_u64);
        match verdict {
            Verdict::Done => delivery.ack.ack().await,
            Verdict::Dead(reason) => {
                tracing::warn!(reason, "a request is refused: {reason}");
                delivery.ack.reject(&reason).await;
            }
            Verdict::Back => {
                // so that an outage makes no hot loop
                tokio::time::sleep(Duration::from_secs(1)).await;
                delivery.ack.requeue().await;
            }
        }
    }
}

async fn serve(parts: &SchedulerParts, delivery: &RequestDelivery) -> Verdict {
    let request = match RequestMessage::decode(&delivery.body) {
        Ok(request) => request,
        Err(error) => return Verdict::Dead(error.to_string()),
    };
    match carry_out(parts, delivery, &request).await {
        Ok(verdict) => verdict,
        Err(StoreError::NotFound { .. }) => Verdict::Dead(format!(
            "unknown_org: there is no org {:?}; see nightshift org list",
            request.org
        )),
        Err(error) if error.is_transient() => {
            tracing::warn!(error = error.detail(), "a request waits for the database");
            Verdict::Back
        }
        Err(error) => Verdict::Dead(format!("internal: {error}")),
    }
}

async fn carry_out(
    parts: &SchedulerParts,
    delivery: &RequestDelivery,
    request: &RequestMessage,
) -> Result<Verdict, StoreError> {
    let (id, source) = identity(delivery, request);
    let may_be_known = source == IdSource::Sender || delivery.redelivered;
    if may_be_known && parts.store.requests().seen(&id, source).await? {
        return Ok(Verdict::Done);
    }
    let org = parts.store.orgs().find(&request.org).await?.id;
    let wish = SyncRequest {
        org,
        mode: request.mode,
        door: Door::QueueMessage,
        reason: request.reason.clone(),
    };
    let patience = Patience::For(parts.patience);
    let trace = delivery.traceparent.as_deref();
    let queue = Some(parts.queue.as_ref());
    let answer = admit_sync(
        &parts.store,
        queue,
        &parts.jobs,
        &wish,
        patience,
        &parts.first,
        trace,
    )
    .await;
    let sync = match answer {
        Ok(AdmissionAnswer::Opened { sync } | AdmissionAnswer::Joined { sync }) => sync,
        Ok(AdmissionAnswer::Refused(why)) => return Ok(Verdict::Dead(format!("refused: {why}"))),
        Err(nightshift_jobs::JobsError::Store(error)) => return Err(error),
        Err(nightshift_jobs::JobsError::Queue(error)) => {
            tracing::warn!(%error, "a requested sync waits for the sweep");
            return Ok(Verdict::Done);
        }
    };
    parts.store.requests().remember(&id, source, Some(sync)).await?;
    Ok(Verdict::Done)
}

/// The sender's id, AMQP's message id, or the body's own hash.
fn identity(delivery: &RequestDelivery, request: &RequestMessage) -> (String, IdSource) {
    match request.id.as_ref().or(delivery.message_id.as_ref()) {
        Some(id) => (format!("id:{id}"), IdSource::Sender),
        None => (format!("body:{}", sha256(&delivery.body)), IdSource::Body),
    }
}

fn sha256(body: &[u8]) -> String {
    use std::fmt::Write;

    use sha2::{Digest, Sha256};
    Sha256::digest(body).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
