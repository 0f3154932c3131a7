//! A broker that knows nothing of us any more: found so by whoever connects first, and by nobody when it knows us.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use lapin::options::ExchangeDeleteOptions;
use nightshift_queue::{Amqp, Health, Queue};
use nightshift_testkit::{
    proxy::Proxy,
    servers::{amqp, amqp_at},
    variable,
};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

/// What a wipe does to a fleet's exchange of jobs.
async fn forget(prefix: &str) {
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(&variable("NIGHTSHIFT__BROKER__URL"), properties)
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{prefix}.jobs");
    let delete = channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default());
    delete.await.unwrap();
}

/// Both connections are cut, and there again.
async fn connects_anew(proxy: &Proxy, queue: &Amqp) {
    let accepted = proxy.accepted();
    proxy.hang_up();
    let there = async {
        while proxy.accepted() < accepted + 2 || *queue.health().borrow() != Health::Connected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, there).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_has_forgotten_us_is_found_empty_and_one_that_knows_us_is_not() {
    let prefix = format!("t{}", Uuid::now_v7().simple());
    let (proxy, url) = Proxy::on_the_way(&variable("NIGHTSHIFT__BROKER__URL")).await;

    // it knows nothing of a new fleet
    let first = amqp_at(&url, &prefix).await;
    assert!(first.emptied().borrow().is_some());
    let second = amqp(&prefix).await;
    assert_eq!(*second.emptied().borrow(), None, "what stands there was told");

    // a cut connection alone is no loss
    let mut emptied = first.emptied();
    let before = *emptied.borrow_and_update();
    connects_anew(&proxy, &first).await;
    assert_eq!(*emptied.borrow(), before);

    forget(&prefix).await;
    proxy.hang_up();
    let again = emptied.wait_for(|emptied| *emptied > before);
    tokio::time::timeout(SOON, again).await.unwrap().unwrap();
    assert_eq!(
        *second.emptied().borrow(),
        None,
        "who was not cut off did not look"
    );
}
