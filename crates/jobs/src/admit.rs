//! The one door to a sync.
//!
//! A slot, a request message, a hand and a same-night retry all come here. The org's row is locked, the pure rule of
//! `domain::admission` decides, and a new sync is one row, its first job another, in one transaction.

use domain::{NewJob, SyncRequest};
use nightshift_domain as domain;
use nightshift_queue::Queue;
use nightshift_store::{
    Store,
    syncs::{AdmissionAnswer, Patience},
};

use crate::{announce::announce, error::JobsError, settings::JobsSettings};

/// Starts a sync or joins the running one, and announces its first job when a queue is at hand.
///
/// The command line has none: there the sweep of a scheduler announces, within half a second.
pub async fn admit_sync(
    store: &Store,
    queue: Option<&dyn Queue>,
    settings: &JobsSettings,
    request: &SyncRequest,
    patience: Patience,
    first: &NewJob,
    traceparent: Option<&str>,
) -> Result<AdmissionAnswer, JobsError> {
    let answer = store.syncs().admit(request, patience, first, traceparent).await?;
    if let (Some(queue), AdmissionAnswer::Opened { .. }) = (queue, &answer)
        && let Err(error) = announce(store, queue, settings, Some(request.org)).await
    {
        tracing::warn!(%error, "could not announce a new sync; the sweep will");
    }
    Ok(answer)
}
