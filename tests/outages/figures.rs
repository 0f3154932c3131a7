//! What it costs that the broker or the database is away, in figures: how soon work goes on after its return.
//!
//! The figures are printed; what is asserted is that the protocol's promises are kept, with room for a slow machine.
//! `NIGHTSHIFT_SOAK=1` takes the outages at their full length.

use std::time::{Duration, Instant};

use nightshift_domain::Class;
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_testkit::{
    free_port,
    servers::{Server, amqp, restart},
    soaks,
};

use crate::harness::{Fleet, small_org};

/// PostgreSQL waits at TERM for its sessions to end, and is there as long as one does not: at INT it goes.
async fn away(server: Server, seconds: u64) {
    let signal = match server {
        Server::Broker => "TERM",
        Server::Database => "INT",
    };
    restart(server, &[signal, &seconds.to_string()]).await;
}

/// What readiness may take to say that the database is away, on a slow machine; it is asked every 2 s and may take as long.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// How long until it is so; it must be within `most`.
pub async fn until(what: &str, most: Duration, is: impl AsyncFn() -> bool) -> Duration {
    let begun = Instant::now();
    while !is().await {
        assert!(begun.elapsed() < most, "{what}: not within {most:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

/// Two workers and a scheduler with an address each, and whether they still run.
struct Watched {
    fleet: Fleet,
    processes: Vec<usize>,
    ports: Vec<u16>,
}

impl Watched {
    async fn new() -> Self {
        let mut fleet = Fleet::new(&[("JOBS__LEASE_SECONDS", "20")]).await;
        let (mut processes, mut ports) = (Vec::new(), Vec::new());
        for role in ["scheduler", "worker", "worker"] {
            let port = free_port();
            let listen = format!("127.0.0.1:{port}");
            processes.push(fleet.start(role, &[("NIGHTSHIFT__HTTP__LISTEN", &listen)]));
            ports.push(port);
        }
        let night = small_org().join("night-1");
        for org in ["before", "after"] {
            fleet
                .connect(OrgSpec::from_folder(org, night.clone(), None))
                .await;
        }
        assert_eq!(fleet.sync("before").await["state"], "succeeded");
        Self {
            fleet,
            processes,
            ports,
        }
    }

    /// How many say that they are ready.
    async fn ready(&self) -> usize {
        let mut ready = 0;
        for port in &self.ports {
            let answer = reqwest::get(format!("http://127.0.0.1:{port}/readyz")).await;
            ready += usize::from(answer.is_ok_and(|answer| answer.status().is_success()));
        }
        ready
    }

    fn all_run(&mut self) {
        for process in self.processes.clone() {
            let ended = self.fleet.process(process).try_wait().unwrap();
            assert!(ended.is_none(), "a process has ended: {ended:?}");
        }
    }
}

/// The broker is away: every worker consumes again soon after its return, without a restart.
pub async fn the_broker_is_away() {
    let mut watched = Watched::new().await;
    let seconds = if soaks() { 900 } else { 4 };
    away(Server::Broker, seconds).await;
    let prefix = watched.fleet.prefix.clone();
    let consumers = async || {
        let queue = amqp(&prefix).await;
        let facts = queue.inspect().await.unwrap_or_default();
        let polls = facts.iter().find(|facts| facts.class == Some(Class::Poll));
        polls.is_some_and(|facts| facts.consumers >= 2)
    };
    let took = until("both workers consume", Duration::from_secs(60), consumers).await;
    println!("broker away {seconds} s: every worker consumes {took:?} after its return");
    watched.all_run();
    assert_eq!(watched.fleet.sync("after").await["state"], "succeeded");
}

/// The database is away: nobody is ready, nobody exits, and work goes on soon after its return.
pub async fn the_database_is_away() {
    let mut watched = Watched::new().await;
    until("all are ready", Duration::from_secs(30), async || {
        watched.ready().await == 3
    })
    .await;
    // slow enough to be in the middle of it when the database goes
    let slow = Fault {
        millis: Some(400),
        ..Fault::new(FaultKind::Slow)
    };
    let calls = [Call::Describe, Call::List, Call::Retrieve, Call::Poll];
    watched.fleet.simulator.fault("after", slow.on(&calls)).unwrap();
    watched.fleet.json(&["sync", "after", "--json"]).await;
    let seconds = if soaks() { 300 } else { 18 };
    let gone = away(Server::Database, seconds);
    let seen = async {
        let nobody = async || watched.ready().await == 0;
        until("nobody is ready", SEEN_WITHIN, nobody).await
    };
    let ((), unready) = tokio::join!(gone, seen);
    let settled = "SELECT count(*) FROM timeline";
    let before = watched.fleet.database.count(settled).await;
    let open = "SELECT count(*) FROM sync WHERE ended_at IS NULL";
    assert_eq!(
        watched.fleet.database.count(open).await,
        1,
        "it is over before the outage"
    );
    let goes_on = async || watched.fleet.database.count(settled).await > before;
    let took = until("work goes on", Duration::from_secs(60), goes_on).await;
    println!(
        "database away {seconds} s: nobody ready after {unready:?}, work goes on {took:?} after its return"
    );
    watched.all_run();
    assert_eq!(watched.fleet.sync("after").await["state"], "succeeded");
    until("all are ready again", Duration::from_secs(30), async || {
        watched.ready().await == 3
    })
    .await;
}
