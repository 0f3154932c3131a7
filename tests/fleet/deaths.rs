//! Workers that end: killed, or told to. What a killed one had runs again within the time that the protocol promises; one
//! that is told to stop takes nothing new and leaves no row that says it is running.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_sync::registry;
use nightshift_testkit::soaks;

use crate::harness::{Fleet, contents, small_org};

/// What a claim may come later than its lease's end and a sweep, for the machine's sake.
const SLACK: Duration = Duration::from_secs(8);

/// Seconds between the end of the dead worker's last beat and the next claim of its job, by the database's clock.
const AGAIN_AFTER: &str =
    "SELECT round(extract(epoch FROM (next.at - dead.at) / 1000000.0 * interval '1 s') * 1000)::bigint
    FROM history dead JOIN LATERAL (SELECT at FROM history n WHERE n.job = dead.job AND n.event = 'claimed'
         AND n.n > dead.n ORDER BY n.n LIMIT 1) next ON true
   WHERE dead.event IN ('claimed', 'kept') AND dead.fence = 1
     AND EXISTS (SELECT FROM history d WHERE d.job = dead.job AND d.event = 'claimed' AND d.number = 1)
   ORDER BY dead.n DESC LIMIT 1";

/// A worker dies by SIGKILL within each step in turn; gives the longest wait of a job for its next claim.
async fn longest_wait(settings: &[(&str, &str)]) -> Duration {
    let mut fleet = Fleet::new(settings).await;
    fleet.start("scheduler", &[]);
    let mut longest = Duration::ZERO;
    for kind in ["start", "inventory", "ingest", "finish"] {
        let night = small_org().join("night-1");
        fleet.connect(OrgSpec::from_folder(kind, night, None)).await;
        assert!(fleet.run(&["sync", kind, "--json"]).await.status.success());
        let slow = format!("claimed-{kind}=sleep(60000)");
        let dying = fleet.start("worker", &[("FAILPOINTS", &slow)]);
        is_claimed(&fleet, kind).await;
        fleet.signal(dying, "KILL").await;
        let heir = fleet.start("worker", &[]);
        is_taken_from_the_dead(&fleet, kind).await;
        let sync = fleet.sync(kind).await;
        assert_eq!(sync["state"], "succeeded", "{kind}: {sync}");
        let millis = fleet.database.count(AGAIN_AFTER).await;
        longest = longest.max(Duration::from_millis(millis.unsigned_abs()));
        fleet.process(heir).kill().await.unwrap();
    }
    fleet.database.history_holds().await;
    longest
}

