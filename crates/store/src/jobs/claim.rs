//! Taking a job, and keeping it.

use std::time::{Duration, Instant};

use domain::{Class, Fence, JobId, Kind, OrgId, SyncId, SyncState};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::Row;

use super::Jobs;
use crate::{
    error::{StoreError, at},
    row::{Stamp, word},
};

/// Proof that this worker, and no other, may settle the job. Neither `Clone` nor `Copy`: settling consumes it, so a
/// job cannot be settled twice by a slip of the hand.
#[must_use = "a claim that is dropped blocks its job until the lease runs out"]
#[derive(Debug)]
pub struct Claim {
    pub(crate) org: OrgId,
    pub(crate) job: JobId,
    pub(crate) sync: Option<SyncId>,
    pub(crate) fence: Fence,
    lease: Duration,
    /// Taken before the claim was sent: the lease cannot have begun earlier.
    asked: Instant,
}

impl Claim {
    /// Whose job.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Which job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Its number.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// Time left to work without a heartbeat; `None` once it is too late to begin.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.lease
            .checked_sub(now.saturating_duration_since(self.asked))
            .filter(|left| !left.is_zero())
    }
}

/// A claimed job, as the claim read it.
#[derive(Debug)]
pub struct Claimed {
    /// To be settled.
    pub claim: Claim,
    /// Of which sync.
    pub sync: Option<SyncId>,
    /// The sync's state before this claim (`queued` becomes `running` with it).
    pub sync_state: Option<SyncState>,
    /// When the sync's patience ends.
    pub give_up_at: Option<Timestamp>,
    /// The step.
    pub kind: Kind,
    /// Its queue.
    pub class: Class,
    /// What the step needs.
    pub payload: serde_json::Value,
    /// Errors so far.
    pub attempts: u32,
    /// Leases that ran out so far, this claim's finding included.
    pub deaths: u32,
    /// Whether this claim found that the last lease had run out.
    pub died: bool,
    /// Waits so far.
    pub waits: u32,
    /// W3C trace context of whoever made it.
    pub traceparent: Option<String>,
    /// The database's time.
    pub now: Timestamp,
}

/// The answer to a claim.
#[derive(Debug)]
pub enum ClaimAnswer {
    /// It is ours.
    Ours(Box<Claimed>),
    /// Claimed by another, too early, gone, locked at this moment, paused, not fresh, or the org has no room: the message
    /// did its work.
    Refused,
}

pub(super) const CLAIM: &str = "-- jobs.claim
    UPDATE job
       SET state = 'claimed', fence = fence + 1, lease_until = nightshift_now() + make_interval(secs => $3),
           -- a lease that ran out is a death
           deaths = deaths + (state = 'claimed')::int
     WHERE org_id = $1 AND id = $2 AND not_before <= nightshift_now()
       AND (state = 'due' OR (state = 'claimed' AND lease_until < nightshift_now()))
       -- mostly nothing is paused: then that is all that is asked
       AND (NOT EXISTS (SELECT FROM pause) OR NOT is_paused($1, class))
       AND ($5 OR state = 'due' AND deaths = 0)
       AND (sync_id IS NULL OR org_has_room($1, $4))
 RETURNING sync_id, kind, class, payload, fence, attempts, deaths, waits, traceparent, nightshift_now() AS now,
           (SELECT state FROM sync WHERE sync.org_id = job.org_id AND sync.id = job.sync_id) AS sync_state,
           (SELECT give_up_at FROM sync WHERE sync.org_id = job.org_id AND sync.id = job.sync_id) AS give_up_at,
           (SELECT old.state = 'claimed' FROM job old WHERE old.org_id = $1 AND old.id = $2) AS died";

