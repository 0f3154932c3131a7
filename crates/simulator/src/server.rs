//! The listening side: what all requests share, and how one comes in and its answer goes out.
//!
//! All orgs share one port. Which org a request belongs to and who answers it is left to `routes`.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::header,
    response::Response,
};

use crate::{
    control,
    error::SimulatorError,
    http::Answer,
    mix::mix,
    org::{Org, OrgAccess},
    routes::{Incoming, Outcome, answer},
    settings::{Compressing, SimulatorSettings},
    tables::username,
    wire::Wire,
};

/// Salesforce's own bound for a request.
const LARGEST_REQUEST: usize = 52_428_800;

/// The simulator's clock: real time, and whatever a test has added.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    added: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed() + *self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.added.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

/// What all requests share.
pub(crate) struct Shared {
    pub settings: SimulatorSettings,
    pub address: SocketAddr,
    pub clock: Clock,
    orgs: RwLock<Vec<Arc<Org>>>,
    numbers: AtomicU64,
}

impl Shared {
    pub(crate) fn new(settings: SimulatorSettings, address: SocketAddr) -> Self {
        let clock = Clock {
            started: Instant::now(),
            added: Mutex::default(),
        };
        Self {
            settings,
            address,
            clock,
            orgs: RwLock::default(),
            numbers: AtomicU64::new(0),
        }
    }

    pub(crate) fn base_url(&self) -> String {
        if let Some(url) = &self.settings.public_url {
            return url.clone();
        }
        let scheme = if self.settings.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// A number that no other call got.
    pub(crate) fn next_number(&self) -> u64 {
        mix(self.settings.seed, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn orgs(&self) -> Vec<Arc<Org>> {
        self.orgs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn org(&self, name: &str) -> Result<Arc<Org>, SimulatorError> {
        let orgs = self.orgs.read().unwrap_or_else(PoisonError::into_inner);
        let found = orgs.iter().find(|org| org.spec.name == name).cloned();
        found.ok_or_else(|| SimulatorError::NoSuchOrg(name.to_owned()))
    }

    pub(crate) fn add(&self, org: Org) -> Result<Arc<Org>, SimulatorError> {
        let mut orgs = self.orgs.write().unwrap_or_else(PoisonError::into_inner);
        if orgs.iter().any(|old| old.spec.name == org.spec.name) {
            return Err(SimulatorError::DuplicateOrg(org.spec.name));
        }
        let org = Arc::new(org);
        orgs.push(org.clone());
        Ok(org)
    }

    pub(crate) fn access(&self, org: &Org) -> OrgAccess {
        OrgAccess {
            name: org.spec.name.clone(),
            organization_id: org.organization_id.clone(),
            user_id: org.user_id.clone(),
            username: username(org),
            password: org.password.clone(),
            client_id: org.client_id.clone(),
            client_secret: org.spec.client_secret.clone(),
            refresh_token: org.tokens().current().to_owned(),
            instance_url: self.base_url(),
            time_zone: org.spec.time_zone.clone(),
        }
    }

    pub(crate) fn accesses(&self) -> Vec<OrgAccess> {
        self.orgs().iter().map(|org| self.access(org)).collect()
    }

    /// The first org that fits.
    pub(crate) fn by(&self, fits: impl Fn(&Org) -> bool) -> Option<Arc<Org>> {
        self.orgs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|org| fits(org))
            .cloned()
    }

    /// The org of an access token, good or not.
    pub(crate) fn by_session(&self, session: &str) -> Option<Arc<Org>> {
        let (id, _) = session.split_once('!')?;
        self.by(|org| org.organization_id.starts_with(id) && id.len() == 15)
    }
}

/// Answers any request.
pub(crate) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return Answer::new(400, "text/plain", "Maximum size of request reached.").into_response(false);
    };
    let accepts = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let compressed = shared.settings.compression == Compressing::WhenAsked && accepts.contains("gzip");
    // Some clients keep the instance URL with its slash and add another.
    let path: Vec<&str> = parts
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
            .into_owned()
            .collect();
    if let ["_control", what] = path[..] {
        return control::answer(&shared, &parts.method, what, &query, &body).into_response(compressed);
    }
    let authorization = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let incoming = Incoming {
        method: &parts.method,
        path: &path,
        query: &query,
        authorization,
        body: &body,
        page: parts.headers.get("sforce-query-options").and_then(|value| {
            value
                .to_str()
                .ok()?
                .trim()
                .strip_prefix("batchSize=")?
                .parse()
                .ok()
        }),
    };
    match answer(&shared, &incoming) {
        Outcome::Now(answer) => answer.into_response(compressed),
        Outcome::Late(time, answer) => {
            tokio::time::sleep(time).await;
            answer.into_response(compressed)
        }
        Outcome::Reset => {
            wire.cut();
            Response::new(Body::empty())
        }
    }
}
