//! Tokens of an org, encrypted, and the compare-and-set that lets one worker at a time refresh them.
//!
//! A refresh is three short words with the database and none while the network talks: take `refreshing_until`, call
//! Salesforce without a connection, put the new token. With rotation a second call with the old token would make
//! Salesforce revoke everything (B59), so whoever finds the refresh taken waits. A refresh that was sent and whose answer
//! was not stored leaves a mark: should the next one be refused, the mark says why. What a person does to a connection is
//! left to `connections/person.rs`.

mod person;

pub use person::Connection;

use std::time::Duration;

use domain::{FailureCode, OrgId, OrganizationId};
use jiff::Timestamp;
use nightshift_domain as domain;
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};

use crate::{
    Store,
    error::{StoreError, at},
    grants::{self, Grant},
    keyring::Place,
    row::{Stamp, word},
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Connections<'a> {
    store: &'a Store,
}

impl Store {
    /// Tokens.
    pub fn connections(&self) -> Connections<'_> {
        Connections { store: self }
    }
}

/// Which token: grows with every refresh.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenGeneration(pub i64);

/// A token to work with.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// For the Authorization header.
    pub access_token: SecretString,
    /// Where it is good.
    pub instance_url: String,
    /// Which.
    pub generation: TokenGeneration,
}

/// The right to refresh, consumed by its end.
#[must_use = "a refresh that is not ended blocks the org's token until it lapses"]
#[derive(Debug)]
pub struct Refresh {
    org: OrgId,
    generation: TokenGeneration,
    /// How long the right lasts: whoever has it now has another end of it.
    until: Timestamp,
    /// Where to refresh.
    pub login_url: String,
    /// Where the API was.
    pub instance_url: String,
    /// Of the connected app.
    pub client_id: String,
    /// Of the connected app.
    pub client_secret: Option<SecretString>,
    /// By what the token is asked for; a refresh token is to be used once.
    pub grant: Grant,
    /// Whether the last refresh brought a new refresh token; `None`: there was none yet.
    pub rotates: Option<bool>,
    /// Since when a refresh was sent and no answer to it was stored.
    pub unanswered_since: Option<Timestamp>,
    /// The org that must answer.
    pub organization_id: OrganizationId,
    /// The database's time.
    pub now: Timestamp,
}

/// The answer to a wish to refresh.
#[derive(Debug)]
pub enum Begun {
    /// Somebody has refreshed it meanwhile.
    StillGood(StoredToken),
    /// Another worker is at it.
    SomebodyElse {
        /// At the latest until then.
        until: Timestamp,
    },
    /// Ours to do.
    Ours(Box<Refresh>),
    /// Nobody's: the org was disconnected.
    Disconnected,
}

/// How a refresh ended that brought nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshFailure {
    /// Salesforce said no, and only a person can mend it.
    NeedsPerson(FailureCode),
    /// It was refused for now, or never left: the token is as it was.
    PassesByItself,
    /// It left, and what came of it is not known.
    NoAnswer,
}

/// What a refresh brought.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The new access token.
    pub access_token: SecretString,
    /// A new refresh token, when Salesforce rotates them.
    pub refresh_token: Option<SecretString>,
    /// It may have moved.
    pub instance_url: String,
}

