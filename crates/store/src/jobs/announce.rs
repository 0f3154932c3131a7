//! Which jobs to tell the queue about: one statement for what was just settled and for the sweep.
//!
//! It keeps at most a room's worth of each class in the broker, a few of each org (one huge org starves nobody),
//! retrieves before polls, no more retrieves than an org may have open, no more jobs than it may have running. It only marks `announced_at`; whoever
//! calls it publishes, and unmarks what was not confirmed.
//!
//! A sweep begins where the one before saw the first job that was not over: what lies below are entries of jobs that are
//! gone, and while somebody holds a snapshot nobody can clean them up.

use std::{sync::LazyLock, time::Duration};

use domain::{Class, JobId, OrgId};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::{
    Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use super::Jobs;
use crate::{
    error::{StoreError, at},
    row::{Stamp, column, word},
};

/// The bounds of announcing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceLimits {
    /// Announced and unclaimed jobs of a class.
    pub per_class: u32,
    /// Announced and unclaimed jobs of an org in a class.
    pub per_org: u32,
    /// Retrieves of an org that may be open at Salesforce.
    pub open_per_org: u32,
    /// Jobs of an org's syncs that may run, or be announced to run, at a time.
    pub running_per_org: u32,
    /// After this long an announced and unclaimed job is announced again.
    pub reannounce: Duration,
}

/// A job to tell the queue about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueJob {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub job: JobId,
    /// Its queue.
    pub class: Class,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Whether the queue had been told of it.
    pub told: Told,
}

/// Whether a job is announced for the first time since it became due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// It is.
    Never,
    /// Its message was lost, or its worker died.
    Before,
}

/// From when on a sweep looks at what is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Horizon(Option<Timestamp>);

impl Horizon {
    /// From the beginning. Now and then a sweep must: what commits late, or after the clock went back, lies below what
    /// the sweeps before have seen.
    pub const EVERYTHING: Self = Self(None);
}

/// What a statement has marked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marked {
    /// To be announced.
    pub jobs: Vec<DueJob>,
    /// Where the next sweep may begin.
    pub horizon: Horizon,
}

/// For the sweep.
pub(super) const OF_ALL: &str = include_str!("announceable.sql");
/// Which jobs the sweep's statement looks at.
const SINCE: &str = "not_before >= coalesce($1::timestamptz, '-infinity')";
/// The same of one org, as a text of its own: the plan that the server keeps of it goes by the org. One plan for both
/// would go through what is due of all orgs, and planning anew for each settlement costs more than all else it does.
static OF_ORG: LazyLock<String> = LazyLock::new(|| OF_ALL.replace(SINCE, "org_id = $1"));
/// The same of some orgs, each by the key. A horizon for them would hide what else of an org is under way, and its shares
/// are counted from that.
static OF_ORGS: LazyLock<String> = LazyLock::new(|| OF_ALL.replace(SINCE, "org_id = ANY($1)"));

