//! The broker loses all that it had: in the middle of a large backlog, and in the middle of many syncs.
//!
//! Workers are at their rate again soon, little is delivered in vain, and every sync ends. Jobs and numbers are those of a
//! fleet with the usual settings; `NIGHTSHIFT_SOAK=1` takes 100,000 rows and 100 syncs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use nightshift_domain::{Class, Kind, Outcome, StepError};
use nightshift_jobs::{Alone, JobsSettings, Machine, Ran, Registry, Step, StepCx, Sweeper, tell_again};
use nightshift_queue::Queue;
use nightshift_simulator::OrgSpec;
use nightshift_testkit::{
    TestDb,
    servers::{amqp, ctl},
    soaks,
    toys::Toys,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    figures::until,
    harness::Fleet,
    load::Load,
    rates::{Processes, Reading},
};

struct Toy;

impl Step<()> for Toy {
    type Payload = serde_json::Value;
    const KIND: Kind = Kind::new("toy");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(60);

    async fn run(&self, _: &mut StepCx<'_, ()>, _: Self::Payload) -> Result<Outcome, StepError> {
        Ok(Outcome::done(vec![], vec![]))
    }
}

/// Deliveries, and those of them that were for nothing.
#[derive(Default)]
struct Counts {
    deliveries: AtomicU64,
    refused: AtomicU64,
}

/// A worker that counts.
async fn works(machine: Machine<()>, counts: Arc<Counts>) {
    let going = CancellationToken::new();
    let deliveries = machine.queue.consume(Class::Control, 16);
    let work = deliveries.for_each_concurrent(16, |delivery| async {
        let message = delivery.message.unwrap();
        counts.deliveries.fetch_add(1, Ordering::Relaxed);
        if let Ok(Ran::Refused) = machine.run(&message, &going).await {
            counts.refused.fetch_add(1, Ordering::Relaxed);
        }
        delivery.ack.ack().await;
    });
    work.await;
}

/// So many orgs with due jobs each: the fleet's backlog, written as rows.
const BACKLOG: &str = "INSERT INTO job (org_id, id, kind, class, lane, payload, state, not_before, created_at)
    SELECT org, gen_random_uuid(), 'toy', 'control', 'free', 'null', 'due', nightshift_now(), nightshift_now()
      FROM (SELECT gen_random_uuid() AS org FROM generate_series(1, (SELECT n / 4 FROM wanted))) orgs, generate_series(1, 4)";

async fn left(database: &TestDb) -> u64 {
    database.count("SELECT count(*) FROM job").await.unsigned_abs()
}

/// The broker is wiped in the middle of a large backlog: workers are at their rate again soon, and little is in vain.
pub async fn with_many_due_rows() {
    let toys = Toys::new().await;
    let database = &toys.database;
    let rows = if soaks() { 100_000 } else { 6_000 };
    database
        .run(&format!("CREATE TABLE wanted AS SELECT {rows} AS n"))
        .await;
    database.run(BACKLOG).await;
    let settings = JobsSettings::default();
    let (counts, prefix) = (
        Arc::new(Counts::default()),
        format!("t{}", Uuid::now_v7().simple()),
    );
    let stop = CancellationToken::new();
    let mut fleet = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let queue: Arc<dyn Queue> = Arc::new(amqp(&prefix).await);
        fleet.spawn(tell_again(toys.store.clone(), Arc::clone(&queue), stop.clone()));
        let machine = Machine {
            store: toys.store.clone(),
            queue,
            registry: Registry::new().with(Toy),
            context: Arc::new(()),
            settings: settings.clone(),
            alone: Alone::default(),
        };
        fleet.spawn(works(machine, Arc::clone(&counts)));
    }
    let queue: Arc<dyn Queue> = Arc::new(amqp(&prefix).await);
    fleet.spawn(tell_again(toys.store.clone(), Arc::clone(&queue), stop.clone()));
    fleet.spawn(Sweeper::new(toys.store.clone(), queue, settings).run(stop.clone()));
    let rate = async |of: Duration| {
        let (begun, before) = (Instant::now(), left(database).await);
        tokio::time::sleep(of).await;
        (before - left(database).await) as f64 / begun.elapsed().as_secs_f64()
    };
    until("the first jobs are done", Duration::from_secs(60), async || {
        left(database).await < rows
    })
    .await;
    let full = rate(Duration::from_millis(if soaks() { 5_000 } else { 1_500 })).await;
    ctl(&["wipe"]).await;
    let back = Instant::now();
    let mut again = 0.0;
    // a backlog that is worked off is at its rate too
    while again < full * 0.7 && left(database).await > 0 {
        assert!(back.elapsed() < Duration::from_secs(90), "{again}/s of {full}/s");
        again = rate(Duration::from_millis(500)).await;
    }
    let took = back.elapsed();
    until("the backlog ends", Duration::from_secs(600), async || {
        left(database).await == 0
    })
    .await;
    stop.cancel();
    fleet.shutdown().await;
    let (all, refused) = (
        counts.deliveries.load(Ordering::Relaxed),
        counts.refused.load(Ordering::Relaxed),
    );
    println!(
        "broker wiped with {rows} due rows: {full:.0} jobs/s before, {again:.0} again {took:?} after its return; \
         {refused} of {all} deliveries refused"
    );
    // few rows are soon worked off: what comes twice is a larger share of them
    let share = if soaks() { 20 } else { 10 };
    assert!(refused * share < all, "{refused} of {all}");
}