impl Connections<'_> {
    /// The stored access token, if there is one.
    pub async fn token(self, org: OrgId) -> Result<Option<StoredToken>, StoreError> {
        let row = sqlx::query(
            "-- connections.token
            SELECT access_token, instance_url, token_generation FROM org WHERE id = $1",
        )
        .bind(org.uuid())
        .fetch_optional(&self.store.pool)
        .await
        .map_err(at("connections.token"))?
        .ok_or_else(|| StoreError::NotFound {
            thing: "org",
            name: org.to_string(),
        })?;
        self.stored(org, &row)
    }

    /// Asks for the right to replace the token of generation `stale`.
    pub async fn begin_refresh(
        self,
        org: OrgId,
        stale: Option<TokenGeneration>,
        hold: Duration,
    ) -> Result<Begun, StoreError> {
        let row = sqlx::query(
            "-- connections.begin_refresh
            UPDATE org SET refreshing_until = nightshift_now() + make_interval(secs => $3),
                   -- whoever had the right before never said how it ended
                   unanswered_since = coalesce(unanswered_since, refreshing_until)
             WHERE id = $1 AND (refreshing_until IS NULL OR refreshing_until < nightshift_now())
               AND (access_token IS NULL OR token_generation <= $2) AND disconnected_at IS NULL
            RETURNING login_url, instance_url, client_id, client_secret, organization_id, token_generation,
                      refreshing_until, token_rotates, unanswered_since, nightshift_now() AS now,
                      grant_kind, refresh_token, jwt_username, jwt_audience, jwt_key",
        )
        .bind(org.uuid())
        .bind(stale.map_or(-1, |stale| stale.0))
        .bind(hold.as_secs_f64())
        .fetch_optional(&self.store.pool)
        .await
        .map_err(at("connections.begin_refresh"))?;
        match row {
            Some(row) => Ok(Begun::Ours(Box::new(self.refresh(org, &row)?))),
            None => self.not_ours(org, stale).await,
        }
    }

    async fn not_ours(self, org: OrgId, stale: Option<TokenGeneration>) -> Result<Begun, StoreError> {
        let row = sqlx::query(
            "-- connections.not_ours
            SELECT access_token, instance_url, token_generation, disconnected_at IS NOT NULL AS disconnected,
                   coalesce(refreshing_until, nightshift_now()) AS until
              FROM org WHERE id = $1",
        )
        .bind(org.uuid())
        .fetch_optional(&self.store.pool)
        .await
        .map_err(at("connections.not_ours"))?
        .ok_or_else(|| StoreError::NotFound {
            thing: "org",
            name: org.to_string(),
        })?;
        if row.get("disconnected") {
            return Ok(Begun::Disconnected);
        }
        match self.stored(org, &row)? {
            Some(token) if stale.is_none_or(|stale| token.generation > stale) => Ok(Begun::StillGood(token)),
            _ => Ok(Begun::SomebodyElse {
                until: row.get::<Stamp, _>("until").0,
            }),
        }
    }

    /// Stores what the refresh brought, before the new token is used. A rotated refresh token must not be lost, so this
    /// is a short transaction of its own and not part of a settlement.
    pub async fn end_refresh(self, refresh: Refresh, brought: &Refreshed) -> Result<StoredToken, StoreError> {
        let org = refresh.org;
        let seal = |column, secret: &SecretString| self.store.keyring.seal(Place { org, column }, secret);
        let row = sqlx::query(
            "-- connections.end_refresh
            UPDATE org SET access_token = $3, refresh_token = coalesce($4, refresh_token), instance_url = $5,
                   token_rotates = $4::bytea IS NOT NULL, unanswered_since = NULL,
                   token_generation = token_generation + 1, refreshing_until = NULL, broken_with = NULL
             WHERE id = $1 AND token_generation = $2
            RETURNING access_token, instance_url, token_generation",
        )
        .bind(org.uuid())
        .bind(refresh.generation.0)
        .bind(seal("access_token", &brought.access_token))
        .bind(
            brought
                .refresh_token
                .as_ref()
                .map(|token| seal("refresh_token", token)),
        )
        .bind(&brought.instance_url)
        .fetch_optional(&self.store.pool)
        .await
        .map_err(at("connections.end_refresh"))?;
        let stored = match row {
            Some(row) => self.stored(org, &row)?,
            // our right lapsed and somebody else was faster: theirs is as good
            None => self.token(org).await?,
        };
        stored.ok_or(StoreError::LeaseLost)
    }

    /// Gives the right back, if it is still ours. A code that only a person can mend marks the org; an answer that is
    /// missing leaves its mark too; anything else leaves all for the next try.
    ///
    /// Whoever slept past its end must not free the right of the worker that took over: a third one would send the same
    /// refresh token a second time, and Salesforce revoke everything.
    pub async fn fail_refresh(self, refresh: Refresh, failure: RefreshFailure) -> Result<(), StoreError> {
        let code = match failure {
            RefreshFailure::NeedsPerson(code) => Some(code.as_str()),
            RefreshFailure::PassesByItself | RefreshFailure::NoAnswer => None,
        };
        sqlx::query(
            "-- connections.fail_refresh
            UPDATE org SET refreshing_until = NULL, broken_with = coalesce($3, broken_with),
                   unanswered_since = CASE WHEN $5 THEN coalesce(unanswered_since, nightshift_now())
                                           ELSE unanswered_since END
             WHERE id = $1 AND token_generation = $2 AND refreshing_until = $4",
        )
        .bind(refresh.org.uuid())
        .bind(refresh.generation.0)
        .bind(code)
        .bind(Stamp(refresh.until))
        .bind(failure == RefreshFailure::NoAnswer)
        .execute(&self.store.pool)
        .await
        .map_err(at("connections.fail_refresh"))?;
        Ok(())
    }

    fn stored(self, org: OrgId, row: &PgRow) -> Result<Option<StoredToken>, StoreError> {
        let token = self.open(org, "access_token", row)?;
        Ok(token.map(|access_token| StoredToken {
            access_token,
            instance_url: row.get("instance_url"),
            generation: TokenGeneration(row.get("token_generation")),
        }))
    }

    fn refresh(self, org: OrgId, row: &PgRow) -> Result<Refresh, StoreError> {
        let missing = || StoreError::Decode {
            table: "org",
            column: "grant_kind",
            reason: "its secret is empty".to_owned(),
        };
        Ok(Refresh {
            org,
            generation: TokenGeneration(row.get("token_generation")),
            until: row.get::<Stamp, _>("refreshing_until").0,
            login_url: row.get("login_url"),
            instance_url: row.get("instance_url"),
            client_id: row.get("client_id"),
            client_secret: self.open(org, "client_secret", row)?,
            grant: grants::grant(row, org, &self.store.keyring)?.ok_or_else(missing)?,
            rotates: row.get("token_rotates"),
            unanswered_since: row
                .get::<Option<Stamp>, _>("unanswered_since")
                .map(|stamp| stamp.0),
            organization_id: word("org", "organization_id", row.get("organization_id"))?,
            now: row.get::<Stamp, _>("now").0,
        })
    }

    fn open(self, org: OrgId, column: &'static str, row: &PgRow) -> Result<Option<SecretString>, StoreError> {
        grants::open(row, Place { org, column }, &self.store.keyring)
    }
}
