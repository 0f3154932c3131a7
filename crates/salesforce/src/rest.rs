//! REST: the shapes of what it answers, and what its refusals say.
//!
//! Each answer becomes a struct of the fields that somebody reads; whatever else Salesforce sends is ignored. The calls
//! stand below: what every sync asks first (`org`), queries, objects, bundles. Which paths there are is left to
//! `operations`.

mod ask;
mod composite;
mod org;
mod query;
mod sobject;

pub(crate) use ask::Ask;
pub use composite::{Bundle, BundleWay, SubAnswer, SubRequest};
pub use query::{DEPENDENCIES_A_QUERY, QueryKind, Records};
pub use sobject::{Described, Sobject, SobjectField, SobjectSummary};

use std::collections::BTreeMap;

use nightshift_domain::OrganizationId;
use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    bounds::{TYPE_NAME_BYTES, TYPES},
    counter::CallKind,
    error::{Refusal, SalesforceError, Speaker, XmlFault},
    http::Incoming,
    soap::{Envelope, Fields, Part},
    text,
    version::ApiVersion,
};

/// Requests used and allowed in the last 24 hours, from the `Sforce-Limit-Info` header of any REST answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApiUsage {
    /// Used.
    pub used: i64,
    /// Allowed.
    pub allowed: i64,
}

impl ApiUsage {
    /// `api-usage=18/15000; per-app-api-usage=17/250(appName=x)`
    pub(crate) fn read(header: &str) -> Option<Self> {
        let part = header
            .split([';', ','])
            .find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, allowed) = part.split_once('/')?;
        Some(Self {
            used: used.parse().ok()?,
            allowed: allowed.parse().ok()?,
        })
    }
}

/// Who the token is.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Identity {
    /// Of which org.
    pub organization_id: OrganizationId,
    /// Salesforce's id of the user.
    pub user_id: String,
    /// The user's login name.
    #[serde(rename = "preferred_username")]
    pub username: Option<String>,
}

/// The one row of Organization.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Organization {
    /// Salesforce's id.
    pub id: OrganizationId,
    /// The company's name.
    pub name: String,
    /// Such as `EU42`.
    pub instance_name: Option<String>,
    /// Such as `Enterprise Edition`.
    pub organization_type: Option<String>,
    /// Whether it is a sandbox.
    pub is_sandbox: bool,
    /// IANA zone of the org, such as `Europe/Berlin`.
    pub time_zone_sid_key: Option<String>,
    /// The org's own namespace.
    pub namespace_prefix: Option<String>,
    /// When a trial ends, as sent.
    pub trial_expiration_date: Option<String>,
}

impl Organization {
    pub(crate) const QUERY: &'static str = "SELECT Id, Name, InstanceName, OrganizationType, IsSandbox, \
         TimeZoneSidKey, NamespacePrefix, TrialExpirationDate FROM Organization";
}

/// The user of the connection.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct User {
    /// Salesforce's id.
    pub id: String,
    /// The login name.
    pub username: Option<String>,
    /// Whether it may log in.
    pub is_active: Option<bool>,
    /// IANA zone of the user.
    pub time_zone_sid_key: Option<String>,
}

/// One limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Limit {
    /// Allowed.
    pub max: i64,
    /// Left.
    pub remaining: i64,
}

/// All limits that the org names. Negative or nested ones of single apps are left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits(pub BTreeMap<String, Limit>);

impl Limits {
    /// The day's API requests.
    pub fn daily_api_requests(&self) -> Option<Limit> {
        self.0.get("DailyApiRequests").copied()
    }

    pub(crate) fn read(all: BTreeMap<String, serde_json::Value>) -> Self {
        let limit = |value| serde_json::from_value::<Limit>(value).ok();
        Self(
            all.into_iter()
                .filter_map(|(name, value)| Some((name, limit(value)?)))
                .collect(),
        )
    }
}

#[derive(Deserialize)]
struct VersionRow {
    version: String,
}

/// A type that the org describes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedType {
    /// API name.
    pub name: String,
    /// Directory in the zip.
    pub directory: String,
    /// File suffix, without dot.
    pub suffix: Option<String>,
    /// Whether its members live in folders.
    pub in_folder: bool,
    /// Whether each file has a `-meta.xml` beside it.
    pub meta_file: bool,
    /// Types of its children that can be listed.
    pub children: Vec<String>,
}

/// The answer of describeMetadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Describe {
    /// All types, in Salesforce's order.
    pub types: Vec<DescribedType>,
    /// The org's own namespace.
    pub namespace: Option<String>,
}

/// The arguments of a describeMetadata call.
pub(crate) fn describe_arguments(version: ApiVersion) -> Vec<Part> {
    vec![Part::leaf("asOfVersion", version.to_string())]
}

