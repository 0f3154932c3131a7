//! Polls of a thousand kept connections: the client as a worker has it, beside bare reqwest with the same bytes, at the
//! same server, in turn. Prints figures, asserts nothing on time. `make bench-jobs ARGS=polls`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../../../sync/benches/measure/mod.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod measure;
mod server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use measure::{Figures, ROUNDS, asked, cpu_seconds, pin};
use nightshift_domain::OrgId;
use nightshift_salesforce::{
    ApiVersion, AsyncId, CallCounter, HostPolicy, Http, HttpSettings, JustGiven, Proxy, RetrieveStatus,
    Salesforce, Session, TokenGeneration,
};
use server::{Heard, Manner, Server};
use uuid::Uuid;

const CONNECTIONS: usize = 1_000;
/// Between two connections' first polls.
const APART: Duration = Duration::from_millis(4);
/// Before polls are counted: connections are made.
const WARM: Duration = Duration::from_secs(6);
/// While they are counted.
const COUNTED: Duration = Duration::from_secs(4);

/// Which poll of a connection.
#[derive(Clone, Copy)]
enum Turn {
    /// Its first: answered once all have theirs under way, so that as many connections are made. Otherwise there would be
    /// few, or, where handshakes are slow, thousands: the pool begins one for whoever finds none idle.
    Together,
    /// Each other.
    Alone,
}

/// Our client, as a step has it: made anew for each poll, over the process's one pool.
#[derive(Clone)]
struct Ours {
    salesforce: Salesforce,
    session: Arc<JustGiven>,
    /// Of the poll before all others, and of the others.
    ids: [AsyncId; 2],
}

impl Ours {
    fn of(server: &Server) -> Self {
        let settings = HttpSettings {
            proxy: Proxy::None,
            authorities: server.authority.clone(),
            ..HttpSettings::default()
        };
        let session = Session {
            instance_url: server.url.parse().unwrap(),
            access_token: format!("00D000000000062!{}", "aB3.".repeat(24)).into(),
            generation: TokenGeneration(1),
        };
        Self {
            salesforce: Salesforce::new(Http::new(settings).unwrap(), HostPolicy::new(["127.0.0.1"])),
            session: Arc::new(JustGiven(session)),
            ids: [server::TOGETHER, "09S000000000001AAA"].map(|id| AsyncId::new(id).unwrap()),
        }
    }

    async fn poll(self, turn: Turn) {
        let (org, calls) = (OrgId::from_uuid(Uuid::nil()), CallCounter::new());
        let client = self
            .salesforce
            .client(org, self.session, calls, ApiVersion::NEWEST_TESTED);
        let status = client.retrieve_status(&self.ids[turn as usize]).await.unwrap();
        assert_eq!(status, RetrieveStatus::InProgress);
    }
}

/// Reqwest alone: sends the bytes that ours sent, takes the answer's bytes.
#[derive(Clone)]
struct Bare {
    client: reqwest::Client,
    url: String,
    /// As ours sends them, by turn.
    heard: Arc<[Heard; 2]>,
}

impl Bare {
    fn of(server: &Server, heard: Arc<[Heard; 2]>) -> Self {
        let builder = reqwest::Client::builder().no_proxy().gzip(true);
        let authority = server.authority.iter();
        let trusted = authority.map(|pem| reqwest::Certificate::from_pem(pem).unwrap());
        Self {
            client: builder.tls_certs_merge(trusted).build().unwrap(),
            url: format!("{}{}", server.url, heard[0].path),
            heard,
        }
    }

    async fn poll(self, turn: Turn) {
        let heard = &self.heard[turn as usize];
        let request = self.client.post(&self.url).headers(heard.headers.clone());
        let answer = request.body(heard.body.clone()).send().await.unwrap();
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(bytes.len(), server::ANSWER.len());
    }
}

/// What one side did in a round.
#[derive(Default)]
struct Side {
    polls: Figures,
    /// Processor time of the client's process, in microseconds a poll.
    cpu: Figures,
}

impl Side {
    /// All connections poll without a pause.
    async fn round<F: Future<Output = ()> + Send>(
        &mut self,
        poll: impl Fn(Turn) -> F + Clone + Send + 'static,
    ) {
        let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let polling: Vec<_> = (0..CONNECTIONS as u32)
            .map(|n| {
                let (poll, done, over) = (poll.clone(), Arc::clone(&done), Arc::clone(&over));
                tokio::spawn(async move {
                    tokio::time::sleep(APART * n).await;
                    poll(Turn::Together).await;
                    while !over.load(Ordering::Relaxed) {
                        poll(Turn::Alone).await;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        tokio::time::sleep(WARM).await;
        let used = || cpu_seconds(std::process::id());
        let (began, before, cpu) = (Instant::now(), done.load(Ordering::Relaxed), used());
        tokio::time::sleep(COUNTED).await;
        let polls = (done.load(Ordering::Relaxed) - before) as f64;
        self.polls.add(polls / began.elapsed().as_secs_f64());
        self.cpu.add((used() - cpu) * 1e6 / polls);
        over.store(true, Ordering::Relaxed);
        for polling in polling {
            polling.await.unwrap();
        }
    }
}

async fn compare(manner: Manner) {
    let server = Server::start(manner);
    let ours = Ours::of(&server);
    let heard = |turn| {
        server::hear(move |url| {
            Ours::of(&Server {
                url,
                authority: None,
                process: None,
            })
            .poll(turn)
        })
    };
    let heard = [heard(Turn::Together).await, heard(Turn::Alone).await];
    let bare = Bare::of(&server, Arc::new(heard));
    let [mut of_ours, mut of_bare] = <[Side; 2]>::default();
    for _ in 0..ROUNDS {
        of_ours
            .round({
                let ours = ours.clone();
                move |turn| ours.clone().poll(turn)
            })
            .await;
        of_bare
            .round({
                let bare = bare.clone();
                move |turn| bare.clone().poll(turn)
            })
            .await;
    }
    println!(
        "polls/s over {CONNECTIONS} kept connections, {manner}: ours {:.0}, bare reqwest {:.0}: {:.0} % (must 50)",
        of_ours.polls,
        of_bare.polls,
        100.0 * of_ours.polls.median() / of_bare.polls.median(),
    );
    println!(
        "the same, processor time a poll in us: ours {:.1}, bare reqwest {:.1}",
        of_ours.cpu, of_bare.cpu
    );
}

fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        return runtime().block_on(server::serve(&arguments[at + 1..]));
    }
    if !asked("polls") {
        return;
    }
    if !pin(std::process::id(), "0") {
        println!("without taskset: client and server share all cores");
    }
    for manner in [Manner::Plain, Manner::Tls] {
        runtime().block_on(compare(manner));
    }
}
