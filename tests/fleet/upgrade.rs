//! A deploy in the middle of a night: old and new processes side by side, SIGTERM one after the other.
//!
//! `tests/upgrade/run` builds the previous commit and names its program in `NIGHTSHIFT_TEST_OLD`; without it the old ones
//! are of this build, which is a deploy that changes nothing but the processes.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, contents, small_org};

const ORGS: usize = 6;

/// The longest time, in milliseconds, in which nothing happened to the jobs of a sync that was under way.
const LONGEST_REST: &str = "SELECT coalesce(max(at - before), 0)::bigint / 1000 FROM (
    SELECT at, lag(at) OVER (PARTITION BY sync ORDER BY n) AS before FROM history WHERE job IS NOT NULL) rests";

#[expect(
    clippy::disallowed_methods,
    reason = "the script names the other program by a variable"
)]
fn old() -> String {
    let given = std::env::var("NIGHTSHIFT_TEST_OLD").unwrap_or_default();
    if given.is_empty() {
        env!("CARGO_BIN_EXE_nightshift").to_owned()
    } else {
        given
    }
}

/// Told to stop, it ends well.
async fn drains(fleet: &mut Fleet, process: usize) {
    fleet.signal(process, "TERM").await;
    let ended = tokio::time::timeout(Duration::from_secs(30), fleet.process(process).wait()).await;
    assert!(ended.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the delay is what the test is asked for")]
async fn a_deploy_in_the_middle_of_a_night_loses_nothing_and_delays_no_sync_by_more_than_a_step() {
    let settings = [
        ("SYNC__BATCH_FILES", "30"),
        ("WORKER__DRAIN_SECONDS", "10"),
        ("JOBS__LEASE_SECONDS", "60"),
    ];
    let (mut fleet, old) = (Fleet::new(&settings).await, old());
    let scheduler = fleet.start_of(&old, "scheduler");
    let workers = [fleet.start_of(&old, "worker"), fleet.start_of(&old, "worker")];
    let orgs: Vec<String> = (0..ORGS).map(|n| format!("org-{n}")).collect();
    for org in &orgs {
        let night = small_org().join("night-1");
        fleet.connect(OrgSpec::from_folder(org, night, None)).await;
        // long enough that the night is not over before the deploy is
        let slow = Fault {
            millis: Some(150),
            ..Fault::new(FaultKind::Slow)
        };
        let calls = [Call::Describe, Call::List, Call::Retrieve, Call::Poll];
        fleet.simulator.fault(org, slow.on(&calls)).unwrap();
    }
    for org in &orgs {
        fleet.json(&["sync", org, "--json"]).await;
    }
    fleet.start("scheduler", &[]);
    drains(&mut fleet, scheduler).await;
    for worker in workers {
        fleet.start("worker", &[]);
        tokio::time::sleep(Duration::from_millis(1_000)).await;
        drains(&mut fleet, worker).await;
    }
    let open = "SELECT count(*) FROM sync WHERE ended_at IS NULL";
    let (left, mut dictionaries) = (fleet.database.count(open).await, Vec::new());
    for org in &orgs {
        let ended = fleet.org_is(org, "synced", |shown| shown["revision"] == 1).await;
        assert_eq!(ended["open_cases"], 0, "{ended}");
        dictionaries.push(contents(&fleet.export(org).await));
    }
    assert!(
        dictionaries
            .iter()
            .all(|dictionary| *dictionary == dictionaries[0])
    );
    let states = "SELECT DISTINCT state FROM sync";
    assert_eq!(fleet.database.texts(states).await, ["succeeded"]);
    let counts = "SELECT count(*) FROM timeline WHERE deaths > 0 OR attempts > 0";
    assert_eq!(fleet.database.count(counts).await, 0);
    let rest = fleet.database.count(LONGEST_REST).await;
    println!("{left} of {ORGS} syncs were open after the deploy; the longest rest of one was {rest} ms");
    // a step that was given back begins anew: no sync waits for a lease
    assert!(rest < 20_000, "{rest} ms");
    fleet.database.history_holds().await;
}
