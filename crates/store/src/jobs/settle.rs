//! Effects, state of the job and follow-ups, in one transaction, under the claim's fence.
//!
//! Order of locks, always: the sync's row, the job's row, the rest. The first one makes the last batch of a sync know
//! that it is the last: without it overlapping last batches forgot their `finish`.

use std::time::Duration;

use domain::{NewJob, SyncState};
use nightshift_domain as domain;
use sqlx::{PgConnection, Row};

use super::{Claim, Due, Jobs, Settled, Settlement, Settling, effects, fail, insert};
use crate::{
    error::{StoreError, at},
    ledger,
    row::{Stamp, word},
    staging, syncs,
};

/// How often a settlement that met a deadlock or a lock time-out is tried again as a whole.
const TRIES: u32 = 5;

/// Before each try at a database whose connection was lost, in milliseconds: one connection is replaced at once, a
/// server needs some seconds to start anew.
const BREATHS: [u64; 5] = [0, 50, 200, 1_000, 3_000];

/// The job's row, as it was when it was settled.
pub(super) struct JobLine {
    pub kind: String,
    pub attempts: i32,
    pub deaths: i32,
    pub waits: i32,
    pub traceparent: Option<String>,
}

impl Jobs<'_> {
    /// Settles. `Err(LeaseLost)` when the fence no longer fits; nothing was written then.
    pub async fn settle(self, claim: Claim, settlement: Settlement) -> Result<Settled, StoreError> {
        let mut tries = 0;
        let mut breaths = BREATHS.into_iter();
        loop {
            match self.settle_once(&claim, &settlement).await {
                Err(StoreError::Busy { .. }) if tries < TRIES => tries += 1,
                // the connection was lost before COMMIT was sent: nothing is written, and the claim still stands
                Err(error @ StoreError::Unavailable { .. }) => match breaths.next() {
                    Some(breath) => tokio::time::sleep(Duration::from_millis(breath)).await,
                    None => return Err(error),
                },
                Err(StoreError::UnknownCommit { .. }) => {
                    if let Some(settled) = self.resolve(&claim, &settlement).await? {
                        return Ok(settled);
                    }
                }
                other => return other,
            }
        }
    }

    async fn settle_once(self, claim: &Claim, settlement: &Settlement) -> Result<Settled, StoreError> {
        let mut tx = self.store.begin("jobs.settle").await?;
        let state = lock_sync(&mut tx, claim).await?;
        ::fail::fail_point!("settle-locked", |_| std::process::abort());
        let ended = state.is_some_and(|state| !state.is_open());
        let settling = if ended { &ENDED } else { &settlement.settling };
        let line = take_row(&mut tx, claim, settling).await?;
        ::fail::fail_point!("settle-taken", |_| std::process::abort());
        ledger::book(&mut tx, claim.org, claim.sync, &line.kind, &settlement.bill).await?;
        if ended {
            tx.commit().await?;
            return Ok(Settled::SyncEnded);
        }
        let due = write(&mut tx, claim, settling, &line).await?;
        ::fail::fail_point!("settle-written", |_| std::process::abort());
        syncs::add_line(
            &mut tx,
            claim,
            settling,
            &line.kind,
            [line.attempts, line.deaths, line.waits],
        )
        .await?;
        tx.commit().await?;
        Ok(Settled::Written(due))
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
                    let follows = matches!(settlement.settling, Settling::Fail { .. });
                    return Ok(Some(Settled::Written(if follows {
                        Due::Later
                    } else {
                        Due::Now
                    })));
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

/// What is written for a job whose sync has ended: it goes, with nothing else.
static ENDED: Settling = Settling::Done {
    effects: Vec::new(),
    next: Vec::new(),
    last: None,
};

async fn lock_sync(c: &mut PgConnection, claim: &Claim) -> Result<Option<SyncState>, StoreError> {
    let Some(sync) = claim.sync else { return Ok(None) };
    let state: Option<String> =
        sqlx::query_scalar("-- syncs.lock\nSELECT state FROM sync WHERE org_id = $1 AND id = $2 FOR UPDATE")
            .bind(claim.org.uuid())
            .bind(sync.uuid())
            .fetch_optional(c)
            .await
            .map_err(at("syncs.lock"))?;
    // a sync that is gone has ended
    state.map_or(Ok(Some(SyncState::Failed)), |state| {
        word("sync", "state", &state).map(Some)
    })
}

pub(super) const DELETE: &str = "-- jobs.settle_delete
    DELETE FROM job WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'
    RETURNING kind, attempts, deaths, waits, traceparent";
pub(super) const DUE: &str = "-- jobs.settle_due
    UPDATE job SET state = 'due', lease_until = NULL, announced_at = NULL,
           not_before = coalesce($4, nightshift_now()), attempts = attempts + $5, waits = waits + $6,
           waiting_for = $7, payload = coalesce($8, payload)
     WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'
    RETURNING kind, attempts, deaths, waits, traceparent";
pub(super) const DEAD: &str = "-- jobs.settle_dead
    UPDATE job SET state = 'dead', lease_until = NULL
     WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'
    RETURNING kind, attempts, deaths, waits, traceparent";

/// Moves or deletes the row, under the fence.
async fn take_row(c: &mut PgConnection, claim: &Claim, settling: &Settling) -> Result<JobLine, StoreError> {
    let key = |sql| {
        sqlx::query(sql)
            .bind(claim.org.uuid())
            .bind(claim.job.uuid())
            .bind(claim.fence.0)
    };
    let due =
        |until: Option<jiff::Timestamp>, attempts: i32, waits: i32, why: Option<&'static str>, payload| {
            key(DUE)
                .bind(until.map(Stamp))
                .bind(attempts)
                .bind(waits)
                .bind(why)
                .bind(payload)
        };
    let query = match settling {
        Settling::Fail { .. } if claim.sync.is_none() => key(DEAD),
        Settling::Done { .. } | Settling::Split { .. } | Settling::Again { .. } | Settling::Fail { .. } => {
            key(DELETE)
        }
        Settling::Wait { until, why, payload } => {
            due(Some(*until), 0, 1, Some(why.as_str()), payload.clone())
        }
        Settling::Retry { not_before, .. } => due(Some(*not_before), 1, 0, None, None),
        Settling::Release => due(None, 0, 0, None, None),
    };
    let row = query
        .fetch_optional(c)
        .await
        .map_err(at("jobs.settle"))?
        .ok_or(StoreError::LeaseLost)?;
    Ok(JobLine {
        kind: row.get("kind"),
        attempts: row.get("attempts"),
        deaths: row.get("deaths"),
        waits: row.get("waits"),
        traceparent: row.get("traceparent"),
    })
}

