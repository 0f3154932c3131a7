//! One org's client: each call once, with the one rule on refused sessions.
//!
//! A session that is refused as expired is refreshed once and the call repeated; a fresh one that is refused again,
//! or words that no refresh mends, end as [`SalesforceError::SessionNotUsable`]: never a loop. The same rule follows
//! an org that moved: one refresh, which names the new address. Nothing else is tried again here: repeating is the
//! job machinery's.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use nightshift_domain::OrgId;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use crate::{
    counter::{CallCounter, CallKind},
    error::{Expected, Refusal, SalesforceError},
    hosts::HostPolicy,
    http::{Http, Incoming},
    listing::{ListQuery, Listing},
    oauth::OAuth,
    operations::{self, Operation},
    rest::{self, ApiUsage, Describe, Identity, Limits, Organization, Page, User, VersionRow},
    retrieve::{self, AsyncId, RetrieveRequest, RetrieveStatus},
    session::{Session, TokenSource, is_jwt},
    soap::{self, Envelope, Part},
    text,
    version::ApiVersion,
    zip::{self, ZipAnswer},
};

/// Words of an INVALID_SESSION_ID that no refresh mends: a rule on addresses, the app or the session's level.
const NEVER_REFRESH: [&str; 2] = [
    "this session is not valid for use with",
    "connected app is not attached to agent",
];

/// Salesforce, for a whole process: the door to each org's client and to the token endpoint.
#[derive(Clone, Debug)]
pub struct Salesforce {
    http: Http,
    hosts: HostPolicy,
}

impl Salesforce {
    /// Over the process's one HTTP client.
    pub fn new(http: Http, hosts: HostPolicy) -> Self {
        Self { http, hosts }
    }

    /// The token endpoint.
    pub fn oauth(&self) -> OAuth {
        OAuth::new(self.http.clone(), self.hosts.clone())
    }

    /// To which hosts credentials may go: for login addresses that people type.
    pub fn hosts(&self) -> &HostPolicy {
        &self.hosts
    }

    /// A client for one org and one step. `version` matters for all calls but `versions` and `identity`.
    pub fn client(
        &self,
        org: OrgId,
        tokens: Arc<dyn TokenSource>,
        calls: CallCounter,
        version: ApiVersion,
    ) -> Client {
        Client {
            http: self.http.clone(),
            hosts: self.hosts.clone(),
            org,
            tokens,
            calls,
            version,
            usage: Arc::new([AtomicI64::new(-1), AtomicI64::new(-1)]),
        }
    }
}

/// Reads one org. Clones share the counter.
#[derive(Clone)]
pub struct Client {
    http: Http,
    hosts: HostPolicy,
    org: OrgId,
    tokens: Arc<dyn TokenSource>,
    calls: CallCounter,
    version: ApiVersion,
    /// Used and allowed; -1 until an answer said so.
    usage: Arc<[AtomicI64; 2]>,
}

/// How a call is shaped.
enum Shape<'a> {
    /// GET of a path with a query.
    Get {
        path: String,
        query: &'a [(&'a str, &'a str)],
    },
    /// POST of an envelope.
    Soap {
        operation: Operation,
        arguments: &'a dyn ArgumentsOf,
    },
}

/// Writes a call's arguments, anew for each session.
trait ArgumentsOf: Sync {
    fn parts(&self) -> Vec<Part>;
}

impl<F: Fn() -> Vec<Part> + Sync> ArgumentsOf for F {
    fn parts(&self) -> Vec<Part> {
        self()
    }
}

impl Client {
    /// The same, speaking another version.
    #[must_use]
    pub fn at(mut self, version: ApiVersion) -> Self {
        self.version = version;
        self
    }

    /// What was called so far.
    pub fn calls(&self) -> &CallCounter {
        &self.calls
    }

    /// What the last REST answer said about the day's requests: known also where `limits` is forbidden.
    pub fn usage(&self) -> Option<ApiUsage> {
        let [used, allowed] = &*self.usage;
        let usage = ApiUsage {
            used: used.load(Ordering::Relaxed),
            allowed: allowed.load(Ordering::Relaxed),
        };
        (usage.allowed >= 0).then_some(usage)
    }

