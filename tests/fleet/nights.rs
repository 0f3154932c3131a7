//! Nights that go well: counts, changes, quiet ones, cases that open and resolve.

use std::{collections::BTreeMap, fs};

use nightshift_simulator::{Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, contents, small_org};

#[tokio::test(flavor = "multi_thread")]
async fn two_nights_of_a_small_real_org_come_out_exactly() {
    let fleet = Fleet::running(&[]).await;
    let (one, two) = (small_org().join("night-1"), small_org().join("night-2"));
    fleet.connect(OrgSpec::from_folder("small", one, Some(two))).await;
    let first = fleet.sync("small").await;
    assert_eq!(
        (first["state"].as_str(), first["revision"].as_i64()),
        (Some("succeeded"), Some(1)),
        "{first}"
    );
    assert_eq!(first["components"], 114);
    let mut counts = BTreeMap::new();
    for line in fleet.export("small").await {
        *counts
            .entry(line["type"].as_str().unwrap().to_owned())
            .or_insert(0_u64) += 1;
    }
    assert_eq!(counts, fleet.simulator.expected_counts("small").unwrap());

    // a second sync of the same: nothing is written, only members without a trustworthy date are asked for
    let rows = "SELECT (SELECT count(*) FROM version) + (SELECT count(*) FROM file_version) + (SELECT count(*) FROM blob)";
    let before = fleet.database.count(rows).await;
    let quiet = fleet.sync("small").await;
    assert_eq!(
        (
            quiet["added"].as_i64(),
            quiet["changed"].as_i64(),
            quiet["deleted"].as_i64()
        ),
        (Some(0), Some(0), Some(0))
    );
    assert_eq!(quiet["revision"], 2);
    assert_eq!(fleet.database.count(rows).await, before);
    assert!(quiet["asked"].as_i64() < first["asked"].as_i64(), "{quiet}");

    fleet.simulator.next_night("small").unwrap();
    let third = fleet.sync("small").await;
    assert_eq!(
        (third["revision"].as_i64(), third["components"].as_i64()),
        (Some(3), Some(126)),
        "{third}"
    );
    let diff = fleet
        .json(&["dictionary", "diff", "small", "1", "3", "--json"])
        .await;
    let text = |change: &serde_json::Value, key: &str| change[key].as_str().unwrap().to_owned();
    let mut changes: Vec<_> = diff
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            format!(
                "{}\t{}\t{}",
                text(change, "type"),
                text(change, "full_name"),
                text(change, "change")
            )
        })
        .collect();
    changes.sort();
    let expected = fs::read_to_string(small_org().join("expected-changes.tsv")).unwrap();
    let mut expected: Vec<_> = expected
        .lines()
        .filter(|line| !line.starts_with("type\t"))
        .map(str::to_owned)
        .collect();
    expected.sort();
    assert_eq!(changes, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_opens_a_case_and_a_success_resolves_it() {
    let fleet = Fleet::running(&[]).await;
    fleet.connect(OrgSpec::generated("acme", 7, 200)).await;
    fleet.simulator.revoke("acme").unwrap();
    let failed = fleet.sync("acme").await;
    assert_eq!(failed["failure"]["code"], "token_revoked", "{failed}");
    let again = fleet.sync("acme").await;
    assert_eq!(again["state"], "failed");
    let cases = fleet.json(&["case", "list", "--org", "acme", "--json"]).await;
    assert_eq!(
        (cases.as_array().unwrap().len(), cases[0]["state"].as_str()),
        (1, Some("open")),
        "{cases}"
    );
    assert_eq!(cases[0]["occurrences"], 2);
    assert_eq!(
        fleet.json(&["org", "show", "acme", "--json"]).await["state"],
        "needs_authentication"
    );

    let token = fleet.folder.path().join("new.token");
    fs::write(&token, fleet.simulator.reauthorize("acme").unwrap()).unwrap();
    let token = token.display().to_string();
    let done = fleet
        .run(&["org", "reauthenticate", "acme", "--refresh-token-file", &token])
        .await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
    let cases = fleet.json(&["case", "list", "--org", "acme", "--json"]).await;
    assert_eq!(cases[0]["state"], "resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_is_connected_once_and_a_refused_token_stores_nothing() {
    let fleet = Fleet::new(&[]).await;
    let org = fleet
        .connect(OrgSpec::generated("acme", 7, 200).in_time_zone("Asia/Tokyo"))
        .await;
    assert_eq!(org["time_zone"], "Asia/Tokyo");
    let access = fleet.simulator.access("acme").unwrap();
    let (good, bad) = (fleet.folder.path().join("good"), fleet.folder.path().join("bad"));
    fs::write(&good, &access.refresh_token).unwrap();
    fs::write(&bad, "no-such-token").unwrap();
    for (file, says) in [(good, "connected already as \"acme\""), (bad, "invalid_grant")] {
        let (url, file) = (fleet.simulator.base_url(), file.display().to_string());
        let add = [
            "org",
            "add",
            "other",
            "--login-url",
            &url,
            "--client-id",
            &access.client_id,
            "--refresh-token-file",
            &file,
        ];
        let output = fleet.run(&add).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
    assert_eq!(
        fleet
            .json(&["org", "list", "--json"])
            .await
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_asked_for_again() {
    let fleet = Fleet::running(&[("JOBS__MAX_ATTEMPTS", "1")]).await;
    for name in ["small", "twin"] {
        fleet
            .connect(OrgSpec::from_folder(name, small_org().join("night-1"), None))
            .await;
    }
    let poison = Fault::new(FaultKind::PoisonousComponent)
        .of_type("ApexClass")
        .named("ALLO_Allocations_TDTM");
    fleet.simulator.fault("small", poison).unwrap();
    let gap = fleet.sync("small").await;
    assert_eq!(gap["state"], "succeeded_with_gaps", "{gap}");
    fleet.simulator.clear_faults("small", None).unwrap();
    let good = fleet.sync("small").await;
    assert_eq!(good["state"], "succeeded", "{good}");
    assert_eq!(fleet.sync("twin").await["state"], "succeeded");
    let (small, twin) = (fleet.export("small").await, fleet.export("twin").await);
    assert_eq!(contents(&small), contents(&twin));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_two_nights_and_one_case() {
    let fleet = Fleet::new(&[]).await;
    let demo = fleet.json(&["demo", "--json", "--components", "1200"]).await;
    let nights = demo["nights"].as_array().unwrap();
    assert_eq!(nights.len(), 2);
    for night in nights {
        assert_eq!(night["orgs"].as_array().unwrap().len(), 12);
    }
    let failed: Vec<_> = nights[1]["orgs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|org| org["state"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(demo["cases"][0]["code"], "token_revoked");
    assert_eq!(demo["cases"][0]["org"], failed[0]["name"]);
}
