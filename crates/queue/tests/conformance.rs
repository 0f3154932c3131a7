//! One suite for both queues: what the port promises, in process and over a real broker.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use nightshift_domain::{Class, EventId, OrgId};
use nightshift_queue::{Amqp, AmqpSettings, Announced, EventMessage, Health, InProcess, JobMessage, Queue};
use nightshift_testkit::{
    proxy::Proxy,
    servers::{amqp_at, message},
    variable,
};
use tokio::time::timeout;
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

fn job(class: Class) -> JobMessage {
    JobMessage {
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..message(class)
    }
}

async fn broker(url: &str) -> Arc<Amqp> {
    amqp(url, &format!("t{}", Uuid::now_v7().simple())).await
}

async fn amqp(url: &str, prefix: &str) -> Arc<Amqp> {
    Arc::new(amqp_at(url, prefix).await)
}

async fn real() -> Arc<Amqp> {
    broker(&variable("NIGHTSHIFT__BROKER__URL")).await
}

async fn keeps_its_promises(queue: Arc<dyn Queue>) {
    let jobs: Vec<_> = (0..50).map(|_| job(Class::Poll)).collect();
    assert_eq!(
        queue.announce(&jobs).await.unwrap(),
        vec![Announced::Confirmed; 50]
    );

    // each comes to its class, at most `prefetch` at a time, with its trace
    let mut polls = queue.consume(Class::Poll, 2);
    let mut controls = queue.consume(Class::Control, 2);
    let (first, second) = (polls.next().await.unwrap(), polls.next().await.unwrap());
    assert!(
        timeout(Duration::from_millis(300), polls.next()).await.is_err(),
        "a third came before an answer"
    );
    assert!(timeout(Duration::from_millis(50), controls.next()).await.is_err());
    assert!(jobs.contains(first.message.as_ref().unwrap()));

    // one that is given back, and one that is dropped unanswered, come again
    let given_back = first.message.clone().unwrap();
    let dropped = second.message.clone().unwrap();
    first.ack.requeue().await;
    drop(second);
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let delivery = timeout(SOON, polls.next()).await.unwrap().unwrap();
        seen.push(delivery.message.unwrap());
        delivery.ack.ack().await;
    }
    assert!(seen.contains(&given_back) && seen.contains(&dropped));
    assert!(timeout(Duration::from_millis(300), polls.next()).await.is_err());

    // a refused one is a dead letter with its reason, and can be sent again
    let doomed = [job(Class::Control)];
    queue.announce(&doomed).await.unwrap();
    let delivery = timeout(SOON, controls.next()).await.unwrap().unwrap();
    delivery.ack.reject("it names no org").await;
    let letters = timeout(SOON, async {
        loop {
            let letters = queue.list_dead(10).await.unwrap();
            if !letters.is_empty() {
                return letters;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let letters = letters.await.unwrap();
    assert_eq!(
        (letters.len(), letters[0].reason.as_str()),
        (1, "it names no org")
    );
    assert!(letters[0].from.ends_with("control"), "{letters:?}");
    assert_eq!(
        timeout(SOON, queue.list_dead(10)).await.unwrap().unwrap().len(),
        1,
        "looking takes nothing away"
    );
    assert_eq!(queue.requeue_dead().await.unwrap(), 1);
    let again = timeout(SOON, controls.next()).await.unwrap().unwrap();
    assert_eq!(again.message.unwrap(), doomed[0]);
    again.ack.ack().await;
    assert!(queue.list_dead(10).await.unwrap().is_empty());

    // an event that nobody listens to is sent all the same
    let event = EventMessage {
        id: EventId::from_uuid(Uuid::now_v7()),
        org: OrgId::from_uuid(Uuid::now_v7()),
        sequence: 1,
        topic: "sync.succeeded".into(),
        body: serde_json::json!({ "revision": 1 }),
        traceparent: None,
    };
    queue.publish_event(&event).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_in_process_keeps_its_promises() {
    keeps_its_promises(Arc::new(InProcess::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_at_a_broker_keeps_its_promises() {
    keeps_its_promises(real().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b109_consumers_go_on_after_the_connection_is_cut() {
    let (proxy, url) = Proxy::on_the_way(&variable("NIGHTSHIFT__BROKER__URL")).await;
    let queue = broker(&url).await;
    let mut polls = queue.consume(Class::Poll, 4);
    for round in 0..3_u32 {
        let wanted = job(Class::Poll);
        timeout(SOON, async {
            while queue.announce(std::slice::from_ref(&wanted)).await.unwrap() != [Announced::Confirmed] {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await
        .unwrap();
        let held = loop {
            let delivery = timeout(SOON, polls.next()).await.unwrap().unwrap();
            if delivery.message.as_ref() == Ok(&wanted) {
                break delivery;
            }
            delivery.ack.ack().await;
        };
        proxy.hang_up();
        // the broker takes it back with the connection; answering it late does no harm
        tokio::time::sleep(Duration::from_millis(200)).await;
        held.ack.ack().await;
        let again = timeout(SOON, polls.next()).await.unwrap().unwrap();
        assert_eq!(again.message.as_ref(), Ok(&wanted), "round {round}");
        again.ack.ack().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_whose_connection_dies_under_them_end() {
    let (proxy, url) = Proxy::on_the_way(&variable("NIGHTSHIFT__BROKER__URL")).await;
    let queue = broker(&url).await;
    for _ in 0..5 {
        let jobs: Vec<_> = (0..20).map(|_| job(Class::Poll)).collect();
        let mut health = queue.health();
        let connected = health.wait_for(|health| *health == Health::Connected);
        timeout(SOON, connected).await.unwrap().unwrap();
        // some may be lost with the cut of the round before
        while queue.announce(&jobs).await.is_err() {}
        let polls: Vec<_> = queue.consume(Class::Poll, 20).take(20).collect().await;
        let answers = futures::future::join_all(polls.into_iter().map(|delivery| delivery.ack.ack()));
        proxy.hang_up();
        timeout(SOON, answers).await.expect("an answer never ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_outlives_its_queue() {
    let url = variable("NIGHTSHIFT__BROKER__URL");
    let prefix = format!("t{}", Uuid::now_v7().simple());
    let queue = amqp(&url, &prefix).await;
    let mut polls = queue.consume(Class::Poll, 4);
    assert!(timeout(Duration::from_millis(300), polls.next()).await.is_err());
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let delete = channel.queue_delete(
        format!("{prefix}.poll").into(),
        lapin::options::QueueDeleteOptions::default(),
    );
    delete.await.unwrap();
    // another process declares it again at once
    let other = amqp(&url, &prefix).await;
    assert_eq!(
        other.announce(&[job(Class::Poll)]).await.unwrap(),
        [Announced::Confirmed]
    );
    let delivery = timeout(Duration::from_secs(60), polls.next())
        .await
        .unwrap()
        .unwrap();
    delivery.ack.ack().await;
}

/// The poll queue as somebody else declared it: a message may come back so often, then it is a dead letter.
async fn with_a_delivery_limit(prefix: &str, limit: i64) -> lapin::Connection {
    use lapin::types::{AMQPValue, FieldTable, LongString};
    let url = variable("NIGHTSHIFT__BROKER__URL");
    let connection = lapin::Connection::connect(&url, lapin::ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let text = |text: String| AMQPValue::LongString(LongString::from(text));
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(limit));
    arguments.insert("x-dead-letter-exchange".into(), text(format!("{prefix}.dead")));
    let options = lapin::options::QueueDeclareOptions {
        durable: true,
        ..lapin::options::QueueDeclareOptions::default()
    };
    channel
        .queue_declare(format!("{prefix}.poll").into(), options, arguments)
        .await
        .unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn b115_a_queue_with_other_arguments_is_used_as_it_is() {
    let prefix = format!("t{}", Uuid::now_v7().simple());
    let foreign = with_a_delivery_limit(&prefix, 5).await;
    let queue = amqp(&foreign_url(), &prefix).await;
    for class in [Class::Poll, Class::Control] {
        let wanted = job(class);
        let announced = queue.announce(std::slice::from_ref(&wanted)).await.unwrap();
        assert_eq!(announced, [Announced::Confirmed], "{class}");
        let delivery = timeout(SOON, queue.consume(class, 1).next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(delivery.message.as_ref(), Ok(&wanted));
        delivery.ack.ack().await;
    }
    drop(foreign);
}

fn foreign_url() -> String {
    variable("NIGHTSHIFT__BROKER__URL")
}

#[tokio::test(flavor = "multi_thread")]
async fn b111_neighbours_that_a_broker_buried_come_when_they_are_announced_again() {
    let prefix = format!("t{}", Uuid::now_v7().simple());
    let _foreign = with_a_delivery_limit(&prefix, 2).await;
    let queue = amqp(&foreign_url(), &prefix).await;
    let jobs: Vec<_> = (0..20).map(|_| job(Class::Poll)).collect();
    queue.announce(&jobs).await.unwrap();
    // a worker that dies of one gives all of them back, and the broker counts it against each
    let buried = timeout(SOON, async {
        loop {
            let polls = queue.consume(Class::Poll, 20).take(20);
            let held = timeout(Duration::from_millis(500), polls.collect::<Vec<_>>()).await;
            drop(held);
            let dead = queue.list_dead(100).await.unwrap();
            if dead.len() == 20 {
                return dead;
            }
        }
    });
    let dead = buried.await.unwrap();
    assert!(
        dead.iter()
            .all(|letter| letter.reason == "broker: delivery_limit"),
        "{dead:?}"
    );
    // their rows are due all the same: the sweep announces them
    assert_eq!(
        queue.announce(&jobs).await.unwrap(),
        vec![Announced::Confirmed; 20]
    );
    let polls = queue.consume(Class::Poll, 20).take(20).collect::<Vec<_>>();
    for delivery in timeout(SOON, polls).await.unwrap() {
        assert!(jobs.contains(delivery.message.as_ref().unwrap()));
        delivery.ack.ack().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b113_a_message_that_is_given_back_again_and_again_is_worked_or_dead_with_its_reason() {
    for limit in [3, 1_000] {
        let prefix = format!("t{}", Uuid::now_v7().simple());
        let _foreign = with_a_delivery_limit(&prefix, limit).await;
        let queue = amqp(&foreign_url(), &prefix).await;
        let wanted = [job(Class::Poll)];
        queue.announce(&wanted).await.unwrap();
        let mut polls = queue.consume(Class::Poll, 1);
        let mut given_back = 0;
        while given_back < 21 {
            let Ok(Some(delivery)) = timeout(Duration::from_secs(2), polls.next()).await else {
                break;
            };
            delivery.ack.requeue().await;
            given_back += 1;
        }
        if limit == 3 {
            let dead = queue.list_dead(10).await.unwrap();
            assert_eq!(dead.len(), 1, "given back {given_back} times");
            assert_eq!(dead[0].reason, "broker: delivery_limit");
            assert!(dead[0].from.ends_with("poll"));
            queue.announce(&wanted).await.unwrap();
        } else {
            assert_eq!(given_back, 21);
        }
        let delivery = timeout(SOON, polls.next()).await.unwrap().unwrap();
        assert_eq!(delivery.message.as_ref(), Ok(&wanted[0]));
        delivery.ack.ack().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_dead_letters_are_sent_again_at_once() {
    let queue = real().await;
    let jobs: Vec<_> = (0..30).map(|_| job(Class::Notify)).collect();
    queue.announce(&jobs).await.unwrap();
    let mut deliveries = queue.consume(Class::Notify, 30);
    for _ in 0..30 {
        deliveries.next().await.unwrap().ack.reject("a test").await;
    }
    assert_eq!(queue.requeue_dead().await.unwrap(), 30);
    assert_eq!(queue.requeue_dead().await.unwrap(), 0);
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_without_being_shown() {
    let settings = AmqpSettings::new("amqp:hunter2".into());
    let refused = Amqp::start(&settings).unwrap_err().to_string();
    assert!(
        refused.contains("broker.url") && !refused.contains("hunter2"),
        "{refused}"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn each_version_of_a_job_message_ever_sent_is_read() {
    let golden = r#"{"version":1,"org":"0198c0de-0000-7000-8000-000000000001","job":"0198c0de-0000-7000-8000-000000000002","class":"ingest"}"#;
    let message = JobMessage::decode(golden.as_bytes(), None).unwrap();
    assert_eq!(message.class, Class::Ingest);
    assert_eq!(String::from_utf8(message.encode()).unwrap(), golden);
    for bad in [
        "",
        "{}",
        "[1]",
        &golden.replace("\"version\":1", "\"version\":2"),
        &golden.replace('}', ",\"x\":1}"),
    ] {
        assert!(JobMessage::decode(bad.as_bytes(), None).is_err(), "{bad}");
    }
}
