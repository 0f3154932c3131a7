//! A sync as people and programs see it.

use std::collections::BTreeMap;

use domain::{Door, Mode, OrgId, SyncId, SyncState};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::Syncs;
use crate::{
    error::{StoreError, at},
    row::{Day, Stamp, word},
};

/// One sync.
#[derive(Clone, PartialEq, Debug)]
pub struct SyncRow {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub id: SyncId,
    /// Where it stands.
    pub state: SyncState,
    /// How much it retrieves.
    pub mode: Mode,
    /// Who asked for it.
    pub door: Door,
    /// In whose words.
    pub reason: Option<String>,
    /// Of which local night.
    pub night: Option<jiff::civil::Date>,
    /// When it was admitted.
    pub admitted_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Seconds from admission to its end, or to now.
    pub seconds: f64,
    /// The version it spoke.
    pub api_version: Option<String>,
    /// The revision that it switched to.
    pub revision: Option<i64>,
    /// Components of that revision.
    pub components: Option<i64>,
    /// Added by it.
    pub added: Option<i64>,
    /// Changed by it.
    pub changed: Option<i64>,
    /// Deleted by it.
    pub deleted: Option<i64>,
    /// Distinct members and folders asked for.
    pub asked: Option<i64>,
    /// Of those, got.
    pub got: Option<i64>,
    /// Code and message, when it failed or is held.
    pub failure: Option<(String, String)>,
    /// Calls by kind.
    pub api_calls: BTreeMap<String, i64>,
}

/// One line of a timeline.
#[derive(Clone, PartialEq, Debug)]
pub struct TimelineRow {
    /// When.
    pub at: Timestamp,
    /// Which step.
    pub kind: String,
    /// What became of it.
    pub event: String,
    /// Under which fence.
    pub fence: Option<i64>,
    /// Errors, deaths, waits by then.
    pub counts: [i32; 3],
    /// More.
    pub detail: Option<String>,
}

/// How far an open sync is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Jobs that are done.
    pub done: i64,
    /// Jobs that are known and still to do.
    pub open: i64,
    /// The step that was settled last.
    pub step: Option<String>,
}

const COLUMNS: &str = "org_id, id, state, mode, door, reason, night, admitted_at, ended_at, api_version, revision, \
     components, added, changed, deleted, asked, got, failure_code, failure_message, \
     extract(epoch FROM coalesce(ended_at, nightshift_now()) - admitted_at)::float8 AS seconds";

impl Syncs<'_> {
    /// One sync by its id.
    pub async fn show(self, sync: SyncId) -> Result<SyncRow, StoreError> {
        let sql = format!("-- syncs.show\nSELECT {COLUMNS} FROM sync WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(sync.uuid())
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("syncs.show"))?
            .ok_or_else(|| StoreError::NotFound {
                thing: "sync",
                name: sync.to_string(),
            })?;
        self.complete(&row).await
    }

    /// The org's newest sync.
    pub async fn latest(self, org: OrgId) -> Result<Option<SyncRow>, StoreError> {
        let sql = format!(
            "-- syncs.latest\nSELECT {COLUMNS} FROM sync WHERE org_id = $1 ORDER BY admitted_at DESC, id DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(org.uuid())
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("syncs.latest"))?;
        match row {
            Some(row) => self.complete(&row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn complete(self, row: &PgRow) -> Result<SyncRow, StoreError> {
        let mut sync = sync_row(row)?;
        let calls = sqlx::query(
            "-- syncs.bill\nSELECT kind, calls FROM sync_bill WHERE org_id = $1 AND sync_id = $2",
        )
        .bind(sync.org.uuid())
        .bind(sync.id.uuid())
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("syncs.bill"))?;
        sync.api_calls = calls
            .iter()
            .map(|row| (row.get("kind"), row.get("calls")))
            .collect();
        Ok(sync)
    }

    /// Whether any batch of the sync has been ingested.
    pub async fn has_ingested(self, org: OrgId, sync: SyncId) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "-- syncs.has_ingested
            SELECT EXISTS (SELECT FROM timeline WHERE org_id = $1 AND sync_id = $2 AND kind = 'ingest' AND event = 'done')",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("syncs.has_ingested"))
    }

    /// How far it is: jobs done and jobs known, which grow as the sync learns what there is.
    pub async fn progress(self, org: OrgId, sync: SyncId) -> Result<Progress, StoreError> {
        let row = sqlx::query(
            "-- syncs.progress
            SELECT (SELECT count(*) FROM timeline WHERE org_id = $1 AND sync_id = $2 AND event = 'done') AS done,
                   (SELECT count(*) FROM job WHERE org_id = $1 AND sync_id = $2) AS open,
                   (SELECT kind FROM timeline WHERE org_id = $1 AND sync_id = $2 ORDER BY n DESC LIMIT 1) AS step",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("syncs.progress"))?;
        Ok(Progress {
            done: row.get("done"),
            open: row.get("open"),
            step: row.get("step"),
        })
    }

    /// What happened to it, in order.
    pub async fn timeline(self, org: OrgId, sync: SyncId) -> Result<Vec<TimelineRow>, StoreError> {
        let rows = sqlx::query(
            "-- syncs.timeline
            SELECT at, kind, event, fence, attempts, deaths, waits, detail
              FROM timeline WHERE org_id = $1 AND sync_id = $2 ORDER BY n",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("syncs.timeline"))?;
        let line = |row: &PgRow| TimelineRow {
            at: row.get::<Stamp, _>("at").0,
            kind: row.get("kind"),
            event: row.get("event"),
            fence: row.get("fence"),
            counts: [row.get("attempts"), row.get("deaths"), row.get("waits")],
            detail: row.get("detail"),
        };
        Ok(rows.iter().map(line).collect())
    }
}

fn sync_row(row: &PgRow) -> Result<SyncRow, StoreError> {
    let code: Option<String> = row.get("failure_code");
    let message: Option<String> = row.get("failure_message");
    Ok(SyncRow {
        org: OrgId::from_uuid(row.get("org_id")),
        id: SyncId::from_uuid(row.get("id")),
        state: word("sync", "state", row.get("state"))?,
        mode: word("sync", "mode", row.get("mode"))?,
        door: word("sync", "door", row.get("door"))?,
        reason: row.get("reason"),
        night: row.get::<Option<Day>, _>("night").map(|day| day.0),
        admitted_at: row.get::<Stamp, _>("admitted_at").0,
        ended_at: row.get::<Option<Stamp>, _>("ended_at").map(|stamp| stamp.0),
        seconds: row.get("seconds"),
        api_version: row.get("api_version"),
        revision: row.get("revision"),
        components: row.get("components"),
        added: row.get("added"),
        changed: row.get("changed"),
        deleted: row.get("deleted"),
        asked: row.get("asked"),
        got: row.get("got"),
        failure: code.map(|code| (code, message.unwrap_or_default())),
        api_calls: BTreeMap::new(),
    })
}
