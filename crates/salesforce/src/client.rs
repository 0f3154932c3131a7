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
    listing::{self, ListQuery, Listing},
    oauth::OAuth,
    operations::{Api, Endpoint, Operation, Target},
    read::{ReadRequest, Reading},
    rest::{self, ApiUsage, Ask, Describe},
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

    pub(crate) fn http(&self) -> &Http {
        &self.http
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
    /// REST.
    Rest(&'a Ask),
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

    /// What types this org and this user have.
    pub async fn describe_metadata(&self) -> Result<Describe, SalesforceError> {
        let arguments = || rest::describe_arguments(self.version);
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
        let arguments = || listing::arguments(queries, self.version);
        let envelope = self
            .soap(CallKind::List, Operation::ListMetadata, &arguments)
            .await?;
        Listing::open(envelope).await
    }

    /// Reads some members of one type in full. What is not there, or not for this user, is absent from the answer.
    pub async fn read_metadata(&self, request: &ReadRequest<'_>) -> Result<Reading, SalesforceError> {
        let arguments = || request.parts();
        let envelope = self
            .soap(CallKind::Read, Operation::ReadMetadata, &arguments)
            .await?;
        Reading::open(envelope).await
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
        let arguments = || retrieve::status_arguments(id, "false");
        let envelope = self
            .soap(CallKind::Poll, Operation::CheckRetrieveStatus, &arguments)
            .await?;
        retrieve::read_status(envelope).await
    }

    /// Fetches the zip, which Salesforce hands over once: when this is cut off, only a new retrieve helps.
    pub async fn retrieve_zip(&self, id: &AsyncId) -> Result<ZipAnswer, SalesforceError> {
        let arguments = || retrieve::status_arguments(id, "true");
        let envelope = self
            .soap(CallKind::Zip, Operation::CheckRetrieveStatus, &arguments)
            .await?;
        zip::open(envelope).await
    }

    /// The version that this client speaks.
    pub fn version(&self) -> ApiVersion {
        self.version
    }

    /// A REST answer of a wanted status that is no web page.
    pub(crate) async fn rest(&self, call: CallKind, ask: &Ask) -> Result<Incoming, SalesforceError> {
        let (mut incoming, session) = self.ask(call, &Shape::Rest(ask)).await?;
        incoming.refuse_page(&[&session.access_token]).await?;
        Ok(incoming)
    }

    /// A REST answer of JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        call: CallKind,
        ask: &Ask,
    ) -> Result<T, SalesforceError> {
        self.json_from(call, ask).await.map(|(answer, _)| answer)
    }

    /// A REST answer of JSON and the address of the org that gave it.
    pub(crate) async fn json_from<T: DeserializeOwned>(
        &self,
        call: CallKind,
        ask: &Ask,
    ) -> Result<(T, Url), SalesforceError> {
        let (mut incoming, session) = self.ask(call, &Shape::Rest(ask)).await?;
        let secrets = [&session.access_token];
        incoming.refuse_page(&secrets).await?;
        let body = incoming.body.bytes().await?;
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok((answer, session.instance_url)),
            Err(_) => Err(incoming.unexpected(Expected::Json, &body, &secrets)),
        }
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
            Shape::Rest(ask) => self.rest_request(&session.instance_url, ask, token),
            Shape::Soap { .. } if is_jwt(token) => return Err(SalesforceError::JwtToken),
            Shape::Soap { operation, arguments } => {
                let name = &self.http.settings().client_name;
                let body = soap::request(*operation, token, name, arguments.parts());
                self.soap_request(&session.instance_url, body)
            }
        };
        let sent = self.http.send(call, request, &self.calls).await;
        let incoming = sent.inspect_err(|error| self.calls.watch().failed(error))?;
        if let Some(usage) = incoming.usage {
            self.calls.watch().said(usage);
            self.usage[0].store(usage.used, Ordering::Relaxed);
            self.usage[1].store(usage.allowed, Ordering::Relaxed);
        }
        let answered = match shape {
            Shape::Rest(ask) => ask.target.endpoint().is_answered_by(incoming.status),
            Shape::Soap { .. } => incoming.status == 200,
        };
        if answered {
            self.calls.watch().answered();
            return Ok(incoming.heard_by(&self.calls));
        }
        let error = match shape {
            Shape::Rest(_) => rest::refused(incoming, &[token]).await,
            Shape::Soap { .. } => soap::refused(incoming, &[token]).await,
        };
        self.calls.watch().failed(&error);
        Err(error)
    }

    fn rest_request(&self, base: &Url, ask: &Ask, token: &SecretString) -> RequestBuilder {
        let name = text::cut(&self.http.settings().client_name, 100);
        let request = ask
            .target
            .begin(self.http.client(), base)
            .query(&ask.query)
            .bearer_auth(token.expose_secret())
            .header("accept", ask.accept)
            .header("sforce-call-options", format!("client={name}"));
        let request = ask
            .headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, value));
        match &ask.body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    fn soap_request(&self, base: &Url, body: Vec<u8>) -> RequestBuilder {
        Target::of(Endpoint::Metadata, self.version, Api::Data)
            .begin(self.http.client(), base)
            .header("content-type", "text/xml; charset=UTF-8")
            .header("soapaction", "\"\"")
            .body(body)
    }
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
