//! What a queue has forgotten it is told again at once.
//!
//! An announced job counts as told for `reannounce_seconds`, and only then as lost (`sweep.rs`): a message may wait that
//! long. A broker that was wiped, or that an empty one took the place of, has lost all of them, and whoever finds it so
//! knows when. It takes their marks back, and the next sweeps announce them, a room's worth at a time. What was marked
//! since the old broker was lost is left alone: its message goes to the new one, or its announcer takes the mark back.
//! So several who find the same loss announce nothing twice.
//!
//! Whoever finds it may die before it has written so: then the minute passes as for any lost message.

use std::{sync::Arc, time::Duration};

use nightshift_queue::Queue;
use nightshift_store::Store;
use tokio_util::sync::CancellationToken;

use crate::events;

/// Between two tries while the database is away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Watches a queue until told to stop. One for each queue of a process.
pub async fn tell_again(store: Store, queue: Arc<dyn Queue>, stop: CancellationToken) {
    let mut emptied = queue.emptied();
    let mut done = None;
    loop {
        let found = tokio::select! {
            () = stop.cancelled() => return,
            found = emptied.wait_for(|emptied| *emptied > done) => found.map(|emptied| *emptied),
        };
        // a queue that is gone is found empty no more
        let Ok(Some(before)) = found else { return };
        match store.jobs().unmark_all(before.elapsed()).await {
            Ok(jobs) => {
                events::queue_emptied(jobs);
                done = Some(before);
            }
            Err(error) => {
                tracing::warn!(%error, "could not take back what an emptied queue was told; it is tried again");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(AGAIN_AFTER) => {}
                }
            }
        }
    }
}
