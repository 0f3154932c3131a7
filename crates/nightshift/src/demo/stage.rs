//! The stage: a private PostgreSQL, the simulator, scheduler and worker, and the clock of slots.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use nightshift_connections::{Grant, NewConnection, connect};
use nightshift_domain::{
    admission::Door,
    ids::{OrgId, SyncId},
    sync::Mode,
};
use nightshift_queue::{InProcess, Queue};
use nightshift_scheduler::SlotClock;
use nightshift_simulator::{
    Change, ChangeKind, Fault, FaultKind, OrgAccess, OrgSpec, Simulator, SimulatorSettings,
};
use nightshift_store::Store;
use nightshift_telemetry::{LogFormat, Service, Telemetry};
use rand::RngExt as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    cast::{Actor, Part, cast},
    report::{Night, Played},
    watch::Watch,
};
use crate::{
    cli::DemoArgs,
    commands::start_sync,
    config::Settings,
    embedded::postgres::{Keep, PrivatePostgres},
    error::CommandError,
    processes::{new_key, scheduler_parts, worker_parts, write_env},
    wiring,
};

/// Share of components that a night touches.
const TOUCHED: f64 = 0.02;
/// Types that come with no other: what breaks in one breaks nothing else.
const LONELY: [&str; 5] = [
    "LightningComponentBundle",
    "AuraDefinitionBundle",
    "Report",
    "EmailTemplate",
    "StaticResource",
];
/// How long a slot's sync may take to appear after the clock has reached it.
const FIRES_WITHIN: Duration = Duration::from_secs(30);

/// Everything that runs.
pub struct Stage {
    settings: Settings,
    postgres: PrivatePostgres,
    store: Store,
    simulator: Simulator,
    clock: Arc<AtomicI64>,
    stop: CancellationToken,
    fleet: JoinHandle<()>,
    telemetry: Telemetry,
    cast: Vec<(Actor, OrgAccess)>,
}

/// An org of the cast, connected.
pub struct Playing {
    actor: Actor,
    org: OrgId,
}

impl Stage {
    /// Starts everything; no org is connected yet.
    pub async fn build(settings: &Settings, args: &DemoArgs) -> Result<Self, CommandError> {
        let mut settings = demo_settings(settings, args.components);
        let service = Service {
            role: "demo",
            version: env!("CARGO_PKG_VERSION"),
            instance: "demo".into(),
        };
        let telemetry = nightshift_telemetry::start(&settings.telemetry, &service)?;
        let postgres = PrivatePostgres::start(&directory(), Keep::Nothing)?;
        settings.database.url = Some(postgres.url().into());
        let store = wiring::store(&settings).await?;
        store.migrate().await?;
        let simulator = Simulator::start(SimulatorSettings {
            seed: args.seed,
            ..SimulatorSettings::default()
        })
        .await?;
        let mut playing = Vec::new();
        for (n, actor) in (1..).zip(cast(u64::from(args.components))) {
            let spec = OrgSpec::generated(actor.name, args.seed.wrapping_add(n), actor.size)
                .in_time_zone(actor.zone)
                .rotating()
                .with_secret(&format!("{:032X}", rand::rng().random::<u128>()));
            let access = simulator.add_org(spec)?;
            playing.push((actor, access));
        }
        let clock = Arc::new(AtomicI64::new(store.now().await?.as_second()));
        let stop = CancellationToken::new();
        let fleet = fleet(&settings, &store, &clock, &stop)?;
        Ok(Self {
            settings,
            postgres,
            store,
            simulator,
            clock,
            stop,
            fleet,
            telemetry,
            cast: playing,
        })
    }

    /// For reading what came out.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Tells how other commands reach it while it is kept.
    pub fn tell_how_to_reach_it(&self) -> Result<(), CommandError> {
        write_env(&directory().join("env"), &self.settings)?;
        eprintln!("nightshift: the simulator is at {}", self.simulator.base_url());
        Ok(())
    }

    /// Connects the orgs, as an administrator would.
    pub async fn connect(&self) -> Result<Vec<Playing>, CommandError> {
        let salesforce = wiring::salesforce(&self.settings)?;
        let floor = Timestamp::from_second(self.clock.load(Ordering::SeqCst)).ok();
        let mut cast = Vec::new();
        for (actor, access) in &self.cast {
            let connection = NewConnection {
                name: actor.name.parse().expect("the cast's names are names"),
                login_url: self.simulator.base_url(),
                client_id: access.client_id.clone(),
                client_secret: access.client_secret.clone().map(Into::into),
                grant: Grant::RefreshToken(access.refresh_token.clone().into()),
                time_zone: None,
            };
            let org = connect(&self.store, &salesforce, connection, floor, &mut rand::rng()).await?;
            let actor = actor.clone();
            cast.push(Playing { actor, org });
        }
        eprintln!("{} orgs are connected", cast.len());
        Ok(cast)
    }

    /// The first sync of every org, all at once, as `org add` starts it.
    pub async fn first_night(&self, cast: &[Playing]) -> Result<Night, CommandError> {
        for playing in cast.iter().filter(|playing| playing.actor.part == Part::Hangs) {
            self.simulator.fault(
                playing.actor.name,
                Fault::new(FaultKind::StaysInProgress).times(1),
            )?;
        }
        let mut syncs = Vec::new();
        for playing in cast {
            let row = self.store.orgs().show(playing.org).await?;
            let (sync, _) = start_sync(&self.store, &self.settings, &row, Mode::Incremental).await?;
            syncs.push((playing.actor.name, playing.org, sync));
        }
        Watch::new(&self.store, "first sync").until_over(&syncs).await?;
        self.night("first sync", cast, &syncs).await
    }