/// Somebody claims what the dead one had.
async fn is_taken_from_the_dead(fleet: &Fleet, kind: &str) {
    let again = "SELECT count(*) FROM history WHERE event = 'claimed' AND fence > 1
        AND sync = (SELECT id FROM sync ORDER BY admitted_at DESC LIMIT 1)";
    for _ in 0..900 {
        if fleet.database.count(again).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody takes {kind} from the dead");
}

async fn is_claimed(fleet: &Fleet, kind: &str) {
    let claimed = "SELECT kind FROM job WHERE state = 'claimed'";
    for _ in 0..1_500 {
        if fleet
            .database
            .texts(claimed)
            .await
            .iter()
            .any(|found| found == kind)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody claims {kind}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the time is what the test is asked for")]
async fn a_job_whose_worker_died_runs_again_within_the_promised_time() {
    let waited = longest_wait(&[("JOBS__LEASE_SECONDS", "2"), ("JOBS__SWEEP_MILLIS", "500")]).await;
    println!("lease 2 s, sweep 0.5 s: the next claim after at most {waited:?}");
    assert!(waited < Duration::from_millis(2_500) + SLACK, "{waited:?}");
    if soaks() {
        let usual = [
            ("JOBS__LEASE_SECONDS", "60"),
            ("JOBS__SWEEP_MILLIS", "500"),
            ("JOBS__REANNOUNCE_SECONDS", "60"),
        ];
        let waited = longest_wait(&usual).await;
        println!("default settings: the next claim after at most {waited:?}");
        assert!(waited < Duration::from_secs(75), "{waited:?}");
    }
}

/// Claims that came although the worker had been told to stop. A delivery that it had taken by then may wait behind the
/// step that stands still, and claim once that one goes on.
const CLAIMED_LATE: &str = "SELECT count(*) FROM history WHERE event = 'claimed'
    AND at > (SELECT max(number) + 1800000 FROM history WHERE event = 'told')";
const TOLD: &str = "INSERT INTO history (event, org, number)
    SELECT 'told', gen_random_uuid(), (extract(epoch FROM nightshift_now()) * 1000000)::bigint";

/// No row says that somebody works.
async fn nobody_works(fleet: &Fleet, told_in: &str) {
    let running = "SELECT concat_ws(' ', kind, fence) FROM job WHERE state = 'claimed'";
    assert_eq!(fleet.database.texts(running).await, [""; 0], "told in {told_in}");
}

/// A worker is told in a step that ends long after the drain's deadline: it gives the job back and goes.
async fn gives_back_what_outlasts_the_drain(fleet: &mut Fleet) {
    let night = small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder("slow", night, None)).await;
    let slow = Fault {
        millis: Some(25_000),
        ..Fault::new(FaultKind::Slow)
    };
    fleet.simulator.fault("slow", slow.on(&[Call::List])).unwrap();
    fleet.json(&["sync", "slow", "--json"]).await;
    let worker = fleet.start("worker", &[]);
    let lists = "SELECT kind FROM job JOIN org ON org.id = org_id
                  WHERE job.state = 'claimed' AND kind = 'inventory' AND org.name = 'slow'";
    while fleet.database.texts(lists).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // the others' jobs are done by then, this one's first list is asked for
    tokio::time::sleep(Duration::from_millis(500)).await;
    fleet.signal(worker, "TERM").await;
    let ended = tokio::time::timeout(Duration::from_secs(20), fleet.process(worker).wait()).await;
    assert!(ended.unwrap().unwrap().success(), "slow");
    nobody_works(fleet, "a step that outlasts the drain").await;
    fleet.simulator.clear_faults("slow", None).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_worker_takes_nothing_new_and_leaves_no_running_row() {
    let settings = [
        ("SYNC__BATCH_FILES", "30"),
        ("WORKER__DRAIN_SECONDS", "4"),
        ("JOBS__LEASE_SECONDS", "30"),
    ];
    let mut fleet = Fleet::new(&settings).await;
    fleet.start("scheduler", &[]);
    let night = || small_org().join("night-1");
    for org in ["org", "other"] {
        fleet.connect(OrgSpec::from_folder(org, night(), None)).await;
        assert!(fleet.run(&["sync", org, "--json"]).await.status.success());
    }
    for (kind, _) in registry().kinds() {
        let slow = format!("claimed-{}=1*sleep(1200)->off", kind.as_str());
        let worker = fleet.start("worker", &[("FAILPOINTS", &slow)]);
        is_claimed(&fleet, kind.as_str()).await;
        fleet.database.run(TOLD).await;
        fleet.signal(worker, "TERM").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        // whoever is impatient changes nothing
        fleet.signal(worker, "TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(20), fleet.process(worker).wait()).await;
        assert!(ended.unwrap().unwrap().success(), "{}", kind.as_str());
        nobody_works(&fleet, kind.as_str()).await;
        assert_eq!(
            fleet.database.count(CLAIMED_LATE).await,
            0,
            "told in {}",
            kind.as_str()
        );
    }
    fleet
        .database
        .run("DELETE FROM history WHERE event = 'told'")
        .await;
    gives_back_what_outlasts_the_drain(&mut fleet).await;
    fleet.start("worker", &[]);
    for org in ["org", "other", "slow"] {
        assert_eq!(fleet.sync(org).await["state"], "succeeded");
    }
    let (one, other) = (fleet.export("org").await, fleet.export("other").await);
    assert_eq!(contents(&one), contents(&other));
    let counts = "SELECT count(*) FROM timeline WHERE deaths > 0 OR attempts > 0";
    assert_eq!(fleet.database.count(counts).await, 0, "a drain is neither");
    fleet.database.history_holds().await;
}
