//! Schedulers that look at the same time, on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use nightshift_domain::{Class, Hand, Kind, NewJob, Paused, ProcessId};
use nightshift_jobs::{Cleaner, JobsSettings};
use nightshift_queue::InProcess;
use nightshift_scheduler::{Firer, SchedulerParts, SlotClock};
use nightshift_store::Store;
use nightshift_testkit::{TestDb, new_org};
use tokio_util::sync::CancellationToken;

const ORGS: u32 = 60;

fn firer(store: &Store, instant: Timestamp) -> Firer {
    Firer::new(parts(store, instant))
}

fn parts(store: &Store, instant: Timestamp) -> SchedulerParts {
    SchedulerParts {
        store: store.clone(),
        queue: Arc::new(InProcess::new()),
        jobs: JobsSettings::default(),
        first: NewJob::new(Kind::new("start"), Class::Control, serde_json::json!({})),
        patience: Duration::from_secs(600),
        clock: SlotClock::Virtual(Arc::new(move || instant)),
        fire_batch: 7,
        tick: Duration::from_millis(10),
        catch_up_per_minute: 10_000,
        full_every_nights: 28,
        process: ProcessId::from_uuid(uuid::Uuid::now_v7()),
        host: "test".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_fire_an_org_once() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let noon: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
    for n in 0..ORGS {
        store.orgs().add(&new_org(n, noon)).await.unwrap();
    }
    let early = firer(&store, noon + SignedDuration::from_hours(9))
        .round()
        .await
        .unwrap();
    assert_eq!(early.started, 0, "no slot has come at 21:00");
    let night = noon + SignedDuration::from_hours(12);
    let rounds = (0..2).map(|_| {
        let firer = firer(&store, night);
        tokio::spawn(async move {
            let mut started = 0;
            for _ in 0..30 {
                started += firer.round().await.unwrap().started;
            }
            started
        })
    });
    let mut started = 0;
    for scheduler in rounds.collect::<Vec<_>>() {
        started += scheduler.await.unwrap();
    }
    assert_eq!(started, ORGS as usize);
    for question in [
        "SELECT count(*) FROM sync",
        "SELECT count(*) FROM night WHERE state = 'run'",
        "SELECT count(*) FROM job",
    ] {
        assert_eq!(database.count(question).await, i64::from(ORGS), "{question}");
    }
    assert_eq!(firer(&store, night).round().await.unwrap().started, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_outage_left_is_caught_up_at_the_pace_that_is_set() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let noon: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
    for n in 0..ORGS {
        store.orgs().add(&new_org(n, noon)).await.unwrap();
    }
    // two hours after the slot of all of them, amid the window: 20 a second, 10 at a time
    let late = SchedulerParts {
        fire_batch: 10,
        catch_up_per_minute: 1_200,
        ..parts(&store, noon + SignedDuration::from_hours(13))
    };
    let stop = CancellationToken::new();
    let scheduler = tokio::spawn(Firer::new(late).run(stop.clone()));
    let started = "SELECT count(*) FROM sync";
    while database.count(started).await < i64::from(ORGS) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    scheduler.await.unwrap();
    let halves = "SELECT count(DISTINCT floor(extract(epoch FROM admitted_at) * 2)) FROM sync";
    assert!(
        database.count(halves).await >= 5,
        "60 syncs at 20 a second began in less than 2.5 seconds"
    );
}

#[tokio::test]
async fn one_round_of_two_who_clean_removes_what_any_number_of_ended_syncs_staged() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let now = store.now().await.unwrap();
    store.orgs().add(&new_org(0, now)).await.unwrap();
    database
        .run(
            "INSERT INTO staging (org_id, sync_id, job_id, touched_at)
             SELECT id, sync, gen_random_uuid(), nightshift_now()
               FROM org, (SELECT gen_random_uuid() AS sync FROM generate_series(1, 50)) syncs, generate_series(1, 20);
             INSERT INTO staged_type (org_id, sync_id, type, job_id, fence, ordinal, good)
             SELECT org_id, sync_id, 'ApexClass', job_id, 1, 1, true FROM staging",
        )
        .await;
    let cleaners = [(); 2].map(|()| Cleaner::new(store.clone(), JobsSettings::default()));
    let (one, other) = tokio::join!(cleaners[0].round(), cleaners[1].round());
    one.unwrap();
    other.unwrap();
    let left = "SELECT (SELECT count(*) FROM staging) + (SELECT count(*) FROM staged_type)";
    assert_eq!(database.count(left).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_of_a_paused_org_fires_once_the_pause_ends_and_is_recorded_when_its_window_closes_first() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let noon: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
    let hand = Hand::new("ann", "their release").unwrap();
    let mut paused = Vec::new();
    for n in 0..2 {
        let org = store.orgs().add(&new_org(n, noon)).await.unwrap();
        let what = Paused::Org(org);
        store.pauses().begin(&what, "it", &hand).await.unwrap();
        paused.push(what);
    }
    let at = |hours| firer(&store, noon + SignedDuration::from_hours(hours));
    for hours in [12, 12, 13] {
        assert_eq!(at(hours).round().await.unwrap().started, 0, "its slot has come");
    }
    assert_eq!(database.count("SELECT count(*) FROM night").await, 0);

    // one goes on while the window is open; the clock of slots is not the database's here
    store.pauses().end(&paused[0], "it", &hand).await.unwrap();
    let virtual_now = "WITH now AS (UPDATE org SET next_run = '2026-05-04T23:00:00Z' WHERE name = 'org-0' RETURNING 1) SELECT count(*) FROM now";
    database.count(virtual_now).await;
    assert_eq!(at(14).round().await.unwrap().started, 1);

    let closed = at(19).round().await.unwrap();
    assert_eq!((closed.started, closed.seen), (0, 1));
    let nights = "SELECT concat_ws(' ', org.name, night.state, night.reason) FROM night JOIN org ON org.id = org_id ORDER BY org.name";
    assert_eq!(
        database.texts(nights).await,
        [
            "org-0 run",
            "org-1 missed org org-1 was paused by ann: their release"
        ]
    );
    let cases =
        "SELECT count(*) FROM support_case WHERE code = 'night_missed' AND message LIKE '%their release'";
    assert_eq!(database.count(cases).await, 1);
}
