//! What an outage costs, in figures: how soon work goes on, how much is delivered in vain, how long an end takes.
//!
//! The figures are printed; what is asserted is that the protocol's promises are kept, with room for a slow machine.
//! `NIGHTSHIFT_SOAK=1` takes the outages at their full length.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::StreamExt;
use nightshift_domain::{Class, Kind, Outcome, StepError};
use nightshift_jobs::{Alone, JobsSettings, Machine, Ran, Registry, Step, StepCx, Sweeper};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_testkit::{
    TestDb, free_port,
    servers::{Server, amqp, ctl, restart},
    soaks,
    toys::Toys,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

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
async fn until(what: &str, most: Duration, is: impl AsyncFn() -> bool) -> Duration {
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

struct Toy;

impl Step<()> for Toy {
    type Payload = serde_json::Value;
    const KIND: Kind = Kind::new("toy");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(60);

    async fn run(&self, _: &mut StepCx<'_, ()>, _: Self::Payload) -> Result<Outcome, StepError> {
        Ok(Outcome::done(vec![], vec![]))
    }
}

/// Deliveries, and those of them that were for nothing.
#[derive(Default)]
struct Counts {
    deliveries: AtomicU64,
    refused: AtomicU64,
}

/// A worker that counts.
async fn works(machine: Machine<()>, counts: Arc<Counts>) {
    let going = CancellationToken::new();
    let deliveries = machine.queue.consume(Class::Control, 16);
    let work = deliveries.for_each_concurrent(16, |delivery| async {
        let message = delivery.message.unwrap();
        counts.deliveries.fetch_add(1, Ordering::Relaxed);
        if let Ok(Ran::Refused) = machine.run(&message, &going).await {
            counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        delivery.ack.ack().await;
    });
    work.await;
}

/// So many orgs with due jobs each: the fleet's backlog, written as rows.
const BACKLOG: &str = "INSERT INTO job (org_id, id, kind, class, lane, payload, state, not_before, created_at)
    SELECT org, gen_random_uuid(), 'toy', 'control', 'free', 'null', 'due', nightshift_now(), nightshift_now()
      FROM (SELECT gen_random_uuid() AS org FROM generate_series(1, (SELECT n / 4 FROM wanted))) orgs, generate_series(1, 4)";

async fn left(database: &TestDb) -> u64 {
    database.count("SELECT count(*) FROM job").await.unsigned_abs()
}

/// The broker is wiped in the middle of a large backlog: workers are at their rate again soon, and little is in vain.
pub async fn the_broker_is_wiped_with_many_due_rows() {
    let toys = Toys::new().await;
    let database = &toys.database;
    let rows = if soaks() { 100_000 } else { 6_000 };
    database
        .run(&format!("CREATE TABLE wanted AS SELECT {rows} AS n"))
        .await;
    database.run(BACKLOG).await;
    let settings = JobsSettings::default();
    let (counts, prefix) = (
        Arc::new(Counts::default()),
        format!("t{}", Uuid::now_v7().simple()),
    );
    let stop = CancellationToken::new();
    let mut fleet = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let machine = Machine {
            store: toys.store.clone(),
            queue: Arc::new(amqp(&prefix).await),
            registry: Registry::new().with(Toy),
            context: Arc::new(()),
            settings: settings.clone(),
            alone: Alone::default(),
        };
        fleet.spawn(works(machine, Arc::clone(&counts)));
    }
    let queue = Arc::new(amqp(&prefix).await);
    fleet.spawn(Sweeper::new(toys.store.clone(), queue, settings).run(stop.clone()));
    let rate = async |of: Duration| {
        let (begun, before) = (Instant::now(), left(database).await);
        tokio::time::sleep(of).await;
        (before - left(database).await) as f64 / begun.elapsed().as_secs_f64()
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let full = rate(Duration::from_millis(1_500)).await;
    ctl(&["wipe"]).await;
    let back = Instant::now();
    let mut again = 0.0;
    // a backlog that is worked off is at its rate too
    while again < full * 0.7 && left(database).await > 0 {
        assert!(back.elapsed() < Duration::from_secs(90), "{again}/s of {full}/s");
        again = rate(Duration::from_millis(500)).await;
    }
    let took = back.elapsed();
    until("the backlog ends", Duration::from_secs(600), async || {
        left(database).await == 0
    })
    .await;
    stop.cancel();
    fleet.shutdown().await;
    let (all, refused) = (
        counts.deliveries.load(Ordering::Relaxed),
        counts.refused.load(Ordering::Relaxed),
    );
    println!(
        "broker wiped with {rows} due rows: {full:.0} jobs/s before, {again:.0} again {took:?} after its return; \
         {refused} of {all} deliveries refused"
    );
    assert!(refused * 10 < all, "{refused} of {all}");
}

/// From SIGTERM to the end, of workers amid their work.
pub async fn workers_end_when_they_are_told() {
    let mut fleet = Fleet::new(&[]).await;
    fleet.start("scheduler", &[]);
    let times = if soaks() { 100 } else { 8 };
    let mut took = Vec::new();
    let night = small_org().join("night-1");
    for org in ["one", "two", "three"] {
        fleet
            .connect(OrgSpec::from_folder(org, night.clone(), None))
            .await;
    }
    for n in 0..times {
        for org in ["one", "two", "three"] {
            fleet.json(&["sync", org, "--json"]).await;
        }
        let worker = fleet.start("worker", &[]);
        let working = "SELECT count(*) FROM job WHERE state = 'claimed'";
        until("it works", Duration::from_secs(30), async || {
            fleet.database.count(working).await > 0
        })
        .await;
        tokio::time::sleep(Duration::from_millis(17 * n % 400)).await;
        let told = Instant::now();
        fleet.signal(worker, "TERM").await;
        assert!(fleet.process(worker).wait().await.unwrap().success());
        took.push(told.elapsed());
    }
    took.sort();
    let p99 = took[(took.len() * 99).div_ceil(100) - 1];
    println!(
        "SIGTERM to exit, {times} times amid work: median {:?}, p99 {p99:?}",
        took[took.len() / 2]
    );
    assert!(
        p99 < Duration::from_secs(40),
        "the drain has a deadline: {took:?}"
    );
    fleet.database.history_holds().await;
}
