//! The one HTTP client of the process, and the limits on everything that comes back.
//!
//! A TLS handshake costs twenty times a request, so all orgs share one pool. Every answer is bounded in time (its
//! beginning, each pause, the whole) and in bytes, counted after decompression while it streams: a gzip of 100 MB of
//! zeros is refused at its limit, not in memory. Redirects are off: they would carry the token elsewhere. Error texts
//! never hold an address, since queries may hold tokens.

use std::{error::Error as _, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{RequestBuilder, Response, header};
use secrecy::SecretString;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use crate::{
    bounds::{ERROR_BYTES, HEADER_BYTES, HEADER_FIELDS},
    counter::{CallCounter, CallKind},
    error::{Broken, Expected, SalesforceError, Waited},
    network::{self, Proxy},
    rest::ApiUsage,
    text,
    told::Told,
};

/// 2^20 bytes.
pub const MIB: u64 = 1 << 20;

/// How the process speaks HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// `User-Agent` header.
    pub user_agent: String,
    /// Our name in Salesforce's logs (CallOptions, `Sforce-Call-Options`).
    pub client_name: String,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Longest pause inside a body.
    pub idle_timeout: Duration,
    /// Limits by kind of call.
    pub limits: CallLimits,
    /// Which proxy to use.
    pub proxy: Proxy,
    /// Authorities that are trusted besides the machine's own, as PEM.
    pub authorities: Option<Vec<u8>>,
}

/// Limits of one kind of call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallLimit {
    /// Until the answer's head came.
    pub first_byte: Duration,
    /// Until the whole answer came.
    pub whole: Duration,
    /// Largest body after decompression, in bytes.
    pub body: u64,
}

/// Limits by kind of call. Salesforce itself ends a call after 10 minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallLimits {
    /// The token endpoint.
    pub token: CallLimit,
    /// REST: versions, identity, limits, queries.
    pub rest: CallLimit,
    /// describeMetadata, listMetadata, readMetadata, retrieve: a large list takes Salesforce more than 20 s.
    pub soap: CallLimit,
    /// checkRetrieveStatus without the zip.
    pub poll: CallLimit,
    /// checkRetrieveStatus with the zip.
    pub zip: CallLimit,
    /// A page of a Bulk job's rows, which streams.
    pub bulk_results: CallLimit,
}

impl Default for CallLimits {
    fn default() -> Self {
        let limit = |first_byte, whole, body| CallLimit {
            first_byte: Duration::from_secs(first_byte),
            whole: Duration::from_secs(whole),
            body,
        };
        Self {
            token: limit(30, 60, MIB),
            rest: limit(30, 180, 32 * MIB),
            soap: limit(240, 600, 64 * MIB),
            poll: limit(30, 120, 64 * MIB),
            // 534 MiB of base64 are 400 MiB of zip; the rest is file properties.
            zip: limit(240, 1800, 598 * MIB),
            // 50,000 rows of 10 KiB; a page of wider rows must have fewer.
            bulk_results: limit(120, 1800, 512 * MIB),
        }
    }
}

impl CallLimits {
    /// The limit of one kind.
    pub fn of(&self, call: CallKind) -> CallLimit {
        match call {
            CallKind::Token => self.token,
            CallKind::Versions
            | CallKind::Identity
            | CallKind::Query
            | CallKind::QueryPage
            | CallKind::Composite
            | CallKind::Sobject
            | CallKind::Limits
            | CallKind::BulkCreate
            | CallKind::BulkPoll
            | CallKind::BulkEnd => self.rest,
            CallKind::Describe | CallKind::List | CallKind::Read | CallKind::Retrieve => self.soap,
            CallKind::Poll => self.poll,
            CallKind::BulkResults => self.bulk_results,
            CallKind::Zip => self.zip,
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            user_agent: concat!("nightshift/", env!("CARGO_PKG_VERSION")).to_owned(),
            client_name: "Nightshift".to_owned(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(1),
            limits: CallLimits::default(),
            proxy: Proxy::FromEnvironment,
            authorities: None,
        }
    }
}

/// The process's HTTP client. Clones share its pool.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    settings: Arc<HttpSettings>,
}

