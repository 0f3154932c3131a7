//! Inserting jobs, in the transaction that makes them needed.

use domain::{JobId, NewJob, OrgId, SyncId};
use nightshift_domain as domain;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    error::{StoreError, at},
    row::{Stamp, column},
    session::Session,
};

/// Longest payload, in bytes of JSON: a job's row must stay small.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// A job to insert, and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) org: OrgId,
    pub(crate) sync: SyncId,
    /// Of the trace that led to it.
    pub(crate) traceparent: Option<&'a str>,
    pub(crate) job: &'a NewJob,
}

/// Inserts jobs with which syncs begin or go on, in one statement.
pub(crate) async fn insert(c: &mut Session, jobs: &[Placed<'_>]) -> Result<(), StoreError> {
    for placed in jobs {
        small(placed.job)?;
    }
    sqlx::query(
        "-- jobs.insert
        INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, created_at, traceparent)
        SELECT org_id, id, sync_id, kind, class, lane, payload, 'due', coalesce(not_before, (SELECT nightshift_now())),
               (SELECT nightshift_now()), traceparent
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[],
                      $8::timestamptz[], $9::text[])
               AS placed (org_id, id, sync_id, kind, class, lane, payload, not_before, traceparent)",
    )
    .bind(column(jobs, |placed| placed.org.uuid()))
    .bind(column(jobs, |placed| id(placed.job).uuid()))
    .bind(column(jobs, |placed| placed.sync.uuid()))
    .bind(column(jobs, |placed| placed.job.kind.as_str()))
    .bind(column(jobs, |placed| placed.job.class.as_str()))
    .bind(column(jobs, |placed| placed.job.lane.as_str()))
    .bind(column(jobs, |placed| placed.job.payload.clone()))
    .bind(column(jobs, |placed| placed.job.not_before.map(Stamp)))
    .bind(column(jobs, |placed| placed.traceparent))
    .execute(c)
    .await
    .map_err(at("jobs.insert"))?;
    Ok(())
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
