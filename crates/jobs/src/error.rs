//! What can go wrong in the machinery itself (a step's own errors are `StepError`).

use nightshift_store::StoreError;

/// The machinery could not do its part; the sweep or the next delivery does it again.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] nightshift_queue::QueueError),
}
