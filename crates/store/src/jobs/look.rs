//! What people see of jobs: lists by a filter, one job, counts by class. What they do to them is in `hands.rs`.

use std::time::Duration;

use domain::{Class, Deed, FailureCode, JobFate, JobId, JobState, OfSync, OrgId, SyncId};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::Jobs;
use crate::{
    error::{StoreError, at},
    row::{Stamp, word},
};

/// Which jobs: those for which everything that is given holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JobsFilter {
    /// This one.
    pub job: Option<JobId>,
    /// Of this org.
    pub org: Option<OrgId>,
    /// Of this class.
    pub class: Option<Class>,
    /// Of this step.
    pub kind: Option<String>,
    /// Of orgs of this Salesforce instance.
    pub instance: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
    /// That wait for this.
    pub waiting_for: Option<String>,
    /// Whose last error had this code.
    pub code: Option<FailureCode>,
    /// Due for at least so long.
    pub older_than: Option<Duration>,
    /// At most.
    pub limit: i64,
}

/// A job for people.
#[derive(Clone, PartialEq, Debug)]
pub struct JobRow {
    /// Whose.
    pub org: OrgId,
    /// The org's name.
    pub org_name: String,
    /// Which.
    pub id: JobId,
    /// Of which sync.
    pub sync: Option<SyncId>,
    /// The step.
    pub kind: String,
    /// Its queue.
    pub class: Class,
    /// Where it stands.
    pub state: JobState,
    /// Not before.
    pub not_before: Timestamp,
    /// Errors.
    pub attempts: i32,
    /// Leases that ran out.
    pub deaths: i32,
    /// Waits.
    pub waits: i32,
    /// For what it waits.
    pub waiting_for: Option<String>,
    /// The claims so far.
    pub fence: i64,
    /// Until when it is somebody's.
    pub lease_until: Option<Timestamp>,
    /// When the queue was told last.
    pub announced_at: Option<Timestamp>,
    /// Whether a pause keeps it from being announced and claimed.
    pub paused: bool,
    /// What the step needs; holds no secret.
    pub payload: serde_json::Value,
}

impl JobRow {
    /// What a deed would do to it, as it stands here; `None` where the deed has no business with it.
    pub fn fate(&self, deed: Deed) -> Option<JobFate> {
        let of = if self.sync.is_some() {
            OfSync::Yes
        } else {
            OfSync::No
        };
        deed.to_job(self.state, of)
    }
}

/// One class's jobs.
#[derive(Clone, PartialEq, Debug)]
pub struct ClassCount {
    /// Which.
    pub class: Class,
    /// To be claimed now.
    pub due: i64,
    /// To be claimed later.
    pub waiting: i64,
    /// In work.
    pub claimed: i64,
    /// Kept for a person.
    pub dead: i64,
    /// Age of the oldest due one that no pause keeps, in seconds.
    pub oldest_due_seconds: f64,
}

const COLUMNS: &str = "job.org_id, org.name AS org_name, job.id, job.sync_id, job.kind, job.class, job.state, job.not_before, job.attempts, \
     job.deaths, job.waits, job.waiting_for, job.fence, job.lease_until, job.announced_at, job.payload, \
     is_paused(job.org_id, job.class) AS paused";

/// What a filter asks for, over `job` and `org`.
const MATCHES: &str = "($1::uuid IS NULL OR job.id = $1) AND ($2::uuid IS NULL OR job.org_id = $2) \
     AND ($3::text IS NULL OR job.class = $3) AND ($4::text IS NULL OR job.kind = $4) \
     AND ($5::text IS NULL OR instance_of(org.instance_name, org.instance_url) = $5) \
     AND ($6::text IS NULL OR job.state = $6) AND ($7::text IS NULL OR job.waiting_for = $7) \
     AND ($8::text IS NULL OR EXISTS (SELECT FROM timeline line WHERE line.org_id = job.org_id \
            AND line.sync_id = job.sync_id AND line.job_id = job.id AND starts_with(line.detail, $8 || ': '))) \
     AND ($9::float8 IS NULL OR job.not_before <= nightshift_now() - make_interval(secs => $9))";

