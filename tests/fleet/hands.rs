//! Operators with their hands on the queue: dry runs, deeds with reasons, pauses; all by the command line.

use std::time::Duration;

use nightshift_simulator::{Fault, FaultKind, OrgSpec};
use serde_json::Value;

use crate::harness::Fleet;

/// Waits until the job table is as wanted, and gives the list.
async fn queue_is(fleet: &Fleet, is: impl Fn(&Value) -> bool) -> Value {
    let mut list = Value::Null;
    for _ in 0..150 {
        list = fleet.json(&["queue", "list", "--json"]).await;
        if is(&list) {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the queue is never as wanted: {list}");
}

fn jobs(list: &Value) -> usize {
    list["jobs"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_a_deed_is_shown_with_its_person_and_reason() {
    let fleet = Fleet::running(&[]).await;
    fleet.connect(OrgSpec::generated("acme", 7, 200)).await;
    let stuck = Fault::new(FaultKind::StaysInProgress);
    fleet.simulator.fault("acme", stuck).unwrap();
    fleet.json(&["sync", "acme", "--json"]).await;
    queue_is(&fleet, |list| {
        list["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|job| job["step"] == "poll")
    })
    .await;

    let without_any_wish = fleet.run(&["queue", "fail", "--yes", "--reason", "x"]).await;
    assert_eq!(without_any_wish.status.code(), Some(2));
    let dry = fleet
        .json(&["queue", "fail", "--org", "acme", "--kind", "poll", "--json"])
        .await;
    assert_eq!(dry["done"], false, "{dry}");
    assert!(
        jobs(&dry) > 0 && dry["jobs"][0]["would_be"] == "its sync fails",
        "{dry}"
    );
    assert_eq!(fleet.database.count("SELECT count(*) FROM hand").await, 0);
    let open = "SELECT count(*) FROM sync WHERE state = 'running'";
    assert_eq!(fleet.database.count(open).await, 1);

    // a worker may be at the job at this very moment: then it has moved on, and the next try meets it
    let fail = [
        "queue",
        "fail",
        "--org",
        "acme",
        "--kind",
        "poll",
        "--yes",
        "--reason",
        "their day off",
        "--person",
        "ann",
        "--json",
    ];
    for _ in 0..20 {
        if fleet.json(&fail).await["syncs_ended"] == 1 {
            break;
        }
    }
    let id = fleet.database.texts("SELECT id::text FROM sync").await.remove(0);
    let shown = fleet.json(&["sync", "show", &id, "--json"]).await;
    assert_eq!(shown["failure"]["code"], "ended_by_hand", "{shown}");
    assert_eq!(shown["by_hand"][0]["person"], "ann");
    assert_eq!(shown["by_hand"][0]["reason"], "their day off");
    let job = fleet
        .database
        .texts("SELECT job_id::text FROM hand")
        .await
        .remove(0);
    let gone = fleet.json(&["queue", "show", &job, "--json"]).await;
    assert_eq!(
        (gone["state"].as_str(), gone["by_hand"][0]["deed"].as_str()),
        (Some("gone"), Some("fail"))
    );
    let cases = fleet.json(&["case", "list", "--org", "acme", "--json"]).await;
    assert_eq!(cases[0]["code"], "ended_by_hand");

    // the next good sync resolves it
    fleet.simulator.clear_faults("acme", None).unwrap();
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
    queue_is(&fleet, |list| jobs(list) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_org_waits_and_says_why_until_it_is_resumed() {
    let fleet = Fleet::running(&[]).await;
    for org in ["acme", "other"] {
        fleet.connect(OrgSpec::generated(org, 7, 200)).await;
    }
    let pause = ["queue", "pause", "org", "acme", "--reason", "their release"];
    assert!(fleet.run(&pause).await.status.success());
    fleet.json(&["sync", "acme", "--json"]).await;
    assert_eq!(fleet.sync("other").await["state"], "succeeded");
    let shown = fleet.json(&["org", "show", "acme", "--json"]).await;
    assert_eq!(shown["paused_by"][0]["reason"], "their release", "{shown}");
    let list = fleet.json(&["queue", "list", "--org", "acme", "--json"]).await;
    assert_eq!(
        (
            jobs(&list),
            list["jobs"][0]["paused"].as_bool(),
            list["jobs"][0]["state"].as_str()
        ),
        (1, Some(true), Some("due")),
        "{list}"
    );
    assert!(
        list["paused"][0]["person"].as_str().unwrap().contains('@'),
        "the user of the process"
    );
    let resume = ["queue", "resume", "org", "acme", "--reason", "it is out"];
    assert!(fleet.run(&resume).await.status.success());
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
}
