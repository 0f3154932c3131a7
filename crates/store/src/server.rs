//! The server as an operator sees it: version, clock, room for connections, what keeps it from cleaning up.
//!
//! Asked by `doctor` and for metrics. What is good or bad about an answer is theirs to judge.

use jiff::Timestamp;
use sqlx::Row;

use crate::{
    Store,
    error::{StoreError, at},
    row::Stamp,
};

/// What keeps dead rows from being cleaned up. Of sessions that are another role's the server tells their age only to
/// members of `pg_read_all_stats`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OldestSnapshot {
    /// Age of the oldest transaction with a snapshot, in seconds; 0 when there is none.
    pub seconds: f64,
    /// The greatest age in transactions, of sessions, prepared transactions and replication slots.
    pub transactions: i64,
}

/// What the server says of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct ServerFacts {
    /// Its own words.
    pub version: String,
    /// The same as a number: 150004 is 15.4.
    pub version_number: i32,
    /// Its clock, without what tests add.
    pub clock: Timestamp,
    /// Connections that it allows, those for superusers left aside.
    pub connections_max: i64,
    /// Connections that there are, to all its databases.
    pub connections: i64,
    /// Whether the job table is vacuumed by itself.
    pub autovacuum: bool,
    /// Dead rows of the job table that wait for it.
    pub dead_jobs: i64,
    /// Live ones, as it counts them.
    pub live_jobs: i64,
}

impl Store {
    /// What the server says of itself.
    pub async fn server(&self) -> Result<ServerFacts, StoreError> {
        let row = sqlx::query(
            "-- server.facts
            SELECT version() AS version, current_setting('server_version_num')::int AS number,
                   clock_timestamp() AS clock,
                   current_setting('max_connections')::bigint
                       - current_setting('superuser_reserved_connections')::bigint AS connections_max,
                   (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
                   current_setting('autovacuum')::boolean
                       AND NOT coalesce((SELECT 'autovacuum_enabled=false' = ANY(reloptions) FROM pg_class
                                          WHERE oid = to_regclass('job')), false) AS autovacuum,
                   coalesce(job.n_dead_tup, 0) AS dead_jobs, coalesce(job.n_live_tup, 0) AS live_jobs
              FROM (VALUES (1)) one LEFT JOIN pg_stat_user_tables job ON job.relid = to_regclass('job')",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(at("server.facts"))?;
        Ok(ServerFacts {
            version: row.get("version"),
            version_number: row.get("number"),
            clock: row.get::<Stamp, _>("clock").0,
            connections_max: row.get("connections_max"),
            connections: row.get("connections"),
            autovacuum: row.get("autovacuum"),
            dead_jobs: row.get("dead_jobs"),
            live_jobs: row.get("live_jobs"),
        })
    }

    /// What keeps the server from cleaning up.
    pub async fn oldest_snapshot(&self) -> Result<OldestSnapshot, StoreError> {
        let row = sqlx::query(
            "-- server.oldest_snapshot
            SELECT coalesce(extract(epoch FROM max(clock_timestamp() - since)), 0)::float8 AS seconds,
                   coalesce(max(transactions), 0)::bigint AS transactions
              FROM (SELECT xact_start AS since, age(backend_xmin) AS transactions FROM pg_stat_activity
                     WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
                       -- a vacuum's own snapshot holds nobody up
                       AND backend_type <> 'autovacuum worker'
                    UNION ALL SELECT prepared, age(transaction) FROM pg_prepared_xacts
                    UNION ALL SELECT NULL, greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots) holders",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(at("server.oldest_snapshot"))?;
        Ok(OldestSnapshot {
            seconds: row.get("seconds"),
            transactions: row.get("transactions"),
        })
    }
}
