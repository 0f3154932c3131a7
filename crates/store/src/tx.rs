//! The only way into a transaction.
//!
//! A future of `BEGIN` that is dropped half-way leaves a session inside a transaction that the driver does not know
//! of; whoever borrows the connection next writes into nothing (transact-rs/sqlx 4385). So BEGIN runs in a task of its
//! own, which nobody can drop, and from before it is sent the session belongs to a [`Tx`]: one that has committed
//! gives it back as it is; after any other it is asked whether it is outside, and taken out; one that was left amid an
//! answer is closed (`session.rs`). (Asking whenever one comes back costs a round trip for each statement: decisions/0007.)
//!
//! Inside, every error ends the transaction (`?`). PostgreSQL answers the COMMIT of one in which an error was swallowed
//! with the word ROLLBACK, which the driver takes for a success: so COMMIT is sent behind a statement that fails there,
//! in one message, and the words are sent here and not by the driver's own type.

use std::ops::{Deref, DerefMut};

use sqlx::{Executor, Row};

use crate::{
    Store,
    error::{StoreError, at},
    session::Session,
};

/// A transaction; dropped without [`Tx::commit`] it is rolled back before its session goes back to the pool.
#[must_use = "a transaction that is dropped writes nothing"]
pub struct Tx {
    name: &'static str,
    /// There until the commit.
    session: Option<Session>,
}

impl Store {
    /// Begins a transaction with a name for errors. It may contain SQL and nothing else.
    pub(crate) async fn begin(&self, name: &'static str) -> Result<Tx, StoreError> {
        fail::fail_point!(&format!("before-begin:{name}"), |_| std::process::abort());
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move {
            let session = Some(pool.acquire().await?);
            let mut tx = Tx { name, session };
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
        self.session = None;
        fail::fail_point!(&format!("committed:{name}"), |_| std::process::abort());
        Ok(())
    }
}

impl Deref for Tx {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect(HELD)
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect(HELD)
    }
}

/// Why a transaction has its session.
const HELD: &str = "only a commit, which consumes the transaction, takes its session away";

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if session.is_quiet() => drop(runtime.spawn(roll_back(session))),
            // closed with its socket: the server rolls back
            _ => session.close(),
        }
    }
}

/// A session that answers oddly is closed.
async fn roll_back(mut session: Session) {
    if leave_transaction(&mut session).await.is_err() {
        session.close();
    }
}

/// Asks a session whether it is inside a transaction, and takes it out. ROLLBACK alone would not do: behind a COPY that
/// failed half-way it may be swallowed, and the answer to something else be taken for its own.
///
/// Inside a transaction `now()` stands still while `statement_timestamp()` goes on. The simple protocol is needed: in
/// the extended one each message has a time of its own and the answer is always "inside".
async fn leave_transaction(session: &mut Session) -> Result<(), sqlx::Error> {
    let probe = sqlx::raw_sql("SELECT now() = statement_timestamp() AS outside");
    let outside = match session.fetch_one(probe).await {
        Ok(row) => row.try_get("outside")?,
        // aborted: nothing but ROLLBACK is answered
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("25P02") => false,
        Err(error) => return Err(error),
    };
    if !outside {
        session.execute(sqlx::raw_sql("ROLLBACK")).await?;
    }
    Ok(())
}

/// For statements over whole sets, inside a transaction: staged rows are minutes old, no statistics know them yet, and a
/// planner that believes in one row goes through twenty thousand of them one by one (a minute, measured). Hashing is
/// never far from the best plan for a set. They may take longer than others.
pub(crate) async fn plan_for_sets(c: &mut Session) -> Result<(), StoreError> {
    let limit = format!("{}ms", c.over_sets().as_millis());
    sqlx::query(
        "-- tx.plan_for_sets
        SELECT set_config('enable_nestloop', 'off', true), set_config('statement_timeout', $1, true)",
    )
    .bind(limit)
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
