//! The private broker and database: ended, started and wiped by the scripts of `tests/deps`, and a queue at the broker.
//!
//! They are everybody's who was started with them: a test that lays hands on them stands in a target of its own.

use std::{path::Path, time::Duration};

use nightshift_domain::{Class, JobId, OrgId};
use nightshift_queue::{Amqp, AmqpSettings, Health, JobMessage, Queue};
use uuid::Uuid;

use crate::variable;

/// How long the broker may take to answer.
const SOON: Duration = Duration::from_secs(20);

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
}

/// The broker's alarm of memory: while it is on the broker takes no messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// Begins.
    On,
    /// Ends.
    Off,
}

/// Ends one and starts it again on the same port with what it had. `how`: the signal (politely when there is none), then
/// the seconds for which it is away.
///
/// # Panics
/// When it does not come back.
pub async fn restart(server: Server, how: &[&str]) {
    let server = match server {
        Server::Broker => "rabbitmq",
        Server::Database => "postgres",
    };
    run("restart", &[&[server, &set()], how].concat()).await;
}

/// Tells the broker something by `rabbitmqctl`; `wipe` takes all that it has.
///
/// # Panics
/// When it refuses.
pub async fn ctl(arguments: &[&str]) {
    run("ctl", &[&[set().as_str()], arguments].concat()).await;
}

/// Begins or ends the broker's alarm.
///
/// # Panics
/// When it refuses.
pub async fn alarm(alarm: Alarm) {
    let word = match alarm {
        Alarm::On => "on",
        Alarm::Off => "off",
    };
    run("alarm", &[word, &set()]).await;
}

/// A message of a job that is nobody's.
pub fn message(class: Class) -> JobMessage {
    JobMessage {
        org: OrgId::from_uuid(Uuid::now_v7()),
        job: JobId::from_uuid(Uuid::now_v7()),
        class,
        traceparent: None,
    }
}

/// The queue at the broker, connected; its queues' names begin with `prefix`.
///
/// # Panics
/// When the broker is not there.
pub async fn amqp(prefix: &str) -> Amqp {
    amqp_at(&variable("NIGHTSHIFT__BROKER__URL"), prefix).await
}

/// The same by another way to the broker.
///
/// # Panics
/// When the broker is not there.
pub async fn amqp_at(url: &str, prefix: &str) -> Amqp {
    let settings = AmqpSettings {
        url: url.into(),
        prefix: prefix.to_owned(),
    };
    let queue = Amqp::start(&settings).expect("it is a URL");
    let mut health = queue.health();
    let connected = health.wait_for(|health| *health == Health::Connected);
    tokio::time::timeout(SOON, connected)
        .await
        .expect("the tests' broker answers")
        .expect("the queue lives");
    queue
}

fn set() -> String {
    variable("NIGHTSHIFT_TEST_DEPS")
}

async fn run(script: &str, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/deps/{script}"));
    let output = tokio::process::Command::new(path)
        .args(arguments)
        .output()
        .await
        .expect("the script is there");
    assert!(
        output.status.success(),
        "{script} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
