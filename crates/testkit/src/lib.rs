//! What tests need of the real servers: a fresh database each, with the tables of this version.
//!
//! The servers come from `make test` or `make deps-up`, by variables; without them a test fails and says so, because a
//! test that skips itself proves nothing. This crate knows no other crate of the workspace.

use std::time::Duration;

use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// A database of its own on the tests' server. It goes with the server.
#[derive(Clone, Debug)]
pub struct TestDb {
    url: String,
}

impl TestDb {
    /// Creates one and applies the migrations.
    ///
    /// # Panics
    /// When the tests' server is not there.
    pub async fn fresh() -> Self {
        let server = variable("NIGHTSHIFT__DATABASE__URL");
        let name = format!("t_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server)
            .await
            .expect("the tests' PostgreSQL answers");
        let create = format!("CREATE DATABASE {name}");
        connection
            .execute(sqlx::AssertSqlSafe(create))
            .await
            .expect("a database can be created");
        let (base, _) = server.rsplit_once('/').expect("the URL names a database");
        let database = Self {
            url: format!("{base}/{name}"),
        };
        MIGRATIONS
            .run(&mut database.connect().await)
            .await
            .expect("the migrations apply");
        database
    }

    /// `postgres://...`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("the test's database answers")
    }

    /// Moves the database's clock forward.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn advance(&self, by: Duration) {
        sqlx::query("UPDATE clock SET offset_seconds = offset_seconds + $1")
            .bind(by.as_secs_f64())
            .execute(&mut self.connect().await)
            .await
            .expect("the clock can be moved");
    }

    /// One number.
    ///
    /// # Panics
    /// When the question is no SQL or its answer no number.
    pub async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(&mut self.connect().await)
            .await
            .expect("a number")
    }
}

/// A variable that `make test` sets.
///
/// # Panics
/// When it is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the servers of tests are named by variables"
)]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; run the tests by `make test`, or after `make deps-up` and `set -a; . target/deps.env`")
    })
}