impl Jobs<'_> {
    /// Marks what should be announced of all orgs: the sweep.
    pub async fn mark_announceable(
        self,
        horizon: Horizon,
        limits: &AnnounceLimits,
    ) -> Result<Marked, StoreError> {
        let query = sqlx::query(OF_ALL).bind(horizon.0.map(Stamp));
        self.mark(query, limits).await
    }

    /// The same of one org, that was just settled.
    pub async fn mark_announceable_of(
        self,
        org: OrgId,
        limits: &AnnounceLimits,
    ) -> Result<Vec<DueJob>, StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(OF_ORG.as_str())).bind(org.uuid());
        Ok(self.mark(query, limits).await?.jobs)
    }

    /// The same of some orgs, whose slots were fired together.
    pub async fn mark_announceable_of_each(
        self,
        orgs: &[OrgId],
        limits: &AnnounceLimits,
    ) -> Result<Vec<DueJob>, StoreError> {
        let orgs = column(orgs, |org| org.uuid());
        let query = sqlx::query(sqlx::AssertSqlSafe(OF_ORGS.as_str())).bind(orgs);
        Ok(self.mark(query, limits).await?.jobs)
    }

    async fn mark(
        self,
        query: Query<'_, Postgres, PgArguments>,
        limits: &AnnounceLimits,
    ) -> Result<Marked, StoreError> {
        let rows = query
            .bind(limits.reannounce.as_secs_f64())
            .bind(i64::from(limits.per_class))
            .bind(i64::from(limits.per_org))
            .bind(i64::from(limits.open_per_org))
            .bind(i64::from(limits.running_per_org))
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("jobs.mark_announceable"))?;
        let since = rows.first().map(|row| row.get::<Stamp, _>("since").0);
        let jobs = rows.iter().filter_map(|row| due_job(row).transpose());
        Ok(Marked {
            jobs: jobs.collect::<Result<_, _>>()?,
            horizon: Horizon(since),
        })
    }

    /// Takes the mark back from every job that waits for a worker and was announced at least so long ago: the queue has
    /// forgotten them. Says how many. A row that is locked is just being claimed, settled or announced.
    pub async fn unmark_all(self, before: Duration) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "-- jobs.unmark_all
            WITH told AS (
                SELECT org_id, id FROM job
                 WHERE not_before <= nightshift_now()
                   AND announced_at <= nightshift_now() - make_interval(secs => $1)
                   AND (state = 'due' OR state = 'claimed' AND lease_until < nightshift_now())
                   FOR UPDATE SKIP LOCKED
            )
            UPDATE job SET announced_at = NULL FROM told WHERE job.org_id = told.org_id AND job.id = told.id",
        )
        .bind(before.as_secs_f64())
        .execute(&self.store.pool)
        .await
        .map_err(at("jobs.unmark_all"))?;
        Ok(done.rows_affected())
    }

    /// Takes the mark back from jobs that the broker did not confirm, so that the next sweep finds them.
    pub async fn unmark(self, jobs: &[DueJob]) -> Result<(), StoreError> {
        self.unmark_each(jobs.iter().map(|job| (job.org, job.job))).await
    }

    pub(super) async fn unmark_each(
        self,
        jobs: impl Iterator<Item = (OrgId, JobId)>,
    ) -> Result<(), StoreError> {
        let (orgs, ids): (Vec<Uuid>, Vec<Uuid>) = jobs.map(|(org, job)| (org.uuid(), job.uuid())).unzip();
        if ids.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "-- jobs.unmark
            UPDATE job SET announced_at = NULL
              FROM unnest($1::uuid[], $2::uuid[]) AS sent (org_id, id)
             WHERE job.org_id = sent.org_id AND job.id = sent.id AND job.announced_at IS NOT NULL",
        )
        .bind(&orgs)
        .bind(&ids)
        .execute(&self.store.pool)
        .await
        .map_err(at("jobs.unmark"))?;
        Ok(())
    }
}

/// None where nothing was marked: the row tells of the horizon alone.
fn due_job(row: &PgRow) -> Result<Option<DueJob>, StoreError> {
    let Some(org) = row.get::<Option<Uuid>, _>("org_id") else {
        return Ok(None);
    };
    Ok(Some(DueJob {
        org: OrgId::from_uuid(org),
        job: JobId::from_uuid(row.get("id")),
        class: word("job", "class", row.get("class"))?,
        traceparent: row.get("traceparent"),
        told: if row.get("told_before") {
            Told::Before
        } else {
            Told::Never
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_some_orgs_differs_from_what_the_sweep_asks_by_the_orgs_alone() {
        assert_eq!(OF_ALL.matches(SINCE).count(), 1);
        assert!(OF_ORG.contains("AND org_id = $1\n"));
        assert!(OF_ORGS.contains("AND org_id = ANY($1)\n"));
    }
}
