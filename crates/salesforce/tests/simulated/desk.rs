//! A simulated org and a client for it, with a token source that keeps the rules of one.

use std::{io::Read, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use nightshift_domain::{FailureCode, OrgId, Verdict};
use nightshift_salesforce::{
    ApiVersion, App, AsyncId, CallCounter, CallKind, Client, Grant, HostPolicy, Http, HttpSettings, OAuth,
    Proxy, RawListing, RetrieveMessage, RetrieveRequest, RetrieveStatus, RetrieveTypes, Ruled, Salesforce,
    SalesforceError, Session, TokenAnswer, TokenError, TokenGeneration, TokenSource, ZipAnswer,
};
use nightshift_simulator::{Call, Fault, OrgAccess, OrgSpec, RetrievePace, Simulator, SimulatorSettings};
use secrecy::SecretString;
use tokio::sync::Mutex;

/// Longer than any simulated retrieve takes that no fault holds.
pub const LONG_ENOUGH: Duration = Duration::from_mins(10);

pub struct Desk {
    pub simulator: Simulator,
    pub access: OrgAccess,
    pub salesforce: Salesforce,
    pub client: Client,
}

/// Refreshes once at a time and keeps the newest refresh token, as `connections` does with a database.
struct Tokens {
    oauth: OAuth,
    access: OrgAccess,
    kept: Mutex<(SecretString, Option<Session>)>,
}

impl Tokens {
    async fn newer_than(
        &self,
        stale: Option<TokenGeneration>,
        calls: &CallCounter,
    ) -> Result<Session, TokenError> {
        let mut kept = self.kept.lock().await;
        if let Some(session) = &kept.1
            && stale.is_none_or(|stale| session.generation > stale)
        {
            return Ok(session.clone());
        }
        let address = self.access.instance_url.parse().unwrap();
        let app = App {
            address: &address,
            client_id: &self.access.client_id,
            client_secret: None,
        };
        let answer = self
            .oauth
            .token(&app, Grant::RefreshToken(&kept.0), calls)
            .await?;
        let session = Session {
            instance_url: answer.instance_url,
            access_token: answer.access_token,
            generation: TokenGeneration(stale.map_or(1, |stale| stale.0 + 1)),
        };
        if let Some(rotated) = answer.refresh_token {
            kept.0 = rotated;
        }
        kept.1 = Some(session.clone());
        Ok(session)
    }
}

impl TokenSource for Tokens {
    fn token<'a>(&'a self, _: OrgId, calls: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(self.newer_than(None, calls))
    }

    fn refresh<'a>(
        &'a self,
        _: OrgId,
        stale: TokenGeneration,
        calls: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(self.newer_than(Some(stale), calls))
    }
}

/// What a fetched zip brought.
pub struct Came {
    pub zip: std::io::Result<Vec<u8>>,
    pub files: Vec<RawListing>,
    pub messages: Vec<RetrieveMessage>,
    pub end: Result<(), SalesforceError>,
}

impl Desk {
    pub async fn open(spec: OrgSpec) -> Self {
        Self::with(spec, SimulatorSettings::default()).await
    }

    pub async fn with(spec: OrgSpec, settings: SimulatorSettings) -> Self {
        Self::waiting(spec, settings, Duration::from_secs(30)).await
    }

    /// An org whose jobs take as long as the test lets pass.
    pub async fn slow(spec: OrgSpec) -> Self {
        let minute = Duration::from_mins(1);
        let pace = RetrievePace {
            pending: minute,
            in_progress: minute,
            per_file: Duration::ZERO,
        };
        let settings = SimulatorSettings {
            pace,
            ..SimulatorSettings::default()
        };
        Self::with(spec, settings).await
    }

    /// Waits no longer than `first_byte` for a REST answer to begin.
    pub async fn waiting(spec: OrgSpec, settings: SimulatorSettings, first_byte: Duration) -> Self {
        let simulator = Simulator::start(settings).await.unwrap();
        let access = simulator.add_org(spec).unwrap();
        let mut http = HttpSettings {
            proxy: Proxy::None,
            idle_timeout: Duration::from_millis(800),
            ..HttpSettings::default()
        };
        http.limits.rest.first_byte = first_byte;
        let salesforce = Salesforce::new(Http::new(http).unwrap(), HostPolicy::new(["127.0.0.1"]));
        let tokens = Arc::new(Tokens {
            oauth: salesforce.oauth(),
            access: access.clone(),
            kept: Mutex::new((access.refresh_token.clone().into(), None)),
        });
        let org = OrgId::from_uuid(uuid::Uuid::nil());
        let client = salesforce.client(org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED);
        Self {
            simulator,
            access,
            salesforce,
            client,
        }
    }

