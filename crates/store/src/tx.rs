//! The only way into a transaction.
//!
//! A future of `BEGIN` that is dropped half-way leaves a session inside a transaction that the driver does not know
//! of; whoever borrows the connection next writes into nothing (transact-rs/sqlx 4385). So BEGIN runs in a task of its
//! own, which nobody can drop, and from before it is sent the connection belongs to a [`Tx`]: one that has committed
//! gives it back as it is; after any other its session is asked whether it is outside, and taken out. (Asking whenever a
//! connection comes back costs a round trip for each statement: decisions/0007.)
//!
//! Inside, every error ends the transaction (`?`). PostgreSQL answers the COMMIT of one in which an error was swallowed
//! with the word ROLLBACK, which the driver takes for a success: so COMMIT is sent behind a statement that fails there,
//! in one message, and the words are sent here and not by the driver's own type.

use std::ops::{Deref, DerefMut};

use sqlx::{Executor, PgConnection, Postgres, Row, pool::PoolConnection};

use crate::{
    Store,
    error::{StoreError, at},
};

/// A transaction; dropped without [`Tx::commit`] it is rolled back before its connection goes back to the pool.
#[must_use = "a transaction that is dropped writes nothing"]
pub struct Tx {
    name: &'static str,
    /// There until the commit.
    connection: Option<PoolConnection<Postgres>>,
}

impl Store {
    /// Begins a transaction with a name for errors. It may contain SQL and nothing else.
    pub(crate) async fn begin(&self, name: &'static str) -> Result<Tx, StoreError> {
        fail::fail_point!(&format!("before-begin:{name}"), |_| std::process::abort());
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move {
            let connection = Some(pool.acquire().await?);
            let mut tx = Tx { name, connection };
            tx.execute(sqlx::raw_sql("BEGIN")).await?;
            Ok(tx)
        });
        match begun.await {
            Ok(begun) => begun.map_err(at(name)),
            Err(_) => Err(StoreError::Unavailable {
                statement: name,
                source: sqlx::Error::PoolClosed,
            }),
        }
    }
}

impl Tx {
    /// Commits. A connection that is lost meanwhile leaves the question open: [`StoreError::UnknownCommit`].
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let name = self.name;
        fail::fail_point!(&format!("before-commit:{name}"), |_| std::process::abort());
        // in an aborted transaction the first fails (25P02), and the second is not looked at
        let words = sqlx::raw_sql("SELECT; COMMIT");
        let committed = self.execute(words).await;
        committed.map(drop).map_err(|error| match at(name)(error) {
            StoreError::Unavailable { .. } => StoreError::UnknownCommit { statement: name },
            other => other,
        })?;
        self.connection = None;
        fail::fail_point!(&format!("committed:{name}"), |_| std::process::abort());
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(HELD)
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(HELD)
    }
}

/// Why a transaction has its connection.
const HELD: &str = "only a commit, which consumes the transaction, takes its connection away";

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(roll_back(connection))),
            // closed with its socket: the server rolls back
            Err(_) => drop(connection.detach()),
        }
    }
}

/// Whatever was under way on it (a COPY, say) is read to its end first; a session that answers oddly is closed.
async fn roll_back(mut connection: PoolConnection<Postgres>) {
    if leave_transaction(&mut connection).await.is_err() {
        connection.close_on_drop();
    }
}

/// Asks a session whether it is inside a transaction, and takes it out. ROLLBACK alone would not do: behind a COPY that
/// was cut off it may be swallowed, and the answer to something else be taken for its own.
///
/// Inside a transaction `now()` stands still while `statement_timestamp()` goes on. The simple protocol is needed: in
/// the extended one each message has a time of its own and the answer is always "inside".
async fn leave_transaction(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let probe = sqlx::raw_sql("SELECT now() = statement_timestamp() AS outside");
    let outside = match connection.fetch_one(probe).await {
        Ok(row) => row.try_get("outside")?,
        // aborted: nothing but ROLLBACK is answered
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("25P02") => false,
        Err(error) => return Err(error),
    };
    if !outside {
        connection.execute(sqlx::raw_sql("ROLLBACK")).await?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        reason = "a test ends where something is not as it should be"
    )]

    use nightshift_testkit::TestDb;

    use crate::{Keyring, Store, StoreError, StoreSettings};

    const SEEN: &str = "INSERT INTO request_seen (id, seen_at) VALUES ('a', nightshift_now())";

    async fn store(database: &TestDb) -> Store {
        let key = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let settings = StoreSettings::new(database.url().into());
        let keyring = Keyring::parse(&key.into()).unwrap();
        Store::connect(&settings, keyring).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_error_swallowed_inside_a_transaction_never_counts_as_committed() {
        let database = TestDb::fresh().await;
        let store = store(&database).await;
        let mut tx = store.begin("test").await.unwrap();
        sqlx::query(SEEN).execute(&mut *tx).await.unwrap();
        assert!(
            sqlx::query(SEEN).execute(&mut *tx).await.is_err(),
            "the key is taken"
        );
        let committed = tx.commit().await;
        assert!(
            matches!(committed, Err(StoreError::Statement { .. })),
            "{committed:?}"
        );
        let rows = "SELECT count(*) FROM request_seen";
        assert_eq!(database.count(rows).await, 0);

        let mut tx = store.begin("test").await.unwrap();
        sqlx::query(SEEN).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(database.count(rows).await, 1);
    }
}