/// What a class must reach to be called at its full rate, of what it had before: syncs come and go.
const FULL: f64 = 0.8;

const ENDED: &str = "SELECT count(*) FROM sync WHERE ended_at IS NOT NULL";
const LEFT: &str =
    "SELECT (SELECT count(*) FROM sync WHERE state IN ('queued', 'running')) + (SELECT count(*) FROM job)";

/// So many orgs, a scheduler, and workers that have brought each org to its end once: from then on all classes work at once.
async fn under_load(orgs: usize) -> (Fleet, Processes, Load) {
    let usual = [("JOBS__SWEEP_MILLIS", "500"), ("JOBS__REANNOUNCE_SECONDS", "60")];
    let mut fleet = Fleet::new(&usual).await;
    let names: Vec<String> = (0..orgs).map(|n| format!("org-{n}")).collect();
    let connecting = names
        .iter()
        .map(|name| fleet.connect(OrgSpec::generated(name, 1, 100)));
    stream::iter(connecting)
        .buffer_unordered(4)
        .collect::<Vec<_>>()
        .await;
    let processes = Processes::of(&mut fleet);
    let load = Load::on(&fleet.database);
    until("each org was synced once", Duration::from_secs(300), async || {
        fleet.database.count(ENDED).await >= orgs as i64
    })
    .await;
    (fleet, processes, load)
}

/// The broker is wiped while many syncs are in the middle of their work: each class is at its rate again soon.
pub async fn while_many_syncs_run() {
    let (orgs, long, short) = if soaks() { (100, 15, 3) } else { (8, 3, 2) };
    let (fleet, processes, load) = under_load(orgs).await;
    let full = processes.rates(Duration::from_secs(long)).await;
    let before = processes.read().await;
    ctl(&["wipe"]).await;
    let (back, mut again) = (Instant::now(), BTreeMap::new());
    while again.len() < full.len() && back.elapsed() < Duration::from_secs(90) {
        let rates = processes.rates(Duration::from_secs(short)).await;
        println!("  {:.0?} after the broker's return: {rates:.1?}", back.elapsed());
        for (class, rate) in rates {
            if rate >= FULL * full[&class] {
                again.entry(class).or_insert((back.elapsed(), rate));
            }
        }
    }
    let after = processes.read().await;
    let opened = load.end().await;
    until("all syncs end", Duration::from_secs(300), async || {
        fleet.database.count(LEFT).await == 0
    })
    .await;
    let end = processes.read().await;
    let states = "SELECT concat_ws(' ', count(*), state) FROM sync GROUP BY state ORDER BY state";
    println!("broker wiped while {orgs} syncs run:");
    for (class, rate) in &full {
        let again = again.get(class);
        println!(
            "  {class}: {rate:.1} jobs/s before; time after the broker's return and rate then: {again:?}"
        );
    }
    let since = |reading: &Reading| {
        format!(
            "{} of {} deliveries",
            reading.refused - before.refused,
            reading.deliveries() - before.deliveries()
        )
    };
    let repeated = end.repeated - before.repeated;
    println!(
        "  refused since the wipe: {} until then, {} until the end, {repeated} of them told again for their long wait; \
         syncs: {:?}",
        since(&after),
        since(&end),
        fleet.database.texts(states).await
    );
    let succeeded = "SELECT count(*) FROM sync WHERE state = 'succeeded'";
    assert_eq!(fleet.database.count(succeeded).await as u64, opened);
    let died = "SELECT count(*) FROM timeline WHERE deaths > 0";
    assert_eq!(fleet.database.count(died).await, 0);
    // where work lies for longer than an announcement counts, it is told again with or without a wipe
    let (refused, deliveries) = (end.refused - end.repeated, end.deliveries() - before.deliveries());
    assert!(refused * 20.0 < deliveries, "{refused} of {deliveries}");
    fleet.database.history_holds().await;
}
