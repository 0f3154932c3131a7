//! From a message's publication to its claim, at 200 a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{future::BoxFuture, stream::BoxStream};
use nightshift_domain::{Class, Kind, OrgId, Outcome, StepError};
use nightshift_jobs::{
    Alone, JobsSettings, Machine, Registry, Step, StepCx, announce,
    consume::{ConsumeSettings, consume},
};
use nightshift_queue::{
    Amqp, Announced, DeadLetter, Delivery, EventMessage, Health, JobMessage, Queue, QueueError,
    RequestDelivery,
};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    measure::{Figures, ROUNDS},
    ours::queue,
    site::{Chain, Site},
};

const A_SECOND: u64 = 200;
const SECONDS: u64 = 10;
const CHAINS: u32 = 100;

/// The broker, and when each org's message left for it.
struct Watched {
    broker: Arc<Amqp>,
    left: Mutex<HashMap<OrgId, Instant>>,
}

impl Queue for Watched {
    fn announce<'a>(&'a self, jobs: &'a [JobMessage]) -> BoxFuture<'a, Result<Vec<Announced>, QueueError>> {
        let mut left = self.left.lock().unwrap();
        for job in jobs {
            left.insert(job.org, Instant::now());
        }
        drop(left);
        self.broker.announce(jobs)
    }

    fn publish_event<'a>(&'a self, event: &'a EventMessage) -> BoxFuture<'a, Result<(), QueueError>> {
        self.broker.publish_event(event)
    }

    fn consume(&self, class: Class, prefetch: u16) -> BoxStream<'static, Delivery> {
        self.broker.consume(class, prefetch)
    }

    fn consume_requests(&self, prefetch: u16) -> BoxStream<'static, RequestDelivery> {
        self.broker.consume_requests(prefetch)
    }

    fn list_dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>, QueueError>> {
        self.broker.list_dead(limit)
    }

    fn requeue_dead(&self) -> BoxFuture<'_, Result<usize, QueueError>> {
        self.broker.requeue_dead()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.broker.health()
    }

    fn emptied(&self) -> watch::Receiver<Option<Instant>> {
        self.broker.emptied()
    }
}

/// What the step needs to tell the time from publication.
struct Arrivals {
    queue: Arc<Watched>,
    milliseconds: Mutex<Vec<f64>>,
}

/// Runs right after its claim, and looks at the clock.
struct Arrive;

impl Step<Arrivals> for Arrive {
    type Payload = ();
    const KIND: Kind = Kind::new("link");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(60);

    async fn run(&self, cx: &mut StepCx<'_, Arrivals>, (): ()) -> Result<Outcome, StepError> {
        let left = cx.context.queue.left.lock().unwrap().remove(&cx.org);
        if let Some(left) = left {
            let took = left.elapsed().as_secs_f64() * 1e3;
            cx.context.milliseconds.lock().unwrap().push(took);
        }
        Ok(Outcome::done(vec![], vec![]))
    }
}

/// A job that is due now, as a settlement leaves it.
async fn insert(pool: &PgPool, chain: Chain) {
    sqlx::query(
        "INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, created_at)
         VALUES ($1, $2, $3, 'link', 'control', 'free', 'null', 'due', nightshift_now(), nightshift_now())",
    )
    .bind(chain.org.uuid())
    .bind(Uuid::now_v7())
    .bind(chain.sync.uuid())
    .execute(pool)
    .await
    .unwrap();
}

async fn round(site: &Site, pool: &PgPool, watched: &Arc<Watched>) -> Vec<f64> {
    let context = Arc::new(Arrivals {
        queue: Arc::clone(watched),
        milliseconds: Mutex::default(),
    });
    let machine = Arc::new(Machine {
        store: site.store.clone(),
        queue: Arc::clone(watched) as Arc<dyn Queue>,
        registry: Registry::new().with(Arrive),
        context: Arc::clone(&context),
        settings: JobsSettings::default(),
        alone: Alone::default(),
    });
    let stop = CancellationToken::new();
    let settings = ConsumeSettings {
        concurrency: 16,
        drain: Duration::from_secs(10),
    };
    let consuming = tokio::spawn(consume(
        Arc::clone(&machine),
        Class::Control,
        settings,
        stop.clone(),
    ));
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 / A_SECOND));
    for chain in site.chains.iter().cycle().take((A_SECOND * SECONDS) as usize) {
        pace.tick().await;
        let (machine, pool, chain) = (Arc::clone(&machine), pool.clone(), *chain);
        tokio::spawn(async move {
            insert(&pool, chain).await;
            let (store, queue) = (&machine.store, machine.queue.as_ref());
            announce(store, queue, &machine.settings, chain.org)
                .await
                .unwrap();
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.cancel();
    consuming.await.unwrap();
    let mut seen = context.milliseconds.lock().unwrap();
    std::mem::take(&mut *seen)
}

pub async fn measure() {
    let site = Site::new(CHAINS).await;
    // the chains' own first jobs are not meant
    site.database.run("DELETE FROM job").await;
    let pool = PgPool::connect(site.database.url()).await.unwrap();
    let watched = Arc::new(Watched {
        broker: queue().await,
        left: Mutex::default(),
    });
    let [mut p50, mut p99] = <[Figures; 2]>::default();
    let mut seen = 0;
    for _ in 0..ROUNDS {
        let mut took = Figures::default();
        for ms in round(&site, &pool, &watched).await {
            took.add(ms);
            seen += 1;
        }
        p50.add(took.quantile(0.5));
        p99.add(took.quantile(0.99));
    }
    println!(
        "publish to claimed at {A_SECOND}/s ({seen} jobs): p50 {p50} ms (must 3), p99 {p99} ms (must 20)"
    );
}