impl Jobs<'_> {
    /// Takes the job, if it is due, free and not paused, and fewer than `room` jobs of the org's syncs run. One statement: two workers
    /// cannot both get a row back.
    pub async fn claim(
        self,
        org: OrgId,
        job: JobId,
        lease: Duration,
        room: u32,
    ) -> Result<ClaimAnswer, StoreError> {
        self.claim_unless(org, job, lease, room, None).await
    }

    /// The same, unless a worker has died of the job, for one that could not run it now: such a job is due again after a
    /// breath.
    pub async fn claim_fresh(
        self,
        org: OrgId,
        job: JobId,
        lease: Duration,
        room: u32,
        breath: Duration,
    ) -> Result<ClaimAnswer, StoreError> {
        self.claim_unless(org, job, lease, room, Some(breath)).await
    }

    /// `breath`: for how long a job that has died is left alone; `None` takes it.
    async fn claim_unless(
        self,
        org: OrgId,
        job: JobId,
        lease: Duration,
        room: u32,
        breath: Option<Duration>,
    ) -> Result<ClaimAnswer, StoreError> {
        let asked = Instant::now();
        let row = sqlx::query(CLAIM)
            .bind(org.uuid())
            .bind(job.uuid())
            .bind(lease.as_secs_f64())
            .bind(i64::from(room))
            .bind(breath.is_none())
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("jobs.claim"));
        let row = match row {
            Ok(Some(row)) => row,
            // a row that stays locked is being claimed or settled: still owned
            Err(StoreError::Busy { .. }) => return Ok(ClaimAnswer::Refused),
            Ok(None) => {
                self.not_yet(org, job, breath).await?;
                return Ok(ClaimAnswer::Refused);
            }
            Err(error) => return Err(error),
        };
        let sync: Option<uuid::Uuid> = row.get("sync_id");
        let sync = sync.map(SyncId::from_uuid);
        let state: Option<String> = row.get("sync_state");
        let claimed = Claimed {
            claim: Claim {
                org,
                job,
                sync,
                fence: Fence(row.get("fence")),
                lease,
                asked,
            },
            sync,
            sync_state: state.map(|state| word("sync", "state", &state)).transpose()?,
            give_up_at: row.get::<Option<Stamp>, _>("give_up_at").map(|stamp| stamp.0),
            kind: Kind::read(row.get("kind")),
            class: word("job", "class", row.get("class"))?,
            payload: row.get("payload"),
            attempts: count(row.get("attempts")),
            deaths: count(row.get("deaths")),
            died: row.get("died"),
            waits: count(row.get("waits")),
            traceparent: row.get("traceparent"),
            now: row.get::<Stamp, _>("now").0,
        };
        if let (Some(sync), Some(SyncState::Queued)) = (claimed.sync, claimed.sync_state) {
            self.first_claim(org, sync).await?;
        }
        Ok(ClaimAnswer::Ours(Box::new(claimed)))
    }

    /// A due job that met no room or a pause is announced again as soon as it may run, not when its message counts as lost;
    /// one that has died and must wait for its place, after a while.
    async fn not_yet(self, org: OrgId, job: JobId, breath: Option<Duration>) -> Result<(), StoreError> {
        sqlx::query(
            "-- jobs.not_yet
            UPDATE job SET announced_at = NULL,
                   not_before = CASE WHEN deaths > 0 OR state = 'claimed'
                                     THEN coalesce(nightshift_now() + make_interval(secs => $3), not_before)
                                     ELSE not_before END
             WHERE org_id = $1 AND id = $2 AND not_before <= nightshift_now()
               AND (state = 'due' OR state = 'claimed' AND lease_until < nightshift_now())",
        )
        .bind(org.uuid())
        .bind(job.uuid())
        .bind(breath.map(|breath| breath.as_secs_f64()))
        .execute(&self.store.pool)
        .await
        .map_err(at("jobs.not_yet"))?;
        Ok(())
    }

    async fn first_claim(self, org: OrgId, sync: SyncId) -> Result<(), StoreError> {
        sqlx::query(
            "-- syncs.first_claim
            UPDATE sync SET state = 'running', started_at = nightshift_now()
             WHERE org_id = $1 AND id = $2 AND state = 'queued'",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .execute(&self.store.pool)
        .await
        .map_err(at("syncs.first_claim"))?;
        Ok(())
    }

    /// Extends the lease of a claim.
    pub async fn heartbeat(self, claim: &Claim, lease: Duration) -> Result<(), StoreError> {
        let done = sqlx::query(
            "-- jobs.heartbeat
            UPDATE job SET lease_until = nightshift_now() + make_interval(secs => $4)
             WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'",
        )
        .bind(claim.org.uuid())
        .bind(claim.job.uuid())
        .bind(claim.fence.0)
        .bind(lease.as_secs_f64())
        .execute(&self.store.pool)
        .await
        .map_err(at("jobs.heartbeat"))?;
        if done.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }
}

fn count(stored: i32) -> u32 {
    stored.unsigned_abs()
}
