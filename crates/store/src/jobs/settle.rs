//! Effects, state of the job and follow-ups, in one transaction, under the claim's fence. Most steps only hand over to the
//! next one or wait: their transaction is a single statement.
//!
//! Order of locks, everywhere in this crate: the org's row (of those who will write it), the sync's row, the job's row, the
//! rest. Doors need the org's first, so that one sync is open; had settlements taken it behind the sync's, a slot that
//! joins and a step that ends would wait for each other. The sync's makes the last batch of a sync know that it is the
//! last: without it overlapping last batches forgot their `finish`.

use std::time::Duration;

use nightshift_domain::{Effect, SyncId};
use sqlx::error::DatabaseError;

use super::{
    AnnounceLimits, Claim, Due, Jobs, Settled, Settlement, Settling, effects, fail,
    take::{Few, Left, Locks, take},
};
use crate::{
    error::{StoreError, at},
    session::Session,
    staging, syncs,
};

/// How often a settlement that met a deadlock or a lock time-out is tried again as a whole.
const TRIES: u32 = 5;

/// Before each try at a database whose connection was lost, in milliseconds: one connection is replaced at once, a
/// server needs some seconds to start anew.
const BREATHS: [u64; 5] = [0, 50, 200, 1_000, 3_000];

impl Jobs<'_> {
    /// Settles, and leaves all that is due to an announcement. `Err(LeaseLost)` when the fence no longer fits; nothing was
    /// written then.
    pub async fn settle(self, claim: Claim, settlement: Settlement) -> Result<Settled, StoreError> {
        self.settle_with(claim, settlement, Few(0)).await
    }

    /// Settles, and marks what follows as announced where none of the limits can bind: whoever calls sends it.
    pub async fn settle_and_mark(
        self,
        claim: Claim,
        settlement: Settlement,
        limits: &AnnounceLimits,
    ) -> Result<Settled, StoreError> {
        let bounds = [
            limits.per_org,
            limits.open_per_org,
            limits.running_per_org,
            limits.per_class,
        ];
        let few = bounds.into_iter().min().unwrap_or_default();
        self.settle_with(claim, settlement, Few(few)).await
    }

    async fn settle_with(
        self,
        claim: Claim,
        mut settlement: Settlement,
        few: Few,
    ) -> Result<Settled, StoreError> {
        // a settlement that is tried again inserts the same jobs
        settlement.settling.draw_ids();
        let mut tries = 0;
        let mut breaths = BREATHS.into_iter();
        let mut answer_lost = false;
        loop {
            match self.settle_once(&claim, &settlement, few).await {
                Err(StoreError::Busy { .. }) if tries < TRIES => tries += 1,
                // the connection was lost before COMMIT was sent: nothing is written, and the claim still stands
                Err(error @ StoreError::Unavailable { .. }) => match breaths.next() {
                    Some(breath) => tokio::time::sleep(Duration::from_millis(breath)).await,
                    None => return Err(error),
                },
                Err(StoreError::UnknownCommit { .. }) => {
                    answer_lost = true;
                    if let Some(settled) = self.resolve(&claim, &settlement).await? {
                        return Ok(settled);
                    }
                }
                // a statement that was still on its way when the row was looked at has come first
                Err(StoreError::LeaseLost) if answer_lost => {
                    let settled = self.resolve(&claim, &settlement).await?;
                    return settled.ok_or(StoreError::LeaseLost);
                }
                other => return other,
            }
        }
    }

    async fn settle_once(
        self,
        claim: &Claim,
        settlement: &Settlement,
        few: Few,
    ) -> Result<Settled, StoreError> {
        if let Some(sync) = claim.sync
            && only_hands_over(&settlement.settling)
            && let Some(settled) = self.settle_at_once(claim, sync, settlement, few).await?
        {
            return Ok(settled);
        }
        let mut tx = self.store.begin("jobs.settle").await?;
        if writes_org(claim, &settlement.settling) {
            syncs::lock_org(&mut tx, claim.org).await?;
        }
        let state = match claim.sync {
            Some(sync) => Some(syncs::lock(&mut tx, claim.org, sync).await?),
            None => None,
        };
        ::fail::fail_point!("settle-locked", |_| std::process::abort());
        let left = match state {
            Some(state) if !state.is_open() => Left::Bill,
            _ => Left::All,
        };
        let taken = take(&mut tx, claim, settlement, left, few, Locks::Before).await?;
        ::fail::fail_point!("settle-taken", |_| std::process::abort());
        if left == Left::Bill {
            tx.commit().await?;
            return Ok(Settled::SyncEnded);
        }
        write(&mut tx, claim, &settlement.settling, &taken.kind).await?;
        ::fail::fail_point!("settle-written", |_| std::process::abort());
        tx.commit().await?;
        Ok(Settled::Written(taken.due))
    }

    /// By one statement. `None`: the fence does not fit or the sync has ended, and nothing was written.
    async fn settle_at_once(
        self,
        claim: &Claim,
        sync: SyncId,
        settlement: &Settlement,
        few: Few,
    ) -> Result<Option<Settled>, StoreError> {
        let mut session = self.store.pool.acquire().await.map_err(at("jobs.settle"))?;
        match take(
            &mut session,
            claim,
            settlement,
            Left::All,
            few,
            Locks::AtOnce(sync),
        )
        .await
        {
            Ok(taken) => Ok(Some(Settled::Written(taken.due))),
            Err(StoreError::LeaseLost) => Ok(None),
            // no COMMIT follows it: it may be done
            Err(StoreError::Unavailable { statement, source }) if !is_no(&source) => {
                Err(StoreError::UnknownCommit { statement })
            }
            Err(error) => Err(error),
        }
    }

    /// After a commit whose answer was lost: was it done? `None` asks for another try.
    ///
    /// The row tells: still claimed with our fence means that it was not done (the old backend may still be at it, so
    /// the row is asked for with a lock); anything else means done, or another's by now.
    async fn resolve(self, claim: &Claim, settlement: &Settlement) -> Result<Option<Settled>, StoreError> {
        let mut last = None;
        for breath in BREATHS {
            tokio::time::sleep(Duration::from_millis(breath)).await;
            let found: Result<Option<i64>, _> = sqlx::query_scalar(
                "-- jobs.resolve
                SELECT fence FROM job WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed' FOR UPDATE",
            )
            .bind(claim.org.uuid())
            .bind(claim.job.uuid())
            .bind(claim.fence.0)
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("jobs.resolve"));
            match found {
                Ok(Some(_)) => return Ok(None),
                Ok(None) => {
                    // nobody was told of what the lost answer would have named
                    let follow = settlement.settling.follow().into_iter().filter_map(|job| job.id);
                    self.unmark_each(follow.map(|id| (claim.org, id))).await?;
                    let fails = matches!(settlement.settling, Settling::Fail { .. });
                    let due = if fails { Due::Later } else { Due::Now };
                    return Ok(Some(Settled::Written(due)));
                }
                Err(error) if error.is_transient() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(StoreError::UnknownCommit {
            statement: "jobs.settle",
        }))
    }
}

