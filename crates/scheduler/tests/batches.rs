//! A batch of orgs is written by a few statements for all of them, and gives what one org after the other would give.
//!
//! The orgs are drawn (`NIGHTSHIFT_SEED` repeats a drawing) and stand twice, in two databases: one is fired as a whole,
//! the other an org at a time, and afterwards their rows are compared.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use nightshift_domain::{
    Class, Door, Hand, Kind, Mode, NewJob, OrgId, Paused, ProcessId, SyncRequest,
    schedule::{Days, LocalMinute, Schedule, Window},
};
use nightshift_jobs::JobsSettings;
use nightshift_queue::InProcess;
use nightshift_scheduler::{Firer, SchedulerParts, SlotClock};
use nightshift_store::{
    Store,
    orgs::NewOrg,
    syncs::{Opening, Patience},
};
use nightshift_testkit::{TestDb, new_org, seed};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const ORGS: u32 = 150;
/// Some slots have come by then, others not.
const LOOK: &str = "2026-05-05T01:30:00Z";
const ZONES: [&str; 4] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Apia",
];

/// What an org has met before the scheduler looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Nothing,
    SyncByHand,
    PausedByHand,
    InstancePaused,
    Paused,
    NoSuchZone,
    NoSuchTime,
    /// Another scheduler had written the night, and its next run was set back.
    NightKnown,
    /// Its sync failed and may be tried again, in two nights.
    Retries,
    /// The same, once the window has closed.
    LateRetry,
}

const BEFORE: [Before; 10] = [
    Before::Nothing,
    Before::SyncByHand,
    Before::PausedByHand,
    Before::InstancePaused,
    Before::Paused,
    Before::NoSuchZone,
    Before::NoSuchTime,
    Before::NightKnown,
    Before::Retries,
    Before::LateRetry,
];

/// An org as drawn.
#[derive(Clone, Copy, Debug)]
struct Drawn {
    n: u32,
    before: Before,
    zone: &'static str,
    minute: u16,
    /// Nights of which nobody knows yet.
    days: i64,
    nights_since_full: u32,
}

impl Drawn {
    fn new(n: u32, rng: &mut StdRng) -> Self {
        let often_nothing = rng.random_range(0..2) * rng.random_range(0..BEFORE.len());
        Self {
            n,
            before: BEFORE[often_nothing],
            zone: ZONES[rng.random_range(0..ZONES.len())],
            minute: rng.random_range(0..Window::NIGHT.length()),
            days: rng.random_range(0..4),
            nights_since_full: rng.random_range(20..30),
        }
    }

    fn org(&self) -> NewOrg {
        let look: Timestamp = LOOK.parse().unwrap();
        let connected_at = match self.before {
            // no slot of theirs is due: which of two doors comes first is not what is compared
            Before::Retries | Before::LateRetry => look,
            _ => look - SignedDuration::from_hours(24 * self.days + 12),
        };
        let slot: LocalMinute = Window::NIGHT.minute(self.minute);
        let schedule = Schedule::new(self.zone.parse().unwrap(), Window::NIGHT, slot, Days::ALL).unwrap();
        NewOrg {
            instance_name: (self.before == Before::InstancePaused).then(|| "NA1".to_owned()),
            next_run: schedule.next_run(None, connected_at).unwrap().slot,
            schedule,
            ..new_org(self.n, connected_at)
        }
    }

    /// What happened to it, as statements.
    fn story(&self) -> String {
        let of_it = match self.before {
            Before::Nothing | Before::SyncByHand | Before::PausedByHand | Before::InstancePaused => "",
            Before::Paused => "UPDATE org SET paused = true WHERE name = 'org';",
            Before::NoSuchZone => "UPDATE org SET time_zone = 'Europe/Atlantis' WHERE name = 'org';",
            Before::NoSuchTime => "UPDATE org SET slots_after = 'infinity' WHERE name = 'org';",
            Before::NightKnown => {
                "INSERT INTO night (org_id, night, state, recorded_at, closes_at)
                 SELECT id, '2026-05-04', 'run', now(), now() FROM org WHERE name = 'org';"
            }
            Before::Retries => {
                "INSERT INTO night (org_id, night, state, recorded_at, closes_at, retry_at)
                 SELECT id, night, 'run', now(), now() + interval '1 hour', now()
                   FROM org, unnest('{2026-05-01, 2026-05-02}'::date[]) AS night WHERE name = 'org';"
            }
            Before::LateRetry => {
                "INSERT INTO night (org_id, night, state, recorded_at, closes_at, retry_at)
                 SELECT id, '2026-05-01', 'run', now(), now(), now() FROM org WHERE name = 'org';"
            }
        };
        let (name, nights) = (format!("'org-{}'", self.n), self.nights_since_full);
        format!("UPDATE org SET nights_since_full = {nights} WHERE name = {name};{of_it}")
            .replace("'org'", &name)
    }
}

