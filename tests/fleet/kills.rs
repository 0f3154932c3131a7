//! Processes that stand still, or are told to stop, at a bad moment: the dictionary is that of an org whose night was quiet.
//! Those that die are the subject of `crash_points`.

use std::time::Duration;

use nightshift_simulator::OrgSpec;

use crate::harness::{Fleet, contents, small_org};

/// Batches are so small that the org's profile comes in parts: each step there is has its turn.
const SHORT_LEASE: [(&str, &str); 3] = [
    ("JOBS__LEASE_SECONDS", "1"),
    ("JOBS__MAX_DEATHS", "9"),
    ("SYNC__BATCH_FILES", "30"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_past_its_lease_writes_nothing_stale() {
    let mut fleet = Fleet::new(&SHORT_LEASE).await;
    for role in ["scheduler", "worker", "worker"] {
        fleet.start(role, &[]);
    }
    let night = || small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder("quiet", night(), None)).await;
    assert_eq!(fleet.sync("quiet").await["state"], "succeeded");
    let quiet = contents(&fleet.export("quiet").await);
    for n in 0..5 {
        let org = format!("org-{n}");
        fleet.connect(OrgSpec::from_folder(&org, night(), None)).await;
        assert!(fleet.run(&["sync", &org, "--json"]).await.status.success());
        tokio::time::sleep(Duration::from_millis(60 + 90 * n)).await;
        fleet.signal(1, "STOP").await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        fleet.signal(1, "CONT").await;
        let sync = fleet.sync(&org).await;
        assert_eq!(sync["state"], "succeeded", "{sync}");
        assert_eq!(contents(&fleet.export(&org).await), quiet);
    }
    fleet.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_ends_well_and_another_goes_on() {
    let mut fleet = Fleet::running(&[("WORKER__DRAIN_SECONDS", "5")]).await;
    fleet
        .connect(OrgSpec::from_folder("org", small_org().join("night-1"), None))
        .await;
    assert!(fleet.run(&["sync", "org", "--json"]).await.status.success());
    tokio::time::sleep(Duration::from_millis(150)).await;
    fleet.signal(1, "TERM").await;
    let ended = tokio::time::timeout(Duration::from_secs(15), fleet.process(1).wait()).await;
    assert!(ended.unwrap().unwrap().success());
    fleet.start("worker", &[]);
    assert_eq!(fleet.sync("org").await["state"], "succeeded");
    let deaths = "SELECT count(*) FROM timeline WHERE deaths > 0";
    assert_eq!(
        fleet.database.count(deaths).await,
        0,
        "a job that is given back has not died"
    );
    fleet.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_still_waits_for_its_servers_ends_at_once_when_it_is_told() {
    let mut fleet = Fleet::new(&[]).await;
    let nowhere = "postgres://nightshift@127.0.0.1:9/x";
    let waiting = fleet.start("worker", &[("NIGHTSHIFT__DATABASE__URL", nowhere)]);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    fleet.signal(waiting, "TERM").await;
    let ended = tokio::time::timeout(Duration::from_secs(10), fleet.process(waiting).wait()).await;
    assert!(ended.unwrap().unwrap().success());
}
