//! Takes staged rows away: those of a dead worker, of a job that begins anew, of a sync that has ended.
//!
//! A claim of a job that was claimed before removes what the older fences staged; a job that is split or sent back
//! removes its own; the sweep removes what ended syncs left, in bounded bites. A sync that is queued, running or held
//! keeps its rows: its `finish` is still to come. Blobs stay: other rows may refer to them (`dictionary/blobs.rs`).

use nightshift_domain::{JobId, OrgId, SyncId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Staging;
use crate::{
    error::{StoreError, at},
    jobs::Claim,
};

/// The same statement for each staged table, whose name stands after each part but the last.
macro_rules! each_staged_table {
    ($comment:literal, $first:literal, $last:literal) => {
        each_staged_table!(@ $comment, $first, $last;
            "staged_listed", "staged_type", "batch_member", "staged_component", "staged_file", "staged_left_out")
    };
    ($comment:literal, $first:literal, $second:literal, $last:literal) => {
        each_staged_table!(@ $comment, $first, $second, $last;
            "staged_listed", "staged_type", "batch_member", "staged_component", "staged_file", "staged_left_out")
    };
    (@ $comment:literal, $first:literal, $last:literal; $($table:literal),+) => {
        [$(concat!("-- ", $comment, "\n", $first, $table, $last)),+]
    };
    (@ $comment:literal, $first:literal, $second:literal, $last:literal; $($table:literal),+) => {
        [$(concat!("-- ", $comment, "\n", $first, $table, $second, $table, $last)),+]
    };
}

impl Staging<'_> {
    /// Removes what earlier claims of the job staged: before the step of a claim that is not the first.
    ///
    /// Harmless from a claim that was lost meanwhile: only fences below its own go.
    pub async fn remove_older_fences(self, claim: &Claim) -> Result<(), StoreError> {
        let Some(sync) = claim.sync else { return Ok(()) };
        if claim.fence.0 <= 1 {
            return Ok(());
        }
        for statement in each_staged_table!(
            "staging.remove_older_fences",
            "DELETE FROM ",
            " WHERE org_id = $1 AND sync_id = $2 AND job_id = $3 AND fence < $4"
        ) {
            sqlx::query(statement)
                .bind(claim.org.uuid())
                .bind(sync.uuid())
                .bind(claim.job.uuid())
                .bind(claim.fence.0)
                .execute(&self.store.pool)
                .await
                .map_err(at("staging.remove_older_fences"))?;
        }
        Ok(())
    }

    /// Removes at most `limit` rows of each staged table, of one sync that has ended.
    ///
    /// The sync's rows of `staging` stay locked meanwhile, and go last: a worker that still writes a chunk for the
    /// ended sync either is skipped now or writes its row of `staging` anew, so that a later sweep finds what it left.
    pub async fn sweep(self, limit: i64) -> Result<Swept, StoreError> {
        let mut tx = self.store.begin("staging.sweep").await?;
        let swept = sweep_one(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(swept)
    }
}

/// Removes all that the job staged: it is split, or goes back to an earlier step.
pub(crate) async fn remove_staged_of_job(
    c: &mut PgConnection,
    org: OrgId,
    sync: SyncId,
    job: JobId,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    for statement in each_staged_table!(
        "staging.remove_staged_of_job",
        "DELETE FROM ",
        " WHERE org_id = $1 AND sync_id = $2 AND job_id = $3"
    ) {
        removed += sqlx::query(statement)
            .bind(org.uuid())
            .bind(sync.uuid())
            .bind(job.uuid())
            .execute(&mut *c)
            .await
            .map_err(at("staging.remove_staged_of_job"))?
            .rows_affected();
    }
    Ok(removed)
}

/// What one bite of the sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Swept {
    /// Rows removed.
    pub rows: u64,
    /// Whether another bite may find more.
    pub more: bool,
}

async fn sweep_one(c: &mut PgConnection, limit: i64) -> Result<Swept, StoreError> {
    let ended: Option<(Uuid, Uuid)> = sqlx::query_as(
        "-- staging.sweep.find
        SELECT g.org_id, g.sync_id FROM staging g
         WHERE NOT EXISTS (SELECT FROM sync s
                            WHERE s.org_id = g.org_id AND s.id = g.sync_id
                              AND s.state IN ('queued', 'running', 'held'))
         ORDER BY g.touched_at LIMIT 1 FOR UPDATE OF g SKIP LOCKED",
    )
    .fetch_optional(&mut *c)
    .await
    .map_err(at("staging.sweep.find"))?;
    let Some((org, sync)) = ended else {
        return Ok(Swept { rows: 0, more: false });
    };

    let mine: Vec<Uuid> = sqlx::query_scalar(
        "-- staging.sweep.lock
        SELECT job_id FROM staging WHERE org_id = $1 AND sync_id = $2 ORDER BY job_id FOR UPDATE SKIP LOCKED",
    )
    .bind(org)
    .bind(sync)
    .fetch_all(&mut *c)
    .await
    .map_err(at("staging.sweep.lock"))?;

    let mut swept = Swept { rows: 0, more: false };
    for statement in each_staged_table!(
        "staging.sweep",
        "DELETE FROM ",
        " WHERE org_id = $1 AND sync_id = $2 AND ctid = ANY (ARRAY(SELECT ctid FROM ",
        " WHERE org_id = $1 AND sync_id = $2 LIMIT $3))"
    ) {
        let removed = sqlx::query(statement)
            .bind(org)
            .bind(sync)
            .bind(limit)
            .execute(&mut *c)
            .await
            .map_err(at("staging.sweep"))?
            .rows_affected();
        swept.rows += removed;
        swept.more |= removed >= limit.unsigned_abs();
    }
    if !swept.more {
        sqlx::query("-- staging.sweep.forget
DELETE FROM staging WHERE org_id = $1 AND sync_id = $2 AND job_id = ANY ($3)")
            .bind(org)
            .bind(sync)
            .bind(mine)
            .execute(&mut *c)
            .await
            .map_err(at("staging.sweep.forget"))?;
        // Other ended syncs may wait behind this one.
        swept.more = true;
    }
    Ok(swept)
}
