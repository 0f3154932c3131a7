//! 2,000 orgs and 5,000 clients that poll at once, the simulator on one core.
//!
//! The simulator is a process of its own (this program again, under `taskset`), so that its core, its time and its memory
//! are its own. 5,000 connections poll retrieves that stay Pending: first each as soon as its last answer came, then each
//! once in ten seconds, as clients of a real night would. Printed: answers a second, the median and the 99th percentile of
//! an answer's time, and the simulator's resident memory before and after.
//!
//! `cargo bench -p nightshift-simulator --bench crowd`; a limit of open files of 12,000 is needed.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where something is not as it should be, and prints what it measured"
)]

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nightshift_simulator::{OrgSpec, RetrievePace, Simulator, SimulatorSettings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

const ORGS: u64 = 2_000;
const COMPONENTS: u64 = 2_000;
const CLIENTS: usize = 5_000;
const MEASURED: Duration = Duration::from_secs(20);
/// How often a client of a real night polls.
const UNHURRIED: Duration = Duration::from_secs(10);
const END: &[u8] = b"</soapenv:Envelope>";

fn main() {
    let work = tokio::runtime::Builder::new_multi_thread();
    if std::env::args().any(|word| word == "--serve") {
        // One core, one thread.
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(serve());
    } else {
        let mut work = work;
        work.worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
            .block_on(measure());
    }
}

/// The simulator with its orgs, until its standard input ends.
async fn serve() {
    let hour = Duration::from_hours(10);
    let pace = RetrievePace {
        pending: hour,
        in_progress: hour,
        per_file: Duration::ZERO,
    };
    let simulator = Simulator::start(SimulatorSettings {
        pace,
        ..SimulatorSettings::default()
    })
    .await
    .unwrap();
    for n in 0..ORGS {
        simulator
            .add_org(OrgSpec::generated(&format!("org-{n}"), n, COMPONENTS))
            .unwrap();
    }
    println!("{}", simulator.addr());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()))
        .await
        .unwrap()
        .unwrap();
}

/// The process of the simulator; it ends with this.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let me = std::env::current_exe().unwrap();
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(me)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset is part of util-linux");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            address: line.trim().parse().unwrap(),
        }
    }

    /// Resident memory in MiB.
    fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
    }

    /// Seconds of processor time that it has used.
    fn used(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // Ticks of a hundredth of a second on every Linux that we run on.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// One connection that is kept.
struct Wire {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Wire {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            answer: Vec::new(),
        }
    }

    /// Sends a request and reads its answer to the end of the envelope.
    async fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).await.unwrap();
        self.answer.clear();
        while !self.answer.ends_with(END) {
            let read = self.stream.read_buf(&mut self.answer).await.unwrap();
            assert!(read > 0, "the simulator ended the connection");
        }
        &self.answer
    }
}

fn post(address: SocketAddr, session: &str, body: &str) -> Vec<u8> {
    let envelope = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Header><SessionHeader><sessionId>{session}\
         </sessionId></SessionHeader></e:Header><e:Body>{body}</e:Body></e:Envelope>"
    );
    format!(
        "POST /services/Soap/m/67.0 HTTP/1.1\r\nhost: {address}\r\ncontent-type: text/xml\r\nsoapaction: \"\"\r\n\
         content-length: {}\r\n\r\n{envelope}",
        envelope.len()
    )
    .into_bytes()
}

