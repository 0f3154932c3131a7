//! Tokens of an org, encrypted, and the compare-and-set that lets one worker at a time refresh them.
//!
//! A refresh is three short words with the database and none while the network talks: take `refreshing_until`, call
//! Salesforce without a connection, put the new token. With rotation a second call with the old token would make
//! Salesforce revoke everything (B59), so whoever finds the refresh taken waits.

use std::time::Duration;

use domain::{FailureCode, OrgId, OrganizationId};
use jiff::Timestamp;
use nightshift_domain as domain;
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};

use crate::{
    Store,
    error::{StoreError, at},
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
    /// To be used once.
    pub refresh_token: SecretString,
    /// The org that must answer.
    pub organization_id: OrganizationId,
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
            UPDATE org SET refreshing_until = nightshift_now() + make_interval(secs => $3)
             WHERE id = $1 AND (refreshing_until IS NULL OR refreshing_until < nightshift_now())
               AND (access_token IS NULL OR token_generation <= $2)
            RETURNING login_url, instance_url, client_id, client_secret, refresh_token, organization_id,
                      token_generation, refreshing_until",
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
            SELECT access_token, instance_url, token_generation,
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

    /// Gives the right back, if it is still ours. A code that only a person can mend marks the org; any other leaves it
    /// for the next try.
    ///
    /// Whoever slept past its end must not free the right of the worker that took over: a third one would send the same
    /// refresh token a second time, and Salesforce revoke everything.
    pub async fn fail_refresh(self, refresh: Refresh, code: Option<FailureCode>) -> Result<(), StoreError> {
        sqlx::query(
            "-- connections.fail_refresh
            UPDATE org SET refreshing_until = NULL, broken_with = coalesce($3, broken_with)
             WHERE id = $1 AND token_generation = $2 AND refreshing_until = $4",
        )
        .bind(refresh.org.uuid())
        .bind(refresh.generation.0)
        .bind(code.map(FailureCode::as_str))
        .bind(Stamp(refresh.until))
        .execute(&self.store.pool)
        .await
        .map_err(at("connections.fail_refresh"))?;
        Ok(())
    }

    /// Replaces the tokens after a person re-authenticated.
    pub async fn reauthenticate(
        self,
        org: OrgId,
        refresh_token: &SecretString,
        access_token: &SecretString,
        instance_url: &str,
    ) -> Result<(), StoreError> {
        let seal = |column, secret: &SecretString| self.store.keyring.seal(Place { org, column }, secret);
        sqlx::query(
            "-- connections.reauthenticate
            UPDATE org SET refresh_token = $2, access_token = $3, instance_url = $4, broken_with = NULL,
                   token_generation = token_generation + 1, refreshing_until = NULL
             WHERE id = $1",
        )
        .bind(org.uuid())
        .bind(seal("refresh_token", refresh_token))
        .bind(seal("access_token", access_token))
        .bind(instance_url)
        .execute(&self.store.pool)
        .await
        .map_err(at("connections.reauthenticate"))?;
        Ok(())
    }

    /// What a re-authentication needs of the connected app: login URL, client id and client secret.
    pub async fn app(self, org: OrgId) -> Result<(String, String, Option<SecretString>), StoreError> {
        let row = sqlx::query(
            "-- connections.app\nSELECT login_url, client_id, client_secret FROM org WHERE id = $1",
        )
        .bind(org.uuid())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("connections.app"))?;
        let secret = self.open(org, "client_secret", &row)?;
        Ok((row.get("login_url"), row.get("client_id"), secret))
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
            column: "refresh_token",
            reason: "it is empty".to_owned(),
        };
        Ok(Refresh {
            org,
            generation: TokenGeneration(row.get("token_generation")),
            until: row.get::<Stamp, _>("refreshing_until").0,
            login_url: row.get("login_url"),
            instance_url: row.get("instance_url"),
            client_id: row.get("client_id"),
            client_secret: self.open(org, "client_secret", row)?,
            refresh_token: self.open(org, "refresh_token", row)?.ok_or_else(missing)?,
            organization_id: word("org", "organization_id", row.get("organization_id"))?,
        })
    }

    fn open(self, org: OrgId, column: &'static str, row: &PgRow) -> Result<Option<SecretString>, StoreError> {
        let stored: Option<Vec<u8>> = row.get(column);
        stored
            .map(|stored| self.store.keyring.open(Place { org, column }, &stored))
            .transpose()
            .map_err(Into::into)
    }
}
