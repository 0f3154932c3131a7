//! The fleet on its bad night: two schedulers, three workers, a Salesforce, and orgs whose slots come one after the other.

use std::time::Duration;

use futures::{StreamExt, stream};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::variable;
use rand::{RngExt, rngs::StdRng};

use crate::harness::Fleet;

const SCHEDULERS: usize = 2;
const WORKERS: usize = 3;
/// Seconds.
const LEASE: u64 = 3;
/// Of a sync that was asked for: none waits for longer, whatever Salesforce says.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Of each org; the smallest that the simulator makes.
const COMPONENTS: u64 = 100;
/// Orgs that never change have the same contents, whatever happens.
const STILL: usize = 4;

/// A kind of process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Scheduler,
    Worker,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Worker => "worker",
        }
    }
}

/// All of it.
pub struct Site {
    pub fleet: Fleet,
    pub orgs: usize,
    /// What Salesforce was told to do to whom.
    pub met: Vec<String>,
    schedulers: Vec<usize>,
    workers: Vec<usize>,
    /// Processes ever started: each second one lives on a machine whose clock is wrong.
    started: usize,
}

impl Site {
    /// Connects the orgs; their slots lie within `night` from now.
    pub async fn with(orgs: usize, night: Duration) -> Self {
        let (lease, patience) = (LEASE.to_string(), PATIENCE.as_secs().to_string());
        let settings = [
            ("JOBS__LEASE_SECONDS", lease.as_str()),
            // what this night does to the fleet must not count as a poisonous job
            ("JOBS__MAX_DEATHS", "20"),
            ("JOBS__MAX_ATTEMPTS", "8"),
            ("WORKER__DRAIN_SECONDS", "5"),
            ("SYNC__PATIENCE_SECONDS", patience.as_str()),
            ("SYNC__POLL_UNKNOWN_SECONDS", "10"),
        ];
        let fleet = Fleet::new(&settings).await;
        let connecting = (0..orgs).map(|n| fleet.connect(OrgSpec::generated(&name(n), 1, COMPONENTS)));
        stream::iter(connecting)
            .buffer_unordered(8)
            .collect::<Vec<_>>()
            .await;
        let mut site = Self {
            fleet,
            orgs,
            met: Vec::new(),
            schedulers: Vec::new(),
            workers: Vec::new(),
            started: 0,
        };
        site.give_slots(night).await;
        site.start_all(&[]);
        site
    }

    /// Slots that are spread over the night, in a zone whose evening is late.
    async fn give_slots(&self, night: Duration) {
        let slots = format!(
            "UPDATE org SET time_zone = zone.name, slots_after = nightshift_now(), next_run = at.at,
                    slot = extract(hour FROM at.at AT TIME ZONE zone.name) * 60 + extract(minute FROM at.at)
               FROM (SELECT id, date_trunc('minute', nightshift_now()) + ceil(random() * {}) * interval '1 minute' AS at
                       FROM org) at,
                    (SELECT name FROM pg_timezone_names
                      WHERE name LIKE 'Etc/GMT%' AND extract(hour FROM nightshift_now() AT TIME ZONE name) = 23 LIMIT 1) zone
              WHERE at.id = org.id",
            (night.as_secs() / 60).max(1)
        );
        self.fleet.database.run(&slots).await;
    }

    fn start_all(&mut self, clock: &[(&str, &str)]) {
        for _ in 0..SCHEDULERS {
            let process = self.fleet.start("scheduler", clock);
            self.schedulers.push(process);
        }
        for _ in 0..WORKERS {
            let process = self.fleet.start("worker", clock);
            self.workers.push(process);
        }
    }

    fn of(&mut self, role: Role) -> &mut Vec<usize> {
        match role {
            Role::Scheduler => &mut self.schedulers,
            Role::Worker => &mut self.workers,
        }
    }

