//! Syncs: admitted, shown, ended, with their bills and timelines.

mod admit;
mod show;

use domain::{FailureCode, Fence, OrgId, SyncId, SyncState, WaitReason};
use nightshift_domain as domain;
use serde_json::json;
use sqlx::Row;

use crate::{
    Store,
    error::{StoreError, at},
    jobs::{Failure, JobRow},
    outbox, pauses,
    row::word,
    session::Session,
};

pub use admit::{AdmissionAnswer, Opening, Patience};
pub(crate) use admit::{admit_each, admit_in, new_trace};
pub use show::{Progress, SyncRow, TimelineRow};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Syncs<'a> {
    pub(crate) store: &'a Store,
}

impl Store {
    /// Syncs.
    pub fn syncs(&self) -> Syncs<'_> {
        Syncs { store: self }
    }
}

/// Locks an org's row: whoever will write it does so before any other lock (order of locks: `jobs/settle.rs`).
pub(crate) async fn lock_org(c: &mut Session, org: OrgId) -> Result<(), StoreError> {
    sqlx::query("-- orgs.lock\nSELECT id FROM org WHERE id = $1 FOR UPDATE")
        .bind(org.uuid())
        .execute(c)
        .await
        .map_err(at("orgs.lock"))?;
    Ok(())
}

/// Locks a sync's row: whoever settles or ends something of a sync does so first. A sync that is gone has ended.
pub(crate) async fn lock(c: &mut Session, org: OrgId, sync: SyncId) -> Result<SyncState, StoreError> {
    let state: Option<String> =
        sqlx::query_scalar("-- syncs.lock\nSELECT state FROM sync WHERE org_id = $1 AND id = $2 FOR UPDATE")
            .bind(org.uuid())
            .bind(sync.uuid())
            .fetch_optional(c)
            .await
            .map_err(at("syncs.lock"))?;
    state.map_or(Ok(SyncState::Failed), |state| word("sync", "state", &state))
}

/// A line of the timeline for a job that a person failed.
pub(crate) async fn add_failed(
    c: &mut Session,
    job: &JobRow,
    sync: SyncId,
    fence: Fence,
    failure: &Failure,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- syncs.add_failed
        INSERT INTO timeline (org_id, sync_id, at, job_id, kind, event, fence, attempts, deaths, waits, detail)
        VALUES ($1, $2, nightshift_now(), $3, $4, 'failed', $5, $6, $7, $8, $9)",
    )
    .bind(job.org.uuid())
    .bind(sync.uuid())
    .bind(job.id.uuid())
    .bind(&job.kind)
    .bind(fence.0)
    .bind(job.attempts)
    .bind(job.deaths)
    .bind(job.waits)
    .bind(crate::jobs::detail(failure.code, &failure.message))
    .execute(c)
    .await
    .map_err(at("syncs.add_failed"))?;
    Ok(())
}

/// The event of a sync's end, with what others want to know.
pub(crate) async fn ended_event(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    topic: &str,
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "-- syncs.event
        SELECT org.name, sync.state, sync.revision, sync.added, sync.changed, sync.deleted, sync.failure_code,
               sync.traceparent, extract(epoch FROM nightshift_now() - sync.admitted_at)::float8 AS seconds
          FROM sync JOIN org ON org.id = sync.org_id WHERE sync.org_id = $1 AND sync.id = $2",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .fetch_one(&mut *c)
    .await
    .map_err(at("syncs.event"))?;
    let body = json!({
        "sync": sync.to_string(),
        "org_name": row.get::<String, _>("name"),
        "state": row.get::<String, _>("state"),
        "revision": row.get::<Option<i64>, _>("revision"),
        "added": row.get::<Option<i64>, _>("added"),
        "changed": row.get::<Option<i64>, _>("changed"),
        "deleted": row.get::<Option<i64>, _>("deleted"),
        "seconds": row.get::<f64, _>("seconds"),
        "failure_code": row.get::<Option<String>, _>("failure_code"),
    });
    let traceparent: Option<String> = row.get("traceparent");
    outbox::write(c, org, topic, &body, traceparent.as_deref()).await
}

/// How a night of an org went so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NightTries {
    /// Settled runs that were no retry's announcement and no postponement of ours.
    pub tries: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
}

impl Syncs<'_> {
    /// Tries and retries of the night to which a sync belongs, of all its syncs, from their timelines.
    pub async fn tries_tonight(self, org: OrgId, sync: SyncId) -> Result<NightTries, StoreError> {
        let postponed = [
            WaitReason::InstanceDown,
            WaitReason::RetryBudget,
            WaitReason::DailyAllowance,
            WaitReason::RunsAlone,
            WaitReason::Database,
        ]
        .map(WaitReason::as_str);
        let row = sqlx::query(
            "-- syncs.tries_tonight
            SELECT count(*) FILTER (WHERE line.event = 'retry') AS retries,
                   count(*) FILTER (WHERE line.event <> 'retry'
                                      AND NOT (line.event = 'waits' AND line.detail = ANY($3))) AS tries
              FROM sync mine JOIN sync ON sync.org_id = $1 AND sync.ledger_night = mine.ledger_night
              JOIN timeline line ON line.org_id = $1 AND line.sync_id = sync.id
             WHERE mine.org_id = $1 AND mine.id = $2",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(postponed)
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("syncs.tries_tonight"))?;
        let count = |column| row.get::<i64, _>(column).unsigned_abs();
        Ok(NightTries {
            tries: count("tries"),
            retries: count("retries"),
        })
    }

    /// Ends open syncs whose patience is over although no worker comes to say so (all of them gone, say).
    ///
    /// A grace of ten minutes leaves the word to the worker that knows what the sync waited for.
    pub async fn end_impatient(self) -> Result<u64, StoreError> {
        let late = sqlx::query(
            "-- syncs.impatient
            SELECT org_id, id FROM sync
             WHERE state IN ('queued', 'running') AND give_up_at < nightshift_now() - interval '10 minutes'
               AND NOT EXISTS (SELECT FROM job WHERE job.org_id = sync.org_id AND job.sync_id = sync.id
                                AND job.state = 'claimed' AND job.lease_until > nightshift_now())
             LIMIT 100",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("syncs.impatient"))?;
        for row in &late {
            let org = OrgId::from_uuid(row.get("org_id"));
            let sync = SyncId::from_uuid(row.get("id"));
            let mut tx = self.store.begin("syncs.end_impatient").await?;
            lock_org(&mut tx, org).await?;
            lock(&mut tx, org, sync).await?;
            let pause = pauses::that_stops(&mut tx, org, Some(sync)).await?;
            let failure = out_of_time(pause);
            crate::jobs::fail_sync(&mut tx, org, Some(sync), &failure).await?;
            tx.commit().await?;
        }
        Ok(late.len() as u64)
    }
}

/// Nobody came to say for what it waited; a pause is known all the same.
fn out_of_time(pause: Option<String>) -> Failure {
    let message = "the sync's time ended before its work";
    Failure {
        code: FailureCode::WindowEnded,
        message: pause
            .as_ref()
            .map_or_else(|| message.to_owned(), |pause| format!("{message}: {pause}")),
        evidence: pause
            .map(|pause| ("paused".to_owned(), pause))
            .into_iter()
            .collect(),
    }
}
