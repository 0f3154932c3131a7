//! Bodies that nobody refers to: those of a failed sync, and parts of files that were merged.
//!
//! An ingest stores a body before anything refers to it, so a body may be taken away only while no sync of its org is
//! open: under the org's row lock, without which none begins. Only bodies of the last days are looked at; older ones
//! had their turn after each sync since.

use uuid::Uuid;

use crate::{
    error::{StoreError, at},
    session::Session,
    tx::plan_for_sets,
};

/// Removes at most `limit` bodies of an org that nobody refers to; says whether there may be more. An org that is busy
/// has its turn after its next sync.
pub(crate) async fn collect(c: &mut Session, org: Uuid, limit: i64) -> Result<bool, StoreError> {
    let idle = sqlx::query(
        "-- blobs.idle
        SELECT FROM org WHERE id = $1
           AND NOT EXISTS (SELECT FROM sync WHERE org_id = $1 AND state IN ('queued', 'running', 'held'))
           FOR UPDATE OF org SKIP LOCKED",
    )
    .bind(org)
    .fetch_optional(&mut *c)
    .await
    .map_err(at("blobs.idle"))?;
    if idle.is_none() {
        return Ok(false);
    }
    plan_for_sets(&mut *c).await?;
    let removed = sqlx::query(
        "-- blobs.collect
        DELETE FROM blob WHERE org_id = $1 AND hash IN (
            SELECT b.hash FROM blob b
             WHERE b.org_id = $1 AND b.stored_at > nightshift_now() - interval '7 days'
               AND NOT EXISTS (SELECT FROM file_version f WHERE f.org_id = $1 AND f.blob = b.hash)
               AND NOT EXISTS (SELECT FROM version v WHERE v.org_id = $1 AND v.blob = b.hash)
             LIMIT $2)",
    )
    .bind(org)
    .bind(limit)
    .execute(c)
    .await
    .map_err(at("blobs.collect"))?;
    Ok(removed.rows_affected() as i64 == limit)
}
