//! All SQL of Nightshift, one module for each aggregate.
//!
//! PostgreSQL is the truth: every job is a row before it is a message, and every effect of a step is written in the
//! transaction that settles the job. Nobody outside this crate sees a connection; `tx` is the only way into a
//! transaction, `session` the only way to an answer. Rules are `domain`'s; this crate applies them and repeats them as guards in its statements.

pub mod cases;
pub mod connections;
pub mod dictionary;
pub mod error;
mod grants;
pub mod hands;
pub mod instances;
pub mod jobs;
pub mod keyring;
pub mod ledger;
pub mod nights;
pub mod orgs;
pub mod outbox;
pub mod pauses;
mod probe;
pub mod processes;
pub mod requests;
mod row;
pub mod server;
mod session;
pub mod staging;
pub mod syncs;
mod tx;
pub mod types;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use error::StoreError;
pub use grants::{Grant, JwtBearer};
pub use keyring::{Keyring, KeyringError};
pub use probe::Probe;

use error::at;
use row::Stamp;
use session::{Limits, Pool};

/// How the database is reached.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `postgres://user:password@host:port/name`.
    pub url: SecretString,
    /// Connections of this process, at most.
    pub max_connections: u32,
    /// How long a caller waits for a free one.
    pub acquire_timeout: Duration,
    /// Longest statement, but for those over whole sets. An answer is waited for five seconds more.
    pub statement_timeout: Duration,
    /// Longest statement over whole sets; the switch of a large revision is the longest of ours.
    pub set_timeout: Duration,
    /// Longest wait for a row's lock.
    pub lock_timeout: Duration,
    /// Shown in `pg_stat_activity`.
    pub application_name: String,
}

impl StoreSettings {
    /// Defaults for everything but the place.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(60),
            set_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_secs(5),
            application_name: "nightshift".to_owned(),
        }
    }
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    keyring: Arc<Keyring>,
}

/// Which migrations the database has, and which this program wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MigrationState {
    /// The newest applied one; 0 = none.
    pub applied: i64,
    /// The newest known one.
    pub wanted: i64,
}

static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

impl Store {
    /// Connects once, so that a wrong address is seen at the start.
    pub async fn connect(settings: &StoreSettings, keyring: Keyring) -> Result<Self, StoreError> {
        let options: PgConnectOptions = settings
            .url
            .expose_secret()
            .parse()
            .map_err(|_| StoreError::BadUrl)?;
        let millis = |limit: Duration| format!("{}ms", limit.as_millis());
        let options = options.application_name(&settings.application_name).options([
            ("statement_timeout", millis(settings.statement_timeout)),
            ("lock_timeout", millis(settings.lock_timeout)),
            ("idle_in_transaction_session_timeout", "60s".to_owned()),
            ("client_connection_check_interval", "5s".to_owned()),
        ]);
        let sessions = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .max_lifetime(Duration::from_secs(30 * 60))
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(at("connect"))?;
        let limits = Limits {
            usual: settings.statement_timeout,
            sets: settings.set_timeout,
        };
        Ok(Self {
            pool: Pool::new(sessions, limits),
            keyring: Arc::new(keyring),
        })
    }

    /// Applies what is missing. Two that start at once wait for each other.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let unlimited = self.pool.unlimited();
        let applied = MIGRATOR.run(&unlimited).await;
        unlimited.close().await;
        applied.map_err(StoreError::Migration)
    }

    /// Compares the database with this program.
    pub async fn migration_state(&self) -> Result<MigrationState, StoreError> {
        let wanted = MIGRATOR
            .iter()
            .map(|migration| migration.version)
            .max()
            .unwrap_or(0);
        let table: bool =
            sqlx::query_scalar("-- migrations.table\nSELECT to_regclass('_sqlx_migrations') IS NOT NULL")
                .fetch_one(&self.pool)
                .await
                .map_err(at("migrations.table"))?;
        if !table {
            return Ok(MigrationState { applied: 0, wanted });
        }
        let applied = sqlx::query_scalar(
            "-- migrations.applied\nSELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(at("migrations.applied"))?;
        Ok(MigrationState { applied, wanted })
    }

    /// Asks for the database's time.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let now: Stamp = sqlx::query_scalar("-- clock.now\nSELECT nightshift_now()")
            .fetch_one(&self.pool)
            .await
            .map_err(at("clock.now"))?;
        Ok(now.0)
    }

    /// Gives all connections back to the server.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
