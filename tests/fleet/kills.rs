//! Processes that are told to stop at a bad moment. Those that stand still are the subject of `stops`, those that die that
//! of `crash_points` and `deaths`.

use std::time::Duration;

use nightshift_simulator::OrgSpec;

use crate::harness::{Fleet, small_org};

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
