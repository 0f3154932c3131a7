//! What is wrong with orgs, all of them together: for `doctor`.

use domain::OrgId;
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::Orgs;
use crate::{
    error::{StoreError, at},
    grants,
    keyring::Place,
};

/// Whether what is stored encrypted can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secrets {
    /// Orgs looked at.
    pub orgs: usize,
    /// Names of those with something that does not open, and why.
    pub unreadable: Vec<(String, String)>,
}

/// What is wrong with orgs, all of them together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unwell {
    /// Orgs that are connected.
    pub orgs: i64,
    /// Names of those whose connection is broken, with the code.
    pub broken: Vec<(String, String)>,
    /// Nights of the last two days that were missed.
    pub nights_missed: i64,
}

impl Orgs<'_> {
    /// Opens every secret that is stored, with the keys at hand; nothing of them is kept.
    pub async fn secrets(self) -> Result<Secrets, StoreError> {
        const COLUMNS: [&str; 4] = ["client_secret", "refresh_token", "access_token", "jwt_key"];
        let rows = sqlx::query(
            "-- orgs.secrets
            SELECT id, name, client_secret, refresh_token, access_token, jwt_key FROM org ORDER BY name_folded",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("orgs.secrets"))?;
        let why = |row: &PgRow| {
            let org = OrgId::from_uuid(row.get("id"));
            COLUMNS.into_iter().find_map(|column| {
                let place = Place { org, column };
                grants::open(row, place, &self.store.keyring).err()
            })
        };
        Ok(Secrets {
            orgs: rows.len(),
            unreadable: rows
                .iter()
                .filter_map(|row| Some((row.get("name"), why(row)?.to_string())))
                .collect(),
        })
    }

    /// Connections that a person has to mend, and nights that were missed.
    pub async fn unwell(self) -> Result<Unwell, StoreError> {
        let rows = sqlx::query(
            "-- orgs.unwell
            SELECT name, broken_with, (SELECT count(*) FROM night WHERE state = 'missed'
                                          AND recorded_at > nightshift_now() - interval '2 days') AS missed,
                   (SELECT count(*) FROM org WHERE disconnected_at IS NULL) AS orgs
              FROM (VALUES (1)) one LEFT JOIN org ON broken_with IS NOT NULL AND disconnected_at IS NULL
             ORDER BY name_folded",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("orgs.unwell"))?;
        let broken = |row: &PgRow| {
            let name: Option<String> = row.get("name");
            name.zip(row.get("broken_with"))
        };
        Ok(Unwell {
            orgs: rows.first().map_or(0, |row| row.get("orgs")),
            nights_missed: rows.first().map_or(0, |row| row.get("missed")),
            broken: rows.iter().filter_map(broken).collect(),
        })
    }
}
