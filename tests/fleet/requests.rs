//! Requests of other programs: published by Python's pika, as a foreign client does.

use std::time::Duration;

use nightshift_simulator::OrgSpec;
use nightshift_testkit::variable;
use serde_json::Value;

use crate::harness::Fleet;

const PUBLISH: &str = r#"
import os, sys, pika
connection = pika.BlockingConnection(pika.URLParameters(os.environ["NIGHTSHIFT__BROKER__URL"]))
channel = connection.channel()
channel.confirm_delivery()
trace = os.environ.get("TRACEPARENT")
properties = pika.BasicProperties(headers={"traceparent": trace} if trace else None)
for body in sys.argv[2:]:
    channel.basic_publish(sys.argv[1] + ".requests", "", body.encode(), properties, mandatory=True)
connection.close()
"#;

pub async fn publish(fleet: &Fleet, bodies: &[&str]) {
    publish_within(fleet, None, bodies).await;
}

/// The same by a client that is within a trace of its own.
pub async fn publish_within(fleet: &Fleet, traceparent: Option<&str>, bodies: &[&str]) {
    let python = variable("NIGHTSHIFT_TEST_PYTHON");
    let mut words = String::new();
    // the exchange is there once the first process has connected
    for _ in 0..50 {
        let output = tokio::process::Command::new(&python)
            .args(["-c", PUBLISH, &fleet.prefix])
            .args(bodies)
            .envs(traceparent.map(|trace| ("TRACEPARENT", trace)))
            .output()
            .await
            .unwrap();
        if output.status.success() {
            return;
        }
        words = String::from_utf8_lossy(&output.stderr).into_owned();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("pika could not publish: {words}");
}

async fn dead(fleet: &Fleet, wanted: usize) -> Value {
    for _ in 0..100 {
        let letters = fleet.json(&["queue", "dead", "--json"]).await;
        if letters.as_array().unwrap().len() >= wanted {
            return letters;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("there are fewer than {wanted} dead letters");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_client_starts_one_sync_however_often_its_request_comes() {
    let fleet = Fleet::running(&[]).await;
    fleet.connect(OrgSpec::generated("acme", 3, 200)).await;
    let request = r#"{"version":1,"request":"sync","org":"acme","mode":"full","reason":"after our deploy","id":"deploy-17"}"#;
    publish(&fleet, &[request, request]).await;
    for _ in 0..150 {
        if fleet.json(&["org", "show", "acme", "--json"]).await["revision"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    publish(&fleet, &[request]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        fleet.json(&["org", "show", "acme", "--json"]).await["revision"],
        1
    );
    let syncs = "SELECT count(*) FROM sync WHERE door = 'queue_message' AND mode = 'full' AND reason = 'after our deploy'";
    assert_eq!(fleet.database.count(syncs).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_a_dead_letter_with_its_reason() {
    let fleet = Fleet::running(&[]).await;
    publish(
        &fleet,
        &[
            "{not json",
            r#"{"version":1,"request":"sync","org":"nobody","mode":"full"}"#,
        ],
    )
    .await;
    let letters = dead(&fleet, 2).await;
    let reasons: Vec<&str> = letters
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["reason"].as_str().unwrap())
        .collect();
    assert!(
        reasons
            .iter()
            .any(|reason| reason.contains("unknown_org") && reason.contains("nobody")),
        "{reasons:?}"
    );
    assert!(
        letters
            .as_array()
            .unwrap()
            .iter()
            .any(|letter| letter["body"] == "{not json"),
        "{letters}"
    );
    assert!(
        letters
            .as_array()
            .unwrap()
            .iter()
            .all(|letter| letter["from"] == format!("{}.requests", fleet.prefix))
    );
    let dry = fleet.json(&["queue", "dead", "--requeue", "--json"]).await;
    assert_eq!(
        (dry["done"].as_bool(), dry["letters"].as_i64()),
        (Some(false), Some(2))
    );
    let send = [
        "queue",
        "dead",
        "--requeue",
        "--yes",
        "--reason",
        "the sender was told",
        "--json",
    ];
    assert_eq!(fleet.json(&send).await["requeued"], 2);
    let kept = "SELECT count(*) FROM hand WHERE deed = 'send_again' AND reason = 'the sender was told'";
    assert_eq!(fleet.database.count(kept).await, 1);
    dead(&fleet, 2).await;
}
