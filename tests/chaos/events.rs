//! What can happen to a fleet on a bad night, drawn from a seed, and how it is made to happen.

use std::{collections::BTreeMap, time::Duration};

use nightshift_simulator::{Fault, NamedFault};
use nightshift_testkit::servers::{Alarm, Server, alarm, ctl, restart};
use rand::{Rng, RngExt, rngs::StdRng, seq::IndexedRandom};

use crate::site::{Role, Site};

/// Faults that end by themselves or by a retry, or that end a sync with a case: any that the list names, but for those
/// that hold an org for hours.
const TOO_LONG: [&str; 5] = [
    "pending_for_hours",
    "pending_for_ever",
    "pending_for_33_minutes",
    "long_job",
    "poll_times_out",
];

/// What no answer shows: the dictionary says what Salesforce said, until the profile changes or a full sync comes.
const NOT_SEEN: &str = "profile_without_objects";

/// One thing that happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// A worker is killed; another one takes its place.
    KillWorker,
    /// A scheduler is.
    KillScheduler,
    /// A worker stands still for longer than its lease, then goes on.
    StopWorker,
    /// A worker is told to stop; another one takes its place once it has.
    DrainWorker,
    /// A scheduler is.
    DrainScheduler,
    /// The broker is restarted, in order or by a kill.
    RestartBroker,
    /// The broker loses all that it had.
    WipeBroker,
    /// The broker takes no messages for three seconds.
    MemoryAlarm,
    /// The database is restarted, in order or by a kill.
    RestartDatabase,
    /// Every connection to the database ends.
    CutDatabase,
    /// Every connection to the broker ends.
    CutBroker,
    /// The database may write no temporary file for two seconds.
    NoTemporarySpace,
    /// Salesforce answers one org as one of the named faults.
    Salesforce,
    /// An org is changed.
    Change,
    /// Somebody asks for a sync.
    Request,
}

/// How often each is drawn, beside the others.
const WEIGHTS: [(Event, u32); 15] = [
    (Event::KillWorker, 12),
    (Event::KillScheduler, 6),
    (Event::StopWorker, 8),
    (Event::DrainWorker, 6),
    (Event::DrainScheduler, 3),
    (Event::RestartBroker, 2),
    (Event::WipeBroker, 2),
    (Event::MemoryAlarm, 2),
    (Event::RestartDatabase, 2),
    (Event::CutDatabase, 4),
    (Event::CutBroker, 4),
    (Event::NoTemporarySpace, 3),
    (Event::Salesforce, 30),
    (Event::Change, 12),
    (Event::Request, 60),
];

/// How often each has happened.
pub type Tally = BTreeMap<Event, u32>;

impl Event {
    pub fn draw(rng: &mut StdRng) -> Self {
        let weighted = WEIGHTS.choose_weighted(rng, |(_, weight)| *weight);
        weighted.expect("weights are above nothing").0
    }

    pub async fn happen(self, site: &mut Site, rng: &mut StdRng) {
        match self {
            Self::KillWorker => site.replace(Role::Worker, "KILL", rng).await,
            Self::KillScheduler => site.replace(Role::Scheduler, "KILL", rng).await,
            Self::DrainWorker => site.replace(Role::Worker, "TERM", rng).await,
            Self::DrainScheduler => site.replace(Role::Scheduler, "TERM", rng).await,
            Self::StopWorker => site.stand_still(rng).await,
            Self::RestartBroker => restart(Server::Broker, signal(rng)).await,
            Self::RestartDatabase => restart(Server::Database, signal(rng)).await,
            Self::WipeBroker => ctl(&["wipe"]).await,
            Self::MemoryAlarm => memory_alarm().await,
            Self::CutDatabase => cut_database(site).await,
            Self::CutBroker => ctl(&["close_all_connections", "chaos"]).await,
            Self::NoTemporarySpace => no_temporary_space(site).await,
            Self::Salesforce => salesforce(site, rng),
            Self::Change => {
                let org = site.changing_org(rng);
                site.fleet.simulator.evolve(&org, 0.05).unwrap();
            }
            Self::Request => site.request(rng).await,
        }
    }
}

/// By a kill, or in order.
fn signal(rng: &mut StdRng) -> &'static [&'static str] {
    if rng.random_bool(0.5) { &["KILL"] } else { &[] }
}

async fn memory_alarm() {
    alarm(Alarm::On).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    alarm(Alarm::Off).await;
}

async fn cut_database(site: &Site) {
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    site.fleet.database.run(cut).await;
}

/// A disk that is full for temporary files is met as an error of a sort or of a hash join; so is this limit.
async fn no_temporary_space(site: &Site) {
    limit_temporary_files(site, "0kB").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    limit_temporary_files(site, "-1").await;
}

async fn limit_temporary_files(site: &Site, most: &str) {
    let name = site.fleet.database.name();
    let limit = format!(
        "ALTER DATABASE {name} SET work_mem = '64kB'; ALTER DATABASE {name} SET temp_file_limit = '{most}'"
    );
    site.fleet.database.run(&limit).await;
    // settings of a database hold for new sessions
    cut_database(site).await;
}

fn salesforce(site: &mut Site, rng: &mut StdRng) {
    let org = site.any_org(rng);
    let named = loop {
        let named = NamedFault::all().choose(rng).expect("faults have names");
        if !TOO_LONG.contains(&named.name.as_str()) && named.name != NOT_SEEN {
            break named;
        }
    };
    let fault: Fault = named.fault().unwrap();
    let times = rng.random_range(1..4);
    // an order that concerns what this org does not have says so, and another one is as good
    if site.fleet.simulator.fault(&org, fault.times(times)).is_ok() {
        site.met.push(format!("{org}: {} x {times}", named.name));
    }
}

/// A pause between two events, in milliseconds: often short.
pub fn pause(rng: &mut impl Rng) -> Duration {
    Duration::from_millis(rng.random_range(20..600))
}
