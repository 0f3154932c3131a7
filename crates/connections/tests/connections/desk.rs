//! A simulated org that is connected, on a database of its own, with no session that is still good.

use std::{sync::Arc, time::Duration};

use nightshift_connections::{ConnectError, Grant, NewConnection, Tokens, connect};
use nightshift_domain::OrgId;
use nightshift_salesforce::{
    ApiVersion, CallCounter, HostPolicy, Http, HttpSettings, Proxy, Salesforce, TokenSource,
};
use nightshift_simulator::{Call, OrgAccess, OrgSpec, Simulator, SimulatorSettings};
use nightshift_store::{
    Store,
    connections::{Begun, Refresh},
};
use nightshift_testkit::TestDb;

/// How long one refresh may hold an org's token, and when that is over.
pub const HOLD: Duration = Duration::from_secs(60);
pub const LAPSED: Duration = Duration::from_secs(61);

pub struct Desk {
    pub database: TestDb,
    pub store: Store,
    pub simulator: Simulator,
    pub access: OrgAccess,
    pub salesforce: Salesforce,
    pub org: OrgId,
}

/// A simulated org, a database, and nothing in it.
pub struct Bare {
    pub database: TestDb,
    pub store: Store,
    pub simulator: Simulator,
    pub access: OrgAccess,
    pub salesforce: Salesforce,
}

impl Bare {
    pub async fn new(spec: OrgSpec) -> Self {
        Self::at(spec, SimulatorSettings::default()).await
    }

    pub async fn at(spec: OrgSpec, settings: SimulatorSettings) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let database = TestDb::fresh().await;
        let store = database.store().await;
        let simulator = Simulator::start(settings).await.unwrap();
        let access = simulator.add_org(spec).unwrap();
        let mut http = HttpSettings {
            proxy: Proxy::None,
            ..HttpSettings::default()
        };
        http.limits.token.first_byte = Duration::from_secs(2);
        let http = Http::new(http).unwrap();
        Self {
            database,
            store,
            simulator,
            access,
            salesforce: Salesforce::new(http, HostPolicy::new(["127.0.0.1"])),
        }
    }

    pub fn connection(&self, grant: Grant) -> NewConnection {
        NewConnection {
            name: "acme".parse().unwrap(),
            login_url: format!("http://{}", self.simulator.addr()),
            client_id: self.access.client_id.clone(),
            client_secret: self.access.client_secret.clone().map(Into::into),
            grant,
            time_zone: None,
        }
    }

    pub async fn connects(&self, connection: NewConnection) -> Result<OrgId, ConnectError> {
        connect(&self.store, &self.salesforce, connection, None, &mut rand::rng()).await
    }

    /// Connected by a grant, and its session over.
    pub async fn by(self, grant: Grant) -> Desk {
        let connection = self.connection(grant);
        self.through(connection).await
    }

    /// The same by a connection of the test's own making.
    pub async fn through(self, connection: NewConnection) -> Desk {
        let org = self.connects(connection).await.unwrap();
        self.simulator.expire_sessions("acme").unwrap();
        Desk {
            database: self.database,
            store: self.store,
            simulator: self.simulator,
            access: self.access,
            salesforce: self.salesforce,
            org,
        }
    }
}

impl Desk {
    pub async fn open(spec: OrgSpec) -> Self {
        let bare = Bare::new(spec).await;
        let token = bare.access.refresh_token.clone();
        bare.by(Grant::RefreshToken(token.into())).await
    }

    /// Its tokens rotate.
    pub async fn rotating() -> Self {
        Self::open(OrgSpec::generated("acme", 1, 100).rotating().with_secret("app")).await
    }

    /// The tokens as a process of its own sees them.
    pub async fn tokens(&self) -> Tokens {
        Tokens::new(self.database.store().await, self.salesforce.oauth())
    }

    pub fn token_calls(&self) -> u64 {
        self.simulator.calls("acme").unwrap()[&Call::Token]
    }

    pub fn seen(&self, call: Call) -> u64 {
        self.simulator
            .calls("acme")
            .unwrap()
            .get(&call)
            .copied()
            .unwrap_or(0)
    }

    /// Takes the right to refresh, if it is to be had, as a worker does before its call.
    pub async fn begins(&self) -> Option<Refresh> {
        let connections = self.store.connections();
        let stale = connections.token(self.org).await.unwrap().unwrap().generation;
        match connections
            .begin_refresh(self.org, Some(stale), HOLD)
            .await
            .unwrap()
        {
            Begun::Ours(refresh) => Some(*refresh),
            _ => None,
        }
    }

    /// Whether the org opens with what is stored: with one call, so that no refresh of the client's own helps.
    pub async fn opens(&self, tokens: Tokens) -> bool {
        let before = self.token_calls();
        let tokens: Arc<dyn TokenSource> = Arc::new(tokens);
        let client = self
            .salesforce
            .client(self.org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED);
        client.organization().await.is_ok() && self.token_calls() == before
    }
}
