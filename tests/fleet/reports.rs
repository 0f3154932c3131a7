//! What broke for others in polling and listing, on the whole fleet; each test carries its report's id.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, small_org};

/// listMetadata calls of one more sync of an org.
async fn lists(fleet: &Fleet, org: &str) -> u64 {
    let count = || {
        fleet
            .simulator
            .calls(org)
            .unwrap()
            .get(&Call::List)
            .copied()
            .unwrap_or(0)
    };
    let before = count();
    let sync = fleet.sync(org).await;
    assert!(sync["state"].as_str().unwrap().starts_with("succeeded"), "{sync}");
    count() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn b01_a_type_that_fails_a_common_call_is_asked_alone_from_the_next_night_on_and_in_that_org_only() {
    let fleet = Fleet::running(&[]).await;
    for org in ["bad", "good"] {
        fleet
            .connect(OrgSpec::from_folder(org, small_org().join("night-1"), None))
            .await;
    }
    let in_threes = lists(&fleet, "good").await;
    let fault = Fault::new(FaultKind::TypeMayNotBeListed).of_type("ApexTrigger");
    fleet.simulator.fault("bad", fault).unwrap();
    // the common call fails, and its three types are asked singly
    assert_eq!(lists(&fleet, "bad").await, in_threes + 3);
    // it is remembered: alone from the start, so no call of others fails
    let remembered = lists(&fleet, "bad").await;
    assert!(
        remembered <= in_threes + 1,
        "{remembered} calls, {in_threes} in threes"
    );
    assert_eq!(lists(&fleet, "good").await, in_threes);
    // what went well alone is good company again
    fleet.simulator.clear_faults("bad", None).unwrap();
    assert_eq!(lists(&fleet, "bad").await, remembered);
    assert_eq!(lists(&fleet, "bad").await, in_threes);
}

#[tokio::test(flavor = "multi_thread")]
async fn b07_what_lies_two_folders_deep_is_listed_retrieved_and_stored() {
    let dir = tempfile::tempdir().unwrap();
    let reports = dir.path().join("reports/Top/Sub/Deep");
    std::fs::create_dir_all(&reports).unwrap();
    let folder = |name: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ReportFolder xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    \
             <name>{name}</name>\n</ReportFolder>\n"
        )
    };
    for (file, name) in [
        ("Top-meta.xml", "Top"),
        ("Top/Sub-meta.xml", "Sub"),
        ("Top/Sub/Deep-meta.xml", "Deep"),
    ] {
        std::fs::write(dir.path().join("reports").join(file), folder(name)).unwrap();
    }
    let sample = small_org().join("night-1/reports/NPSP_Health_Check/Empty_Household_Accounts.report");
    for below in ["Top", "Top/Sub", "Top/Sub/Deep"] {
        std::fs::copy(&sample, dir.path().join("reports").join(below).join("One.report")).unwrap();
    }
    let fleet = Fleet::running(&[]).await;
    fleet
        .connect(OrgSpec::from_folder("deep", dir.path(), None))
        .await;
    let sync = fleet.sync("deep").await;
    assert_eq!(sync["state"], "succeeded", "{sync}");
    for (question, names) in [
        (
            "SELECT name FROM version WHERE type = 'Report' AND to_revision IS NULL ORDER BY name",
            ["Top/One", "Top/Sub/Deep/One", "Top/Sub/One"],
        ),
        (
            "SELECT name FROM version WHERE type = 'ReportFolder' AND to_revision IS NULL ORDER BY name",
            ["Top", "Top/Sub", "Top/Sub/Deep"],
        ),
    ] {
        assert_eq!(fleet.database.texts(question).await, names);
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn b33_a_poll_that_is_refused_ends_no_retrieve() {
    let fleet = Fleet::running(&[]).await;
    fleet
        .connect(OrgSpec::from_folder("small", small_org().join("night-1"), None))
        .await;
    for (code, text) in [
        ("LIMIT_EXCEEDED", "too much of something"),
        ("INSUFFICIENT_ACCESS", "insufficient access rights"),
        ("UNSUPPORTED_API_VERSION", "not in this version"),
    ] {
        let refused = Fault::new(FaultKind::Error).times(1).saying(code, text);
        fleet.simulator.fault("small", refused.on(&[Call::Poll])).unwrap();
    }
    let sync = fleet.sync("small").await;
    assert_eq!(sync["state"], "succeeded", "{sync}");
    let calls = fleet.simulator.calls("small").unwrap();
    assert!(calls[&Call::Poll] > 3, "{calls:?}");
    assert_eq!(fleet.database.count("SELECT count(*) FROM support_case").await, 0);
}
