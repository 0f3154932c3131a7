//! A job that kills its worker, among fourteen that the same worker runs: it dies alone.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{sync::Arc, time::Duration};

use nightshift_domain::{Class, Kind, Outcome, StepError};
use nightshift_jobs::{
    Alone, JobsSettings, Machine, Registry, Step, StepCx, Sweeper,
    consume::{ConsumeSettings, consume},
};
use nightshift_queue::{InProcess, Queue};
use nightshift_testkit::toys::Toys;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const JOBS: u32 = 15;

/// What a toy does.
#[derive(Serialize, Deserialize)]
enum ToDo {
    Work,
    Kill,
}

struct Toy;

impl Step<Notify> for Toy {
    type Payload = ToDo;
    const KIND: Kind = Kind::new("toy");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(60);

    async fn run(&self, cx: &mut StepCx<'_, Notify>, todo: ToDo) -> Result<Outcome, StepError> {
        // as long as a call or two
        tokio::time::sleep(Duration::from_millis(200)).await;
        if let ToDo::Kill = todo {
            cx.context.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(Outcome::done(vec![], vec![]))
    }
}

/// Lives until the pill kills it, with all that it has.
async fn worker(machine: Arc<Machine<Notify>>) {
    let settings = ConsumeSettings {
        concurrency: 15,
        drain: Duration::from_secs(5),
    };
    let killed = Arc::clone(&machine.context);
    tokio::select! {
        () = killed.notified() => {}
        () = consume(machine, Class::Control, settings, CancellationToken::new()) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pill_among_the_jobs_of_a_worker_dies_alone() {
    let first = Toys::new().await;
    let mut toys = vec![first.clone()];
    for n in 1..JOBS {
        toys.push(Toys::beside(first.database.clone(), first.store.clone(), n).await);
    }
    for (n, toys) in toys.iter().enumerate() {
        let todo = if n == 7 { ToDo::Kill } else { ToDo::Work };
        toys.admit_with(&<Toy as Step<Notify>>::job(&todo)).await;
    }
    let settings = JobsSettings {
        lease_seconds: 1,
        sweep_millis: 50,
        ..JobsSettings::default()
    };
    let queue: Arc<dyn Queue> = Arc::new(InProcess::new());
    let machine = Arc::new(Machine {
        store: first.store.clone(),
        queue: Arc::clone(&queue),
        registry: Registry::new().with(Toy),
        context: Arc::new(Notify::new()),
        settings: settings.clone(),
        alone: Alone::default(),
    });
    let stop = CancellationToken::new();
    let sweeping = tokio::spawn(Sweeper::new(first.store.clone(), queue, settings).run(stop.clone()));
    let working = tokio::spawn(async move {
        loop {
            worker(Arc::clone(&machine)).await;
        }
    });
    let left = "SELECT count(*) FROM job";
    let over = async {
        while first.database.count(left).await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.unwrap();
    stop.cancel();
    working.abort();
    sweeping.await.unwrap();
    let failed = "SELECT concat_ws(' ', name, state, failure_code) FROM sync JOIN org ON org.id = org_id WHERE state = 'failed'";
    assert_eq!(first.database.texts(failed).await, ["org-7 failed poison"]);
    first.database.history_holds().await;
}