async fn write(
    c: &mut PgConnection,
    claim: &Claim,
    settling: &Settling,
    line: &JobLine,
) -> Result<Due, StoreError> {
    match settling {
        Settling::Done { effects, next, last } => {
            for effect in effects {
                effects::apply(c, claim, &line.kind, effect).await?;
            }
            let mut due = insert_all(c, claim, 0, line, next).await?;
            if let Some(last) = last.as_ref().filter(|_| next.is_empty())
                && none_left(c, claim).await?
            {
                due = insert_all(c, claim, 0, line, std::slice::from_ref(last)).await?;
            }
            Ok(due)
        }
        Settling::Split { halves } => {
            remove_staged(c, claim).await?;
            insert_all(c, claim, 0, line, halves).await
        }
        Settling::Again { from } => {
            remove_staged(c, claim).await?;
            insert_all(
                c,
                claim,
                line.deaths.unsigned_abs(),
                line,
                std::slice::from_ref(from),
            )
            .await
        }
        Settling::Fail { failure } => {
            fail::fail_sync(c, claim.org, claim.sync, failure).await?;
            Ok(Due::Later)
        }
        Settling::Retry { .. } => {
            remove_staged(c, claim).await?;
            Ok(Due::Later)
        }
        Settling::Release => {
            remove_staged(c, claim).await?;
            Ok(Due::Now)
        }
        Settling::Wait { .. } => Ok(Due::Later),
    }
}

async fn remove_staged(c: &mut PgConnection, claim: &Claim) -> Result<(), StoreError> {
    match claim.sync {
        Some(sync) => staging::remove_staged_of_job(c, claim.org, sync, claim.job)
            .await
            .map(drop),
        None => Ok(()),
    }
}

async fn insert_all(
    c: &mut PgConnection,
    claim: &Claim,
    deaths: u32,
    line: &JobLine,
    jobs: &[NewJob],
) -> Result<Due, StoreError> {
    let mut due = Due::Later;
    for job in jobs {
        let inserted = insert(c, claim.org, claim.sync, deaths, line.traceparent.as_deref(), job).await?;
        if inserted == Due::Now {
            due = Due::Now;
        }
    }
    Ok(due)
}

async fn none_left(c: &mut PgConnection, claim: &Claim) -> Result<bool, StoreError> {
    let Some(sync) = claim.sync else { return Ok(false) };
    sqlx::query_scalar(
        "-- jobs.none_left\nSELECT NOT EXISTS (SELECT FROM job WHERE org_id = $1 AND sync_id = $2)",
    )
    .bind(claim.org.uuid())
    .bind(sync.uuid())
    .fetch_one(c)
    .await
    .map_err(at("jobs.none_left"))
}