/// A poll for each org, ready to be sent.
async fn polls(address: SocketAddr) -> Vec<Arc<[u8]>> {
    let http = reqwest::Client::builder().build().unwrap();
    let url = |path: &str| format!("http://{address}{path}");
    let orgs: Vec<Value> = http
        .get(url("/_control/orgs"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let allowed = json!({ "daily_requests": 100_000_000 });
    http.post(url("/_control/limits"))
        .body(allowed.to_string())
        .send()
        .await
        .unwrap();
    let mut wire = Wire::open(address).await;
    let mut polls = Vec::with_capacity(orgs.len());
    for org in orgs {
        let of = |key: &str| org[key].as_str().unwrap();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", of("refresh_token")),
            ("client_id", of("client_id")),
        ];
        let token = http
            .post(url("/services/oauth2/token"))
            .form(&form)
            .send()
            .await
            .unwrap();
        let token: Value = token.json().await.unwrap();
        let session = token["access_token"].as_str().unwrap();
        let retrieve = "<retrieve><retrieveRequest><unpackaged><types><members>*</members><name>ApexClass</name></types>\
            <version>67.0</version></unpackaged></retrieveRequest></retrieve>";
        let answer = String::from_utf8_lossy(wire.ask(&post(address, session, retrieve)).await).into_owned();
        let id = answer.split("<id>").nth(1).unwrap().split('<').next().unwrap();
        let poll = format!(
            "<checkRetrieveStatus><asyncProcessId>{id}</asyncProcessId><includeZip>false</includeZip></checkRetrieveStatus>"
        );
        polls.push(post(address, session, &poll).into());
    }
    polls
}

/// What a crowd measured.
struct Measured {
    seconds: f64,
    /// Times of answers, the shortest first.
    times: Vec<Duration>,
}

impl Measured {
    fn at(&self, share: f64) -> f64 {
        let place = ((self.times.len() - 1) as f64 * share) as usize;
        self.times[place].as_secs_f64() * 1_000.0
    }
}

/// All clients poll for a while: at once after each answer, or every `pause`.
async fn crowd(wires: Vec<Wire>, polls: &[Arc<[u8]>], pause: Option<Duration>) -> (Vec<Wire>, Measured) {
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for (at, mut wire) in wires.into_iter().enumerate() {
        let poll = polls[at % polls.len()].clone();
        clients.spawn(async move {
            let mut times = Vec::new();
            if let Some(pause) = pause {
                tokio::time::sleep(pause.mul_f64(at as f64 / CLIENTS as f64)).await;
            }
            while begin.elapsed() < MEASURED {
                let sent = Instant::now();
                let answer = wire.ask(&poll).await;
                times.push(sent.elapsed());
                assert!(
                    answer.windows(16).any(|text| text == b"<status>Pending<"),
                    "{}",
                    String::from_utf8_lossy(answer)
                );
                if let Some(pause) = pause {
                    tokio::time::sleep(pause.saturating_sub(sent.elapsed())).await;
                }
            }
            (wire, times)
        });
    }
    let (mut wires, mut times) = (Vec::with_capacity(CLIENTS), Vec::new());
    while let Some(done) = clients.join_next().await {
        let (wire, mut of_one) = done.unwrap();
        wires.push(wire);
        times.append(&mut of_one);
    }
    times.sort();
    (
        wires,
        Measured {
            seconds: begin.elapsed().as_secs_f64(),
            times,
        },
    )
}

async fn measure() {
    let server = Server::start();
    let empty = server.resident();
    let polls = polls(server.address).await;
    let mut wires = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        wires.push(Wire::open(server.address).await);
    }
    println!(
        "{ORGS} orgs of {COMPONENTS} components: {empty:.1} MiB resident; with a session and a retrieve each {:.1} MiB",
        server.resident()
    );
    // The first round makes what every connection keeps.
    let (mut wires, _) = crowd(wires, &polls, None).await;
    for (name, pause) in [
        ("each at once after its answer", None),
        ("each every 10 s", Some(UNHURRIED)),
    ] {
        let (before, used) = (server.resident(), server.used());
        let (kept, measured) = crowd(wires, &polls, pause).await;
        wires = kept;
        println!(
            "{CLIENTS} clients, {name}: {:.0} polls/s, p50 {:.1} ms, p99 {:.1} ms, {:.0} % of the core ({:.0} polls for each second of it); resident {before:.1} MiB before, {:.1} MiB after",
            measured.times.len() as f64 / measured.seconds,
            measured.at(0.5),
            measured.at(0.99),
            (server.used() - used) / measured.seconds * 100.0,
            measured.times.len() as f64 / (server.used() - used),
            server.resident()
        );
    }
}