impl Jobs<'_> {
    /// Jobs, the longest due first.
    pub async fn list(self, filter: &JobsFilter) -> Result<Vec<JobRow>, StoreError> {
        let sql = format!(
            "-- jobs.list
            SELECT {COLUMNS} FROM job JOIN org ON org.id = job.org_id WHERE {MATCHES}
             ORDER BY job.not_before, job.org_id, job.id LIMIT $10"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.job.map(JobId::uuid))
            .bind(filter.org.map(OrgId::uuid))
            .bind(filter.class.map(Class::as_str))
            .bind(filter.kind.as_deref())
            .bind(filter.instance.as_deref())
            .bind(filter.state.map(JobState::as_str))
            .bind(filter.waiting_for.as_deref())
            .bind(filter.code.map(FailureCode::as_str))
            .bind(filter.older_than.map(|age| age.as_secs_f64()))
            .bind(filter.limit)
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("jobs.list"))?;
        rows.iter().map(job_row).collect()
    }

    /// One job.
    pub async fn show(self, job: JobId) -> Result<JobRow, StoreError> {
        let sql = format!(
            "-- jobs.show
            SELECT {COLUMNS} FROM job JOIN org ON org.id = job.org_id WHERE job.id = $1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(job.uuid())
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("jobs.show"))?;
        row.as_ref().map_or_else(|| Err(not_found(job)), job_row)
    }

    /// How many there are, by class.
    pub async fn counts(self) -> Result<Vec<ClassCount>, StoreError> {
        let rows = sqlx::query(
            "-- jobs.counts
            SELECT class,
                   count(*) FILTER (WHERE state = 'due' AND not_before <= nightshift_now()) AS due,
                   count(*) FILTER (WHERE state = 'due' AND not_before > nightshift_now()) AS waiting,
                   count(*) FILTER (WHERE state = 'claimed') AS claimed,
                   count(*) FILTER (WHERE state = 'dead') AS dead,
                   coalesce(extract(epoch FROM nightshift_now()
                       - min(not_before) FILTER (WHERE state = 'due' AND not_before <= nightshift_now()
                             AND (NOT (SELECT EXISTS (SELECT FROM pause)) OR NOT is_paused(org_id, class)))), 0)::float8 AS oldest
              FROM job GROUP BY class ORDER BY class",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("jobs.counts"))?;
        rows.iter()
            .map(|row| {
                Ok(ClassCount {
                    class: word("job", "class", row.get("class"))?,
                    due: row.get("due"),
                    waiting: row.get("waiting"),
                    claimed: row.get("claimed"),
                    dead: row.get("dead"),
                    oldest_due_seconds: row.get("oldest"),
                })
            })
            .collect()
    }
}

fn not_found(job: JobId) -> StoreError {
    StoreError::NotFound {
        thing: "job",
        name: job.to_string(),
    }
}

fn job_row(row: &PgRow) -> Result<JobRow, StoreError> {
    let stamp = |column| row.get::<Option<Stamp>, _>(column).map(|stamp| stamp.0);
    Ok(JobRow {
        org: OrgId::from_uuid(row.get("org_id")),
        org_name: row.get("org_name"),
        id: JobId::from_uuid(row.get("id")),
        sync: row.get::<Option<uuid::Uuid>, _>("sync_id").map(SyncId::from_uuid),
        kind: row.get("kind"),
        class: word("job", "class", row.get("class"))?,
        state: word("job", "state", row.get("state"))?,
        not_before: row.get::<Stamp, _>("not_before").0,
        attempts: row.get("attempts"),
        deaths: row.get("deaths"),
        waits: row.get("waits"),
        waiting_for: row.get("waiting_for"),
        fence: row.get("fence"),
        lease_until: stamp("lease_until"),
        announced_at: stamp("announced_at"),
        paused: row.get("paused"),
        payload: row.get("payload"),
    })
}
