//! What an org's objects are made of, as REST describes them.
//!
//! A description of an object with many fields has megabytes, and changes seldom: who has asked before sends the
//! date that came with the last answer, and gets [`Described::Unchanged`] for nothing.

use serde::Deserialize;

use super::Ask;
use crate::{
    client::Client,
    counter::CallKind,
    error::{Expected, SalesforceError},
    operations::{Api, Endpoint, PathName},
};

/// An object in short.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SobjectSummary {
    /// API name.
    pub name: String,
    /// As people see it.
    pub label: String,
    /// First three characters of its records' ids; absent where records have none.
    pub key_prefix: Option<String>,
    /// Whether the org or a package made it.
    #[serde(default)]
    pub custom: bool,
    /// Whether it is a custom setting.
    #[serde(default)]
    pub custom_setting: bool,
    /// Whether it can be queried.
    #[serde(default)]
    pub queryable: bool,
}

/// A field.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SobjectField {
    /// API name.
    pub name: String,
    /// As people see it.
    pub label: String,
    /// Such as `string`, `reference`, `address`.
    #[serde(rename = "type")]
    pub field_type: String,
    /// The compound field (address, location, name) of which it is a part.
    pub compound_field_name: Option<String>,
    /// Objects to which it refers.
    #[serde(default)]
    pub reference_to: Vec<String>,
    /// The word by which a query follows it.
    pub relationship_name: Option<String>,
    /// Whether the org or a package made it.
    #[serde(default)]
    pub custom: bool,
    /// Whether a formula or a roll-up makes its value.
    #[serde(default)]
    pub calculated: bool,
}

/// An object in full.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sobject {
    /// In short.
    pub summary: SobjectSummary,
    /// Its fields, as far as this user may see them.
    pub fields: Vec<SobjectField>,
}

/// What asking for a description brings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Described {
    /// It has not changed since the date that was sent.
    Unchanged,
    /// Here it is.
    Changed {
        /// The object.
        sobject: Box<Sobject>,
        /// The date to send next time, as Salesforce wrote it.
        last_modified: Option<String>,
    },
}

#[derive(Deserialize)]
struct Fields {
    fields: Vec<SobjectField>,
}

#[derive(Deserialize)]
struct All {
    sobjects: Vec<SobjectSummary>,
}

impl Client {
    /// All objects that this user may see.
    pub async fn sobjects(&self, api: Api) -> Result<Vec<SobjectSummary>, SalesforceError> {
        let ask = Ask::of(Endpoint::Sobjects, self.version(), api);
        let all: All = self.json(CallKind::Sobject, &ask).await?;
        Ok(all.sobjects)
    }

    /// One object; `since` is the date of an earlier answer. An object that is not there is a refusal, `NOT_FOUND`.
    pub async fn sobject(
        &self,
        api: Api,
        name: &PathName,
        since: Option<&str>,
    ) -> Result<Described, SalesforceError> {
        let ask = Ask::named(Endpoint::Sobject, self.version(), api, name);
        let ask = match since {
            Some(since) => ask.header("if-modified-since", since),
            None => ask,
        };
        let mut incoming = self.rest(CallKind::Sobject, &ask).await?;
        if incoming.status == 304 {
            return match since {
                Some(_) => Ok(Described::Unchanged),
                None => Err(incoming.unexpected(Expected::Json, b"unchanged, but no date was sent", &[])),
            };
        }
        let last_modified = incoming.header("last-modified").map(str::to_owned);
        let body = incoming.body.bytes().await?;
        let summary = serde_json::from_slice::<SobjectSummary>(&body);
        let sobject = match (summary, serde_json::from_slice::<Fields>(&body)) {
            (Ok(summary), Ok(Fields { fields })) => Sobject { summary, fields },
            _ => return Err(incoming.unexpected(Expected::Json, &body, &[])),
        };
        Ok(Described::Changed {
            sobject: Box::new(sobject),
            last_modified,
        })
    }
}
