//! Inserting jobs, in the transaction that makes them needed.

use domain::{JobId, NewJob, OrgId, SyncId};
use nightshift_domain as domain;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Due;
use crate::{
    error::{StoreError, at},
    row::Stamp,
    session::Session,
};

/// Longest payload, in bytes of JSON: a job's row must stay small.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// Inserts one job; says whether it is due at once.
pub(crate) async fn insert(
    connection: &mut Session,
    org: OrgId,
    sync: Option<SyncId>,
    deaths: u32,
    traceparent: Option<&str>,
    job: &NewJob,
) -> Result<Due, StoreError> {
    small(job)?;
    let id = id(job);
    let due: bool = sqlx::query_scalar(
        "-- jobs.insert
        INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, deaths, created_at, traceparent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'due', coalesce($8, nightshift_now()), $9, nightshift_now(), $10)
        RETURNING not_before <= nightshift_now()",
    )
    .bind(org.uuid())
    .bind(id.uuid())
    .bind(sync.map(SyncId::uuid))
    .bind(job.kind.as_str())
    .bind(job.class.as_str())
    .bind(job.lane.as_str())
    .bind(&job.payload)
    .bind(job.not_before.map(Stamp))
    .bind(deaths as i32)
    .bind(traceparent)
    .fetch_one(connection)
    .await
    .map_err(at("jobs.insert"))?;
    Ok(if due { Due::Now } else { Due::Later })
}

/// The jobs as a document for a statement that inserts them among other things.
pub(super) fn rows<'a>(jobs: impl IntoIterator<Item = &'a NewJob>) -> Result<Value, StoreError> {
    let row = |job: &NewJob| {
        small(job)?;
        Ok(json!({
            "id": id(job), "kind": job.kind.as_str(), "class": job.class.as_str(), "lane": job.lane.as_str(),
            "payload": job.payload, "not_before": job.not_before.map(|at| at.to_string()),
        }))
    };
    jobs.into_iter().map(row).collect()
}

/// Its id, or one that is drawn now.
pub(super) fn id(job: &NewJob) -> JobId {
    job.id.unwrap_or_else(|| JobId::from_uuid(Uuid::now_v7()))
}

fn small(job: &NewJob) -> Result<(), StoreError> {
    let size = job.payload.to_string().len();
    if size <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    let reason = format!(
        "the payload of a {} job has {size} bytes, at most {PAYLOAD_BYTES_MAX} fit",
        job.kind
    );
    Err(StoreError::Refused {
        thing: "a job",
        reason,
    })
}
