//! A peer that is gone without a word, between the queue and a real broker: heartbeats miss it.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "how long it took is a figure")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use nightshift_domain::Class;
use nightshift_queue::{Announced, Health, Queue};
use nightshift_testkit::{
    proxy::{Fault, Proxy},
    servers::{amqp_at, message},
    variable,
};
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);
/// Seconds between heartbeats.
const HEARTBEAT: u16 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_gone_without_a_word_is_given_up_after_two_heartbeats() {
    let url = variable("NIGHTSHIFT__BROKER__URL");
    let (plain, _) = url.split_once('?').unwrap();
    let (network, url) = Proxy::on_the_way(&format!("{plain}?heartbeat={HEARTBEAT}")).await;
    let queue = amqp_at(&url, &format!("t{}", Uuid::now_v7().simple())).await;
    let mut polls = queue.consume(Class::Poll, 4);
    let wanted = [message(Class::Poll)];
    assert_eq!(queue.announce(&wanted).await.unwrap(), [Announced::Confirmed]);
    let held = timeout(SOON, polls.next()).await.unwrap().unwrap();
    let mut health = queue.health();
    let begun = Instant::now();
    network.arm(Fault::HalfOpen);
    // both connections: what is published meanwhile is unknown or too late, what is answered ends
    let (_, (), ()) = tokio::join!(
        async {
            timeout(SOON, queue.announce(&wanted))
                .await
                .expect("announcing waits without end")
        },
        async {
            timeout(SOON, held.ack.ack())
                .await
                .expect("an answer never ended");
        },
        async {
            let gone = health.wait_for(|health| *health == Health::Connecting);
            timeout(SOON, gone).await.expect("nobody notices").unwrap();
            println!("given up after {:?}", begun.elapsed());
        }
    );
    network.heal();
    let back = queue
        .health()
        .wait_for(|health| *health == Health::Connected)
        .await
        .is_ok();
    assert!(back);
    while queue.announce(&wanted).await.is_err() {}
    let again = timeout(SOON, polls.next()).await.unwrap().unwrap();
    assert_eq!(again.message.as_ref(), Ok(&wanted[0]));
    again.ack.ack().await;
}
