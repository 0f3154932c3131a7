//! A revision that would delete too much waits for a person, and nothing else waits for it.

use nightshift_simulator::OrgSpec;

use crate::harness::{Fleet, small_org};

/// Any deletion at all is too much.
const STRICT: [(&str, &str); 2] = [("SYNC__HELD_PERCENT", "0"), ("SYNC__HELD_MIN", "0")];

/// A fleet in which the second night of org `small` was held; gives the held sync's id.
async fn held() -> (Fleet, String) {
    let fleet = Fleet::running(&STRICT).await;
    let (one, two) = (small_org().join("night-1"), small_org().join("night-2"));
    fleet.connect(OrgSpec::from_folder("small", one, Some(two))).await;
    assert_eq!(fleet.sync("small").await["state"], "succeeded");
    fleet.simulator.next_night("small").unwrap();
    let held = fleet.sync("small").await;
    assert_eq!(
        (held["state"].as_str(), held["failure"]["code"].as_str()),
        (Some("held"), Some("deletions_held")),
        "{held}"
    );
    let org = fleet.json(&["org", "show", "small", "--json"]).await;
    assert_eq!(
        (
            org["state"].as_str(),
            org["revision"].as_i64(),
            org["open_cases"].as_i64()
        ),
        (Some("held"), Some(1), Some(1)),
        "{org}"
    );
    let id = held["sync"].as_str().unwrap().to_owned();
    (fleet, id)
}

async fn state(fleet: &Fleet, sync: &str) -> String {
    let shown = fleet.json(&["sync", "show", sync, "--json"]).await;
    shown["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_sync_does_not_occupy_its_org_and_the_next_that_ends_well_supersedes_it() {
    let (fleet, held) = held().await;
    // the components are back: nothing is lost against the current revision
    fleet
        .simulator
        .set_next("small", small_org().join("night-1"))
        .unwrap();
    fleet.simulator.next_night("small").unwrap();
    let next = fleet.sync("small").await;
    assert_eq!(
        (
            next["state"].as_str(),
            next["joined"].as_bool(),
            next["revision"].as_i64(),
            next["deleted"].as_i64()
        ),
        (Some("succeeded"), Some(false), Some(2), Some(0)),
        "{next}"
    );
    assert_eq!(state(&fleet, &held).await, "superseded");
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(cases[0]["state"], "resolved", "{cases}");
    let late = fleet.run(&["sync", "accept", "small"]).await;
    assert_eq!(late.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&late.stderr).contains("no sync of \"small\" is held"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_sync_runs_again_for_its_finish_alone() {
    let (fleet, held) = held().await;
    let before = serde_json::to_value(fleet.simulator.calls("small").unwrap()).unwrap();
    let accepted = fleet.json(&["sync", "accept", "small", "--wait", "--json"]).await;
    assert_eq!(
        (
            accepted["sync"].as_str(),
            accepted["state"].as_str(),
            accepted["revision"].as_i64()
        ),
        (Some(held.as_str()), Some("succeeded"), Some(2)),
        "{accepted}"
    );
    assert!(accepted["deleted"].as_i64() > Some(0), "{accepted}");
    let after = serde_json::to_value(fleet.simulator.calls("small").unwrap()).unwrap();
    assert_eq!(before, after, "nothing was asked of Salesforce again");
    let org = fleet.json(&["org", "show", "small", "--json"]).await;
    assert_eq!(
        (org["state"].as_str(), org["open_cases"].as_i64()),
        (Some("idle"), Some(0)),
        "{org}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_held_syncs_the_later_one_is_accepted() {
    let (fleet, first) = held().await;
    let second = fleet.sync("small").await;
    assert_eq!(
        (second["state"].as_str(), second["joined"].as_bool()),
        (Some("held"), Some(false)),
        "{second}"
    );
    assert_eq!(state(&fleet, &first).await, "superseded");
    let accepted = fleet.json(&["sync", "accept", "small", "--wait", "--json"]).await;
    assert_eq!(
        (&accepted["sync"], accepted["state"].as_str()),
        (&second["sync"], Some("succeeded")),
        "{accepted}"
    );
}
