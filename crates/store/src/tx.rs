//! The only way into a transaction.
//!
//! A future of `BEGIN` that is dropped half-way leaves a session inside a transaction that the driver does not know
//! of; whoever borrows the connection next writes into nothing (transact-rs/sqlx 4385). So BEGIN runs in a task of its
//! own, which nobody can drop, and a connection that comes back to the pool is asked whether it is outside.
//!
//! Inside, every error ends the transaction (`?`): COMMIT of an aborted one says Ok and writes nothing.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, Postgres, Row, Transaction};

use crate::{
    Store,
    error::{StoreError, at},
};

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
#[must_use = "a transaction that is dropped writes nothing"]
pub struct Tx {
    name: &'static str,
    inner: Transaction<'static, Postgres>,
}

impl Store {
    /// Begins a transaction with a name for errors. It may contain SQL and nothing else.
    pub(crate) async fn begin(&self, name: &'static str) -> Result<Tx, StoreError> {
        fail::fail_point!(&format!("before-begin:{name}"), |_| std::process::abort());
        let pool = self.pool.clone();
        #[allow(
            clippy::disallowed_methods,
            reason = "this is the door that the rule points to"
        )]
        let begun = tokio::spawn(async move { pool.begin().await }).await;
        match begun {
            Ok(begun) => Ok(Tx {
                name,
                inner: begun.map_err(at(name))?,
            }),
            Err(_) => Err(StoreError::Unavailable {
                statement: name,
                source: sqlx::Error::PoolClosed,
            }),
        }
    }
}

impl Tx {
    /// Commits. A connection that is lost meanwhile leaves the question open: [`StoreError::UnknownCommit`].
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let name = self.name;
        fail::fail_point!(&format!("before-commit:{name}"), |_| std::process::abort());
        self.inner.commit().await.map_err(|error| match at(name)(error) {
            StoreError::Unavailable { .. } => StoreError::UnknownCommit { statement: name },
            other => other,
        })?;
        fail::fail_point!(&format!("committed:{name}"), |_| std::process::abort());
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}

/// For statements over whole sets, inside a transaction: staged rows are minutes old, no statistics know them yet, and a
/// planner that believes in one row goes through twenty thousand of them one by one (a minute, measured). Hashing is
/// never far from the best plan for a set.
pub(crate) async fn plan_for_sets(c: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("-- tx.plan_for_sets\nSET LOCAL enable_nestloop = off")
        .execute(c)
        .await
        .map_err(at("tx.plan_for_sets"))?;
    Ok(())
}

/// Asked when a connection comes back to the pool; `false` closes it.
///
/// Inside a transaction `now()` stands still while `statement_timestamp()` goes on. The simple protocol is needed: in
/// the extended one each message has a time of its own and the answer is always "inside".
pub(crate) async fn is_outside_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    use sqlx::Executor;
    let probe = sqlx::raw_sql("SELECT now() = statement_timestamp() AS outside");
    let row = connection.fetch_one(probe).await?;
    row.try_get("outside")
}