    /// A day passes at Salesforce: sessions end, some components change, one token is revoked, one component breaks.
    pub fn evolve(&self, cast: &[Playing]) -> Result<(), CommandError> {
        let mut touched = 0;
        for playing in cast {
            let name = playing.actor.name;
            let changes = self.simulator.evolve(name, TOUCHED)?;
            touched += changes.len();
            self.simulator.expire_sessions(name)?;
            match playing.actor.part {
                Part::Revoked => self.simulator.revoke(name)?,
                Part::Poisoned => {
                    let lonely =
                        |c: &&Change| c.change == ChangeKind::Changed && LONELY.contains(&c.kind.as_str());
                    let broken = changes.iter().find(lonely);
                    if let Some(broken) = broken {
                        let fault = Fault::new(FaultKind::PoisonousComponent).of_type(&broken.kind);
                        self.simulator.fault(name, fault.named(&broken.full_name))?;
                    }
                }
                Part::Plain | Part::Hangs => {}
            }
        }
        eprintln!("a day passes: {touched} components change, one token is revoked, one component breaks");
        Ok(())
    }

    /// The night: the clock goes from slot to slot, and the scheduler fires each org at its own.
    pub async fn second_night(&self, cast: &[Playing]) -> Result<Night, CommandError> {
        let mut slots = Vec::new();
        for playing in cast {
            let row = self.store.orgs().show(playing.org).await?;
            slots.push((row.next_run, playing.actor.name, playing.org));
        }
        slots.sort_by_key(|slot| slot.0);
        let mut syncs = Vec::new();
        let watch = Watch::new(&self.store, "night");
        for (slot, name, org) in slots {
            let Some(slot) = slot else { continue };
            self.clock.store(slot.as_second(), Ordering::SeqCst);
            let sync = self.fired(org).await?;
            syncs.push((name, org, sync));
            watch.look(&syncs).await?;
        }
        watch.until_over(&syncs).await?;
        self.night("night", cast, &syncs).await
    }

    async fn fired(&self, org: OrgId) -> Result<SyncId, CommandError> {
        let look = async {
            loop {
                let latest = self.store.syncs().latest(org).await?;
                if let Some(sync) = latest.filter(|sync| sync.door == Door::Slot) {
                    return Ok(sync.id);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let late = CommandError::Refused("a slot came and no sync was started".into());
        tokio::time::timeout(FIRES_WITHIN, look)
            .await
            .unwrap_or(Err(late))
    }

    async fn night(
        &self,
        title: &'static str,
        cast: &[Playing],
        syncs: &[(&'static str, OrgId, SyncId)],
    ) -> Result<Night, CommandError> {
        let mut orgs = Vec::new();
        for playing in cast {
            let Some(&(_, org, sync)) = syncs.iter().find(|(name, ..)| *name == playing.actor.name) else {
                continue;
            };
            orgs.push(Played {
                actor: playing.actor.clone(),
                org: self.store.orgs().show(org).await?,
                sync: self.store.syncs().show(sync).await?,
                left_out: self.store.dictionary().left_out(org, sync).await?,
            });
        }
        Ok(Night { title, orgs })
    }

    /// Ends everything and removes the cluster.
    pub async fn end(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(Duration::from_secs(20), self.fleet).await;
        self.simulator.stop().await;
        self.store.close().await;
        drop(self.postgres);
        let _ = self.telemetry.shutdown(Duration::from_secs(1)).await;
    }
}

/// What differs from a fleet's defaults: a night must pass in seconds, and nothing but errors may talk in between.
fn demo_settings(settings: &Settings, components: u32) -> Settings {
    let mut demo = settings.clone();
    let defaults = Settings::default();
    if demo.telemetry == defaults.telemetry {
        demo.telemetry.log = "error".into();
        demo.telemetry.log_format = LogFormat::Text;
    }
    demo.salesforce.allowed_hosts = vec!["127.0.0.1".into()];
    demo.secrets.key = Some(new_key());
    demo.broker.url = None;
    demo.database.max_connections = 24;
    demo.jobs.sweep_millis = 100;
    demo.jobs.backoff_initial_seconds = 1;
    demo.jobs.backoff_max_seconds = 2;
    demo.scheduler.tick_millis = 20;
    demo.sync.poll_first_millis = 150;
    demo.sync.poll_max_seconds = 1;
    // several batches for the larger orgs, however small the demo: one that hangs must be one of many
    demo.sync.batch_files = (components / 15).max(40);
    demo.sync.poll_deadline_seconds = 15;
    demo
}

/// Below the system's temporary directory, short, and this process's own.
fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("ns-demo-{}", std::process::id()))
}

fn fleet(
    settings: &Settings,
    store: &Store,
    clock: &Arc<AtomicI64>,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, CommandError> {
    let queue: Arc<dyn Queue> = Arc::new(InProcess::new());
    let clock = Arc::clone(clock);
    let now = move || Timestamp::from_second(clock.load(Ordering::SeqCst)).expect("slots are times");
    let scheduler = scheduler_parts(
        settings,
        store,
        Arc::clone(&queue),
        SlotClock::Virtual(Arc::new(now)),
    );
    let worker = worker_parts(settings, store, queue, &[])?;
    let stop = stop.clone();
    Ok(tokio::spawn(async move {
        tokio::join!(
            nightshift_scheduler::run(scheduler, stop.clone()),
            nightshift_worker::run(worker, stop)
        );
    }))
}