    /// The versions that the org offers. An answer that is no list means that the org's domain moved.
    pub async fn versions(&self) -> Result<Vec<ApiVersion>, SalesforceError> {
        let shape = Shape::Get {
            path: operations::DATA_PATH.to_owned(),
            query: &[],
        };
        let rows: Vec<VersionRow> = self.json(CallKind::Versions, &shape).await?;
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
        let shape = Shape::Get {
            path: operations::USERINFO_PATH.to_owned(),
            query: &[],
        };
        self.json(CallKind::Identity, &shape).await
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
        let shape = Shape::Get {
            path: self.data_path("query"),
            query: &[("q", soql)],
        };
        let page: Page<T> = self.json(CallKind::Query, &shape).await?;
        page.records
            .into_iter()
            .next()
            .ok_or(SalesforceError::Unexpected {
                call: CallKind::Query,
                status: 200,
                expected: Expected::Json,
                text: "no record".to_owned(),
            })
    }

    /// What is left of the org's allowances.
    pub async fn limits(&self) -> Result<Limits, SalesforceError> {
        let shape = Shape::Get {
            path: self.data_path("limits"),
            query: &[],
        };
        self.json(CallKind::Limits, &shape).await.map(Limits::read)
    }

    /// What types this org and this user have.
    pub async fn describe_metadata(&self) -> Result<Describe, SalesforceError> {
        let version = self.version.to_string();
        let arguments = move || vec![Part::leaf("asOfVersion", version.clone())];
        let envelope = self
            .soap(CallKind::Describe, Operation::DescribeMetadata, &arguments)
            .await?;
        rest::read_describe(envelope).await
    }

    /// Lists one to three types. If one of three fails, Salesforce refuses the whole call: ask singly then.
    pub async fn list_metadata(&self, queries: &[ListQuery]) -> Result<Listing, SalesforceError> {
        debug_assert!(
            (1..=3).contains(&queries.len()),
            "Salesforce takes one to three queries a call"
        );
        let arguments = || {
            let query = |query: &ListQuery| {
                let folder = query.folder.as_ref().map(|folder| Part::leaf("folder", folder));
                let name = Part::leaf("type", &query.type_name);
                Part::Node("queries", folder.into_iter().chain([name]).collect())
            };
            let version = Part::leaf("asOfVersion", self.version.to_string());
            queries.iter().map(query).chain([version]).collect()
        };
        let envelope = self
            .soap(CallKind::List, Operation::ListMetadata, &arguments)
            .await?;
        Listing::open(envelope).await
    }

    /// Starts a retrieve.
    pub async fn retrieve(&self, request: &RetrieveRequest) -> Result<AsyncId, SalesforceError> {
        let arguments = || request.parts(self.version);
        let envelope = self
            .soap(CallKind::Retrieve, Operation::Retrieve, &arguments)
            .await?;
        retrieve::read_started(envelope).await
    }

    /// Asks once how far a retrieve is. Leaves the zip where it is.
    pub async fn retrieve_status(&self, id: &AsyncId) -> Result<RetrieveStatus, SalesforceError> {
        let arguments = || status_arguments(id, "false");
        let envelope = self
            .soap(CallKind::Poll, Operation::CheckRetrieveStatus, &arguments)
            .await?;
        retrieve::read_status(envelope).await
    }

    /// Fetches the zip, which Salesforce hands over once: when this is cut off, only a new retrieve helps.
    pub async fn retrieve_zip(&self, id: &AsyncId) -> Result<ZipAnswer, SalesforceError> {
        let arguments = || status_arguments(id, "true");
        let envelope = self
            .soap(CallKind::Zip, Operation::CheckRetrieveStatus, &arguments)
            .await?;
        zip::open(envelope).await
    }

    fn data_path(&self, resource: &str) -> String {
        format!("{}/v{}/{resource}", operations::DATA_PATH, self.version)
    }

    async fn json<T: DeserializeOwned>(
        &self,
        call: CallKind,
        shape: &Shape<'_>,
    ) -> Result<T, SalesforceError> {
        let (mut incoming, session) = self.ask(call, shape).await?;
        let secrets = [&session.access_token];
        incoming.refuse_page(&secrets).await?;
        let body = incoming.body.bytes().await?;
        serde_json::from_slice(&body).map_err(|_| incoming.unexpected(Expected::Json, &body, &secrets))
    }

    async fn soap(
        &self,
        call: CallKind,
        operation: Operation,
        arguments: &dyn ArgumentsOf,
    ) -> Result<Envelope, SalesforceError> {
        let (mut incoming, session) = self.ask(call, &Shape::Soap { operation, arguments }).await?;
        incoming.refuse_page(&[&session.access_token]).await?;
        Ok(Envelope::new(incoming))
    }

