//! Messages that are lost, doubled, late or of nothing, and workers that err, die or are stopped: what the rows say.
//!
//! The machine is the real one, on a real PostgreSQL; the steps are toys, and the queue is the in-process one behind a
//! witness who looks, before a message leaves, whether its row is there.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod witness;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nightshift_domain::{Class, FailureCode, JobId, Kind, NewJob, Outcome, StepError, Verdict};
use nightshift_jobs::{
    Alone, JobsSettings, Machine, Ran, Registry, Step, StepCx, Sweeper,
    consume::{ConsumeSettings, consume},
    tell_again,
};
use nightshift_queue::{InProcess, JobMessage, Queue};
use nightshift_testkit::toys::Toys;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use witness::{Manners, Witness};

struct Toy;

/// What the toy does.
#[derive(Serialize, Deserialize)]
enum ToDo {
    /// Ends, and as many follow it.
    Branch(u32),
    Err,
    Sleep,
}

impl Step<()> for Toy {
    type Payload = ToDo;
    const KIND: Kind = Kind::new("toy");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(60);

    async fn run(&self, _: &mut StepCx<'_, ()>, todo: ToDo) -> Result<Outcome, StepError> {
        match todo {
            ToDo::Branch(n) => Ok(Outcome::Done {
                effects: vec![],
                next: (0..n).map(|n| toy(&ToDo::Branch(n))).collect(),
                last: None,
            }),
            ToDo::Err => Err(StepError {
                code: FailureCode::Internal,
                verdict: Verdict::Retry { after: None },
                message: "a toy broke".into(),
                evidence: BTreeMap::new(),
            }),
            ToDo::Sleep => std::future::pending().await,
        }
    }
}

fn toy(todo: &ToDo) -> NewJob {
    <Toy as Step<()>>::job(todo)
}

/// A worker and a sweep of an org whose sync begins with a toy.
struct Bench {
    toys: Toys,
    queue: Arc<Witness>,
    machine: Arc<Machine<()>>,
}

impl Bench {
    async fn new(first: &ToDo) -> Self {
        let toys = Toys::new().await;
        toys.admit_with(&toy(first)).await;
        let queue = Arc::new(Witness::new(toys.store.clone()));
        let machine = Machine {
            store: toys.store.clone(),
            queue: Arc::clone(&queue) as Arc<dyn Queue>,
            registry: Registry::new().with(Toy),
            context: Arc::new(()),
            settings: JobsSettings {
                max_attempts: 100,
                max_deaths: 100,
                ..JobsSettings::default()
            },
            alone: Alone::default(),
        };
        Self {
            toys,
            queue,
            machine: Arc::new(machine),
        }
    }

    fn sweeper(&self) -> Sweeper {
        let machine = &self.machine;
        Sweeper::new(
            machine.store.clone(),
            Arc::clone(&machine.queue),
            machine.settings.clone(),
        )
    }

    fn message(&self, job: JobId) -> JobMessage {
        JobMessage {
            org: self.toys.org,
            job,
            class: Class::Control,
            traceparent: None,
        }
    }

    async fn runs(&self, job: JobId, stop: &CancellationToken) -> Ran {
        self.machine.run(&self.message(job), stop).await.unwrap()
    }

