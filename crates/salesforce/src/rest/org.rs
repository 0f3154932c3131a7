//! What every sync asks first: versions, who the token is, the org's and the user's facts, what is left of the day.

use serde::de::DeserializeOwned;

use super::{
    Ask, Identity, Limits, Organization, User, VersionRow,
    query::{QueryKind, Records},
};
use crate::{
    client::Client,
    counter::CallKind,
    error::{Expected, SalesforceError},
    operations::{Api, Endpoint},
    version::ApiVersion,
};

impl Client {
    /// The versions that the org offers. An answer that is no list means that the org's domain moved.
    pub async fn versions(&self) -> Result<Vec<ApiVersion>, SalesforceError> {
        let ask = Ask::of(Endpoint::Versions, self.version(), Api::Data);
        let rows: Vec<VersionRow> = self.json(CallKind::Versions, &ask).await?;
        Ok(rows.iter().filter_map(|row| row.version.parse().ok()).collect())
    }

    /// The version to speak: the lesser of what we tested and what the org offers.
    pub async fn choose_version(&self) -> Result<ApiVersion, SalesforceError> {
        let offered = self.versions().await?;
        ApiVersion::choose(&offered).ok_or_else(|| SalesforceError::NoCommonVersion {
            newest: offered
                .iter()
                .max()
                .map_or("none".to_owned(), ToString::to_string),
        })
    }

    /// Who this token is.
    pub async fn identity(&self) -> Result<Identity, SalesforceError> {
        let ask = Ask::of(Endpoint::Identity, self.version(), Api::Data);
        self.json(CallKind::Identity, &ask).await
    }

    /// The org's facts.
    pub async fn organization(&self) -> Result<Organization, SalesforceError> {
        self.first(Organization::QUERY).await
    }

    /// The facts of one user; `id` as the identity or the token answer gave it.
    pub async fn user(&self, id: &str) -> Result<User, SalesforceError> {
        let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
        self.first(&format!(
            "SELECT Id, Username, IsActive, TimeZoneSidKey FROM User WHERE Id = '{id}'"
        ))
        .await
    }

    async fn first<T: DeserializeOwned>(&self, soql: &str) -> Result<T, SalesforceError> {
        let mut records: Records<T> = self.query(QueryKind::Live, soql);
        records.next().await?.ok_or(SalesforceError::Unexpected {
            call: CallKind::Query,
            status: 200,
            expected: Expected::Json,
            text: "no record".to_owned(),
        })
    }

    /// What is left of the org's allowances.
    pub async fn limits(&self) -> Result<Limits, SalesforceError> {
        let ask = Ask::of(Endpoint::Limits, self.version(), Api::Data);
        self.json(CallKind::Limits, &ask).await.map(Limits::read)
    }
}
