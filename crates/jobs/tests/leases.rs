//! Steps that outlive their lease, hang, or meet the end of their process at the worst moment.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nightshift_domain::{Class, FailureCode, JobId, Kind, NewJob, Outcome, StepError, Verdict};
use nightshift_jobs::{Alone, JobsSettings, Machine, Ran, Registry, Step, StepCx};
use nightshift_queue::{InProcess, JobMessage};
use nightshift_store::{Store, StoreSettings};
use nightshift_testkit::{
    proxy::{Fault, Proxy},
    toys::Toys,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// What a toy does.
#[derive(Serialize, Deserialize)]
enum ToDo {
    /// Works for so many milliseconds, and ends well.
    Work(u64),
    /// Returns an error.
    Err,
    /// Waits for what never comes.
    Hang,
}

/// A step that may take as long as it likes, and one that may take a second.
struct Toy<const SECONDS: u64>;

impl<const SECONDS: u64> Step<()> for Toy<SECONDS> {
    type Payload = ToDo;
    const KIND: Kind = Kind::new(if SECONDS == 1 { "hasty" } else { "patient" });
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(SECONDS);

    async fn run(&self, _: &mut StepCx<'_, ()>, todo: ToDo) -> Result<Outcome, StepError> {
        match todo {
            ToDo::Work(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(Outcome::done(vec![], vec![]))
            }
            ToDo::Err => Err(StepError {
                code: FailureCode::Internal,
                verdict: Verdict::Retry { after: None },
                message: "a toy broke".into(),
                evidence: BTreeMap::new(),
            }),
            ToDo::Hang => std::future::pending().await,
        }
    }
}

type Patient = Toy<600>;
type Hasty = Toy<1>;

/// A machine of an org whose sync is one toy.
struct Bench {
    toys: Toys,
    machine: Arc<Machine<()>>,
    job: JobId,
}

impl Bench {
    async fn new(first: &NewJob, settings: JobsSettings) -> Self {
        let toys = Toys::new().await;
        let store = toys.store.clone();
        Self::over(toys, store, first, settings).await
    }

    /// The machine has its own way to the database.
    async fn over(toys: Toys, store: Store, first: &NewJob, settings: JobsSettings) -> Self {
        toys.admit_with(first).await;
        let machine = Machine {
            store,
            queue: Arc::new(InProcess::new()),
            registry: Registry::new().with(Toy::<600>).with(Toy::<1>),
            context: Arc::new(()),
            settings,
            alone: Alone::default(),
        };
        let job = toys.jobs().await[0].id;
        Self {
            toys,
            machine: Arc::new(machine),
            job,
        }
    }

    async fn runs(&self, stop: &CancellationToken) -> Ran {
        let message = JobMessage {
            org: self.toys.org,
            job: self.job,
            class: Class::Control,
            traceparent: None,
        };
        self.machine.run(&message, stop).await.unwrap()
    }

    /// Its attempts, deaths and fence.
    async fn counts(&self) -> [i64; 3] {
        let row = self.toys.store.jobs().show(self.job).await.unwrap();
        [i64::from(row.attempts), i64::from(row.deaths), row.fence]
    }

    /// A worker takes it and is never heard of again.
    async fn kills_its_worker(&self) {
        drop(self.toys.claim(self.job).await.unwrap());
        self.toys.leases_run_out().await;
    }

    async fn later(&self) {
        self.toys.database.advance(Duration::from_secs(400)).await;
    }
}

const SYNCS: &str = "SELECT concat_ws(' ', state, failure_code) FROM sync";

#[tokio::test(flavor = "multi_thread")]
async fn b101_a_step_of_three_leases_keeps_its_job_and_runs_once() {
    let settings = JobsSettings {
        lease_seconds: 1,
        ..JobsSettings::default()
    };
    let bench = Bench::new(&<Patient as Step<()>>::job(&ToDo::Work(3_500)), settings).await;
    let going = CancellationToken::new();
    let knocking = async {
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(bench.runs(&going).await, Ran::Refused, "it still runs");
        }
    };
    let first = async {
        assert_eq!(bench.runs(&going).await, Ran::Settled);
    };
    tokio::join!(first, knocking);
    let lines = "SELECT concat_ws(' ', event, fence, deaths) FROM timeline WHERE job_id IS NOT NULL";
    assert_eq!(bench.toys.database.texts(lines).await, ["done 1 0"]);
    bench.toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b103_a_step_that_hangs_is_ended_at_its_limit_and_its_sync_in_the_end() {
    let settings = JobsSettings {
        max_attempts: 2,
        ..JobsSettings::default()
    };
    let bench = Bench::new(&<Hasty as Step<()>>::job(&ToDo::Hang), settings).await;
    let going = CancellationToken::new();
    let limit = Duration::from_secs(10);
    assert_eq!(
        tokio::time::timeout(limit, bench.runs(&going)).await.unwrap(),
        Ran::Settled
    );
    assert_eq!(bench.counts().await, [1, 0, 1], "an attempt like any other");
    bench.later().await;
    assert_eq!(
        tokio::time::timeout(limit, bench.runs(&going)).await.unwrap(),
        Ran::Settled
    );
    let sync = bench.toys.database.texts(SYNCS).await;
    assert!(sync[0].starts_with("failed "), "{sync:?}");
    let told = "SELECT message FROM support_case WHERE state = 'open'";
    let told = bench.toys.database.texts(told).await;
    assert!(told[0].contains("did not end within 1 s"), "{told:?}");
    bench.toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b105_no_shutdown_uses_up_an_attempt_and_the_last_one_survives_each() {
    let settings = JobsSettings {
        max_attempts: 2,
        max_deaths: 3,
        ..JobsSettings::default()
    };
    let bench = Bench::new(&<Patient as Step<()>>::job(&ToDo::Err), settings.clone()).await;
    let (going, stopped) = (CancellationToken::new(), CancellationToken::new());
    stopped.cancel();
    let payload = async |todo: &str| {
        let change = format!("UPDATE job SET payload = '{todo}'");
        bench.toys.database.run(&change).await;
    };
    for attempts in [0, 1] {
        // at the first attempt, and at the last one that is left
        payload("\"Hang\"").await;
        let before = bench.counts().await;
        for _ in 0..4 {
            assert_eq!(bench.runs(&stopped).await, Ran::Released);
            let due = &bench.toys.jobs().await[0];
            assert!(
                due.not_before <= bench.toys.store.now().await.unwrap(),
                "again at once"
            );
        }
        bench.kills_its_worker().await;
        assert_eq!(bench.counts().await[0], attempts);
        assert_eq!(bench.counts().await[2], before[2] + 5);
        if attempts == 0 {
            payload("\"Err\"").await;
            assert_eq!(bench.runs(&going).await, Ran::Settled);
            assert_eq!(bench.counts().await[0], 1);
            bench.later().await;
        }
    }
    payload("{\"Work\": 1}").await;
    assert_eq!(bench.runs(&going).await, Ran::Settled);
    let lines = "SELECT concat_ws(' ', event, attempts, deaths) FROM timeline WHERE event = 'done'";
    assert_eq!(bench.toys.database.texts(lines).await, ["done 1 2"]);

    // one that kills its worker again and again is set aside, and says so
    let poison = Bench::new(&<Patient as Step<()>>::job(&ToDo::Hang), settings).await;
    for _ in 0..3 {
        poison.kills_its_worker().await;
    }
    assert_eq!(poison.runs(&going).await, Ran::Settled);
    assert_eq!(poison.toys.database.texts(SYNCS).await, ["failed poison"]);
    for bench in [&bench, &poison] {
        bench.toys.database.history_holds().await;
    }
}

/// A machine whose way to the database can fall silent; its job works for so many milliseconds.
async fn far(millis: u64, lease_seconds: u64) -> (Proxy, Bench) {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let store = behind.store_with(|settings| StoreSettings {
        statement_timeout: Duration::from_secs(1),
        ..settings
    });
    let settings = JobsSettings {
        lease_seconds,
        ..JobsSettings::default()
    };
    let first = <Patient as Step<()>>::job(&ToDo::Work(millis));
    (proxy, Bench::over(toys, store.await, &first, settings).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_network_falls_silent_under_its_heartbeat_loses_a_lease_at_most() {
    let (proxy, bench) = far(600_000, 3).await;
    let going = CancellationToken::new();
    let silent = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        proxy.arm(Fault::HalfOpen);
    };
    let run = tokio::time::timeout(Duration::from_secs(20), bench.runs(&going));
    let (ran, ()) = tokio::join!(run, silent);
    assert_eq!(ran.expect("the worker hangs with its heartbeat"), Ran::LeaseLost);
    proxy.heal();
    // another one has it meanwhile or the same one later
    bench.toys.leases_run_out().await;
    assert!(bench.toys.claim(bench.job).await.is_some());
    bench.toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beat_that_meets_a_dead_connection_is_made_again_over_another_before_the_lease_ends() {
    let (proxy, bench) = far(20_000, 18).await;
    let going = CancellationToken::new();
    // the beat of the sixth second is not answered, that of the twelfth is
    let silent = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        proxy.arm(Fault::HalfOpen);
        tokio::time::sleep(Duration::from_millis(6_500)).await;
        proxy.hang_up();
        proxy.heal();
    };
    let (ran, ()) = tokio::join!(bench.runs(&going), silent);
    assert_eq!(ran, Ran::Settled);
    bench.toys.database.history_holds().await;
}
