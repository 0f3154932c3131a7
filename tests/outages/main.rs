//! The broker and the database restarted in the middle of twenty syncs, away for a while, wiped, without memory. A target
//! of its own, because the servers are shared: `cargo test` runs targets one after the other.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "the figures are what it is run for")]

#[path = "../fleet/harness.rs"]
#[allow(dead_code, reason = "the fleet's tests use the rest")]
mod harness;

mod drains;
mod figures;
mod load;
mod rates;
mod wiped;

use std::time::Duration;

use futures::StreamExt;
use harness::{Fleet, contents, small_org};
use nightshift_domain::{Class, JobId, OrgId};
use nightshift_queue::{Announced, Health, JobMessage, Queue, QueueError};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::{
    servers::{Alarm, Server, alarm, amqp, restart},
    soaks,
};
use uuid::Uuid;

const SYNCS: usize = 20;
const SOON: Duration = Duration::from_secs(30);
/// The servers are one test's at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// Messages of the memory alarm, and how long it is on in a long run, in which they are consumed one after the other.
const MESSAGES: usize = 10;
const LONG_ALARM: Duration = Duration::from_secs(60);

/// Twenty syncs, the restart once the first have begun, and all of them end as if nothing had been.
async fn survives_a_restart_of(server: Server) {
    let fleet = Fleet::running(&[("JOBS__LEASE_SECONDS", "3"), ("JOBS__REANNOUNCE_SECONDS", "2")]).await;
    let quiet = fleet.quiet_night().await;
    let night = || small_org().join("night-1");
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
            restart(server, &[]).await;
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
    let _turn = TURN.lock().await;
    survives_a_restart_of(Server::Broker).await;
    survives_a_restart_of(Server::Database).await;
    goes_on_consuming_under_a_memory_alarm().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_outage_work_goes_on_by_itself() {
    let _turn = TURN.lock().await;
    figures::the_broker_is_away().await;
    figures::the_database_is_away().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_broker_costs_no_sync_and_little_is_delivered_in_vain() {
    let _turn = TURN.lock().await;
    wiped::while_many_syncs_run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_wiped_under_a_large_backlog_is_filled_again() {
    let _turn = TURN.lock().await;
    wiped::with_many_due_rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_ends_soon_whatever_it_does() {
    let _turn = TURN.lock().await;
    drains::workers_end_when_they_are_told().await;
}

/// While the broker takes no messages the ones that it has are consumed and answered; afterwards it takes them again.
async fn goes_on_consuming_under_a_memory_alarm() {
    let queue = amqp(&format!("t{}", Uuid::now_v7().simple())).await;
    let jobs: Vec<_> = (0..MESSAGES).map(|_| job()).collect();
    let all = [Announced::Confirmed; MESSAGES];
    let mut health = queue.health();
    assert_eq!(queue.announce(&jobs).await.unwrap(), all);
    alarm(Alarm::On).await;
    // a blocked publisher learns it when it publishes
    assert!(matches!(queue.announce(&jobs).await, Err(QueueError::Timeout(_))));
    assert_eq!(*health.borrow_and_update(), Health::Blocked);
    let mut deliveries = queue.consume(Class::Poll, 2);
    for _ in 0..MESSAGES {
        if soaks() {
            tokio::time::sleep(LONG_ALARM / MESSAGES as u32).await;
        }
        let delivery = tokio::time::timeout(SOON, deliveries.next())
            .await
            .unwrap()
            .unwrap();
        delivery.ack.ack().await;
    }
    alarm(Alarm::Off).await;
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
