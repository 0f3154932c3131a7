//! Due orgs fired among a million, a look when nothing is due, and the next slot of an org. Prints figures, asserts
//! nothing on time. `make bench-jobs`.
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

use jiff::{SignedDuration, Timestamp};
use measure::{Figures, ROUNDS};
use nightshift_domain::{
    Class, Kind, NewJob, ProcessId,
    schedule::{Days, Schedule, Window},
};
use nightshift_jobs::JobsSettings;
use nightshift_queue::InProcess;
use nightshift_scheduler::{Firer, SchedulerParts, SlotClock};
use nightshift_store::Store;
use nightshift_testkit::TestDb;

/// Where the orgs are.
const ZONES: [&str; 8] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Sydney",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Europe/London",
    "America/Los_Angeles",
];
/// The noon, in UTC, before the nights that are fired.
const NOON: &str = "2026-05-04T12:00:00Z";
/// Of one round, as in production.
const BATCH: i64 = 200;

/// A million orgs, a random minute of the night each.
const FILL: &str = "
    INSERT INTO org (id, name, name_folded, organization_id, login_url, instance_url, client_id, refresh_token,
                     is_sandbox, time_zone, window_opens, window_closes, slot, days, slots_after, next_run, connected_at)
    SELECT gen_random_uuid(), 'org-' || n, 'org-' || n, '00D' || lpad(n::text, 12, '0'), 'https://login.salesforce.com',
           'https://acme.my.salesforce.com', 'client', '\\x00', false, zone, 1260, 360, slot, 127,
           '2026-05-04T08:00:00Z',
           ('2026-05-04'::date + (slot < 720)::int + make_interval(mins => slot)) AT TIME ZONE zone,
           '2026-05-04T08:00:00Z'
      FROM (SELECT n, (1260 + floor(random() * 540)::int) % 1440 AS slot,
                   (ARRAY['ZONES'])[1 + n % 8] AS zone FROM generate_series(1, 1000000) AS n) AS orgs";

fn firer(store: &Store, instant: Timestamp) -> Firer {
    Firer::new(SchedulerParts {
        store: store.clone(),
        queue: Arc::new(InProcess::new()),
        jobs: JobsSettings::default(),
        first: NewJob::new(Kind::new("start"), Class::Control, serde_json::json!({})),
        patience: Duration::from_secs(600),
        clock: SlotClock::Virtual(Arc::new(move || instant)),
        fire_batch: BATCH,
        tick: Duration::from_millis(10),
        catch_up_per_minute: 10_000,
        full_every_nights: 28,
        process: ProcessId::from_uuid(uuid::Uuid::now_v7()),
        host: "bench".into(),
    })
}

/// Fires whatever is due at an instant; orgs, and orgs a second.
async fn fire(store: &Store, instant: Timestamp) -> (usize, f64) {
    let firer = firer(store, instant);
    let (began, mut started) = (Instant::now(), 0);
    loop {
        let report = firer.round().await.unwrap();
        started += report.started;
        if (report.seen as i64) < BATCH {
            return (started, started as f64 / began.elapsed().as_secs_f64());
        }
    }
}

async fn fired() {
    let database = TestDb::fresh().await;
    let durable = format!("ALTER DATABASE {} SET synchronous_commit = on", database.name());
    database.run(&durable).await;
    database.run(&FILL.replace("ZONES", &ZONES.join("','"))).await;
    database.run("VACUUM ANALYZE org").await;
    let store = database.store().await;
    let noon: Timestamp = NOON.parse().unwrap();
    // in the first minutes of the evening in Sydney
    let (mut instant, mut rates, mut orgs) = (noon - SignedDuration::from_mins(59), Figures::default(), 0);
    fire(&store, instant).await;
    for _ in 0..ROUNDS {
        instant += SignedDuration::from_mins(9);
        let (started, rate) = fire(&store, instant).await;
        rates.add(rate);
        orgs += started;
    }
    let mut nothing = Figures::default();
    let firer = firer(&store, instant);
    for _ in 0..300 {
        let began = Instant::now();
        assert_eq!(firer.round().await.unwrap().seen, 0);
        nothing.add(began.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "due orgs fired among 1,000,000, announced too: {rates:.0} a second (must 2,000), {orgs} orgs in batches of {BATCH}; nothing due: p50 {:.2}, p99 {:.2} ms (must 1)",
        nothing.quantile(0.5),
        nothing.quantile(0.99),
    );
}

fn next_slots() {
    let schedules: Vec<Schedule> = (0..1_000_000_usize)
        .map(|n| {
            let minute = (1_260 + n * 7_919 % 540) % 1_440;
            let slot = format!("{:02}:{:02}", minute / 60, minute % 60);
            let zone = ZONES[n % ZONES.len()].parse().unwrap();
            Schedule::new(zone, Window::NIGHT, slot.parse().unwrap(), Days::ALL).unwrap()
        })
        .collect();
    // the night of Europe's change
    let floor: Timestamp = "2026-03-28T12:00:00Z".parse().unwrap();
    let night = "2026-03-27".parse().unwrap();
    let [mut first, mut following] = <[Figures; 2]>::default();
    for _ in 0..ROUNDS {
        for (figures, last) in [(&mut first, None), (&mut following, Some(night))] {
            let began = Instant::now();
            for schedule in &schedules {
                black_box(schedule.next_run(last, floor).unwrap());
            }
            figures.add(began.elapsed().as_secs_f64() * 1e9 / schedules.len() as f64);
        }
    }
    println!("next slot of an org: {following:.0} ns after a night, {first:.0} ns after none (must 300)");
}

#[tokio::main]
async fn main() {
    println!("scheduler, {ROUNDS} rounds in turn; PostgreSQL on the same cores");
    next_slots();
    fired().await;
}