    /// A small org with some of everything.
    pub async fn acme() -> Self {
        Self::open(OrgSpec::generated("Acme", 1, 400)).await
    }

    pub fn fault(&self, fault: Fault) {
        self.simulator.fault(&self.access.name, fault).unwrap();
    }

    pub fn heal(&self) {
        self.simulator.clear_faults(&self.access.name, None).unwrap();
    }

    /// Requests that the org has seen.
    pub fn seen(&self, call: Call) -> u64 {
        let calls = self.simulator.calls(&self.access.name).unwrap();
        calls.get(&call).copied().unwrap_or(0)
    }

    pub fn made(&self, call: CallKind) -> i64 {
        self.client.calls().count(call)
    }

    /// Refreshes with any words in the place of the right ones.
    pub async fn refresh(
        &self,
        client_id: &str,
        secret: Option<&str>,
        token: &str,
    ) -> Result<TokenAnswer, SalesforceError> {
        let (secret, token) = (secret.map(SecretString::from), SecretString::from(token));
        self.asks(client_id, secret.as_ref(), Grant::RefreshToken(&token))
            .await
    }

    /// Asks the token endpoint for what any grant gives.
    pub async fn asks(
        &self,
        client_id: &str,
        client_secret: Option<&SecretString>,
        grant: Grant<'_>,
    ) -> Result<TokenAnswer, SalesforceError> {
        let app = App {
            address: &self.access.instance_url.parse().unwrap(),
            client_id,
            client_secret,
        };
        self.salesforce
            .oauth()
            .token(&app, grant, self.client.calls())
            .await
    }

    pub async fn list(&self, type_name: &str) -> Result<Vec<RawListing>, SalesforceError> {
        let query = nightshift_salesforce::ListQuery::of(type_name);
        self.client.list_metadata(&[query]).await?.collect().await
    }

    /// Full names of a type's members.
    pub async fn names(&self, type_name: &str) -> Vec<String> {
        let listed = self.list(type_name).await.unwrap();
        listed.into_iter().filter_map(|entry| entry.full_name).collect()
    }

    pub async fn start(&self, type_name: &str, members: &[String]) -> Result<AsyncId, SalesforceError> {
        let request = RetrieveRequest {
            types: vec![RetrieveTypes {
                type_name: type_name.to_owned(),
                members: members.to_vec(),
            }],
        };
        self.client.retrieve(&request).await
    }

    /// Starts a retrieve and lets the time pass that it needs.
    pub async fn ready(&self, type_name: &str, members: &[String]) -> AsyncId {
        let id = self.start(type_name, members).await.unwrap();
        self.simulator.advance(LONG_ENOUGH);
        id
    }

    pub async fn status(&self, id: &AsyncId) -> RetrieveStatus {
        self.client.retrieve_status(id).await.unwrap()
    }

    /// Fetches the zip and reads it to its end.
    pub async fn fetch(&self, id: &AsyncId) -> Result<Came, SalesforceError> {
        let mut download = match self.client.retrieve_zip(id).await? {
            ZipAnswer::Zip(download) => download,
            other => panic!("no zip: {other:?}"),
        };
        let zip = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            download.reader.read_to_end(&mut bytes).map(|_| bytes)
        })
        .await
        .unwrap();
        let (mut files, mut messages) = (download.files, download.messages);
        let end = download.end.wait().await.map(|(more_files, more_messages)| {
            files.extend(more_files);
            messages.extend(more_messages);
        });
        Ok(Came {
            zip,
            files,
            messages,
            end,
        })
    }

    pub async fn is_gone(&self, id: &AsyncId) -> bool {
        matches!(self.client.retrieve_zip(id).await, Ok(ZipAnswer::Gone))
    }
}

/// What a step would do with an error, in one word.
pub fn act(error: &SalesforceError) -> &'static str {
    match error.ruling().ruled {
        Ruled::Step(Verdict::Retry { .. }) => "retry",
        Ruled::Step(Verdict::Wait { .. }) => "wait",
        Ruled::Step(Verdict::Reauthenticate) => "reauthenticate",
        Ruled::Step(Verdict::Permanent) => "permanent",
        Ruled::Split => "split",
        Ruled::LeaveOut(_) => "leave out",
    }
}

pub fn code(error: &SalesforceError) -> FailureCode {
    error.ruling().code
}

/// Entries of a whole zip, by its end record; `None` when there is none.
pub fn entries(zip: &[u8]) -> Option<usize> {
    let end = zip.last_chunk::<22>()?;
    let whole = zip.starts_with(b"PK\x03\x04") && end.starts_with(b"PK\x05\x06");
    whole.then(|| usize::from(u16::from_le_bytes([end[10], end[11]])))
}
