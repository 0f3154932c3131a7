//! The one door to a sync.
//!
//! A slot, a request message, a hand and a same-night retry all come here. The org's row is locked, the pure rule of
//! `domain::admission` decides, and a new sync is one row, its first job another, in one transaction.

use domain::OrgId;
use nightshift_domain as domain;
use nightshift_queue::Queue;
use nightshift_store::{
    Store,
    requests::RequestId,
    syncs::{AdmissionAnswer, Opening},
};

use crate::{announce::announce, error::JobsError, settings::JobsSettings};

/// Starts a sync or joins the running one, and announces its first job when a queue is at hand.
///
/// The command line has none: there the sweep of a scheduler announces, within half a second.
pub async fn admit_sync(
    store: &Store,
    queue: Option<&dyn Queue>,
    settings: &JobsSettings,
    opening: &Opening<'_>,
) -> Result<AdmissionAnswer, JobsError> {
    let answer = store.syncs().admit(opening).await?;
    if let (Some(queue), AdmissionAnswer::Opened { .. }) = (queue, &answer) {
        tell(store, queue, settings, opening.request.org).await;
    }
    Ok(answer)
}

/// The same for a request message: once for each id within its time; `None`: that was done already.
pub async fn admit_request(
    store: &Store,
    queue: &dyn Queue,
    settings: &JobsSettings,
    id: &RequestId,
    opening: &Opening<'_>,
) -> Result<Option<AdmissionAnswer>, JobsError> {
    let answer = store.requests().admit(id, opening).await?;
    if let Some(AdmissionAnswer::Opened { .. }) = answer {
        tell(store, queue, settings, opening.request.org).await;
    }
    Ok(answer)
}

async fn tell(store: &Store, queue: &dyn Queue, settings: &JobsSettings, org: OrgId) {
    if let Err(error) = announce(store, queue, settings, org).await {
        tracing::warn!(%error, "could not announce a new sync; the sweep will");
    }
}
