//! What a person does to a connection: looks at it, connects the org anew, disconnects it.
//!
//! Both changes take the token's next generation, so that a refresh which is on its way meanwhile stores nothing.

use jiff::Timestamp;
use nightshift_domain::{FailureCode, OrgId};
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};

use super::Connections;
use crate::{
    error::{StoreError, at},
    grants::{self, Grant, GrantColumns},
    keyring::Place,
    row::Stamp,
};

/// How an org is connected.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Where tokens come from.
    pub login_url: String,
    /// Of the connected app.
    pub client_id: String,
    /// Of the connected app, if it has one.
    pub client_secret: Option<SecretString>,
    /// By what it gives tokens; `None` once it was disconnected.
    pub grant: Option<Grant>,
    /// The session that is stored.
    pub access_token: Option<SecretString>,
    /// Since when a refresh was sent and no answer to it was stored.
    pub unanswered_since: Option<Timestamp>,
    /// The code with which it was found broken.
    pub broken_with: Option<String>,
}

impl Connections<'_> {
    /// How an org is connected.
    pub async fn show(self, org: OrgId) -> Result<Connection, StoreError> {
        let row = sqlx::query(
            "-- connections.show
            SELECT login_url, client_id, client_secret, access_token, unanswered_since, broken_with,
                   grant_kind, refresh_token, jwt_username, jwt_audience, jwt_key
              FROM org WHERE id = $1",
        )
        .bind(org.uuid())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("connections.show"))?;
        self.connection(org, &row)
    }

    fn connection(self, org: OrgId, row: &PgRow) -> Result<Connection, StoreError> {
        Ok(Connection {
            login_url: row.get("login_url"),
            client_id: row.get("client_id"),
            client_secret: self.open(org, "client_secret", row)?,
            grant: grants::grant(row, org, &self.store.keyring)?,
            access_token: self.open(org, "access_token", row)?,
            unanswered_since: row
                .get::<Option<Stamp>, _>("unanswered_since")
                .map(|stamp| stamp.0),
            broken_with: row.get("broken_with"),
        })
    }

    /// Replaces grant and tokens after a person proved new ones; `client_secret` only when there is a new one.
    pub async fn reauthenticate(
        self,
        org: OrgId,
        client_secret: Option<&SecretString>,
        grant: &Grant,
        rotates: bool,
        access_token: &SecretString,
        instance_url: &str,
    ) -> Result<(), StoreError> {
        let keyring = &self.store.keyring;
        let seal = |column, secret: &SecretString| keyring.seal(Place { org, column }, secret);
        let columns = GrantColumns::of(grant, org, keyring);
        sqlx::query(
            "-- connections.reauthenticate
            UPDATE org SET grant_kind = $2, refresh_token = $3, jwt_username = $4, jwt_audience = $5, jwt_key = $6,
                   client_secret = coalesce($7, client_secret), access_token = $8, instance_url = $9,
                   token_rotates = $10, unanswered_since = NULL, broken_with = NULL, disconnected_at = NULL,
                   token_generation = token_generation + 1, refreshing_until = NULL
             WHERE id = $1",
        )
        .bind(org.uuid())
        .bind(columns.kind)
        .bind(columns.refresh_token)
        .bind(columns.jwt_username)
        .bind(columns.jwt_audience)
        .bind(columns.jwt_key)
        .bind(client_secret.map(|secret| seal("client_secret", secret)))
        .bind(seal("access_token", access_token))
        .bind(instance_url)
        .bind(rotates)
        .execute(&self.store.pool)
        .await
        .map_err(at("connections.reauthenticate"))?;
        Ok(())
    }

    /// Forgets all secrets, fires no slots, tries no night again; gives how the org was connected until now. An open sync
    /// meets [`super::Begun::Disconnected`] at its next call.
    pub async fn disconnect(self, org: OrgId) -> Result<Connection, StoreError> {
        let mut tx = self.store.begin("connections.disconnect").await?;
        // locked, so that no refresh puts another token between what is read here and what is forgotten below
        let row = sqlx::query(
            "-- connections.last
            SELECT login_url, client_id, client_secret, access_token, unanswered_since, broken_with,
                   grant_kind, refresh_token, jwt_username, jwt_audience, jwt_key
              FROM org WHERE id = $1 FOR UPDATE",
        )
        .bind(org.uuid())
        .fetch_one(&mut *tx)
        .await
        .map_err(at("connections.last"))?;
        let until_now = self.connection(org, &row)?;
        sqlx::query(
            "-- connections.disconnect
            UPDATE org SET refresh_token = NULL, jwt_key = NULL, client_secret = NULL, access_token = NULL,
                   unanswered_since = NULL, broken_with = $2, disconnected_at = nightshift_now(),
                   token_generation = token_generation + 1, refreshing_until = NULL, paused = true, next_run = NULL
             WHERE id = $1",
        )
        .bind(org.uuid())
        .bind(FailureCode::OrgDisconnected.as_str())
        .execute(&mut *tx)
        .await
        .map_err(at("connections.disconnect"))?;
        sqlx::query(
            "-- nights.no_retry
            UPDATE night SET retry_at = NULL WHERE org_id = $1 AND retry_at IS NOT NULL",
        )
        .bind(org.uuid())
        .execute(&mut *tx)
        .await
        .map_err(at("nights.no_retry"))?;
        tx.commit().await?;
        Ok(until_now)
    }
}
