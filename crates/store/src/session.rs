//! A session with the server, in which no answer is waited for without end.
//!
//! A peer that is gone without a word (a network that drops, a machine without power) ends no read: the kernel tries for
//! a quarter of an hour, and where nothing waits to be acknowledged, for ever. The server's `statement_timeout` does not
//! reach a client that hears nothing, the driver offers no option of its socket, and none would see a middleman that
//! acknowledges and carries nothing on. So every answer is waited for here, through which all statements pass, a little
//! longer than the server may take for it: those of the [`Pool`] and those of transactions (`tx.rs`).
//!
//! Who left amid an answer, by silence or because its caller went away, is closed and never given back; the server sees
//! it within seconds (`client_connection_check_interval`) and ends the statement. Others go back behind the driver's
//! ping, which has a limit too: one that nobody answers kept its place in the pool for ever.
//!
//! How long a session takes to come to be is the pool's `acquire_timeout`; migrations, which wait for each other, go by
//! themselves.

use std::{io, time::Duration};

use futures::{
    TryFutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{runtime::Handle, time::timeout};

/// How much longer an answer is waited for than the server may take for it.
const ABOVE: Duration = Duration::from_secs(5);
/// How long a session that is given back may take to answer the driver's ping.
const GIVE_BACK: Duration = Duration::from_secs(5);

/// The longest that the server may take for a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Of most.
    pub usual: Duration,
    /// Of one over whole sets.
    pub sets: Duration,
}

/// The sessions of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {
    sessions: PgPool,
    limits: Limits,
}

/// A session in somebody's hands.
#[derive(Debug)]
pub struct Session {
    /// There until it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    limits: Limits,
    /// Of the next answer.
    limit: Duration,
    line: Line,
}

/// Who has the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    /// Nobody: the last answer has come.
    Quiet,
    /// The server; or it is silent.
    Awaited,
}

impl Pool {
    pub(crate) fn new(sessions: PgPool, limits: Limits) -> Self {
        Self { sessions, limits }
    }

    /// A session, as soon as there is one.
    pub(crate) async fn acquire(&self) -> Result<Session, sqlx::Error> {
        Ok(Session {
            connection: Some(self.sessions.acquire().await?),
            limits: self.limits,
            limit: self.limits.usual + ABOVE,
            line: Line::Quiet,
        })
    }

    /// A session without a limit, for migrations.
    pub(crate) fn unlimited(&self) -> PgPool {
        let like = PgConnectOptions::clone(&self.sessions.connect_options());
        PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(like.options([("statement_timeout", "0")]))
    }

    /// Other sessions with the same server, under the same limits.
    pub(crate) fn beside(&self, open: impl FnOnce(PgConnectOptions) -> PgPool) -> Self {
        let like = PgConnectOptions::clone(&self.sessions.connect_options());
        Self::new(open(like), self.limits)
    }

    pub(crate) async fn close(&self) {
        self.sessions.close().await;
    }
}

impl Session {
    /// From now on statements are over whole sets; the longest that the server may take for one.
    pub(crate) fn over_sets(&mut self) -> Duration {
        self.limit = self.limits.sets + ABOVE;
        self.limits.sets
    }

    /// Whether the last answer has come.
    pub(crate) fn is_quiet(&self) -> bool {
        self.line == Line::Quiet
    }

    /// Ends it without a word.
    pub(crate) fn close(mut self) {
        self.line = Line::Awaited;
    }

    /// `COPY ... FROM STDIN` of rows in the statement's format.
    pub(crate) async fn copy_in(&mut self, statement: &str, rows: &[u8]) -> Result<(), sqlx::Error> {
        let (connection, limit, line) = self.parts();
        let copied = async {
            let mut copy = connection.copy_in_raw(statement).await?;
            copy.send(rows).await?;
            copy.finish().await
        };
        within(limit, line, copied).await.map(drop)
    }

    fn parts(&mut self) -> (&mut PgConnection, Duration, &mut Line) {
        let connection = self.connection.as_mut().expect(HELD);
        (connection, self.limit, &mut self.line)
    }
}

/// Why a session has its connection.
const HELD: &str = "only dropping the session takes its connection away";

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match (self.line, Handle::try_current()) {
            (Line::Quiet, Ok(runtime)) => {
                let back = connection.return_to_pool();
                drop(runtime.spawn(async { timeout(GIVE_BACK, back).await }));
            }
            // closed with its socket
            _ => drop(connection.detach()),
        }
    }
}

/// The answer, if it comes within the limit.
async fn within<T>(
    limit: Duration,
    line: &mut Line,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    *line = Line::Awaited;
    let answer = timeout(limit, answer).await.map_err(|_| silence(limit))?;
    *line = Line::Quiet;
    answer
}

fn silence(limit: Duration) -> sqlx::Error {
    let words = format!("the server said nothing for {} s", limit.as_secs_f64());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, words))
}

type Answer = Either<PgQueryResult, PgRow>;

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Answer, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (connection, limit, line) = self.parts();
        let answers = connection.fetch_many(query);
        let heard = stream::try_unfold((answers, line), move |(mut answers, line)| async move {
            let next = within(limit, line, answers.try_next()).await?;
            // who leaves now leaves amid the answer
            *line = next.as_ref().map_or(Line::Quiet, |_| Line::Awaited);
            Ok(next.map(|next| (next, (answers, line))))
        });
        Box::pin(heard)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (connection, limit, line) = self.parts();
        Box::pin(within(limit, line, connection.fetch_optional(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (connection, limit, line) = self.parts();
        Box::pin(within(limit, line, connection.prepare_with(sql, parameters)))
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        let (connection, limit, line) = self.parts();
        Box::pin(within(limit, line, connection.describe(sql)))
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    /// All of the answer, before the first row is told: the session goes back meanwhile.
    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Answer, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut session = self.acquire().await?;
            let answers: Vec<Answer> = session.fetch_many(query).try_collect().await?;
            Ok::<_, sqlx::Error>(stream::iter(answers.into_iter().map(Ok)))
        };
        Box::pin(all.try_flatten_stream())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move { self.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async move { self.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async move { self.acquire().await?.describe(sql).await })
    }
}
