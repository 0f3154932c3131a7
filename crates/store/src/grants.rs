//! By what an org gives tokens, as columns: what is secret encrypted, what is not as it is.
//!
//! One org has one grant. What is asked of Salesforce for it is left to `connections`.

use nightshift_domain::OrgId;
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};

use crate::{
    error::StoreError,
    keyring::{Keyring, Place},
};

/// By what an org gives tokens.
#[derive(Clone, Debug)]
pub enum Grant {
    /// A person allowed the app once.
    RefreshToken(SecretString),
    /// The app's private key signs for a user.
    JwtBearer(JwtBearer),
    /// The app's secret is enough; who it is in the org stands in the app's settings.
    ClientCredentials,
}

/// The app's key, and for whom it signs.
#[derive(Clone, Debug)]
pub struct JwtBearer {
    /// The user's name in the org.
    pub username: String,
    /// To whom it is addressed; `None`: as the login URL says.
    pub audience: Option<String>,
    /// The private key, as PEM.
    pub key: SecretString,
}

/// A grant as columns.
pub(crate) struct GrantColumns<'a> {
    pub kind: &'static str,
    pub refresh_token: Option<Vec<u8>>,
    pub jwt_username: Option<&'a str>,
    pub jwt_audience: Option<&'a str>,
    pub jwt_key: Option<Vec<u8>>,
}

impl<'a> GrantColumns<'a> {
    pub(crate) fn of(grant: &'a Grant, org: OrgId, keyring: &Keyring) -> Self {
        let seal = |column, secret| Some(keyring.seal(Place { org, column }, secret));
        let mut columns = Self {
            kind: "client_credentials",
            refresh_token: None,
            jwt_username: None,
            jwt_audience: None,
            jwt_key: None,
        };
        match grant {
            Grant::RefreshToken(token) => {
                columns.kind = "refresh_token";
                columns.refresh_token = seal("refresh_token", token);
            }
            Grant::JwtBearer(bearer) => {
                columns.kind = "jwt_bearer";
                columns.jwt_username = Some(&bearer.username);
                columns.jwt_audience = bearer.audience.as_deref();
                columns.jwt_key = seal("jwt_key", &bearer.key);
            }
            Grant::ClientCredentials => {}
        }
        columns
    }
}

/// Reads the grant of a row that has a grant's columns; `None` when its secret is gone: the org was disconnected.
pub(crate) fn grant(row: &PgRow, org: OrgId, keyring: &Keyring) -> Result<Option<Grant>, StoreError> {
    let open = |column| open(row, Place { org, column }, keyring);
    match row.get("grant_kind") {
        "refresh_token" => Ok(open("refresh_token")?.map(Grant::RefreshToken)),
        "jwt_bearer" => {
            let username: Option<String> = row.get("jwt_username");
            let bearer = open("jwt_key")?.zip(username).map(|(key, username)| JwtBearer {
                username,
                audience: row.get("jwt_audience"),
                key,
            });
            Ok(bearer.map(Grant::JwtBearer))
        }
        "client_credentials" => Ok(open("client_secret")?.map(|_| Grant::ClientCredentials)),
        other => Err(StoreError::Decode {
            table: "org",
            column: "grant_kind",
            reason: other.to_owned(),
        }),
    }
}

/// Decrypts what stands in a column, if anything does.
pub(crate) fn open(row: &PgRow, place: Place, keyring: &Keyring) -> Result<Option<SecretString>, StoreError> {
    let stored: Option<Vec<u8>> = row.get(place.column);
    stored
        .map(|stored| keyring.open(place, &stored))
        .transpose()
        .map_err(Into::into)
}