    /// Sends a call, with the one rule on refused sessions.
    async fn ask(&self, call: CallKind, shape: &Shape<'_>) -> Result<(Incoming, Session), SalesforceError> {
        let mut session = self.tokens.token(self.org, &self.calls).await?;
        let first = match self.send(call, shape, &session).await {
            Err(SalesforceError::Refused(refusal)) if mends_by_refresh(&refusal) => refusal,
            Err(SalesforceError::Refused(refusal)) if is_session(&refusal) => {
                return Err(SalesforceError::SessionNotUsable(refusal));
            }
            Err(error) => return Err(error),
            Ok(incoming) => return Ok((incoming, session)),
        };
        let stale = session.generation;
        session = self.tokens.refresh(self.org, stale, &self.calls).await?;
        if session.generation == stale {
            return Err(not_mended(first));
        }
        match self.send(call, shape, &session).await {
            Err(SalesforceError::Refused(refusal)) if mends_by_refresh(&refusal) || is_session(&refusal) => {
                Err(not_mended(refusal))
            }
            Err(error) => Err(error),
            Ok(incoming) => Ok((incoming, session)),
        }
    }

    async fn send(
        &self,
        call: CallKind,
        shape: &Shape<'_>,
        session: &Session,
    ) -> Result<Incoming, SalesforceError> {
        self.hosts
            .check(&session.instance_url)
            .map_err(|fault| SalesforceError::Host { call, fault })?;
        let token = &session.access_token;
        let request = match shape {
            Shape::Get { path, query } => self.get(&session.instance_url, path, query, token),
            Shape::Soap { .. } if is_jwt(token) => return Err(SalesforceError::JwtToken),
            Shape::Soap { operation, arguments } => {
                let name = &self.http.settings().client_name;
                let body = soap::request(*operation, token, name, arguments.parts());
                self.post(&session.instance_url, body)
            }
        };
        let sent = self.http.send(call, request, &self.calls).await;
        let incoming = sent.inspect_err(|error| self.calls.watch().failed(error))?;
        if let Some(usage) = incoming.usage {
            self.calls.watch().said(usage);
            self.usage[0].store(usage.used, Ordering::Relaxed);
            self.usage[1].store(usage.allowed, Ordering::Relaxed);
        }
        if incoming.status == 200 {
            self.calls.watch().answered();
            return Ok(incoming);
        }
        let error = match shape {
            Shape::Get { .. } => rest::refused(incoming, &[token]).await,
            Shape::Soap { .. } => soap::refused(incoming, &[token]).await,
        };
        self.calls.watch().failed(&error);
        Err(error)
    }

    fn get(&self, base: &Url, path: &str, query: &[(&str, &str)], token: &SecretString) -> RequestBuilder {
        let mut url = base.clone();
        url.set_path(path);
        self.http
            .client()
            .get(url)
            .query(query)
            .bearer_auth(token.expose_secret())
            .header("accept", "application/json")
            .header(
                "sforce-call-options",
                format!("client={}", text::cut(&self.http.settings().client_name, 100)),
            )
    }

    fn post(&self, base: &Url, body: Vec<u8>) -> RequestBuilder {
        let mut url = base.clone();
        url.set_path(&format!("{}/{}", operations::METADATA_PATH, self.version));
        self.http
            .client()
            .post(url)
            .header("content-type", "text/xml; charset=UTF-8")
            .header("soapaction", "\"\"")
            .body(body)
    }
}

fn status_arguments(id: &AsyncId, include_zip: &str) -> Vec<Part> {
    vec![
        Part::leaf("asyncProcessId", id.as_str()),
        Part::leaf("includeZip", include_zip),
    ]
}

/// A refused session; the identity document says it in a word of its own.
fn is_session(refusal: &Refusal) -> bool {
    matches!(refusal.code.as_str(), "INVALID_SESSION_ID" | "Bad_OAuth_Token")
        || refusal.nested.as_deref() == Some("INVALID_SESSION_ID")
}

fn is_wrong_host(refusal: &Refusal) -> bool {
    refusal.code == "URL_NOT_RESET"
        || refusal
            .text
            .to_ascii_lowercase()
            .contains("destination url not reset")
}

fn mends_by_refresh(refusal: &Refusal) -> bool {
    let words = refusal.text.to_ascii_lowercase();
    is_wrong_host(refusal)
        || (is_session(refusal) && !NEVER_REFRESH.iter().any(|never| words.contains(never)))
}

fn not_mended(refusal: Box<Refusal>) -> SalesforceError {
    if is_wrong_host(&refusal) {
        SalesforceError::WrongHost(refusal)
    } else {
        SalesforceError::SessionNotUsable(refusal)
    }
}
