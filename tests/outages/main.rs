//! The broker and the database restarted in the middle of twenty syncs, and a broker without memory. A target of its own, because the servers are
//! shared: `cargo test` runs targets one after the other.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "../fleet/harness.rs"]
#[allow(dead_code, reason = "the fleet's tests use the rest")]
mod harness;

use std::{path::Path, time::Duration};

use futures::StreamExt;
use harness::{Fleet, contents, small_org};
use nightshift_domain::{Class, JobId, OrgId};
use nightshift_queue::{Amqp, AmqpSettings, Announced, Health, JobMessage, Queue, QueueError};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::variable;
use uuid::Uuid;

const SYNCS: usize = 20;
const SOON: Duration = Duration::from_secs(30);

async fn deps(script: &str, what: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/deps/{script}"));
    let run = tokio::process::Command::new(script)
        .args([what, &variable("NIGHTSHIFT_TEST_DEPS")])
        .output();
    let output = run.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Twenty syncs, the restart once the first have begun, and all of them end as if nothing had been.
async fn survives_a_restart_of(server: &str) {
    let fleet = Fleet::running(&[("JOBS__LEASE_SECONDS", "3"), ("JOBS__REANNOUNCE_SECONDS", "2")]).await;
    let night = || small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder("quiet", night(), None)).await;
    assert_eq!(fleet.sync("quiet").await["state"], "succeeded");
    let quiet = contents(&fleet.export("quiet").await);
    for n in 0..SYNCS {
        fleet
            .connect(OrgSpec::from_folder(&format!("org-{n}"), night(), None))
            .await;
    }
    for n in 0..SYNCS {
        let accepted = fleet.run(&["sync", &format!("org-{n}"), "--json"]).await;
        assert!(accepted.status.success());
        if n == SYNCS - 4 {
            let open = "SELECT count(*) FROM sync WHERE state IN ('queued', 'running')";
            assert!(fleet.database.count(open).await > 0, "the restart comes too late");
            deps("restart", server).await;
        }
    }
    for n in 0..SYNCS {
        let org = format!("org-{n}");
        let sync = fleet.sync(&org).await;
        assert_eq!(sync["state"], "succeeded", "{sync}");
        assert_eq!(contents(&fleet.export(&org).await), quiet);
    }
    assert_eq!(fleet.database.count("SELECT count(*) FROM support_case").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_of_the_broker_and_of_the_database_lose_nothing() {
    survives_a_restart_of("rabbitmq").await;
    survives_a_restart_of("postgres").await;
    goes_on_consuming_under_a_memory_alarm().await;
}

/// While the broker takes no messages the ones that it has are consumed and answered; afterwards it takes them again.
async fn goes_on_consuming_under_a_memory_alarm() {
    let settings = AmqpSettings {
        url: variable("NIGHTSHIFT__BROKER__URL").into(),
        prefix: format!("t{}", Uuid::now_v7().simple()),
    };
    let queue = Amqp::start(&settings).unwrap();
    let jobs: Vec<_> = (0..10).map(|_| job()).collect();
    let all = [Announced::Confirmed; 10];
    let mut health = queue.health();
    health
        .wait_for(|health| *health == Health::Connected)
        .await
        .unwrap();
    assert_eq!(queue.announce(&jobs).await.unwrap(), all);
    deps("alarm", "on").await;
    // a blocked publisher learns it when it publishes
    assert!(matches!(queue.announce(&jobs).await, Err(QueueError::Timeout(_))));
    assert_eq!(*health.borrow_and_update(), Health::Blocked);
    let mut deliveries = queue.consume(Class::Poll, 2);
    for _ in 0..10 {
        let delivery = tokio::time::timeout(SOON, deliveries.next())
            .await
            .unwrap()
            .unwrap();
        delivery.ack.ack().await;
    }
    deps("alarm", "off").await;
    let unblocked = health.wait_for(|health| *health == Health::Connected);
    tokio::time::timeout(SOON, unblocked).await.unwrap().unwrap();
    assert_eq!(queue.announce(&jobs).await.unwrap(), all);
}

fn job() -> JobMessage {
    JobMessage {
        org: OrgId::from_uuid(Uuid::now_v7()),
        job: JobId::from_uuid(Uuid::now_v7()),
        class: Class::Poll,
        traceparent: None,
    }
}
