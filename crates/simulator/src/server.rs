//! The listening side: what all requests share, and how one comes in and its answer goes out.
//!
//! All orgs share one port. Which org a request belongs to and who answers it is left to `routes`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::header,
    response::Response,
};

use crate::{
    clock::Clock,
    control,
    error::SimulatorError,
    faults::{Fault, FaultKind, FaultPlan, PlannedFault},
    http::Answer,
    mix::mix,
    org::Org,
    routes::{Incoming, Outcome, answer},
    settings::{Compressing, SimulatorSettings},
    spec::OrgAccess,
    tables::username,
    wire::Wire,
};

/// Salesforce's own bound for a request.
const LARGEST_REQUEST: usize = 52_428_800;

/// The orgs, in the order in which they came, and by what requests know of them.
#[derive(Default)]
struct Orgs {
    all: Vec<Arc<Org>>,
    by_name: HashMap<String, Arc<Org>>,
    /// By the first fifteen characters of their ids.
    by_id: HashMap<String, Arc<Org>>,
    by_client: HashMap<String, Arc<Org>>,
}

/// What all requests share.
pub(crate) struct Shared {
    pub settings: SimulatorSettings,
    pub address: SocketAddr,
    pub clock: Arc<Clock>,
    orgs: RwLock<Orgs>,
    numbers: AtomicU64,
}

impl Shared {
    pub(crate) fn new(settings: SimulatorSettings, address: SocketAddr) -> Self {
        Self {
            settings,
            address,
            clock: Arc::new(Clock::start()),
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

    /// Where an org has moved by a fault: to its text, or to the other name of this machine.
    pub(crate) fn moved_to(&self, fault: &Fault) -> String {
        fault.text.clone().unwrap_or_else(|| {
            let base = self.base_url();
            if base.contains("127.0.0.1") {
                base.replace("127.0.0.1", "localhost")
            } else {
                base.replace("localhost", "127.0.0.1")
            }
        })
    }

    /// Where the org's clients are to send their calls.
    pub(crate) fn instance_url(&self, org: &Org) -> String {
        let moved = org.standing_fault(FaultKind::MovedInstance);
        moved.map_or_else(|| self.base_url(), |fault| self.moved_to(&fault))
    }

    /// A number that no other call got.
    pub(crate) fn next_number(&self) -> u64 {
        mix(self.settings.seed, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn orgs(&self) -> Vec<Arc<Org>> {
        self.orgs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .all
            .clone()
    }

    pub(crate) fn org(&self, name: &str) -> Result<Arc<Org>, SimulatorError> {
        let orgs = self.orgs.read().unwrap_or_else(PoisonError::into_inner);
        let found = orgs.by_name.get(name).cloned();
        found.ok_or_else(|| SimulatorError::NoSuchOrg(name.to_owned()))
    }

    pub(crate) fn add(&self, org: Org) -> Result<Arc<Org>, SimulatorError> {
        let mut orgs = self.orgs.write().unwrap_or_else(PoisonError::into_inner);
        if orgs.by_name.contains_key(&org.spec.name) {
            return Err(SimulatorError::DuplicateOrg(org.spec.name));
        }
        let org = Arc::new(org);
        orgs.by_name.insert(org.spec.name.clone(), org.clone());
        orgs.by_id
            .insert(org.organization_id[..15].to_owned(), org.clone());
        orgs.by_client.insert(org.client_id.clone(), org.clone());
        orgs.all.push(org.clone());
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
            .all
            .iter()
            .find(|org| fits(org))
            .cloned()
    }

    /// The org of an access token, good or not.
    pub(crate) fn by_session(&self, session: &str) -> Option<Arc<Org>> {
        match session.split_once('!') {
            Some((id, _)) => self
                .orgs
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .by_id
                .get(id)
                .cloned(),
            // A JWT does not tell by its beginning whose it is.
            None if session.starts_with("eyJ") => self.by(|org| org.tokens().knows(session)),
            None => None,
        }
    }

    /// The org whose app has that client id.
    pub(crate) fn by_client(&self, client_id: &str) -> Option<Arc<Org>> {
        let orgs = self.orgs.read().unwrap_or_else(PoisonError::into_inner);
        orgs.by_client.get(client_id).cloned()
    }

    /// Orders what a plan says for orgs that are there. An order that is for none of them is refused.
    pub(crate) fn plan(&self, plan: &FaultPlan) -> Result<(), SimulatorError> {
        plan.0.iter().try_for_each(|planned| self.order(planned))
    }

    /// Orders a fault for its orgs.
    pub(crate) fn order(&self, planned: &PlannedFault) -> Result<(), SimulatorError> {
        let orgs = self.orgs();
        let mut chosen = orgs
            .iter()
            .filter(|org| planned.is_for(&org.spec.name))
            .peekable();
        if let (None, Some(name)) = (chosen.peek(), &planned.org) {
            return Err(SimulatorError::NoSuchOrg(name.clone()));
        }
        chosen.try_for_each(|org| org.order_fault(planned.fault.clone()))
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
    // HTTP/2 names the host in its own place.
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str))
        .unwrap_or("");
    let incoming = Incoming {
        method: &parts.method,
        path: &path,
        query: &query,
        authorization,
        host,
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
        Outcome::Garbage => {
            wire.garble();
            Response::new(Body::empty())
        }
    }
}
