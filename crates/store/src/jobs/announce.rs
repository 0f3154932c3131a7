//! Which jobs to tell the queue about: one statement for what was just settled and for the sweep.
//!
//! It keeps at most a room's worth of each class in the broker, a few of each org (one huge org starves nobody),
//! retrieves before polls, no more retrieves than an org may have open, no more jobs than it may have running. It only marks `announced_at`; whoever
//! calls it publishes, and unmarks what was not confirmed.

use std::{sync::LazyLock, time::Duration};

use domain::{Class, JobId, OrgId};
use nightshift_domain as domain;
use sqlx::Row;
use uuid::Uuid;

use super::Jobs;
use crate::{
    error::{StoreError, at},
    row::word,
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

/// For the sweep.
const OF_ALL: &str = include_str!("announceable.sql");
/// What the sweep's statement says of orgs.
const ANY_ORG: &str = "($1::uuid IS NULL OR org_id = $1)";
/// The same of one org, as a text of its own: the plan that the server keeps of it goes by the org. One plan for both
/// would go through what is due of all orgs, and planning anew for each settlement costs more than all else it does.
static OF_ORG: LazyLock<String> = LazyLock::new(|| OF_ALL.replace(ANY_ORG, "org_id = $1"));

impl Jobs<'_> {
    /// Marks what should be announced, of all orgs (`None`: the sweep) or of one that was just settled.
    pub async fn mark_announceable(
        self,
        org: Option<OrgId>,
        limits: &AnnounceLimits,
    ) -> Result<Vec<DueJob>, StoreError> {
        let sql = if org.is_some() { OF_ORG.as_str() } else { OF_ALL };
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(org.map(OrgId::uuid))
            .bind(limits.reannounce.as_secs_f64())
            .bind(i64::from(limits.per_class))
            .bind(i64::from(limits.per_org))
            .bind(i64::from(limits.open_per_org))
            .bind(i64::from(limits.running_per_org))
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("jobs.mark_announceable"))?;
        rows.into_iter()
            .map(|row| {
                Ok(DueJob {
                    org: OrgId::from_uuid(row.get("org_id")),
                    job: JobId::from_uuid(row.get("id")),
                    class: word("job", "class", row.get("class"))?,
                    traceparent: row.get("traceparent"),
                    told: if row.get("told_before") {
                        Told::Before
                    } else {
                        Told::Never
                    },
                })
            })
            .collect()
    }

    /// Takes the mark back from jobs that the broker did not confirm, so that the next sweep finds them.
    pub async fn unmark(self, jobs: &[DueJob]) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let orgs: Vec<Uuid> = jobs.iter().map(|job| job.org.uuid()).collect();
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.job.uuid()).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_one_org_differs_from_what_the_sweep_asks_by_the_org_alone() {
        assert_eq!(OF_ALL.matches(ANY_ORG).count(), 1);
        assert!(OF_ORG.contains("AND org_id = $1\n"));
    }
}