/// Reads the answer of describeMetadata.
pub(crate) async fn read_describe(mut envelope: Envelope) -> Result<Describe, SalesforceError> {
    envelope.enter("describeMetadataResponse").await?;
    let mut describe = Describe {
        types: Vec::new(),
        namespace: None,
    };
    while let Some((outer, _)) = envelope.child().await? {
        if outer != "result" {
            envelope.text().await?;
            continue;
        }
        while let Some((name, _)) = envelope.child().await? {
            match name.as_str() {
                "metadataObjects" if describe.types.len() == TYPES => {
                    return Err(SalesforceError::Malformed {
                        call: CallKind::Describe,
                        fault: XmlFault::TooMany,
                    });
                }
                "metadataObjects" => describe.types.extend(described(envelope.fields().await?)),
                "organizationNamespace" => {
                    describe.namespace =
                        Some(envelope.text().await?).filter(|namespace| !namespace.is_empty());
                }
                _ => {
                    envelope.text().await?;
                }
            }
        }
    }
    envelope.finish().await?;
    Ok(describe)
}

/// A type without a name, or with one that no type has, is nothing that could be asked for.
fn described(mut fields: Fields) -> Option<DescribedType> {
    let yes = |name| fields.get(name) == Some("true");
    let (in_folder, meta_file) = (yes("inFolder"), yes("metaFile"));
    let children = fields.all("childXmlNames").map(str::to_owned).collect();
    Some(DescribedType {
        name: fields
            .take("xmlName")
            .filter(|name| name.len() <= TYPE_NAME_BYTES)?,
        directory: fields.take("directoryName").unwrap_or_default(),
        suffix: fields.take("suffix"),
        in_folder,
        meta_file,
        children,
    })
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "errorCode", default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Failure {
    /// What the body of a refusal says: an array of failures, or one; of several the gravest is kept.
    fn gravest_of(call: CallKind, status: u16, body: &[u8], secrets: &[&SecretString]) -> Option<Refusal> {
        let failures = serde_json::from_slice::<Vec<Self>>(body)
            .or_else(|_| serde_json::from_slice::<Self>(body).map(|failure| vec![failure]))
            .unwrap_or_default();
        failures
            .iter()
            .map(|failure| refusal(call, status, &failure.code, &failure.message, secrets))
            .max_by_key(gravity)
    }
}

fn refusal(call: CallKind, status: u16, code: &str, words: &str, secrets: &[&SecretString]) -> Refusal {
    let words = text::keep(words, text::KEPT, secrets);
    let code = text::keep(code, 100, secrets);
    Refusal::new(call, Speaker::Rest, status, &code, &words)
}

/// What a REST answer with an error status says.
pub(crate) async fn refused(mut incoming: Incoming, secrets: &[&SecretString]) -> SalesforceError {
    if let Err(page) = incoming.refuse_page(secrets).await {
        return page;
    }
    let (call, status) = (incoming.call, incoming.status);
    let body = incoming.body.head().await;
    let gravest = Failure::gravest_of(call, status, &body, secrets);
    let refusal = gravest.unwrap_or_else(|| {
        let body = String::from_utf8_lossy(&body);
        let word = body.trim();
        // The identity documents answer one word of plain text.
        let is_word =
            call == CallKind::Identity && word.len() < 60 && !word.contains(' ') && word.contains('_');
        if is_word {
            refusal(call, status, word, "", secrets)
        } else {
            refusal(call, status, "", text::cut(word, 500), secrets)
        }
    });
    SalesforceError::Refused(Box::new(refusal))
}

fn gravity(refusal: &Refusal) -> u8 {
    use nightshift_domain::Verdict;
    if refusal.code == "INVALID_SESSION_ID" {
        return 5;
    }
    match SalesforceError::Refused(Box::new(refusal.clone())).ruling().ruled {
        crate::Ruled::Step(Verdict::Reauthenticate) => 4,
        crate::Ruled::Step(Verdict::Permanent) => 3,
        crate::Ruled::Step(Verdict::Wait { .. }) => 2,
        crate::Ruled::Split | crate::Ruled::LeaveOut(_) => 1,
        crate::Ruled::Step(Verdict::Retry { .. }) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_header_is_read_with_and_without_the_apps_own() {
        let usage = Some(ApiUsage {
            used: 18,
            allowed: 15000,
        });
        assert_eq!(ApiUsage::read("api-usage=18/15000"), usage);
        assert_eq!(
            ApiUsage::read("per-app-api-usage=17/250(appName=x); api-usage=18/15000"),
            usage
        );
        assert_eq!(ApiUsage::read("api-usage=x/y"), None);
    }

    #[test]
    fn limits_of_another_shape_are_left_out() {
        let all = serde_json::from_str(
            r#"{"DailyApiRequests":{"Max":15000,"Remaining":14998,"Ant":{"Max":0,"Remaining":0}},"Odd":7}"#,
        )
        .unwrap();
        let limits = Limits::read(all);
        assert_eq!(limits.daily_api_requests().unwrap().remaining, 14998);
        assert_eq!(limits.0.len(), 1);
    }
}
