//! Schedulers and workers say that they are there.

use domain::ProcessId;
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::Row;

use crate::{
    Store,
    error::{StoreError, at},
    row::Stamp,
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Processes<'a> {
    store: &'a Store,
}

impl Store {
    /// Processes.
    pub fn processes(&self) -> Processes<'_> {
        Processes { store: self }
    }
}

/// A process that was seen in the last minutes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessRow {
    /// Which.
    pub id: ProcessId,
    /// `scheduler` or `worker`.
    pub kind: String,
    /// What it consumes.
    pub classes: String,
    /// Where.
    pub host: String,
    /// Its release; `older` when it does not say.
    pub version: String,
    /// Last seen.
    pub seen_at: Timestamp,
}

impl Processes<'_> {
    /// Says that a process is there; old ones are forgotten on the way.
    pub async fn beat(self, id: ProcessId, kind: &str, classes: &str, host: &str) -> Result<(), StoreError> {
        sqlx::query(
            "-- processes.beat
            WITH old AS (DELETE FROM process WHERE seen_at < nightshift_now() - interval '1 day')
            INSERT INTO process (id, kind, classes, host, started_at, seen_at, version)
            VALUES ($1, $2, $3, $4, nightshift_now(), nightshift_now(), $5)
            ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(id.uuid())
        .bind(kind)
        .bind(classes)
        .bind(host)
        // all crates of a release have its number
        .bind(env!("CARGO_PKG_VERSION"))
        .execute(&self.store.pool)
        .await
        .map_err(at("processes.beat"))?;
        Ok(())
    }

    /// A process that ends says so.
    pub async fn leave(self, id: ProcessId) -> Result<(), StoreError> {
        sqlx::query("-- processes.leave\nDELETE FROM process WHERE id = $1")
            .bind(id.uuid())
            .execute(&self.store.pool)
            .await
            .map_err(at("processes.leave"))?;
        Ok(())
    }

    /// Who was seen within a minute.
    pub async fn alive(self) -> Result<Vec<ProcessRow>, StoreError> {
        let rows = sqlx::query(
            "-- processes.alive
            SELECT id, kind, classes, host, coalesce(version, 'older') AS version, seen_at FROM process
             WHERE seen_at > nightshift_now() - interval '60 seconds' ORDER BY kind, started_at",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("processes.alive"))?;
        let process = |row: &sqlx::postgres::PgRow| ProcessRow {
            id: ProcessId::from_uuid(row.get("id")),
            kind: row.get("kind"),
            classes: row.get("classes"),
            host: row.get("host"),
            version: row.get("version"),
            seen_at: row.get::<Stamp, _>("seen_at").0,
        };
        Ok(rows.iter().map(process).collect())
    }
}