impl Http {
    /// Builds it; call once a process.
    pub fn new(settings: HttpSettings) -> Result<Self, SalesforceError> {
        let builder = reqwest::Client::builder()
            .user_agent(settings.user_agent.clone())
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_keepalive(Duration::from_secs(30))
            .gzip(true);
        let client = network::prepare(builder, &settings.proxy, settings.authorities.as_deref())?
            .build()
            .map_err(|error| SalesforceError::Settings(chain(&error.without_url())))?;
        Ok(Self {
            client,
            settings: Arc::new(settings),
        })
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub(crate) fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// Sends one request and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        call: CallKind,
        request: RequestBuilder,
        calls: &CallCounter,
    ) -> Result<Incoming, SalesforceError> {
        let limit = self.settings.limits.of(call);
        let began = Instant::now();
        let deadline = began + limit.whole;
        // Counted before it leaves: a step that is cancelled while it waits has made the call all the same.
        calls.sent(call)?;
        let (client, request) = request.build_split();
        let request = request.map_err(|error| {
            calls.never_left(call);
            transport(call, error, self.settings.connect_timeout)
        })?;
        let told = Told::begin(call, request.url().path());
        let sent = RequestBuilder::from_parts(client, request)
            .send()
            .instrument(told.span());
        fail::fail_point!("before-call", |_| std::process::abort());
        let answer = timeout(limit.first_byte, sent).await;
        fail::fail_point!("called", |_| std::process::abort());
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                if error.is_connect() || error.is_builder() {
                    calls.never_left(call);
                }
                told.end(None);
                return Err(transport(call, error, self.settings.connect_timeout));
            }
            Err(_) => {
                told.end(None);
                return Err(SalesforceError::Timeout {
                    call,
                    waited: Waited::FirstByte,
                    limit: limit.first_byte,
                });
            }
        };
        told.end(Some(response.status()));
        let bytes: usize = response
            .headers()
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        if bytes > HEADER_BYTES || response.headers().len() > HEADER_FIELDS {
            return Err(SalesforceError::HeadersTooLarge { call });
        }
        let incoming = Incoming::new(call, response, limit, self.settings.idle_timeout, deadline);
        // of a plain request; through a tunnel it ends the connection
        if incoming.status == 407 {
            return Err(SalesforceError::Transport {
                call,
                broken: Broken::ProxyAuthorization,
                detail: "HTTP 407".to_owned(),
            });
        }
        // 304 is no redirect: what was asked for has not changed.
        if (300..400).contains(&incoming.status) && incoming.status != 304 {
            return Err(SalesforceError::Unexpected {
                call,
                status: incoming.status,
                expected: Expected::NoRedirect,
                text: String::new(),
            });
        }
        Ok(incoming)
    }
}

/// An answer whose body has not been read.
pub(crate) struct Incoming {
    pub(crate) call: CallKind,
    pub(crate) status: u16,
    content_type: String,
    /// Requests used and allowed, as each REST answer says.
    pub(crate) usage: Option<ApiUsage>,
    pub(crate) body: Body,
}

/// A body that is read piece by piece, within its limits.
pub(crate) struct Body {
    call: CallKind,
    response: Response,
    /// A piece that was read to look at, and is given out again.
    peeked: Option<Bytes>,
    received: u64,
    limit: CallLimit,
    idle: Duration,
    deadline: Instant,
    /// Hears of it when the body breaks off.
    heard_by: Option<CallCounter>,
}

impl Incoming {
    fn new(call: CallKind, response: Response, limit: CallLimit, idle: Duration, deadline: Instant) -> Self {
        let text_of = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = text_of(header::CONTENT_TYPE.as_str())
            .unwrap_or("")
            .to_ascii_lowercase();
        Self {
            call,
            status: response.status().as_u16(),
            usage: text_of("sforce-limit-info").and_then(ApiUsage::read),
            content_type,
            body: Body {
                call,
                response,
                peeked: None,
                received: 0,
                limit,
                idle,
                deadline,
                heard_by: None,
            },
        }
    }

    /// It is the wanted answer: whoever counted it as one is told when its body breaks off.
    pub(crate) fn heard_by(mut self, calls: &CallCounter) -> Self {
        self.body.heard_by = Some(calls.clone());
        self
    }