/// Whether the org's row is written, at the latest by an event. Of a sync's settlements those of its first and its last
/// step are such, and a failure; for all others the lock would be a round trip for nothing.
fn writes_org(claim: &Claim, settling: &Settling) -> bool {
    let writes = |effect: &Effect| match effect {
        Effect::OrgFacts(_) | Effect::Switch(_) | Effect::Hold(_) => true,
        Effect::Planned { .. } | Effect::TypeHealth { .. } | Effect::Bill(_) => false,
    };
    match settling {
        Settling::Done { effects, .. } => effects.iter().any(writes),
        Settling::Fail { .. } => claim.sync.is_some(),
        Settling::Wait { .. }
        | Settling::Split { .. }
        | Settling::Again { .. }
        | Settling::Retry { .. }
        | Settling::Release => false,
    }
}

/// Whether the server says that it has no room (class 53): then it has done nothing. Other words may come as it goes down,
/// behind what it did.
fn is_no(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code.starts_with("53"))
}

/// Whether nothing is changed besides, and it does not matter what others have settled meanwhile: then no statement need
/// come before or after the one that takes the row.
fn only_hands_over(settling: &Settling) -> bool {
    match settling {
        Settling::Done { effects, next, last } => effects.is_empty() && (last.is_none() || !next.is_empty()),
        Settling::Wait { .. } => true,
        Settling::Split { .. }
        | Settling::Again { .. }
        | Settling::Retry { .. }
        | Settling::Fail { .. }
        | Settling::Release => false,
    }
}

/// What the settlement changes besides, statement by statement.
async fn write(c: &mut Session, claim: &Claim, settling: &Settling, step: &str) -> Result<(), StoreError> {
    match settling {
        Settling::Done { effects, .. } => {
            for effect in effects {
                effects::apply(c, claim, step, effect).await?;
            }
            Ok(())
        }
        Settling::Split { .. } | Settling::Again { .. } | Settling::Retry { .. } | Settling::Release => {
            remove_staged(c, claim).await
        }
        Settling::Fail { failure } => fail::fail_sync(c, claim.org, claim.sync, failure).await,
        Settling::Wait { .. } => Ok(()),
    }
}

async fn remove_staged(c: &mut Session, claim: &Claim) -> Result<(), StoreError> {
    match claim.sync {
        Some(sync) => staging::remove_staged_of_job(c, claim.org, sync, claim.job)
            .await
            .map(drop),
        None => Ok(()),
    }
}