    /// Sweeps and works until no row is left.
    async fn runs_to_the_end(&self) {
        let stop = CancellationToken::new();
        let settings = ConsumeSettings {
            concurrency: 4,
            drain: Duration::from_secs(5),
        };
        let worker = tokio::spawn(consume(
            Arc::clone(&self.machine),
            Class::Control,
            settings,
            stop.clone(),
        ));
        let mut sweeper = self.sweeper();
        for round in 0.. {
            if self.toys.jobs().await.is_empty() {
                break;
            }
            assert!(round < 500, "it never ends: {:?}", self.toys.jobs().await);
            // a round whose messages do not leave is followed by another
            let _ = sweeper.round().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.cancel();
        worker.await.unwrap();
    }

    async fn lines(&self) -> i64 {
        self.toys.database.count("SELECT count(*) FROM timeline").await
    }
}

/// Jobs of a `Branch(4)`: 1 + 4 + (0+1+2+3) + ..., each of n as many as 2^n.
const OF_FOUR: i64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_row_exists_before_its_message() {
    // a worker or scheduler that crashes between commit and publish leaves a row that was announced to nobody
    let bench = Bench::new(&ToDo::Branch(4)).await;
    bench.queue.behave(Manners::EveryThirdFails);
    bench.runs_to_the_end().await;
    assert_eq!((bench.queue.early(), bench.lines().await), (0, OF_FOUR));
    // how many announcements go together is a matter of time
    assert!(bench.queue.failed() > 0);
    bench.toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_row_without_a_message_is_published_again() {
    let bench = Bench::new(&ToDo::Branch(0)).await;
    bench.queue.behave(Manners::ConfirmsAndLoses);
    let mut sweeper = bench.sweeper();
    assert_eq!(sweeper.round().await.unwrap(), 1);
    assert_eq!(
        sweeper.round().await.unwrap(),
        0,
        "it is under way, as far as anybody knows"
    );
    bench.toys.database.advance(Duration::from_secs(61)).await;
    bench.queue.behave(Manners::Good);
    bench.runs_to_the_end().await;
    assert_eq!(bench.lines().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_has_forgotten_it_is_told_again_at_once() {
    let bench = Bench::new(&ToDo::Branch(0)).await;
    bench.queue.behave(Manners::ConfirmsAndLoses);
    let mut sweeper = bench.sweeper();
    assert_eq!(sweeper.round().await.unwrap(), 1);
    bench.queue.behave(Manners::Good);
    // a queue that has nothing of what was told before it was there
    let watching = tokio::spawn(tell_again(
        bench.toys.store.clone(),
        Arc::new(InProcess::new()),
        CancellationToken::new(),
    ));
    let told = "SELECT count(*) FROM job WHERE announced_at IS NOT NULL";
    for _ in 0..500 {
        if bench.toys.database.count(told).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(sweeper.round().await.unwrap(), 1, "no minute has to pass");
    bench.runs_to_the_end().await;
    assert_eq!(bench.lines().await, 1);
    watching.abort();
    bench.toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_row_is_acknowledged_and_does_nothing() {
    let bench = Bench::new(&ToDo::Branch(2)).await;
    bench.runs_to_the_end().await;
    let before = bench.toys.database.history(None).await;
    // an older database was restored under a full broker: jobs that are settled, and such that it never knew
    let mut left = bench.queue.seen();
    left.extend((0..50).map(|_| bench.message(JobId::from_uuid(Uuid::now_v7()))));
    bench.queue.behave(Manners::Blind);
    bench.queue.announce(&left).await.unwrap();
    // on a busy machine it takes the worker more than one turn
    for _ in 0..20 {
        bench.runs_to_the_end().await;
        if bench.queue.is_empty().await {
            break;
        }
    }
    assert!(bench.queue.is_empty().await, "each was acknowledged");
    assert_eq!(bench.queue.list_dead(10).await.unwrap(), []);
    assert_eq!(bench.toys.database.history(None).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_delivery_writes_nothing() {
    let bench = Bench::new(&ToDo::Branch(4)).await;
    bench.queue.behave(Manners::Trebles);
    bench.runs_to_the_end().await;
    assert_eq!(bench.lines().await, OF_FOUR, "each job was settled once");
    let before = bench.toys.database.history(None).await;
    let stop = CancellationToken::new();
    for message in bench.queue.seen() {
        assert_eq!(
            bench.runs(message.job, &stop).await,
            Ran::Refused,
            "after its end"
        );
    }
    assert_eq!(bench.toys.database.history(None).await, before);
    bench.toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_count_failures_and_deaths_count_lost_leases_and_neither_counts_a_drain() {
    let bench = Bench::new(&ToDo::Err).await;
    let toys = &bench.toys;
    let job = toys.jobs().await[0].id;
    let (going, stopped) = (CancellationToken::new(), CancellationToken::new());
    stopped.cancel();
    let counts = async || {
        let row = toys.store.jobs().show(job).await.unwrap();
        [row.attempts, row.deaths, row.waits]
    };
    let long = Duration::from_secs(400);

    // the step errs, twice
    for _ in 0..2 {
        assert_eq!(bench.runs(job, &going).await, Ran::Settled);
        toys.database.advance(long).await;
    }
    assert_eq!(counts().await, [2, 0, 0]);

    // its worker dies, twice: whoever claims it next finds that
    for _ in 0..2 {
        drop(toys.claim(job).await.unwrap());
        toys.database.advance(long).await;
    }
    assert_eq!(counts().await, [2, 1, 0]);

    // a worker that is told to stop gives it back, as often as it likes
    toys.database.run("UPDATE job SET payload = '\"Sleep\"'").await;
    for _ in 0..3 {
        assert_eq!(bench.runs(job, &stopped).await, Ran::Released);
    }
    assert_eq!(
        counts().await,
        [2, 2, 0],
        "the first of them found the second death"
    );
    toys.database.history_holds().await;
}
