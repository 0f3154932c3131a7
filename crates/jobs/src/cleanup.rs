//! Takes away what nobody needs any more, and ends syncs whose time is over.
//!
//! It runs beside the sweep and not in it: what a night of many orgs has staged takes longer to remove than an announcement
//! may wait. Bites are bounded, so that no transaction is long; a bite that found something is followed by the next one
//! at once, or a fleet would stage faster than it cleans. Several cleaners may run: rows are taken with SKIP LOCKED.

use nightshift_store::Store;
use tokio_util::sync::CancellationToken;

use crate::{error::JobsError, settings::JobsSettings};

/// Sweeps that pass between two rounds.
const SWEEPS_A_ROUND: u32 = 60;
/// How many rows of a table one bite takes at most.
const ROWS_A_BITE: i64 = 10_000;

/// One cleaner.
pub struct Cleaner {
    store: Store,
    settings: JobsSettings,
}

impl Cleaner {
    /// Has cleaned nothing yet.
    pub fn new(store: Store, settings: JobsSettings) -> Self {
        Self { store, settings }
    }

    /// Cleans until told to stop. An outage of the database is waited out.
    pub async fn run(self, stop: CancellationToken) {
        let mut every = tokio::time::interval(self.settings.sweep_every() * SWEEPS_A_ROUND);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                done = self.round() => if let Err(error) = done {
                    tracing::warn!(%error, "the clean-up failed; it goes on trying");
                }
            }
        }
    }

    /// One round: everything that can go now goes.
    pub async fn round(&self) -> Result<(), JobsError> {
        self.store.syncs().end_impatient().await?;
        while self.store.staging().sweep(ROWS_A_BITE).await? {}
        self.store.requests().forget_old().await?;
        self.store
            .ledger()
            .forget(self.settings.ledger_days, ROWS_A_BITE)
            .await?;
        Ok(())
    }
}
