//! What people do to jobs: release, fail, requeue, each job in a transaction of its own with a line in the book of deeds.
//!
//! A worker that runs the job meanwhile is not broken: the fence grows, so its heartbeat and its settlement find the
//! lease lost and write nothing. The row of a claimed job stays claimed with a lease that has run out: so the claim that
//! follows goes the same way as after a dead worker, which is the way that knows what a cut step has left behind (a zip
//! that Salesforce hands over once, say).

use domain::{Deed, Fence, Hand, JobFate, SyncId};
use nightshift_domain as domain;

use super::{Failure, JobRow, Jobs, fail};
use crate::{
    error::{StoreError, at},
    hands::{Subject, keep},
    session::Session,
    staging, syncs,
};

/// What became of a deed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// It is written.
    Yes(JobFate),
    /// The job has moved on since it was looked at, or has gone; nothing was written.
    MovedOn,
    /// The deed has no business with a job that stands so.
    NoBusiness,
}

impl Jobs<'_> {
    /// Does a deed to a job as it was looked at: one that was claimed, settled or changed since then is left alone.
    pub async fn by_hand(self, deed: Deed, hand: &Hand, job: &JobRow) -> Result<Done, StoreError> {
        let Some(fate) = job.fate(deed) else {
            return Ok(Done::NoBusiness);
        };
        let mut tx = self.store.begin("jobs.by_hand").await?;
        // the order of locks is that of every settlement: the org's row, the sync's row, the job's row, the rest
        if fate == JobFate::SyncFails {
            syncs::lock_org(&mut tx, job.org).await?;
        }
        if let Some(sync) = job.sync {
            syncs::lock(&mut tx, job.org, sync).await?;
        }
        if !still_so(&mut tx, job).await? {
            return Ok(Done::MovedOn);
        }
        match (fate, job.sync) {
            (JobFate::DueNow, _) => due_now(&mut tx, deed, job).await?,
            (JobFate::SyncFails, Some(sync)) => end_sync(&mut tx, hand, job, sync).await?,
            (JobFate::SyncFails | JobFate::Dead, _) => bury(&mut tx, job).await?,
            (JobFate::Gone, _) => delete(&mut tx, job).await?,
        }
        let words = format!("{} of {}", job.kind, job.org_name);
        let subject = Subject {
            org: Some(job.org),
            words: &words,
            found: Some(job.state),
            job: Some(job.id),
            sync: job.sync,
        };
        keep(&mut tx, deed, hand, &subject).await?;
        tx.commit().await?;
        Ok(Done::Yes(fate))
    }
}

/// Locks the job's row, if it stands as it was seen: each claim moves the fence, each settlement the rest.
async fn still_so(c: &mut Session, job: &JobRow) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar(
        "-- jobs.still_so
        SELECT fence FROM job WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = $4 FOR UPDATE",
    )
    .bind(job.org.uuid())
    .bind(job.id.uuid())
    .bind(job.fence)
    .bind(job.state.as_str())
    .fetch_optional(c)
    .await
    .map_err(at("jobs.still_so"))?;
    Ok(found.is_some())
}

async fn due_now(c: &mut Session, deed: Deed, job: &JobRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- jobs.due_now
        UPDATE job SET state = CASE state WHEN 'claimed' THEN state ELSE 'due' END, fence = fence + 1,
               lease_until = CASE state WHEN 'claimed' THEN nightshift_now() - interval '1 millisecond' END,
               not_before = nightshift_now(), announced_at = NULL, waiting_for = NULL,
               attempts = CASE WHEN $3 THEN 0 ELSE attempts END, deaths = CASE WHEN $3 THEN 0 ELSE deaths END
         WHERE org_id = $1 AND id = $2",
    )
    .bind(job.org.uuid())
    .bind(job.id.uuid())
    .bind(deed == Deed::Requeue)
    .execute(c)
    .await
    .map_err(at("jobs.due_now"))?;
    Ok(())
}

/// The job goes at once, whoever runs it: its settlement finds no row. The sync's other claimed jobs go at theirs.
async fn end_sync(c: &mut Session, hand: &Hand, job: &JobRow, sync: SyncId) -> Result<(), StoreError> {
    delete(&mut *c, job).await?;
    staging::remove_staged_of_job(&mut *c, job.org, sync, job.id).await?;
    let failure = Failure {
        code: domain::FailureCode::EndedByHand,
        message: format!(
            "{} ended the sync at {}: {}",
            hand.person(),
            job.kind,
            hand.reason()
        ),
        evidence: [
            ("person".to_owned(), hand.person().to_owned()),
            ("reason".to_owned(), hand.reason().to_owned()),
            ("step".to_owned(), job.kind.clone()),
        ]
        .into(),
    };
    syncs::add_failed(&mut *c, job, sync, Fence(job.fence), &failure).await?;
    fail::fail_sync(c, job.org, Some(sync), &failure).await
}

async fn bury(c: &mut Session, job: &JobRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- jobs.bury
        UPDATE job SET state = 'dead', fence = fence + 1, lease_until = NULL WHERE org_id = $1 AND id = $2",
    )
    .bind(job.org.uuid())
    .bind(job.id.uuid())
    .execute(c)
    .await
    .map_err(at("jobs.bury"))?;
    Ok(())
}

async fn delete(c: &mut Session, job: &JobRow) -> Result<(), StoreError> {
    sqlx::query("-- jobs.thrown_away\nDELETE FROM job WHERE org_id = $1 AND id = $2")
        .bind(job.org.uuid())
        .bind(job.id.uuid())
        .execute(c)
        .await
        .map_err(at("jobs.thrown_away"))?;
    Ok(())
}
