//! A database that was restored to an earlier hour, under a broker that is as full as it was.

use std::time::Duration;

use nightshift_domain::{Class, JobId, OrgId};
use nightshift_queue::{Announced, JobMessage, Queue};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::servers::amqp;
use uuid::Uuid;

use crate::harness::Fleet;

/// Messages that the broker kept.
const KEPT: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_row_is_acknowledged_and_does_nothing() {
    let mut fleet = Fleet::new(&[]).await;
    let org = fleet.connect(OrgSpec::generated("acme", 7, 200)).await;
    let known: OrgId = org["id"].as_str().unwrap().parse().unwrap();
    let broker = amqp(&fleet.prefix).await;
    let message = |n: usize| JobMessage {
        // of an org that the older database has, and of one that it has not
        org: if n.is_multiple_of(2) {
            known
        } else {
            OrgId::from_uuid(Uuid::now_v7())
        },
        job: JobId::from_uuid(Uuid::now_v7()),
        class: [Class::Control, Class::Poll, Class::Ingest][n % 3],
        traceparent: None,
    };
    let kept: Vec<JobMessage> = (0..KEPT).map(message).collect();
    let answers = broker.announce(&kept).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Announced::Confirmed));

    fleet.start("scheduler", &[]);
    fleet.start("worker", &[]);
    let sync = fleet.sync("acme").await;
    assert_eq!(sync["state"], "succeeded", "{sync}");
    let mut left = Vec::new();
    for _ in 0..100 {
        left = broker.inspect().await.unwrap();
        if left.iter().all(|queue| queue.messages == 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(left.iter().all(|queue| queue.messages == 0), "{left:?}");
    assert!(broker.list_dead(10).await.unwrap().is_empty());
    assert_eq!(fleet.database.count("SELECT count(*) FROM sync").await, 1);
    assert_eq!(fleet.database.count("SELECT count(*) FROM job").await, 0);
    assert_eq!(fleet.database.count("SELECT count(*) FROM support_case").await, 0);
}
