//! Schedulers that look at the same time, on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use nightshift_domain::{
    Class, Kind, NewJob, OrganizationId, ProcessId,
    schedule::{Days, Schedule, Window},
};
use nightshift_jobs::JobsSettings;
use nightshift_queue::InProcess;
use nightshift_scheduler::{Firer, SchedulerParts, SlotClock};
use nightshift_store::{Keyring, Store, StoreSettings, orgs::NewOrg};
use nightshift_testkit::TestDb;

const ORGS: i64 = 60;

async fn store(database: &TestDb) -> Store {
    let key = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let settings = StoreSettings::new(database.url().into());
    Store::connect(&settings, Keyring::parse(&key.into()).unwrap())
        .await
        .unwrap()
}

fn organization(n: i64) -> OrganizationId {
    format!("00D{n:012}").parse().unwrap()
}

async fn connect(store: &Store, connected_at: Timestamp) {
    for n in 0..ORGS {
        let zone = "Europe/Berlin".parse().unwrap();
        let schedule = Schedule::new(zone, Window::NIGHT, "23:00".parse().unwrap(), Days::ALL).unwrap();
        let new = NewOrg {
            name: format!("org-{n}").parse().unwrap(),
            organization_id: organization(n),
            login_url: "https://login.salesforce.com".into(),
            instance_url: "https://acme.my.salesforce.com".into(),
            client_id: "client".into(),
            client_secret: None,
            refresh_token: "refresh".into(),
            access_token: "access".into(),
            is_sandbox: false,
            instance_name: None,
            edition: None,
            next_run: schedule.next_run(None, connected_at).unwrap().slot,
            schedule,
            connected_at,
        };
        store.orgs().add(&new).await.unwrap();
    }
}

fn firer(store: &Store, instant: Timestamp) -> Firer {
    Firer::new(SchedulerParts {
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
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_fire_an_org_once() {
    let database = TestDb::fresh().await;
    let store = store(&database).await;
    let noon: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
    connect(&store, noon).await;
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
    assert_eq!(i64::try_from(started).unwrap(), ORGS);
    for question in [
        "SELECT count(*) FROM sync",
        "SELECT count(*) FROM night WHERE state = 'run'",
        "SELECT count(*) FROM job",
    ] {
        assert_eq!(database.count(question).await, ORGS, "{question}");
    }
    assert_eq!(firer(&store, night).round().await.unwrap().started, 0);
}
