//! The same calls without our crates: what RabbitMQ, PostgreSQL and their drivers take by themselves.
//!
//! A delivery, a claim by compare-and-set in its own commit, a transaction of two statements (the sync's row is locked;
//! then one statement deletes the job under its fence, writes one row and inserts the job that follows), a persistent
//! and mandatory message with its confirm awaited, the acknowledgement. The tables are ours, with their indexes.

use std::sync::{Arc, atomic::Ordering};

use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use nightshift_testkit::variable;
use sqlx::{Acquire, PgPool, Row, postgres::PgPoolOptions};
use tokio::sync::watch;
use uuid::Uuid;

use crate::site::{CONNECTIONS, Chain, Done, Site, rate};

const CLAIM: &str =
    "UPDATE job SET state = 'claimed', fence = fence + 1, lease_until = now() + interval '60 s'
    WHERE org_id = $1 AND id = $2 AND not_before <= now()
      AND (state = 'due' OR (state = 'claimed' AND lease_until < now()))
    RETURNING sync_id, fence, payload";
const LOCK: &str = "SELECT state FROM sync WHERE org_id = $1 AND id = $2 FOR UPDATE";
const SETTLE: &str = "WITH mine AS (
        DELETE FROM job WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'
        RETURNING sync_id, kind, class, lane, payload
    ), line AS (
        INSERT INTO timeline (org_id, sync_id, at, job_id, kind, event, fence)
        SELECT $1, sync_id, now(), $2, kind, 'done', $3 FROM mine
    )
    INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, created_at, announced_at)
    SELECT $1, $4, sync_id, kind, class, lane, payload, 'due', now(), now(), now() FROM mine";

/// A job's place: org and id.
type Place = (Uuid, Uuid);

/// The database's part.
#[derive(Clone)]
pub struct Rows {
    pool: PgPool,
}

impl Rows {
    pub async fn on(site: &Site) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .connect(site.database.url())
            .await
            .unwrap();
        Self { pool }
    }

    /// Claims and settles; the job that follows, unless the message was a double.
    pub async fn step(&self, (org, job): Place) -> Option<Place> {
        let claimed = sqlx::query(CLAIM).bind(org).bind(job).fetch_optional(&self.pool);
        let claimed = claimed.await.unwrap()?;
        let (sync, fence): (Uuid, i64) = (claimed.get("sync_id"), claimed.get("fence"));
        let next = Uuid::now_v7();
        let mut connection = self.pool.acquire().await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        let lock = sqlx::query(LOCK).bind(org).bind(sync);
        lock.execute(&mut *tx).await.unwrap();
        let settle = sqlx::query(SETTLE).bind(org).bind(job).bind(fence).bind(next);
        assert_eq!(settle.execute(&mut *tx).await.unwrap().rows_affected(), 1);
        tx.commit().await.unwrap();
        Some((org, next))
    }
}

/// The broker's part: a quorum queue, a connection for each direction.
pub struct Messages {
    queue: String,
    consuming: Connection,
    // the channel ends with it
    _publisher: Connection,
    publishing: Channel,
}

impl Messages {
    pub async fn new() -> Self {
        let url = variable("NIGHTSHIFT__BROKER__URL");
        let connect = || Connection::connect(&url, ConnectionProperties::default());
        let (consuming, publisher) = (connect().await.unwrap(), connect().await.unwrap());
        let publishing = publisher.create_channel().await.unwrap();
        let confirm = ConfirmSelectOptions::default();
        publishing.confirm_select(confirm).await.unwrap();
        let queue = format!("bare-{}", Uuid::now_v7().simple());
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let declared = publishing.queue_declare(queue.as_str().into(), options, arguments);
        declared.await.unwrap();
        Self {
            queue,
            consuming,
            _publisher: publisher,
            publishing,
        }
    }

    /// With a message for each chain.
    pub async fn of(chains: &[Chain]) -> Self {
        let messages = Self::new().await;
        for chain in chains {
            messages.publish((chain.org.uuid(), chain.job.uuid())).await;
        }
        messages
    }

    pub async fn publish(&self, (org, job): Place) {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let persistent = BasicProperties::default().with_delivery_mode(2);
        let body = [org.into_bytes(), job.into_bytes()].concat();
        let (exchange, key) = ("".into(), self.queue.as_str().into());
        let sent = self
            .publishing
            .basic_publish(exchange, key, options, &body, persistent);
        sent.await.unwrap().await.unwrap();
    }

    /// Answers deliveries, so many at a time, until told to stop.
    async fn each<F: Future<Output = ()>>(
        &self,
        at_a_time: u16,
        mut stop: watch::Receiver<bool>,
        answer: impl Fn(Delivery) -> F,
    ) {
        let channel = self.consuming.create_channel().await.unwrap();
        let prefetch = BasicQosOptions::default();
        channel.basic_qos(at_a_time, prefetch).await.unwrap();
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let queue = self.queue.as_str().into();
        let consumer = channel.basic_consume(queue, "".into(), options, arguments);
        let deliveries = consumer.await.unwrap();
        deliveries
            .take_until(async move { stop.wait_for(|stop| *stop).await.map(drop) })
            .for_each_concurrent(usize::from(at_a_time), |delivery| answer(delivery.unwrap()))
            .await;
        channel.close(200, "done".into()).await.unwrap();
    }
}

fn place(delivery: &Delivery) -> Place {
    let (org, job) = delivery.data.split_at(16);
    (Uuid::from_slice(org).unwrap(), Uuid::from_slice(job).unwrap())
}

/// Jobs a second of the whole loop, so many at a time.
pub async fn whole(rows: &Rows, messages: &Arc<Messages>, at_a_time: u16) -> f64 {
    messages_rate(messages, at_a_time, |place| rows.step(place)).await
}

/// The same with no database: a message for each message.
pub async fn broker_alone(messages: &Arc<Messages>, at_a_time: u16) -> f64 {
    messages_rate(messages, at_a_time, |place| std::future::ready(Some(place))).await
}

async fn messages_rate<F: Future<Output = Option<Place>>>(
    messages: &Arc<Messages>,
    at_a_time: u16,
    step: impl Fn(Place) -> F,
) -> f64 {
    let (done, (stop, stopped)) = (Done::default(), watch::channel(false));
    let answer = |delivery: Delivery| {
        let (step, done) = (&step, &done);
        async move {
            if let Some(next) = step(place(&delivery)).await {
                messages.publish(next).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
            delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        }
    };
    let counting = async {
        let rate = rate(&done).await;
        stop.send_replace(true);
        rate
    };
    tokio::join!(counting, messages.each(at_a_time, stopped, answer)).0
}

/// The same with no broker: each worker goes along its own chains.
pub async fn rows_alone(rows: &Rows, places: &mut Vec<Place>, at_a_time: u16) -> f64 {
    let (done, (stop, stopped)) = (Done::default(), watch::channel(false));
    let share = places.len().div_ceil(usize::from(at_a_time));
    let workers: Vec<_> = places
        .chunks(share)
        .map(|mine| {
            let (rows, done, stopped, mut mine) =
                (rows.clone(), Arc::clone(&done), stopped.clone(), mine.to_vec());
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    for place in &mut mine {
                        *place = rows.step(*place).await.unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
                mine
            })
        })
        .collect();
    let rate = rate(&done).await;
    stop.send_replace(true);
    places.clear();
    for worker in workers {
        places.extend(worker.await.unwrap());
    }
    rate
}