fn first() -> NewJob {
    NewJob::new(
        Kind::new("start"),
        Class::Control,
        serde_json::json!({"of": "a night"}),
    )
}

/// The drawn orgs, in a database of their own.
struct Twin {
    database: TestDb,
    store: Store,
}

impl Twin {
    async fn of(drawn: &[Drawn]) -> Self {
        let database = TestDb::fresh().await;
        let store = database.store().await;
        let hand = Hand::new("ann", "their release").unwrap();
        for drawn in drawn {
            let org = store.orgs().add(&drawn.org()).await.unwrap();
            database.run(&drawn.story()).await;
            match drawn.before {
                Before::SyncByHand => ask(&store, org).await,
                Before::PausedByHand => {
                    let paused = Paused::Org(org);
                    store.pauses().begin(&paused, "it", &hand).await.unwrap();
                }
                _ => {}
            }
        }
        let instance = Paused::Instance("NA1".to_owned());
        store.pauses().begin(&instance, "NA1", &hand).await.unwrap();
        Self { database, store }
    }

    /// Looks until there is nothing to be seen; how many syncs began.
    async fn fire(&self, fire_batch: i64) -> usize {
        let look: Timestamp = LOOK.parse().unwrap();
        let firer = Firer::new(SchedulerParts {
            store: self.store.clone(),
            queue: Arc::new(InProcess::new()),
            jobs: JobsSettings::default(),
            first: first(),
            patience: Duration::from_secs(600),
            clock: SlotClock::Virtual(Arc::new(move || look)),
            fire_batch,
            tick: Duration::from_millis(10),
            catch_up_per_minute: 10_000,
            full_every_nights: 28,
            process: ProcessId::from_uuid(uuid::Uuid::now_v7()),
            host: "test".into(),
        });
        let due = "SELECT count(*) FROM night WHERE retry_at <= now()";
        let mut begun = 0;
        loop {
            let report = firer.round().await.unwrap();
            begun += report.started + report.retried;
            if report.seen == 0 && self.database.count(due).await == 0 {
                return begun;
            }
        }
    }

    /// All that a scheduler writes, but for ids and real times.
    async fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for question in [
            "SELECT concat_ws(' ', name, next_run, last_night, event_sequence) FROM org ORDER BY name",
            "SELECT concat_ws(' ', name, night, state, reason, retries, retry_at IS NULL)
               FROM night JOIN org ON org.id = org_id ORDER BY name, night",
            "SELECT concat_ws(' ', name, sync.state, mode, door, sync.reason, sync.night, ledger_night,
                              'until the night closes:', give_up_at = closes_at, 'has a trace:', traceparent IS NOT NULL)
               FROM sync JOIN org ON org.id = sync.org_id
               LEFT JOIN night ON night.org_id = org.id AND night.night = sync.night ORDER BY name, mode, door",
            "SELECT concat_ws(' ', name, kind, class, lane, payload, job.state, waits, attempts, deaths, not_before <= now(),
                              'told:', announced_at IS NOT NULL, 'of its sync:', job.traceparent = sync.traceparent)
               FROM job JOIN org ON org.id = job.org_id JOIN sync ON sync.id = sync_id ORDER BY name, kind",
            "SELECT concat_ws(' ', name, code, state, occurrences, message, evidence)
               FROM support_case JOIN org ON org.id = org_id ORDER BY name, code",
            "SELECT concat_ws(' ', name, sequence, topic, body - 'case') FROM outbox JOIN org ON org.id = org_id
              ORDER BY name, sequence",
            "SELECT 'traces: ' || count(DISTINCT traceparent) FROM sync",
        ] {
            rows.extend(self.database.texts(question).await);
        }
        rows
    }
}

async fn ask(store: &Store, org: OrgId) {
    let request = SyncRequest {
        org,
        mode: Mode::Incremental,
        door: Door::Hand,
        reason: Some("before our deploy".into()),
    };
    let opening = Opening {
        request: &request,
        patience: Patience::For(Duration::from_secs(1)),
        first: &first(),
        traceparent: None,
    };
    store.syncs().admit(&opening).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_orgs_gives_what_they_give_one_at_a_time() {
    let mut rng = StdRng::seed_from_u64(seed());
    let drawn: Vec<_> = (0..ORGS).map(|n| Drawn::new(n, &mut rng)).collect();
    let (whole, single) = tokio::join!(Twin::of(&drawn), Twin::of(&drawn));
    let (of_whole, of_single) = tokio::join!(whole.fire(i64::from(ORGS)), single.fire(1));
    assert_eq!(of_whole, of_single);
    assert!(of_whole > 10, "{of_whole} syncs began");
    let (whole, single) = (whole.rows().await, single.rows().await);
    for (whole, single) in whole.iter().zip(&single) {
        assert_eq!(whole, single);
    }
    assert_eq!(whole.len(), single.len());
}
