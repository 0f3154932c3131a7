//! A message that no queue takes: the broker confirms it all the same, and whoever believes the confirm has lost a job.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use futures::StreamExt;
use nightshift_domain::Class;
use nightshift_queue::{Announced, Queue};
use nightshift_testkit::{
    servers::{amqp, message},
    variable,
};
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

/// Somebody deletes the queue of a class under a fleet that runs.
async fn delete(queue: &str) {
    let url = variable("NIGHTSHIFT__BROKER__URL");
    let properties = lapin::ConnectionProperties::default();
    let connection = lapin::Connection::connect(&url, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = lapin::options::QueueDeleteOptions::default();
    channel.queue_delete(queue.into(), options).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unroutable_publish_is_never_taken_for_a_success() {
    let prefix = format!("t{}", Uuid::now_v7().simple());
    let queue = amqp(&prefix).await;
    let polls: Vec<_> = (0..20).map(|_| message(Class::Poll)).collect();
    let mixed: Vec<_> = (0..20)
        .map(|n| message(if n % 2 == 0 { Class::Poll } else { Class::Control }))
        .collect();
    assert_eq!(queue.announce(&polls).await.unwrap(), [Announced::Confirmed; 20]);
    delete(&format!("{prefix}.poll")).await;

    // an answer for each, in order: those of the other class are well
    let answers = queue.announce(&mixed).await.unwrap();
    for (answer, message) in answers.iter().zip(&mixed) {
        let wanted = match message.class {
            Class::Poll => Announced::Unroutable,
            _ => Announced::Confirmed,
        };
        assert_eq!(*answer, wanted, "{}", message.class);
    }
    // it stays so until somebody declares the queue again, and then nothing stands in the way
    assert_eq!(queue.announce(&polls).await.unwrap(), [Announced::Unroutable; 20]);
    let again = amqp(&prefix).await;
    assert_eq!(queue.announce(&polls).await.unwrap(), [Announced::Confirmed; 20]);
    let come = again.consume(Class::Poll, 20).take(20).collect::<Vec<_>>();
    for delivery in timeout(SOON, come).await.unwrap() {
        assert!(polls.contains(delivery.message.as_ref().unwrap()));
        delivery.ack.ack().await;
    }
}
