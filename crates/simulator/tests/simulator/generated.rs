//! Orgs made from a seed: exact sizes, the same bytes everywhere, nights, and little memory.

use std::collections::BTreeMap;

use nightshift_simulator::{ChangeKind, OrgSpec};
use serde_json::json;

use crate::client::Session;

#[tokio::test]
async fn every_listed_component_can_be_retrieved_and_the_sum_is_the_size() {
    let session = Session::open(OrgSpec::generated("Acme", 7, 600)).await;
    let counts = session.simulator.expected_counts("Acme").unwrap();
    assert_eq!(counts.values().sum::<u64>(), 600);
    assert!(counts.len() > 60, "{}", counts.len());
    let folders = BTreeMap::from([
        ("Report", "ReportFolder"),
        ("Dashboard", "DashboardFolder"),
        ("Document", "DocumentFolder"),
        ("EmailTemplate", "EmailFolder"),
    ]);
    let mut asked: Vec<(String, Vec<String>)> = Vec::new();
    for (kind, count) in &counts {
        let mut names = Vec::new();
        match folders.get(kind.as_str()) {
            Some(folder_type) => {
                for folder in session.list(folder_type, None).await {
                    names.extend(session.list(kind, Some(&folder["fullName"])).await);
                }
            }
            None => names = session.list(kind, None).await,
        }
        if kind != "StandardValueSet" {
            assert_eq!(names.len() as u64, *count, "{kind}");
        }
        if !kind.ends_with("Folder") {
            asked.push((
                kind.clone(),
                names.into_iter().map(|row| row["fullName"].clone()).collect(),
            ));
        }
    }
    let borrowed: Vec<(&str, Vec<&str>)> = asked
        .iter()
        .map(|(kind, names)| (kind.as_str(), names.iter().map(String::as_str).collect()))
        .collect();
    let types: Vec<(&str, &[&str])> = borrowed
        .iter()
        .map(|(kind, names)| (*kind, names.as_slice()))
        .collect();
    let fetched = session.fetch(&types).await;
    assert_eq!(fetched.messages(), Vec::<String>::new());
    let sizes: Vec<usize> = fetched.files.values().map(Vec::len).collect();
    let average = sizes.iter().sum::<usize>() / sizes.len();
    assert!((300..6_000).contains(&average), "{average}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_in_another_simulator() {
    let mut zips = Vec::new();
    for seed in [5, 5, 6] {
        let session = Session::open(OrgSpec::generated("Acme", seed, 300)).await;
        zips.push(
            session
                .fetch(&[("ApexClass", &["*"]), ("CustomObject", &["*"]), ("Flow", &["*"])])
                .await
                .zip,
        );
    }
    assert!(zips[0] == zips[1] && zips[0] != zips[2]);
}

#[tokio::test]
async fn a_night_changes_what_it_says_over_the_control_door_too() {
    let session = Session::open(OrgSpec::generated("Acme", 7, 3_000)).await;
    let before = session
        .simulator
        .expected_counts("Acme")
        .unwrap()
        .values()
        .sum::<u64>();
    let changes = session
        .control("evolve", json!({ "org": "Acme", "share": 0.05 }))
        .await;
    let of = |word: &str| {
        changes
            .as_array()
            .unwrap()
            .iter()
            .filter(|change| change["change"] == word)
            .count() as u64
    };
    assert!(
        of("added") > 5 && of("changed") > 50 && of("deleted") > 5,
        "{changes}"
    );
    let after = session
        .simulator
        .expected_counts("Acme")
        .unwrap()
        .values()
        .sum::<u64>();
    assert_eq!(after, before + of("added") - of("deleted"));
    let twin = Session::open(OrgSpec::generated("Twin", 7, 3_000)).await;
    let same = twin.simulator.evolve("Twin", 0.05).unwrap();
    assert_eq!(
        same.iter()
            .filter(|change| change.change == ChangeKind::Added)
            .count() as u64,
        of("added")
    );
}

#[tokio::test]
async fn a_retrieve_under_way_keeps_the_night_it_began_with() {
    let session = Session::open(OrgSpec::generated("Acme", 7, 500)).await;
    let types: &[(&str, &[&str])] = &[("ApexClass", &["*"])];
    let whole = session.fetch(types).await.files;
    let id = session.retrieve(types).await;
    session.simulator.evolve("Acme", 0.9).unwrap();
    session.wait(&id).await;
    let text = session.status(&id, true).await.1;
    let zip = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        crate::client::element(&text, "zipFile").unwrap(),
    );
    assert_eq!(crate::client::unzip(&zip.unwrap()), whole);
    assert_ne!(session.fetch(types).await.files, whole);
}

/// Resident kilobytes of this process.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_org_of_a_hundred_thousand_components_costs_little() {
    let session = Session::open(OrgSpec::generated("Small", 7, 1_000)).await;
    session.fetch(&[("ApexClass", &["*"])]).await;
    let before = resident();
    for seed in 0..20 {
        session
            .simulator
            .add_org(OrgSpec::generated(&format!("Big {seed}"), seed, 100_000))
            .unwrap();
    }
    let grown = resident().saturating_sub(before);
    // Other tests run in this process at the same time, hence the room.
    assert!(grown < 60_000, "20 orgs of 100,000 components cost {grown} kB");
}
