//! From SIGTERM to the end, of workers amid their work.
//!
//! They take the short classes, control and poll; another worker ingests, so that there is always something to do. Each
//! tenth of a hundred is told while a call hangs for longer than a drain may last, and gives its job back.

use std::time::{Duration, Instant};

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_testkit::soaks;

use crate::{
    figures::until,
    harness::{Fleet, small_org},
    load::Load,
};

const ORGS: [&str; 3] = ["one", "two", "three"];
/// Calls of steps of these classes.
const CALLS: [Call; 4] = [Call::Describe, Call::List, Call::Retrieve, Call::Poll];
/// Of most calls, and of one that hangs.
const SLOW: u64 = 150;
const HANGS: u64 = 25_000;
/// Every so many workers meet a call that hangs.
const HANGING: u64 = 10;

const IN_HAND: &str = "SELECT count(*) FROM job WHERE state = 'claimed' AND class IN ('control', 'poll')";
const LEFT: &str =
    "SELECT (SELECT count(*) FROM sync WHERE state IN ('queued', 'running')) + (SELECT count(*) FROM job)";

fn slow(millis: u64) -> Fault {
    let slow = Fault {
        millis: Some(millis),
        ..Fault::new(FaultKind::Slow)
    };
    slow.on(&CALLS)
}

/// A fleet that has work, and nobody who does its control and poll steps.
async fn with_work() -> (Fleet, Load) {
    let mut fleet = Fleet::new(&[]).await;
    for org in ORGS {
        fleet
            .connect(OrgSpec::from_folder(org, small_org().join("night-1"), None))
            .await;
        fleet.simulator.fault(org, slow(SLOW)).unwrap();
    }
    fleet.start("scheduler", &[]);
    fleet.begin(&["worker", "--classes", "ingest"], &[]);
    let load = Load::on(&fleet.database);
    (fleet, load)
}

/// The n-th worker begins, has work in hand, is told and ends; how long that took it.
async fn told(fleet: &mut Fleet, n: u64) -> Duration {
    let worker = fleet.begin(&["worker", "--classes", "control,poll"], &[]);
    if n % HANGING == HANGING - 1 {
        for org in ORGS {
            fleet.simulator.clear_faults(org, None).unwrap();
            fleet.simulator.fault(org, slow(HANGS).times(1)).unwrap();
            fleet.simulator.fault(org, slow(SLOW)).unwrap();
        }
    }
    until("it works", Duration::from_secs(30), async || {
        fleet.database.count(IN_HAND).await > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(17 * n % 400)).await;
    let begun = Instant::now();
    fleet.signal(worker, "TERM").await;
    assert!(fleet.process(worker).wait().await.unwrap().success());
    let took = begun.elapsed();
    assert_eq!(fleet.database.count(IN_HAND).await, 0, "the {n}th left something");
    took
}

/// A hundred in a long run, of which ten have to give up what they do.
pub async fn workers_end_when_they_are_told() {
    let (mut fleet, load) = with_work().await;
    let (times, mut took) = (if soaks() { 100 } else { 8 }, Vec::new());
    for n in 0..times {
        took.push(told(&mut fleet, n).await);
    }
    took.sort();
    let p99 = took[(took.len() * 99).div_ceil(100) - 1];
    println!(
        "SIGTERM to exit of a worker of control and poll, {times} times amid work: p50 {:?}, p99 {p99:?}, most {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(
        p99 < Duration::from_secs(40),
        "the drain has a deadline: {took:?}"
    );
    load.end().await;
    for org in ORGS {
        fleet.simulator.clear_faults(org, None).unwrap();
    }
    fleet.start("worker", &[]);
    until("all syncs end", Duration::from_secs(120), async || {
        fleet.database.count(LEFT).await == 0
    })
    .await;
    assert_eq!(
        fleet.database.texts("SELECT DISTINCT state FROM sync").await,
        ["succeeded"]
    );
    fleet.database.history_holds().await;
}