    /// A header of the answer, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let value = self.body.response.headers().get(name)?;
        value.to_str().ok()
    }

    /// Looks at the beginning of the body; an error if it is a web page, whatever the header says.
    pub(crate) async fn refuse_page(&mut self, secrets: &[&SecretString]) -> Result<(), SalesforceError> {
        if self.body.peeked.is_none() {
            self.body.peeked = self.body.next().await?;
        }
        let head = self.body.peeked.as_deref().unwrap_or_default();
        let head = &head[..head.len().min(2000)];
        if !self.content_type.starts_with("text/html") && !is_page(head) {
            return Ok(());
        }
        let head = String::from_utf8_lossy(head);
        Err(SalesforceError::Page {
            call: self.call,
            status: self.status,
            text: text::keep(&head, 500, secrets),
        })
    }

    /// What came, where something else should have.
    pub(crate) fn unexpected(
        &self,
        expected: Expected,
        body: &[u8],
        secrets: &[&SecretString],
    ) -> SalesforceError {
        let head = String::from_utf8_lossy(&body[..body.len().min(2000)]);
        SalesforceError::Unexpected {
            call: self.call,
            status: self.status,
            expected,
            text: text::keep(&head, 500, secrets),
        }
    }
}

fn is_page(head: &[u8]) -> bool {
    // spaces and the mark of UTF-8
    let before = |byte: &u8| b" \t\r\n\xef\xbb\xbf".contains(byte);
    let begins_at = head.iter().position(|byte| !before(byte)).unwrap_or(head.len());
    let begins = |tag: &str| {
        head[begins_at..]
            .get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    };
    ["<!doctype html", "<html", "<head", "<h1"]
        .into_iter()
        .any(begins)
}

impl Body {
    /// Whose answer it is.
    pub(crate) fn call(&self) -> CallKind {
        self.call
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, SalesforceError> {
        if let Some(bytes) = self.peeked.take() {
            return Ok(Some(bytes));
        }
        let now = Instant::now();
        let (until, waited, limit) = if now + self.idle < self.deadline {
            (now + self.idle, Waited::Idle, self.idle)
        } else {
            (self.deadline, Waited::Whole, self.limit.whole)
        };
        let call = self.call;
        let piece = timeout_at(until, self.response.chunk())
            .await
            .map_err(|_| SalesforceError::Timeout { call, waited, limit })?
            .map_err(|error| transport(call, error, limit))
            .inspect_err(|error| {
                if let Some(calls) = &self.heard_by {
                    calls.watch().broke_off(error);
                }
            })?;
        self.received += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if self.received > self.limit.body {
            return Err(SalesforceError::BodyTooLarge {
                call,
                limit: self.limit.body,
            });
        }
        Ok(piece)
    }

    /// The whole body, for answers that are small by their limit.
    pub(crate) async fn bytes(&mut self) -> Result<Vec<u8>, SalesforceError> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }

    /// The beginning of an error's body: what is beyond, or does not come, is not missed.
    pub(crate) async fn head(&mut self) -> Vec<u8> {
        let mut head = Vec::new();
        while head.len() < ERROR_BYTES
            && let Ok(Some(piece)) = self.next().await
        {
            head.extend_from_slice(&piece[..piece.len().min(ERROR_BYTES - head.len())]);
        }
        head
    }
}

/// What the network's error means, without the address.
fn transport(call: CallKind, error: reqwest::Error, limit: Duration) -> SalesforceError {
    let error = error.without_url();
    let detail = chain(&error);
    let lower = detail.to_ascii_lowercase();
    if error.is_timeout() {
        let waited = if error.is_connect() {
            Waited::Connect
        } else {
            Waited::Idle
        };
        return SalesforceError::Timeout { call, waited, limit };
    }
    if lower.contains("head is too large") {
        return SalesforceError::HeadersTooLarge { call };
    }
    let broken = if error.is_connect() {
        network::broken(&error, &lower)
    } else {
        Broken::Cut
    };
    SalesforceError::Transport { call, broken, detail }
}

/// An error's words and those of its causes.
fn chain(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    text::keep(&words, 300, &[])
}
