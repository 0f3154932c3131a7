//! Nights of real rows: two schedulers whose machines' clocks are wrong, zones whose clocks change, days that are missing.
//!
//! The clock of slots is each scheduler's own here, so that a week passes within seconds and one machine may be ten
//! minutes ahead of the other. What a local night is, is `domain`'s; that it is done once is the rows' affair.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, civil::Date};
use nightshift_domain::{
    Class, Door, Kind, Mode, NewJob, OrgId, ProcessId, SyncRequest,
    schedule::{Days, Schedule, Window, Zone, zone_names},
};
use nightshift_jobs::JobsSettings;
use nightshift_queue::InProcess;
use nightshift_scheduler::{Firer, SchedulerParts, SlotClock};
use nightshift_store::{
    Store, StoreError,
    orgs::NewOrg,
    syncs::{Opening, Patience},
};
use nightshift_testkit::{
    TestDb, new_org,
    toys::{Toys, fails},
};
use uuid::Uuid;

/// A machine's clock may be so wrong.
const WRONG: SignedDuration = SignedDuration::from_mins(10);

/// Schedulers that share one instant, each with its own error.
struct Fleet {
    database: TestDb,
    store: Store,
    /// Seconds since the epoch.
    clock: Arc<AtomicI64>,
}

impl Fleet {
    async fn at(instant: &str) -> Self {
        let database = TestDb::fresh().await;
        let store = database.store().await;
        let instant: Timestamp = instant.parse().unwrap();
        Self {
            database,
            store,
            clock: Arc::new(AtomicI64::new(instant.as_second())),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    fn advance(&self, by: SignedDuration) {
        self.clock.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    fn scheduler(&self, off: SignedDuration) -> Firer {
        let clock = Arc::clone(&self.clock);
        Firer::new(SchedulerParts {
            store: self.store.clone(),
            queue: Arc::new(InProcess::new()),
            jobs: JobsSettings::default(),
            first: first(),
            patience: Duration::from_secs(600),
            clock: SlotClock::Virtual(Arc::new(move || {
                Timestamp::from_second(clock.load(Ordering::SeqCst) + off.as_secs()).unwrap()
            })),
            fire_batch: 50,
            tick: Duration::from_millis(10),
            catch_up_per_minute: 10_000,
            full_every_nights: 28,
            process: ProcessId::from_uuid(Uuid::now_v7()),
            host: "test".into(),
        })
    }

    async fn add(&self, n: u32, zone: &str, slot: &str) -> OrgId {
        let org = in_zone(n, &zone.parse().unwrap(), slot, self.now());
        self.store.orgs().add(&org).await.unwrap()
    }

    /// Until neither finds anything, as they would within a minute.
    async fn look(&self, schedulers: &[Firer]) -> usize {
        let mut started = 0;
        loop {
            let rounds = schedulers.iter().map(Firer::round);
            let rounds = futures::future::join_all(rounds).await;
            let seen: usize = rounds.iter().map(|round| round.as_ref().unwrap().seen).sum();
            started += rounds
                .iter()
                .map(|round| round.as_ref().unwrap().started)
                .sum::<usize>();
            if seen == 0 {
                return started;
            }
        }
    }

    /// Every org is looked at once more, as after a pause, by schedulers that have lost one of the two memories of what was
    /// done. The other one must suffice: each guards alone here.
    async fn look_again_without(&self, memory: Memory, schedulers: &[Firer]) {
        let (lose, find) = match memory {
            Memory::LastNight => ("UPDATE org SET last_night = NULL", "SELECT"),
            Memory::Nights => (
                "CREATE TABLE kept AS TABLE night; DELETE FROM night",
                "INSERT INTO night TABLE kept; DROP TABLE kept",
            ),
        };
        self.database.run(lose).await;
        self.database.run("UPDATE org SET next_run = '2000-01-01'").await;
        let before = self.database.texts(DONE).await;
        assert_eq!(self.look(schedulers).await, 0, "started without {memory:?}");
        assert_eq!(
            self.database.texts(DONE).await,
            before,
            "written without {memory:?}"
        );
        self.database.run(find).await;
    }

    /// Each sync that is open is over by now.
    async fn syncs_end(&self) {
        let end = "UPDATE sync SET state = 'superseded', ended_at = nightshift_now() WHERE state IN ('queued', 'running');
                   DELETE FROM job";
        self.database.run(end).await;
    }

    /// What became of each night, by org.
    async fn nights(&self) -> BTreeMap<String, Vec<(Date, String)>> {
        let rows = "SELECT concat_ws(' ', name, night, night.state) FROM night JOIN org ON org.id = org_id ORDER BY name, night";
        let mut nights: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in self.database.texts(rows).await {
            let cells: Vec<&str> = row.split(' ').collect();
            let night = (cells[1].parse().unwrap(), cells[2].to_owned());
            nights.entry(cells[0].to_owned()).or_default().push(night);
        }
        nights
    }
}

/// What keeps a night from being done twice.
#[derive(Clone, Copy, Debug)]
enum Memory {
    /// The org's row names the last one.
    LastNight,
    /// Each has a row, with its org and date as key.
    Nights,
}

/// Nights with their states, and cases with how often they occurred.
const DONE: &str = "SELECT concat_ws(' ', org_id, night, state) FROM night
    UNION ALL SELECT concat_ws(' ', org_id, code, occurrences) FROM support_case ORDER BY 1";

fn first() -> NewJob {
    NewJob::new(Kind::new("start"), Class::Control, serde_json::json!({}))
}

fn in_zone(n: u32, zone: &Zone, slot: &str, connected_at: Timestamp) -> NewOrg {
    let schedule = Schedule::new(zone.clone(), Window::NIGHT, slot.parse().unwrap(), Days::ALL).unwrap();
    NewOrg {
        next_run: schedule.next_run(None, connected_at).unwrap().slot,
        schedule,
        ..new_org(n, connected_at)
    }
}

/// One zone of each behaviour within the days of a test.
fn zones(from: Timestamp, to: Timestamp) -> Vec<Zone> {
    let mut seen = BTreeMap::new();
    for name in zone_names() {
        let zone: Zone = name.parse().unwrap();
        let changes = zone.time_zone().following(from);
        let changes: Vec<_> = changes
            .take_while(|change| change.timestamp() < to)
            .map(|change| (change.timestamp(), change.offset()))
            .collect();
        seen.entry((zone.time_zone().to_offset(from), changes))
            .or_insert(zone);
    }
    // of those whose clocks stand still some will do
    let still = seen
        .iter()
        .filter(|((_, changes), _)| changes.is_empty())
        .step_by(6);
    let moving = seen.iter().filter(|((_, changes), _)| !changes.is_empty());
    still.chain(moving).map(|(_, zone)| zone.clone()).collect()
}

/// Days about which clocks go forward, go back, and a day is missing (Apia, 30 December 2011).
const SEASONS: [(&str, i64); 4] = [
    ("2026-03-06T12:00:00Z", 3),
    ("2026-03-27T12:00:00Z", 3),
    ("2026-10-23T12:00:00Z", 3),
    ("2011-12-28T12:00:00Z", 4),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_org_fires_exactly_once_per_local_night_in_every_zone() {
    for (from, days) in SEASONS {
        let fleet = Fleet::at(from).await;
        let end = fleet.now() + SignedDuration::from_hours(24 * days);
        let zones = zones(fleet.now(), end);
        for (n, zone) in (0..).zip(&zones) {
            // where clock changes bite, and at the window's edge
            let slot = ["02:30", "21:00", "03:00", "02:00"][n as usize % 4];
            fleet.add(n, &zone.to_string(), slot).await;
        }
        let schedulers = [fleet.scheduler(WRONG), fleet.scheduler(-WRONG)];
        let memories = [Memory::LastNight, Memory::Nights].into_iter().cycle();
        for (round, memory) in (0..).zip(memories) {
            if fleet.now() >= end {
                break;
            }
            fleet.look(&schedulers).await;
            if round % 3 == 0 {
                fleet.look_again_without(memory, &schedulers).await;
            }
            fleet.syncs_end().await;
            fleet.advance(SignedDuration::from_mins(100));
        }
        let nights = fleet.nights().await;
        assert_eq!(nights.len(), zones.len());
        for (org, of_org) in &nights {
            let days_apart = of_org
                .windows(2)
                .map(|pair| pair[0].0.until(pair[1].0).unwrap().get_days());
            let zone = &zones[org[4..].parse::<usize>().unwrap()];
            for (place, apart) in days_apart.enumerate() {
                assert_eq!(apart, 1, "{zone} {place}: {of_org:?}");
            }
            for (night, state) in of_org {
                // the night of a day that an island left out is that of the next one
                let left_out = state == "joined" && from.starts_with("2011") && night.day() >= 29;
                assert!(state == "run" || left_out, "{zone}: {of_org:?}");
            }
            assert!(of_org.len() as i64 >= days - 1, "{zone}: {of_org:?}");
        }
        let doubled = "SELECT count(*) FROM (SELECT FROM sync WHERE door = 'slot' GROUP BY org_id, night HAVING count(*) > 1) d";
        assert_eq!(fleet.database.count(doubled).await, 0);
        let syncs = fleet.database.count("SELECT count(*) FROM sync").await;
        let runs = nights.values().flatten().filter(|(_, state)| state == "run");
        assert_eq!(syncs, runs.count() as i64, "one sync for each night");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b87_two_schedulers_fire_a_slot_once_in_the_night_in_which_its_hour_comes_twice() {
    let fleet = Fleet::at("2023-10-28T12:00:00Z").await;
    fleet.add(0, "Europe/Berlin", "02:00").await;
    let schedulers = [fleet.scheduler(WRONG), fleet.scheduler(-WRONG)];
    let mut started = Vec::new();
    for _ in 0..24 * 12 {
        if fleet.look(&schedulers).await > 0 {
            started.push(fleet.now());
        }
        // it is still running when the hour comes again
        fleet.advance(SignedDuration::from_mins(5));
    }
    assert_eq!(started.len(), 1, "{started:?}");
    // and nobody could write it twice: (org, night) is a key
    let row = "INSERT INTO night (org_id, night, state, recorded_at, closes_at) SELECT org_id, night, 'run', recorded_at, closes_at FROM night
               ON CONFLICT (org_id, night) DO NOTHING";
    fleet.database.run(row).await;
    assert_eq!(fleet.database.count("SELECT count(*) FROM night").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn b91_an_org_whose_schedule_cannot_be_read_stops_no_other() {
    let fleet = Fleet::at("2023-10-28T12:00:00Z").await;
    for n in 0..120 {
        fleet.add(n, "Europe/Brussels", "02:30").await;
    }
    fleet
        .database
        .run("UPDATE org SET time_zone = 'Europe/Atlantis', next_run = next_run - interval '1 minute' WHERE name = 'org-7'")
        .await;
    let schedulers = [fleet.scheduler(SignedDuration::ZERO)];
    let mut started = 0;
    for _ in 0..3 * 24 {
        started += fleet.look(&schedulers).await;
        fleet.syncs_end().await;
        fleet.advance(SignedDuration::from_hours(1));
    }
    assert_eq!(started, 119 * 3, "each night of each readable org");
    let next = "SELECT count(*) FROM night JOIN org ON org.id = org_id WHERE name = 'org-7'";
    assert_eq!(fleet.database.count(next).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn b97_schedulers_that_live_twenty_minutes_fire_every_night_of_a_week_once() {
    let fleet = Fleet::at("2026-05-04T12:00:00Z").await;
    fleet.add(0, "Europe/Berlin", "23:50").await;
    let mut started = 0;
    for _ in 0..7 * 24 * 3 {
        // each one begins with nothing in its memory
        started += fleet.look(&[fleet.scheduler(SignedDuration::ZERO)]).await;
        fleet.syncs_end().await;
        fleet.advance(SignedDuration::from_mins(20));
    }
    assert_eq!(started, 7);
    assert_eq!(
        fleet
            .database
            .count("SELECT count(*) FROM night WHERE state = 'run'")
            .await,
        7
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_night_is_caught_up_once_or_recorded_as_skipped() {
    // 23:00 in Berlin; the window closes at 06:00, which is 04:00 UTC
    for (comes_back, wanted) in [
        ("2026-05-05T03:55:00Z", &[("2026-05-04", "run")][..]),
        ("2026-05-05T04:05:00Z", &[("2026-05-04", "missed")]),
        (
            "2026-05-07T21:30:00Z",
            &[
                ("2026-05-04", "missed"),
                ("2026-05-05", "missed"),
                ("2026-05-06", "missed"),
                ("2026-05-07", "run"),
            ],
        ),
    ] {
        let fleet = Fleet::at("2026-05-04T12:00:00Z").await;
        fleet.database.record().await;
        fleet.add(0, "Europe/Berlin", "23:00").await;
        // the whole fleet is down until then, and both come back at the same moment
        let back: Timestamp = comes_back.parse().unwrap();
        fleet.clock.store(back.as_second(), Ordering::SeqCst);
        let schedulers = [
            fleet.scheduler(SignedDuration::ZERO),
            fleet.scheduler(SignedDuration::ZERO),
        ];
        let runs = wanted.iter().filter(|(_, state)| *state == "run").count();
        assert_eq!(fleet.look(&schedulers).await, runs, "{comes_back}");
        assert_eq!(fleet.look(&schedulers).await, 0, "{comes_back}");
        for memory in [Memory::LastNight, Memory::Nights] {
            fleet.look_again_without(memory, &schedulers).await;
        }
        let nights = fleet.nights().await;
        let nights: Vec<_> = nights["org-0"]
            .iter()
            .map(|(night, state)| (night.to_string(), state.as_str()))
            .collect();
        let nights: Vec<_> = nights
            .iter()
            .map(|(night, state)| (night.as_str(), *state))
            .collect();
        assert_eq!(nights, wanted, "{comes_back}");
        let cases = "SELECT count(*) FROM support_case WHERE code = 'night_missed'";
        let missed = runs < wanted.len();
        assert_eq!(
            fleet.database.count(cases).await,
            i64::from(missed),
            "{comes_back}"
        );
        // the next slot comes as if nothing had been
        fleet.syncs_end().await;
        let mut started = 0;
        for _ in 0..24 {
            fleet.advance(SignedDuration::from_hours(1));
            started += fleet.look(&schedulers).await;
        }
        assert_eq!(started, 1, "{comes_back}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_never_has_two_running_syncs() {
    const ORGS: u32 = 12;
    let fleet = Fleet::at("2026-05-04T12:00:00Z").await;
    fleet.database.record().await;
    let mut orgs = Vec::new();
    for n in 0..ORGS {
        let org = fleet.add(n, "Europe/Berlin", "23:00").await;
        orgs.push(Toys {
            database: fleet.database.clone(),
            store: fleet.store.clone(),
            org,
        });
    }
    let schedulers = Arc::new([fleet.scheduler(SignedDuration::ZERO), fleet.scheduler(WRONG)]);
    // of the others the slot is always first, of these whoever comes first
    let asked = &orgs[2..];
    for night in 0..3 {
        fleet.advance(SignedDuration::from_hours(if night == 0 { 12 } else { 24 }));
        // the slots of all orgs come while people ask, and while what they asked for ends
        let mut knocking = tokio::task::JoinSet::new();
        for place in 0..schedulers.len() {
            let schedulers = Arc::clone(&schedulers);
            knocking.spawn(async move {
                for _ in 0..10 {
                    // what the database ended for the sake of others is looked at in the next round
                    let round = schedulers[place].round().await;
                    assert!(matches!(round, Ok(_) | Err(StoreError::Busy { .. })), "{round:?}");
                }
            });
        }
        for toys in asked.iter().chain(asked).cloned() {
            knocking.spawn(async move {
                for _ in 0..4 {
                    ask(&toys).await;
                    for job in toys.jobs().await {
                        if let Some(claimed) = toys.claim(job.id).await {
                            toys.store.jobs().settle(claimed.claim, fails()).await.unwrap();
                        }
                    }
                }
            });
        }
        while let Some(done) = knocking.join_next().await {
            done.unwrap();
        }
        let open = "SELECT count(*) FROM (SELECT FROM sync WHERE state IN ('queued', 'running') GROUP BY org_id HAVING count(*) > 1) d";
        assert_eq!(fleet.database.count(open).await, 0);
    }
    let doors: BTreeSet<String> = fleet
        .database
        .texts("SELECT DISTINCT door FROM sync")
        .await
        .into_iter()
        .collect();
    assert!(doors.contains("slot") && doors.contains("hand"), "{doors:?}");
    fleet.database.history_holds().await;
    // whoever would forget the org's lock meets the index
    let twice = "INSERT INTO sync (org_id, id, state, mode, door, ledger_night, admitted_at, give_up_at)
        SELECT id, gen_random_uuid(), 'queued', 'full', 'hand', current_date, nightshift_now(), nightshift_now() FROM org, generate_series(1, 2)
        ON CONFLICT DO NOTHING";
    fleet.database.run(twice).await;
    let open = "SELECT count(*) FROM sync WHERE state IN ('queued', 'running')";
    assert_eq!(fleet.database.count(open).await, i64::from(ORGS));
}

async fn ask(toys: &Toys) {
    let request = SyncRequest {
        org: toys.org,
        mode: Mode::Incremental,
        door: Door::Hand,
        reason: None,
    };
    let opening = Opening {
        request: &request,
        patience: Patience::For(Duration::from_secs(1_000)),
        first: &first(),
        traceparent: None,
    };
    toys.store.syncs().admit(&opening).await.unwrap();
}
