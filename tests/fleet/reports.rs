//! What broke for others in polling and listing, on the whole fleet; each test carries its report's id.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, small_org};

#[tokio::test(flavor = "multi_thread")]
async fn b25_a_retrieve_that_stays_pending_is_waited_for_and_its_id_kept() {
    let fleet = Fleet::running(&[("SYNC__POLL_DEADLINE_SECONDS", "1")]).await;
    fleet
        .connect(OrgSpec::from_folder("small", small_org().join("night-1"), None))
        .await;
    fleet
        .simulator
        .fault("small", Fault::new(FaultKind::StaysPending).times(1))
        .unwrap();
    assert!(fleet.run(&["sync", "small", "--json"]).await.status.success());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let org = fleet.json(&["org", "show", "small", "--json"]).await;
    assert_eq!(
        (org["state"].as_str(), org["open_cases"].as_i64()),
        (Some("syncing"), Some(0)),
        "{org}"
    );
    fleet.simulator.clear_faults("small", None).unwrap();
    let sync = fleet.sync("small").await;
    assert_eq!(
        (sync["state"].as_str(), sync["joined"].as_bool()),
        (Some("succeeded"), Some(true)),
        "{sync}"
    );
    // a twin that never waited asks as often: no retrieve was given up and asked for again
    fleet
        .connect(OrgSpec::from_folder("twin", small_org().join("night-1"), None))
        .await;
    fleet.sync("twin").await;
    let retrieves = |org| fleet.simulator.calls(org).unwrap()[&Call::Retrieve];
    assert_eq!(retrieves("small"), retrieves("twin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn b29_orgs_that_wait_for_salesforce_open_no_cases_and_hold_nobody_up() {
    let fleet = Fleet::running(&[]).await;
    for n in 0..8 {
        let name = format!("org-{n}");
        fleet
            .connect(OrgSpec::from_folder(&name, small_org().join("night-1"), None))
            .await;
        if n < 5 {
            fleet
                .simulator
                .fault(&name, Fault::new(FaultKind::StaysPending).times(1))
                .unwrap();
        }
        assert!(fleet.run(&["sync", &name, "--json"]).await.status.success());
    }
    for n in 5..8 {
        assert_eq!(fleet.sync(&format!("org-{n}")).await["state"], "succeeded");
    }
    assert_eq!(fleet.database.count("SELECT count(*) FROM support_case").await, 0);
    for n in 0..5 {
        let name = format!("org-{n}");
        fleet.simulator.clear_faults(&name, None).unwrap();
        assert_eq!(fleet.sync(&name).await["state"], "succeeded");
    }
    assert_eq!(fleet.database.count("SELECT count(*) FROM support_case").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b57_gone_and_not_listed_are_two_different_things() {
    let fleet = Fleet::running(&[]).await;
    let (one, two) = (small_org().join("night-1"), small_org().join("night-2"));
    fleet.connect(OrgSpec::from_folder("small", one, Some(two))).await;
    fleet.sync("small").await;
    fleet.simulator.next_night("small").unwrap();
    fleet
        .simulator
        .fault(
            "small",
            Fault::new(FaultKind::TypeMayNotBeListed).of_type("ApexTrigger"),
        )
        .unwrap();
    let triggers = "SELECT count(*) FROM version WHERE type = 'ApexTrigger' AND to_revision IS NULL";
    let before = fleet.database.count(triggers).await;
    let sync = fleet.sync("small").await;
    let gap = sync["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .find(|left| left["type"] == "ApexTrigger")
        .unwrap();
    assert_eq!(
        (gap["reason"].as_str(), gap["kind"].as_str()),
        (Some("listing_failed"), Some("gap")),
        "{sync}"
    );
    assert_eq!(fleet.database.count(triggers).await, before);
    let diff = fleet
        .json(&["dictionary", "diff", "small", "1", "2", "--json"])
        .await;
    let deleted: Vec<_> = diff
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["change"] == "deleted")
        .collect();
    assert!(
        !deleted.is_empty() && deleted.iter().all(|change| change["type"] != "ApexTrigger"),
        "{deleted:?}"
    );
}
