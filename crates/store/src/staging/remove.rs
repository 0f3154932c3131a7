//! Takes staged rows away: those of a dead worker, of a job that begins anew, of a sync that has ended.
//!
//! A claim of a job that was claimed before removes what the older fences staged; a job that is split or sent back
//! removes its own; the sweep removes what ended syncs left, in bounded bites. A sync that is queued, running or held
//! keeps its rows: its `finish` is still to come. Blobs stay: other rows may refer to them (`dictionary/blobs.rs`).

use nightshift_domain::{Fence, JobId, OrgId, SyncId};
use uuid::Uuid;

use crate::{StoreError, dictionary::collect, session::Session};

/// The same statement for each staged table.
macro_rules! each_staged_table {
    ($comment:literal, $before:literal, $after:literal) => {
        [
            concat!("-- ", $comment, "\n", $before, "staged_listed", $after),
            concat!("-- ", $comment, "\n", $before, "staged_type", $after),
            concat!("-- ", $comment, "\n", $before, "batch_member", $after),
            concat!("-- ", $comment, "\n", $before, "staged_part", $after),
            concat!("-- ", $comment, "\n", $before, "staged_component", $after),
            concat!("-- ", $comment, "\n", $before, "staged_file", $after),
            concat!("-- ", $comment, "\n", $before, "staged_left_out", $after),
        ]
    };
}

/// Removes what earlier claims of the job staged. To be called by a claim whose fence is above 1, before its step.
pub(crate) async fn remove_older_fences(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    job: JobId,
    fence: Fence,
) -> Result<u64, StoreError> {
    let mut removed = 0;
    for statement in each_staged_table!(
        "staging.remove_older_fences",
        "DELETE FROM ",
        " WHERE org_id = $1 AND sync_id = $2 AND job_id = $3 AND fence < $4"
    ) {
        removed += sqlx::query(statement)
            .bind(org.uuid())
            .bind(sync.uuid())
            .bind(job.uuid())
            .bind(fence.0)
            .execute(&mut *c)
            .await
            .map_err(StoreError::on("staging.remove_older_fences"))?
            .rows_affected();
    }
    Ok(removed)
}

/// Removes all that the job staged: it is split, or goes back to an earlier step.
pub(crate) async fn remove_staged_of_job(
    c: &mut Session,
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
            .map_err(StoreError::on("staging.remove_staged_of_job"))?
            .rows_affected();
    }
    Ok(removed)
}

/// Removes at most `limit` rows of each staged table, of one sync that has ended; says whether there may be more.
///
/// The sync's rows of `staging` go last and only when nothing else was found: a worker that still writes a chunk for
/// the ended sync writes its row of `staging` anew, so that a later sweep finds what it left.
pub(super) async fn sweep_staged(c: &mut Session, limit: i64) -> Result<bool, StoreError> {
    let ended: Option<(Uuid, Uuid)> = sqlx::query_as(
        "-- staging.sweep.find
        SELECT g.org_id, g.sync_id FROM staging g
         WHERE NOT EXISTS (SELECT FROM sync s
                            WHERE s.org_id = g.org_id AND s.id = g.sync_id
                              AND s.state IN ('queued', 'running', 'held'))
           -- one row stands for its sync: two who clean never take the same one
           AND NOT EXISTS (SELECT FROM staging e
                            WHERE e.org_id = g.org_id AND e.sync_id = g.sync_id AND e.job_id < g.job_id)
         ORDER BY g.touched_at LIMIT 1 FOR UPDATE OF g SKIP LOCKED",
    )
    .fetch_optional(&mut *c)
    .await
    .map_err(StoreError::on("staging.sweep.find"))?;
    let Some((org, sync)) = ended else {
        return Ok(false);
    };
    let mut removed = 0;
    for statement in SWEEP {
        removed += sqlx::query(statement)
            .bind(org)
            .bind(sync)
            .bind(limit)
            .execute(&mut *c)
            .await
            .map_err(StoreError::on("staging.sweep"))?
            .rows_affected();
    }
    if removed == 0 && !collect(&mut *c, org, limit).await? {
        sqlx::query("-- staging.sweep.done\nDELETE FROM staging WHERE org_id = $1 AND sync_id = $2")
            .bind(org)
            .bind(sync)
            .execute(c)
            .await
            .map_err(StoreError::on("staging.sweep.done"))?;
    }
    Ok(true)
}

/// One bounded bite of a table.
macro_rules! bite {
    ($table:literal) => {
        concat!(
            "-- staging.sweep\nDELETE FROM ",
            $table,
            " WHERE ctid = ANY (ARRAY(SELECT ctid FROM ",
            $table,
            " WHERE org_id = $1 AND sync_id = $2 LIMIT $3))"
        )
    };
}

const SWEEP: [&str; 7] = [
    bite!("staged_listed"),
    bite!("staged_type"),
    bite!("batch_member"),
    bite!("staged_part"),
    bite!("staged_component"),
    bite!("staged_file"),
    bite!("staged_left_out"),
];