    /// One of them ends by this signal, and another one starts, on a machine whose clock may be ten minutes off.
    pub async fn replace(&mut self, role: Role, signal: &str, rng: &mut StdRng) {
        let at = rng.random_range(0..self.of(role).len());
        let old = self.of(role)[at];
        self.fleet.signal(old, signal).await;
        let ended = self.fleet.process(old).wait();
        let status = tokio::time::timeout(Duration::from_secs(30), ended).await;
        let status = status
            .unwrap_or_else(|_| panic!("{role:?} does not end by {signal}"))
            .unwrap();
        assert!(
            signal == "KILL" || status.success(),
            "{role:?} ended by {signal}: {status}"
        );
        self.started += 1;
        let library = variable("NIGHTSHIFT_TEST_FAKETIME");
        let off = ["+10m", "+0", "-10m"][self.started % 3];
        let clock = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME", off),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let new = self.fleet.start(role.as_str(), &clock);
        self.of(role)[at] = new;
    }

    /// A worker stands still for longer than its lease.
    pub async fn stand_still(&mut self, rng: &mut StdRng) {
        let worker = self.workers[rng.random_range(0..self.workers.len())];
        self.fleet.signal(worker, "STOP").await;
        tokio::time::sleep(Duration::from_millis(LEASE * 1_500)).await;
        self.fleet.signal(worker, "CONT").await;
    }

    pub fn any_org(&self, rng: &mut StdRng) -> String {
        name(rng.random_range(0..self.orgs))
    }

    /// Whether it never changes.
    pub fn stays(org: &str) -> bool {
        (0..STILL).map(name).any(|still| still == org)
    }

    /// One that is not among those that stay as they are.
    pub fn changing_org(&self, rng: &mut StdRng) -> String {
        name(rng.random_range(self.orgs.min(STILL)..self.orgs.max(STILL + 1)))
    }

    /// Somebody asks for a sync by hand. It may be refused: a database that is away is said so.
    pub async fn request(&self, rng: &mut StdRng) {
        let org = self.any_org(rng);
        let mut command = vec!["sync", org.as_str(), "--json"];
        if rng.random_bool(0.3) {
            command.push("--full");
        }
        self.fleet.run(&command).await;
    }

    /// The bad night is over: honest Salesforce, grants that are good, processes that nobody disturbs. Says whose grant was
    /// not.
    pub async fn calm(&mut self) -> Vec<String> {
        for n in 0..self.orgs {
            self.fleet.simulator.clear_faults(&name(n), None).unwrap();
        }
        for process in [
            std::mem::take(&mut self.schedulers),
            std::mem::take(&mut self.workers),
        ]
        .concat()
        {
            self.fleet.process(process).kill().await.unwrap();
        }
        let broken = "SELECT name FROM org WHERE broken_with IS NOT NULL";
        let broken = self.fleet.database.texts(broken).await;
        for org in &broken {
            self.reauthenticate(org).await;
        }
        self.nobody_waits_for_hours().await;
        self.start_all(&[]);
        broken
    }

    /// Who was told to come back when the day's requests are, or the maintenance is over, comes now: a slot's sync would
    /// wait as long as its window is.
    async fn nobody_waits_for_hours(&self) {
        let come = "UPDATE job SET not_before = nightshift_now() WHERE not_before > nightshift_now() + interval '1 minute'";
        self.fleet.database.run(come).await;
    }

    /// What an administrator does about a grant that Salesforce took away.
    async fn reauthenticate(&self, org: &str) {
        let token = self.fleet.folder.path().join(format!("{org}.token"));
        std::fs::write(&token, self.fleet.simulator.reauthorize(org).unwrap()).unwrap();
        let file = token.display().to_string();
        let again = [
            "org",
            "reauthenticate",
            org,
            "--refresh-token-file",
            &file,
            "--json",
        ];
        assert_eq!(self.fleet.json(&again).await["name"], org);
    }
}

/// The n-th org's.
pub fn name(n: usize) -> String {
    format!("org-{n}")
}
