//! `doctor` and `ready` beside a running fleet.

use std::collections::BTreeMap;

use nightshift_simulator::OrgSpec;
use nightshift_testkit::free_port;
use serde_json::Value;

use crate::harness::Fleet;

async fn verdicts(fleet: &Fleet, set: &[&str], code: i32) -> BTreeMap<String, (String, Value)> {
    let output = fleet.run(&[set, &["doctor", "--json"]].concat()).await;
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(code), "{document}");
    let checks = document["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            assert!(check["why"].as_str().unwrap().len() > 20, "{check}");
            let verdict = check["verdict"].as_str().unwrap().to_owned();
            (
                check["check"].as_str().unwrap().to_owned(),
                (verdict, check.clone()),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_fleet_well_and_names_what_is_not() {
    let fleet = Fleet::running(&[]).await;
    fleet.connect(OrgSpec::generated("acme", 7, 200)).await;
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
    let well = verdicts(&fleet, &[], 0).await;
    for thing in [
        "zone data",
        "key",
        "database",
        "migrations",
        "clock",
        "vacuum",
        "snapshot",
        "processes",
        "due",
        "outbox",
        "dead jobs",
        "pauses",
        "secrets",
        "orgs",
        "nights",
        "instances",
        "broker",
        "queues",
    ] {
        assert_eq!(well[thing].0, "ok", "{}", well[thing].1);
    }
    assert!(!well.contains_key("salesforce"), "nobody asked for it");

    let pause = [
        "queue",
        "pause",
        "class",
        "ingest",
        "--reason",
        "the disk is full",
    ];
    assert!(fleet.run(&pause).await.status.success());
    fleet.simulator.revoke("acme").unwrap();
    fleet.sync("acme").await;
    let noted = verdicts(&fleet, &[], 0).await;
    for (thing, saw) in [("pauses", "the disk is full"), ("orgs", "acme (token_revoked)")] {
        assert_eq!(noted[thing].0, "note", "{}", noted[thing].1);
        assert!(
            noted[thing].1["saw"].as_str().unwrap().contains(saw),
            "{}",
            noted[thing].1
        );
    }

    let other_key = "secrets.key=k9:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let broken = verdicts(&fleet, &["--set", other_key], 1).await;
    assert_eq!(broken["secrets"].0, "failed", "{}", broken["secrets"].1);
    let saw = broken["secrets"].1["saw"].as_str().unwrap();
    assert!(
        saw.starts_with("1 of 1 org(s) cannot be read, acme for one"),
        "{saw}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_asks_the_process_itself() {
    let port = free_port();
    let listen = format!("0.0.0.0:{port}");
    let mut fleet = Fleet::new(&[("HTTP__LISTEN", &listen)]).await;
    assert_eq!(fleet.run(&["ready"]).await.status.code(), Some(1));
    fleet.start("scheduler", &[]);
    let mut ready = None;
    for _ in 0..100 {
        ready = fleet.run(&["ready"]).await.status.code();
        if ready == Some(0) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(ready, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_tells_of_pauses_snapshots_requests_and_repeated_announcements() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut fleet = Fleet::new(&[("HTTP__LISTEN", &listen)]).await;
    fleet.connect(OrgSpec::generated("acme", 7, 200)).await;
    let pause = ["queue", "pause", "instance", "EU99", "--reason", "maintenance"];
    assert!(fleet.run(&pause).await.status.success());
    // a day that is nearly used up
    let used = "WITH seen AS (INSERT INTO allowance (org_id, used, allowed, seen_at, booked, night)
                SELECT id, 95, 100, nightshift_now(), 0, current_date FROM org RETURNING 1) SELECT count(*) FROM seen";
    fleet.database.count(used).await;
    // nobody takes the job: it is told again after two seconds
    fleet.json(&["sync", "acme", "--json"]).await;
    fleet.start("scheduler", &[]);
    let told = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    let wanted = [
        "nightshift_pauses{kind=\"instance\"}",
        "nightshift_orgs_requests_left{left=\"under_10_percent\"}",
        "nightshift_announcements_repeated_total{class=\"control\"}",
        "nightshift_oldest_due_seconds{class=\"control\"}",
    ];
    let mut text = String::new();
    for _ in 0..150 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let Ok(answer) = reqwest::get(format!("http://{listen}/metrics")).await else {
            continue;
        };
        text = answer.text().await.unwrap();
        if wanted.iter().all(|name| told(&text, name) > 0.0) {
            assert!(
                text.contains("nightshift_xmin_age_seconds ")
                    && text.contains("nightshift_xmin_age_transactions ")
            );
            return;
        }
    }
    let missing: Vec<_> = wanted.iter().filter(|name| told(&text, name) <= 0.0).collect();
    panic!("never told: {missing:?}\n{text}");
}
