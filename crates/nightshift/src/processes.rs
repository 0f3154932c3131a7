//! The long-running processes: scheduler, worker, and all of it in one (`up`).
//!
//! Each starts the same way: telemetry, then the little HTTP server, then database and broker with patience, then its
//! loop until SIGTERM or Ctrl-C. What the loops do is `scheduler`'s and `worker`'s.

mod up;

pub use up::{new_key, up, write_env};

use std::{process::ExitCode, sync::Arc, time::Duration};

use nightshift_domain::{ids::ProcessId, job::Class};
use nightshift_jobs::tell_again;
use nightshift_queue::{Health, Queue};
use nightshift_scheduler::{SchedulerParts, SlotClock};
use nightshift_store::{Probe, Store};
use nightshift_sync::SyncContext;
use nightshift_telemetry::{HttpServer, Readiness, Service, Telemetry};
use nightshift_worker::WorkerParts;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{config::Settings, error::CommandError, wiring};

/// How long the last traces may take.
const LAST_TRACES: Duration = Duration::from_secs(3);
/// Between two looks at database and broker, and how long the database may take to answer: readiness is false within both
/// together.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// `nightshift scheduler`.
pub async fn scheduler(settings: &Settings) -> Result<ExitCode, CommandError> {
    Process::run(settings, "scheduler", async |process| {
        let store = wiring::store_with_patience(settings).await?;
        let queue = wiring::queue_with_patience(settings).await?;
        process.watch(&store, queue.clone());
        let parts = scheduler_parts(settings, &store, queue, SlotClock::Database);
        tracing::info!("the scheduler runs");
        nightshift_scheduler::run(parts, process.stop.clone()).await;
        Ok(())
    })
    .await
}

/// `nightshift worker`.
pub async fn worker(settings: &Settings, classes: &[Class]) -> Result<ExitCode, CommandError> {
    Process::run(settings, "worker", async |process| {
        let store = wiring::store_with_patience(settings).await?;
        let queue = wiring::queue_with_patience(settings).await?;
        process.watch(&store, queue.clone());
        let parts = worker_parts(settings, &store, queue, classes)?;
        tracing::info!("the worker runs");
        nightshift_worker::run(parts, process.stop.clone()).await;
        Ok(())
    })
    .await
}

/// What a scheduler of this configuration needs.
pub fn scheduler_parts(
    settings: &Settings,
    store: &Store,
    queue: Arc<dyn Queue>,
    clock: SlotClock,
) -> SchedulerParts {
    SchedulerParts {
        store: store.clone(),
        queue,
        jobs: settings.jobs.clone(),
        first: SyncContext::first_job(),
        patience: Duration::from_secs(settings.sync.patience_seconds),
        clock,
        fire_batch: i64::from(settings.scheduler.fire_batch),
        tick: Duration::from_millis(settings.scheduler.tick_millis),
        catch_up_per_minute: settings.scheduler.catch_up_per_minute,
        full_every_nights: settings.sync.full_every_nights,
        process: ProcessId::from_uuid(Uuid::now_v7()),
        host: wiring::host(),
    }
}

/// What a worker of this configuration needs; no `classes` means those of the configuration.
pub fn worker_parts(
    settings: &Settings,
    store: &Store,
    queue: Arc<dyn Queue>,
    classes: &[Class],
) -> Result<WorkerParts<SyncContext>, CommandError> {
    let configured = settings
        .worker
        .classes
        .iter()
        .filter_map(|class| class.parse().ok());
    let classes: Vec<Class> = if classes.is_empty() {
        configured.collect()
    } else {
        classes.to_vec()
    };
    let concurrency = |class: Class| match class {
        Class::Poll => settings.worker.poll_concurrency,
        Class::Ingest => settings.worker.ingest_concurrency,
        _ => settings.worker.control_concurrency,
    };
    Ok(WorkerParts {
        machine: wiring::machine(settings, store, queue)?,
        classes: classes
            .into_iter()
            .map(|class| (class, concurrency(class)))
            .collect(),
        drain: Duration::from_secs(settings.worker.drain_seconds),
        process: ProcessId::from_uuid(Uuid::now_v7()),
        host: wiring::host(),
    })
}

/// SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("the runtime handles signals");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// What every process has around its loop.
struct Process {
    telemetry: Telemetry,
    http: Option<HttpServer>,
    readiness: watch::Sender<Readiness>,
    stop: CancellationToken,
}

impl Process {
    /// From telemetry to the last trace, with `work` in between.
    async fn run(
        settings: &Settings,
        role: &'static str,
        work: impl AsyncFnOnce(&Self) -> Result<(), CommandError>,
    ) -> Result<ExitCode, CommandError> {
        let process = Self::begin(settings, role).await?;
        let ended = process.until_stopped(work(&process)).await;
        process.end().await;
        ended
    }

    async fn begin(settings: &Settings, role: &'static str) -> Result<Self, CommandError> {
        let service = Service {
            role,
            version: env!("CARGO_PKG_VERSION"),
            instance: Uuid::now_v7().to_string(),
        };
        let telemetry = nightshift_telemetry::start(&settings.telemetry, &service)?;
        let waiting = Readiness::Starting("database and broker".into());
        let (readiness, watched) = watch::channel(waiting);
        let http = match settings.http.listen.as_str() {
            "" => None,
            address => Some(nightshift_telemetry::serve(address, telemetry.metrics(), watched).await?),
        };
        Ok(Self {
            telemetry,
            http,
            readiness,
            stop: CancellationToken::new(),
        })
    }

    /// Runs `work`; on a signal its stop token is cancelled, and it ends by itself.
    async fn until_stopped(
        &self,
        work: impl Future<Output = Result<(), CommandError>>,
    ) -> Result<ExitCode, CommandError> {
        let signal = async {
            stop_signal().await;
            tracing::info!("stopping: no new jobs; running steps may end");
            self.stop.cancel();
            self.readiness.send_replace(Readiness::Draining)
        };
        tokio::pin!(work, signal);
        tokio::select! {
            ended = &mut work => ended.map(|()| ExitCode::SUCCESS),
            was = &mut signal => {
                // a process that still waits for its database has nothing to drain
                if matches!(was, Readiness::Starting(_)) {
                    return Ok(ExitCode::SUCCESS);
                }
                work.await.map(|()| ExitCode::SUCCESS)
            }
        }
    }

    /// Keeps readiness true: the queue tells by itself, the database is asked. And tells the queue again what it has
    /// forgotten.
    fn watch(&self, store: &Store, queue: Arc<dyn Queue>) {
        let (database, health) = (store.probe(ANSWER_WITHIN), queue.health());
        tokio::spawn(tell_again(store.clone(), queue, self.stop.clone()));
        let (readiness, stop) = (self.readiness.clone(), self.stop.clone());
        readiness.send_replace(Readiness::Ready);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                let queue = *health.borrow();
                let now = readiness_now(&database, queue).await;
                readiness.send_if_modified(|old| {
                    let changed = *old != Readiness::Draining && *old != now;
                    if changed {
                        *old = now;
                    }
                    changed
                });
            }
        });
    }

    async fn end(self) {
        if let Some(http) = self.http {
            http.stop().await;
        }
        if let Err(error) = self.telemetry.shutdown(LAST_TRACES).await {
            eprintln!("nightshift: {error}");
        }
    }
}

async fn readiness_now(database: &Probe, queue: Health) -> Readiness {
    match database.ask().await {
        Err(_) => Readiness::Unavailable("database".into()),
        Ok(()) if queue == Health::Connecting => Readiness::Unavailable("broker".into()),
        Ok(()) => Readiness::Ready,
    }
}
