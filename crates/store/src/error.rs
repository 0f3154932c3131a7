//! What can go wrong with the database, by what a caller can do about it.

/// An error of the store. It names the statement, never its parameters.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server cannot be reached or has gone away; later it may work.
    #[error("the database could not be reached ({statement})")]
    Unavailable {
        /// Name of the statement.
        statement: &'static str,
        /// From the driver.
        #[source]
        source: sqlx::Error,
    },
    /// A lock was not given in time, or the server broke a deadlock: the whole may be tried again.
    #[error("the database was busy ({statement})")]
    Busy {
        /// Name of the statement.
        statement: &'static str,
        /// From the driver.
        #[source]
        source: sqlx::Error,
    },
    /// The connection was lost while committing: done or not, nobody knows yet.
    #[error("the connection was lost during a commit ({statement})")]
    UnknownCommit {
        /// Name of the transaction.
        statement: &'static str,
    },
    /// The claim is another's by now, or its job is gone. Nothing was written.
    #[error("lease_lost: the claim is no longer ours")]
    LeaseLost,
    /// Something else is in the way.
    #[error("{0}")]
    Conflict(Conflict),
    /// What was asked for is not there.
    #[error("there is no {thing} {name:?}")]
    NotFound {
        /// Kind of thing.
        thing: &'static str,
        /// As asked for.
        name: String,
    },
    /// A row that this program cannot read.
    #[error("table {table}, column {column}: {reason}")]
    Decode {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// What is wrong with the value (never a secret one).
        reason: String,
    },
    /// What cannot be kept.
    #[error("{thing} cannot be stored: {reason}")]
    Refused {
        /// What.
        thing: &'static str,
        /// Why.
        reason: String,
    },
    /// A secret could not be opened.
    #[error(transparent)]
    Keyring(#[from] crate::keyring::KeyringError),
    /// The address of the database is none.
    #[error("database.url is no address; write it like postgres://user:password@host:5432/nightshift")]
    BadUrl,
    /// A migration failed.
    #[error("the migrations could not be applied; see nightshift doctor")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A statement that should not fail.
    #[error("statement {statement} failed")]
    Statement {
        /// Name of the statement.
        statement: &'static str,
        /// From the driver.
        #[source]
        source: sqlx::Error,
    },
}

/// What is in the way.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// An org of this name exists.
    #[error("an org named {0:?} exists already; choose another name")]
    Name(String),
    /// The organization is connected.
    #[error("organization {organization_id} is connected already as {name:?}")]
    Organization {
        /// Salesforce's id.
        organization_id: String,
        /// Our org's name.
        name: String,
    },
    /// No sync of the org is held.
    #[error("no sync of {0:?} is held")]
    NothingHeld(String),
    /// Another sync is open.
    #[error("a sync of {0:?} is running; wait for its end")]
    SyncOpen(String),
}

impl StoreError {
    /// Maps a driver's error at a named statement.
    pub(crate) fn on(statement: &'static str) -> impl Fn(sqlx::Error) -> Self {
        at(statement)
    }
}

/// Maps a driver's error at a named statement.
pub(crate) fn at(statement: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| classify(statement, source)
}

fn classify(statement: &'static str, source: sqlx::Error) -> StoreError {
    let code = source
        .as_database_error()
        .and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    match (&source, code.as_deref()) {
        (_, Some("40001" | "40P01" | "55P03")) => StoreError::Busy { statement, source },
        (_, Some(code)) if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => {
            StoreError::Unavailable { statement, source }
        }
        // `Protocol`: an answer that was cut is told so, where it was the first byte of a connection
        (
            sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Tls(_),
            _,
        ) => StoreError::Unavailable { statement, source },
        _ => StoreError::Statement { statement, source },
    }
}

impl StoreError {
    /// Whether the same may work a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Busy { .. } | Self::UnknownCommit { .. }
        )
    }

    /// The driver's words, for logs.
    pub fn detail(&self) -> String {
        use std::error::Error;
        self.source()
            .map_or_else(|| self.to_string(), |source| format!("{self}: {source}"))
    }
}
