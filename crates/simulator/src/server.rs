//! The listening side: which org a request belongs to, which call it is, and who answers it.
//!
//! All orgs share one port. A request finds its org by what it carries: the access token (whose first fifteen
//! characters are the org's id), the refresh token or the client id. Every request is counted before anything may go
//! wrong with it, so that a client's own bill can be compared with the counts here.

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
    http::{Method, header},
    response::Response,
};

use crate::{
    calls::Call,
    control,
    door::{Door, door, error_answer},
    error::SimulatorError,
    http::Answer,
    mix::mix,
    oauth,
    org::{Org, OrgAccess},
    rest::{self, RestRequest},
    settings::{Compressing, SimulatorSettings},
    soap::{self, SoapRequest, envelope::unparsable},
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
        format!("http://{}", self.address)
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
            client_id: org.client_id.clone(),
            refresh_token: org.tokens().current().to_owned(),
            instance_url: self.base_url(),
            time_zone: org.spec.time_zone.clone(),
        }
    }

    pub(crate) fn accesses(&self) -> Vec<OrgAccess> {
        self.orgs().iter().map(|org| self.access(org)).collect()
    }

    fn by(&self, fits: impl Fn(&Org) -> bool) -> Option<Arc<Org>> {
        self.orgs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|org| fits(org))
            .cloned()
    }

    /// The org of an access token, good or not.
    fn by_session(&self, session: &str) -> Option<Arc<Org>> {
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
    let bearer = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .map_or("", |(_, token)| token.trim());
    let incoming = Incoming {
        method: &parts.method,
        path: &path,
        query: &query,
        bearer,
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

struct Incoming<'a> {
    method: &'a Method,
    path: &'a [&'a str],
    query: &'a [(String, String)],
    bearer: &'a str,
    body: &'a [u8],
    /// Most rows of a page, from `Sforce-Query-Options`.
    page: Option<usize>,
}

impl Incoming<'_> {
    /// A parameter of the URL; empty when absent.
    fn of(&self, key: &str) -> &str {
        let found = self.query.iter().find(|(name, _)| name == key);
        found.map_or("", |(_, value)| value)
    }
}

enum Outcome {
    Now(Answer),
    Late(Duration, Answer),
    Reset,
}

/// Whom a request is for: its call, its org if one is found, and the answer once the door is open.
fn answer(shared: &Shared, incoming: &Incoming<'_>) -> Outcome {
    match incoming.path {
        ["services", "oauth2", "token"] if incoming.method == Method::POST => {
            let form = oauth::form(incoming.body);
            let of = |key: &str| form.get(key).map_or("", String::as_str);
            let org = shared
                .by(|org| org.tokens().owns(of("refresh_token")))
                .or_else(|| shared.by(|org| org.client_id == of("client_id")));
            through(org.as_ref(), Call::Token, oauth::unknown_token, |org| {
                oauth::token(shared, org, &form)
            })
        }
        ["services", "oauth2", "revoke"] => {
            let form = oauth::form(incoming.body);
            let token = form.get("token").map_or("", String::as_str);
            let org = shared
                .by(|org| org.tokens().owns(token))
                .or_else(|| shared.by_session(token));
            through(
                org.as_ref(),
                Call::Revoke,
                || oauth::revoke(None, &form),
                |org| oauth::revoke(Some(org), &form),
            )
        }
        ["services", "Soap", "m", ..] if incoming.method == Method::POST => {
            soap_answer(shared, incoming.body)
        }
        path => rest_answer(shared, path, incoming),
    }
}

/// Counts the call, asks the door, and lets the org answer.
fn through(
    org: Option<&Arc<Org>>,
    call: Call,
    nobody: impl FnOnce() -> Answer,
    inside: impl FnOnce(&Arc<Org>) -> Answer,
) -> Outcome {
    let Some(org) = org else {
        return Outcome::Now(nobody());
    };
    org.count(call);
    match door(org, call) {
        Door::Open => Outcome::Now(inside(org)),
        Door::Late(time) => Outcome::Late(time, inside(org)),
        Door::Reset => Outcome::Reset,
        Door::Answer(answer) => Outcome::Now(*answer),
    }
}

const NO_SESSION: &str =
    "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing session hash";

fn soap_answer(shared: &Shared, body: &[u8]) -> Outcome {
    let request = match std::str::from_utf8(body) {
        Ok(text) => SoapRequest::read(text),
        Err(error) => return Outcome::Now(unparsable(&error.to_string())),
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => return Outcome::Now(unparsable(&error.to_string())),
    };
    let refused = || soap::envelope::fault("INVALID_SESSION_ID", NO_SESSION);
    let org = shared.by_session(&request.session);
    through(org.as_ref(), request.call, refused, |org| {
        if org.tokens().is_good(&request.session, shared.clock.now()) {
            soap::answer(shared, org, &request)
        } else {
            refused()
        }
    })
}

fn rest_answer(shared: &Shared, path: &[&str], incoming: &Incoming<'_>) -> Outcome {
    let call = match path {
        ["services", "oauth2", "userinfo"] => Call::Userinfo,
        ["id", _, _] => Call::Identity,
        ["services", "data", rest @ ..] => rest::call(incoming.method, rest),
        _ => Call::Other,
    };
    let session = if incoming.bearer.is_empty() {
        incoming.of("oauth_token")
    } else {
        incoming.bearer
    };
    let org = shared.by_session(session);
    let refused = || error_answer(call, 401, "INVALID_SESSION_ID", "Session expired or invalid");
    let nobody = || {
        if call == Call::Versions {
            rest::versions(shared)
        } else {
            refused()
        }
    };
    through(org.as_ref(), call, nobody, |org| {
        if call == Call::Versions {
            return rest::versions(shared).with("sforce-limit-info", rest::limit_info(org));
        }
        if !org.tokens().is_good(session, shared.clock.now()) {
            return refused();
        }
        let answer = match path {
            ["services", "oauth2", "userinfo"] => oauth::userinfo(shared, org),
            ["id", _, _] => oauth::identity(shared, org),
            ["services", "data", rest @ ..] => rest::answer(
                shared,
                org,
                &RestRequest {
                    method: incoming.method,
                    path: rest,
                    query: incoming.query,
                    body: incoming.body,
                    page: incoming.page,
                    nested: false,
                },
            ),
            _ => rest::not_found(),
        };
        answer.with("sforce-limit-info", rest::limit_info(org))
    })
}
