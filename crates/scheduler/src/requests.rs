//! Requests of other programs: a message starts a sync at once.
//!
//! The same request delivered twice starts one sync: by the sender's id within a day, or by the body's hash when the
//! broker says that it delivers again. What cannot be carried out goes to the dead letters with its reason.

use std::time::{Duration, Instant};

use domain::{Door, SyncRequest};
use futures::StreamExt;
use nightshift_domain as domain;
use nightshift_jobs::{JobsError, admit_request};
use nightshift_queue::{RequestDelivery, RequestMessage};
use nightshift_store::{
    StoreError,
    requests::{IdSource, RequestId},
    syncs::{AdmissionAnswer, Opening, Patience},
};
use tokio_util::sync::CancellationToken;

use crate::SchedulerParts;

/// Unacknowledged requests at a time.
const PREFETCH: u16 = 16;

/// How long a request is tried while the database is away; it is not given back meanwhile, because some brokers count
/// that and bury a message in the end. Half of RabbitMQ's limit for an unanswered delivery.
const TRY_FOR: Duration = Duration::from_secs(15 * 60);

/// What becomes of a delivery.
enum Verdict {
    Done,
    Dead(String),
    /// The database was away for too long: it comes again.
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
        let Some(mut delivery) = delivery else { return };
        let verdict = tokio::select! {
            // dropped unanswered it goes back
            () = stop.cancelled() => return,
            verdict = serve(&parts, &mut delivery) => verdict,
        };
        tracing::info!(target: "nightshift::metric", counter = "nightshift_requests_total", outcome = verdict.as_str(), value = 1_u64);
        match verdict {
            Verdict::Done => {
                fail::fail_point!("before-request-ack", |_| std::process::abort());
                delivery.ack.ack().await;
            }
            Verdict::Dead(reason) => {
                tracing::warn!(reason, "a request is refused: {reason}");
                delivery.ack.reject(&reason).await;
            }
            Verdict::Back => delivery.ack.requeue().await,
        }
    }
}

async fn serve(parts: &SchedulerParts, delivery: &mut RequestDelivery) -> Verdict {
    let request = match delivery.read() {
        Ok(request) => request,
        Err(error) => return Verdict::Dead(error.to_string()),
    };
    let until = Instant::now() + TRY_FOR;
    loop {
        match carry_out(parts, delivery, &request).await {
            Ok(verdict) => return verdict,
            Err(StoreError::NotFound { .. }) => {
                return Verdict::Dead(format!(
                    "unknown_org: there is no org {:?}; see nightshift org list",
                    request.org
                ));
            }
            Err(error) if !error.is_transient() => return Verdict::Dead(format!("internal: {error}")),
            Err(_) if Instant::now() > until => return Verdict::Back,
            Err(error) => tracing::warn!(error = error.detail(), "a request waits for the database"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // what failed may have been done: its commit's answer was lost
        delivery.redelivered = true;
    }
}

async fn carry_out(
    parts: &SchedulerParts,
    delivery: &RequestDelivery,
    request: &RequestMessage,
) -> Result<Verdict, StoreError> {
    let wish = SyncRequest {
        org: parts.store.orgs().find(&request.org).await?.id,
        mode: request.mode,
        door: Door::QueueMessage,
        reason: request.reason.clone(),
    };
    let opening = Opening {
        request: &wish,
        patience: Patience::For(parts.patience),
        first: &parts.first,
        traceparent: delivery.traceparent.as_deref(),
    };
    let id = identity(delivery, request);
    match admit_request(&parts.store, parts.queue.as_ref(), &parts.jobs, &id, &opening).await {
        Ok(Some(AdmissionAnswer::Refused(why))) => Ok(Verdict::Dead(format!("refused: {why}"))),
        // opened or joined, now or when it came before; a queue that is away is the sweep's matter
        Ok(_) | Err(JobsError::Queue(_)) => Ok(Verdict::Done),
        Err(JobsError::Store(error)) => Err(error),
    }
}

/// The sender's id, AMQP's message id, or the body's own hash.
fn identity(delivery: &RequestDelivery, request: &RequestMessage) -> RequestId {
    let (id, source) = match request.id.as_ref().or(delivery.message_id.as_ref()) {
        Some(id) => (format!("id:{id}"), IdSource::Sender),
        None => (format!("body:{}", sha256(&delivery.body)), IdSource::Body),
    };
    RequestId {
        id,
        source,
        redelivered: delivery.redelivered,
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
