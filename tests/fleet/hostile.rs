//! A whole night on a queue that loses, doubles, delays and reorders messages: nobody can tell by what came out.
//!
//! Scheduler and worker run inside of the test, as they do in `nightshift up`, on the queue of one process behind
//! `testkit`'s hostile one. What it did is drawn from a seed that is printed.

use std::{sync::Arc, time::Duration};

use nightshift_connections::Tokens;
use nightshift_domain::{Class, ProcessId};
use nightshift_jobs::{Alone, JobsSettings, Machine};
use nightshift_queue::{InProcess, Queue};
use nightshift_salesforce::{HostPolicy, Http, HttpSettings, Salesforce};
use nightshift_scheduler::{SchedulerParts, SlotClock};
use nightshift_simulator::OrgSpec;
use nightshift_store::{Keyring, Store, StoreSettings};
use nightshift_sync::{PolitenessSettings, SyncContext, SyncSettings};
use nightshift_testkit::{
    hostile::{Hostile, Hostility},
    seed, variable,
};
use nightshift_worker::WorkerParts;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Fleet, contents, small_org};

const ORGS: usize = 8;
/// A night that is not over by then hangs.
const LONG: Duration = Duration::from_secs(180);

/// Scheduler and worker in one process.
struct House {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

async fn store(fleet: &Fleet) -> Store {
    let settings = StoreSettings {
        max_connections: 20,
        ..StoreSettings::new(fleet.database.url().into())
    };
    let keyring = Keyring::parse(&variable("NIGHTSHIFT__SECRETS__KEY").into()).unwrap();
    Store::connect(&settings, keyring).await.unwrap()
}

fn jobs() -> JobsSettings {
    JobsSettings {
        sweep_millis: 100,
        reannounce_seconds: 1,
        backoff_initial_seconds: 1,
        ..JobsSettings::default()
    }
}

fn machine(store: &Store, queue: Arc<dyn Queue>) -> Machine<SyncContext> {
    let salesforce = Salesforce::new(
        Http::new(HttpSettings::default()).unwrap(),
        HostPolicy::new(&["127.0.0.1".to_owned()]),
    );
    let tokens = Arc::new(Tokens::new(store.clone(), salesforce.oauth()));
    // batches are so small that the orgs' profiles come in parts: each step there is has its turn
    let settings = SyncSettings {
        batch_files: 30,
        poll_first_millis: 100,
        poll_max_seconds: 1,
        ..SyncSettings::default()
    };
    let politeness = PolitenessSettings::default();
    let context = SyncContext::new(store.clone(), salesforce, tokens, settings, politeness);
    Machine {
        store: store.clone(),
        queue,
        registry: nightshift_sync::registry(),
        context: Arc::new(context),
        settings: jobs(),
        alone: Alone::default(),
    }
}

impl House {
    async fn on(queue: Arc<dyn Queue>, fleet: &Fleet) -> Self {
        let store = store(fleet).await;
        let scheduler = SchedulerParts {
            store: store.clone(),
            queue: Arc::clone(&queue),
            jobs: jobs(),
            first: SyncContext::first_job(),
            patience: Duration::from_secs(600),
            clock: SlotClock::Database,
            fire_batch: 100,
            tick: Duration::from_millis(100),
            catch_up_per_minute: 10_000,
            full_every_nights: 28,
            process: ProcessId::from_uuid(uuid::Uuid::now_v7()),
            host: "test".into(),
        };
        let worker = WorkerParts {
            machine: Arc::new(machine(&store, queue)),
            classes: [Class::Control, Class::Poll, Class::Ingest]
                .map(|class| (class, 4))
                .to_vec(),
            drain: Duration::from_secs(5),
            process: ProcessId::from_uuid(uuid::Uuid::now_v7()),
            host: "test".into(),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let running = tokio::spawn(async move {
            tokio::join!(
                nightshift_scheduler::run(scheduler, stopped.clone()),
                nightshift_worker::run(worker, stopped)
            );
        });
        Self { stop, running }
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// The slots of all orgs come at once, and the night is over when nothing is left to do.
async fn a_night_passes(fleet: &Fleet, orgs: &[String]) {
    for org in orgs {
        fleet
            .json(&["org", "schedule", org, "--at", "22:00", "--json"])
            .await;
    }
    fleet.slot_comes(&orgs[0]).await;
    let ended = "SELECT count(*) FROM sync WHERE door = 'slot' AND ended_at IS NOT NULL";
    let over = async {
        while fleet.database.count(ended).await < orgs.len() as i64 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let over = tokio::time::timeout(LONG, over).await;
    let left = "SELECT concat_ws(' ', kind, state, attempts, deaths, waiting_for) FROM job";
    let left = fleet.database.texts(left).await;
    assert!(over.is_ok(), "the night does not end: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "what was done is what the test is asked for")]
async fn a_night_on_a_hostile_queue_is_that_of_a_quiet_one() {
    let fleet = Fleet::new(&[]).await;
    let night = || small_org().join("night-1");
    let honest = House::on(Arc::new(InProcess::new()), &fleet).await;
    let quiet = fleet.quiet_night().await;
    honest.end().await;
    assert!(fleet.run(&["org", "pause", "quiet"]).await.status.success());

    let hostile = Hostile::before(Arc::new(InProcess::new()), Hostility::BAD, seed());
    let hostile = Arc::new(hostile);
    let house = House::on(Arc::clone(&hostile) as Arc<dyn Queue>, &fleet).await;
    let orgs: Vec<String> = (0..ORGS).map(|n| format!("org-{n}")).collect();
    for org in &orgs {
        fleet.connect(OrgSpec::from_folder(org, night(), None)).await;
    }
    a_night_passes(&fleet, &orgs).await;
    for org in &orgs {
        assert_eq!(contents(&fleet.export(org).await), quiet, "{org}");
    }
    let syncs = "SELECT concat_ws(' ', door, state, count(*)) FROM sync GROUP BY door, state ORDER BY door";
    let syncs = fleet.database.texts(syncs).await;
    assert_eq!(syncs, ["hand succeeded 1", &format!("slot succeeded {ORGS}")]);
    let cases = "SELECT count(*) FROM support_case";
    assert_eq!(fleet.database.count(cases).await, 0);
    // messages that are still under way come to nobody's harm, nor do those of jobs that are gone
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fleet.database.count("SELECT count(*) FROM job").await, 0);
    house.end().await;
    let (harm, events) = (hostile.harm(), fleet.database.history_holds().await);
    println!("{harm:?}; {events} events");
    let each = [
        harm.lost,
        harm.doubled,
        harm.late,
        harm.unheard,
        harm.refused,
        harm.unacknowledged,
    ];
    assert!(each.iter().all(|count| *count > 0), "{harm:?}");
}
