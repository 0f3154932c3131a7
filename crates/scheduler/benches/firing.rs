//! Due orgs fired among a million, a look when nothing is due, and the next slot of an org. Prints figures, asserts
//! nothing on time. `make bench-jobs ARGS='firing slots'`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../../sync/benches/measure/mod.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod measure;

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, civil::date};
use measure::{Figures, ROUNDS, asked, thread_seconds};
use nightshift_domain::{
    Class, Kind, NewJob, ProcessId,
    schedule::{Days, LocalMinute, Schedule, Window, Zone, zone_names},
};
use nightshift_jobs::JobsSettings;
use nightshift_scheduler::{Firer, SchedulerParts, SlotClock};
use nightshift_store::Store;
use nightshift_testkit::{TestDb, new_org, servers::amqp};
use uuid::Uuid;

const ORGS: usize = 1_000_000;
/// Orgs in one transaction: production's number, and a larger one.
const BATCHES: [i64; 2] = [200, 1_000];
/// Looks when nothing is due.
const LOOKS: usize = 300;
/// Slots of a round come within so many minutes: of a million in nine hours some 9,260 orgs.
const MINUTES: u64 = 5;

/// The window's first minute in Berlin.
const EVENING: &str = "2030-05-06T19:00:00Z";

/// A million orgs whose slots are spread over the minutes of their window, neighbours in the table far from each other.
async fn fill(database: &TestDb, store: &Store) {
    let evening: Timestamp = EVENING.parse().unwrap();
    let noon = evening - Duration::from_secs(9 * 3_600);
    store.orgs().add(&new_org(0, noon)).await.unwrap();
    let others = format!(
        "INSERT INTO org (id, name, name_folded, organization_id, login_url, instance_url, client_id, refresh_token,
                is_sandbox, time_zone, window_opens, window_closes, slot, days, slots_after, next_run, connected_at)
         SELECT gen_random_uuid(), 'org-' || n, 'org-' || n, '00D' || lpad(n::text, 15, '0'), login_url, instance_url, client_id,
                refresh_token, is_sandbox, time_zone, window_opens, window_closes, (window_opens + n % 540) % 1440, days,
                slots_after, timestamptz '{EVENING}' + n % 540 * interval '1 minute', connected_at
           FROM org, generate_series(1, {ORGS} - 1) AS n"
    );
    database.run(&others).await;
    database.run("VACUUM ANALYZE org").await;
    database.run("CHECKPOINT").await;
    let now = store.now().await.unwrap();
    // the minute before the first slot
    let ahead = evening.duration_since(now) - SignedDuration::from_secs(60);
    database.advance(ahead.unsigned_abs()).await;
}

fn firer(parts: &SchedulerParts, fire_batch: i64) -> Firer {
    Firer::new(SchedulerParts {
        fire_batch,
        ..parts.clone()
    })
}

/// Orgs fired a second: night, sync, job, next run, and the announcement confirmed by the broker.
async fn rate(firer: &Firer) -> f64 {
    let (began, mut started) = (Instant::now(), 0);
    loop {
        let report = firer.round().await.unwrap();
        started += report.started;
        if report.seen == 0 {
            return started as f64 / began.elapsed().as_secs_f64();
        }
    }
}

async fn fire() {
    let database = TestDb::fresh().await;
    let durable = format!("ALTER DATABASE {} SET synchronous_commit = on", database.name());
    database.run(&durable).await;
    let store = database.store().await;
    fill(&database, &store).await;
    let parts = SchedulerParts {
        store,
        queue: Arc::new(amqp(&format!("bench-{}", Uuid::now_v7().simple())).await),
        jobs: JobsSettings::default(),
        first: NewJob::new(Kind::new("start"), Class::Control, serde_json::json!({})),
        patience: Duration::from_secs(600),
        clock: SlotClock::Database,
        fire_batch: BATCHES[0],
        tick: Duration::from_secs(1),
        catch_up_per_minute: 1_000_000,
        full_every_nights: 28,
        process: ProcessId::from_uuid(Uuid::now_v7()),
        host: "bench".into(),
    };
    let firers = BATCHES.map(|batch| firer(&parts, batch));
    let mut rates = BATCHES.map(|_| Figures::default());
    let mut quiet = Figures::default();
    database.advance(Duration::from_secs(90)).await;
    rate(&firers[0]).await;
    for _ in 0..ROUNDS {
        for (firer, figures) in firers.iter().zip(&mut rates) {
            database.advance(Duration::from_secs(60 * MINUTES)).await;
            figures.add(rate(firer).await);
        }
        for _ in 0..LOOKS {
            let began = Instant::now();
            firers[0].round().await.unwrap();
            quiet.add(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    for (batch, figures) in BATCHES.iter().zip(&rates) {
        println!("due orgs fired among {ORGS}, orgs/s, {batch} in a transaction: {figures:.0} (must 2000)");
    }
    println!(
        "a round with nothing due, ms: p50 {:.2}, p99 {:.2} (must 1)",
        quiet.median(),
        quiet.quantile(0.99)
    );
}

/// The next run of orgs of all zones, in the night in which Europe's clocks change.
fn slots() {
    let zones: Vec<Zone> = zone_names().iter().map(|name| name.parse().unwrap()).collect();
    let schedule = |n: usize| {
        let slot = LocalMinute::after_midnight((21 * 60 + n * 7_919 % 540) as u16 % LocalMinute::DAY);
        Schedule::new(zones[n % zones.len()].clone(), Window::NIGHT, slot, Days::ALL).unwrap()
    };
    let schedules: Vec<_> = (0..ORGS).map(schedule).collect();
    let connected_at: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let last_night = Some(date(2026, 3, 27));
    let mut figures = Figures::default();
    for _ in 0..ROUNDS {
        let seconds = thread_seconds(|| {
            for schedule in &schedules {
                black_box(schedule.next_run(last_night, connected_at).unwrap());
            }
        });
        figures.add(seconds * 1e9 / ORGS as f64);
    }
    println!("next slot of an org, with the bounds of its window, ns: {figures:.0} (must 300)");
}

#[tokio::main]
async fn main() {
    if asked("slots") {
        slots();
    }
    if asked("firing") {
        fire().await;
    }
}
