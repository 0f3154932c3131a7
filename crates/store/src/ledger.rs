//! The ledger of calls: what each org's nights cost its day's requests, by step and kind of call.
//!
//! Written where a step settles, in the same transaction, so that a call is booked once whatever became of the step; of
//! one that lost its lease right after. What is lost: the calls of steps that ran in a process when it was killed, or
//! while the database was away for longer than a lease. Rows are sums, a handful for an org and night, and the view
//! `api_calls` is theirs for people.

use domain::{Bill, Kind, OrgId, SyncId};
use jiff::civil::Date;
use nightshift_domain as domain;
use sqlx::Row;

use crate::{
    Store,
    error::{StoreError, at},
    row::Day,
    session::Session,
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Ledger<'a> {
    store: &'a Store,
}

impl Store {
    /// The ledger of calls.
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger { store: self }
    }
}

/// Which lines to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LedgerFilter {
    /// Of one org.
    pub org: Option<OrgId>,
    /// Of one night.
    pub night: Option<Date>,
    /// At most.
    pub limit: i64,
}

/// Calls of one kind by one kind of step in one night.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    /// The org's name.
    pub org: String,
    /// The local date of the night.
    pub night: Date,
    /// The step that called.
    pub step: String,
    /// The kind of call.
    pub kind: String,
    /// How many.
    pub calls: i64,
}

/// Books calls on the sync's bill and on its night; a job of no sync has neither.
pub(crate) async fn book(
    c: &mut Session,
    org: OrgId,
    sync: Option<SyncId>,
    step: &str,
    bill: &Bill,
) -> Result<(), StoreError> {
    let Some(sync) = sync.filter(|_| !bill.0.is_empty()) else {
        return Ok(());
    };
    let kinds: Vec<&str> = bill.0.keys().map(String::as_str).collect();
    let calls: Vec<i64> = bill.0.values().copied().collect();
    sqlx::query(
        "-- ledger.book
        WITH spent AS (
            SELECT kind, calls FROM unnest($3::text[], $4::bigint[]) AS spent (kind, calls)
        ), booked AS (
            INSERT INTO call_ledger (org_id, night, step, kind, calls)
            SELECT $1, sync.ledger_night, $5, spent.kind, spent.calls
              FROM spent, sync WHERE sync.org_id = $1 AND sync.id = $2
             ORDER BY spent.kind
            ON CONFLICT (org_id, night, step, kind) DO UPDATE SET calls = call_ledger.calls + excluded.calls
        )
        INSERT INTO sync_bill (org_id, sync_id, kind, calls)
        SELECT $1, $2, kind, calls FROM spent ORDER BY kind
        ON CONFLICT (org_id, sync_id, kind) DO UPDATE SET calls = sync_bill.calls + excluded.calls",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(&kinds)
    .bind(&calls)
    .bind(step)
    .execute(c)
    .await
    .map_err(at("ledger.book"))?;
    Ok(())
}

impl Ledger<'_> {
    /// Books the calls of a run that may settle nothing any more: its lease was lost, its calls were made.
    pub async fn book(
        self,
        org: OrgId,
        sync: Option<SyncId>,
        step: &Kind,
        bill: &Bill,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.begin("ledger.book_lost").await?;
        book(&mut tx, org, sync, step.as_str(), bill).await?;
        tx.commit().await
    }

    /// Lines, the newest night first.
    pub async fn list(self, filter: LedgerFilter) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = sqlx::query(
            "-- ledger.list
            SELECT org.name AS org, l.night, l.step, l.kind, l.calls
              FROM call_ledger l JOIN org ON org.id = l.org_id
             WHERE ($1::uuid IS NULL OR l.org_id = $1) AND ($2::date IS NULL OR l.night = $2)
             ORDER BY l.night DESC, org.name_folded, l.step, l.kind LIMIT $3",
        )
        .bind(filter.org.map(OrgId::uuid))
        .bind(filter.night.map(Day))
        .bind(filter.limit)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("ledger.list"))?;
        let line = |row: &sqlx::postgres::PgRow| LedgerRow {
            org: row.get("org"),
            night: row.get::<Day, _>("night").0,
            step: row.get("step"),
            kind: row.get("kind"),
            calls: row.get("calls"),
        };
        Ok(rows.iter().map(line).collect())
    }

    /// Takes away nights older than so many days, at most so many rows.
    pub async fn forget(self, days: u32, rows: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "-- ledger.forget
            DELETE FROM call_ledger WHERE ctid IN (
                SELECT ctid FROM call_ledger
                 WHERE night < (nightshift_now() AT TIME ZONE 'UTC')::date - $1::integer LIMIT $2)",
        )
        .bind(days.cast_signed())
        .bind(rows)
        .execute(&self.store.pool)
        .await
        .map_err(at("ledger.forget"))?;
        Ok(done.rows_affected())
    }
}
