//! Deaths at every named point: `crash_points.tsv` lists them, one loop makes a process die at each of them in each step.
//!
//! A worker that dies at a point of one step is followed by one that dies at the same point of the next step, so that a
//! sync passes as many deaths as it has steps. A scheduler dies while it fires, takes a request, sweeps, sends an event;
//! a command dies while it admits. Whatever died, the dictionary is that of an org whose night was quiet.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_sync::registry;
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    harness::{Fleet, contents, small_org},
    requests::publish,
};

/// Fleets that die side by side.
const LANES: usize = 3;

/// Batches are so small that the org's profile comes in parts: each step there is has its turn.
const SHORT_LEASE: [(&str, &str); 3] = [
    ("JOBS__LEASE_SECONDS", "1"),
    ("JOBS__MAX_DEATHS", "9"),
    ("SYNC__BATCH_FILES", "30"),
];

/// A row of the list.
#[derive(Clone, Debug)]
struct Point {
    name: &'static str,
    who: &'static str,
    steps: &'static str,
}

fn points() -> Vec<Point> {
    let lines = include_str!("crash_points.tsv").lines();
    let rows = lines.filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let mut cells = row.split('\t');
        let mut cell = || cells.next().expect("three cells");
        Point {
            name: cell(),
            who: cell(),
            steps: cell(),
        }
    })
    .collect()
}

impl Point {
    fn is_met_in(&self, kind: &str) -> bool {
        match self.steps.strip_prefix('-') {
            Some(not) => kind != not,
            None => self.steps == "all" || self.steps.split(' ').any(|step| step == kind),
        }
    }

    /// What arms it: from the claim of a job of this kind on.
    fn armed_by(&self, kind: &str) -> String {
        match self.name {
            "claimed" => format!("claimed-{kind}=1*return"),
            point => format!("claimed-{kind}=1*return({point})"),
        }
    }
}

/// A fleet, and what the dictionary is after a quiet night.
struct Lane {
    fleet: Fleet,
    /// The number of the scheduler that lives.
    scheduler: usize,
    quiet: Vec<String>,
    orgs: usize,
}

impl Lane {
    async fn open() -> Self {
        let mut fleet = Fleet::new(&SHORT_LEASE).await;
        let scheduler = fleet.start("scheduler", &[]);
        let worker = fleet.start("worker", &[]);
        let quiet = fleet.quiet_night().await;
        fleet.process(worker).kill().await.unwrap();
        Self {
            fleet,
            scheduler,
            quiet,
            orgs: 0,
        }
    }

    async fn new_org(&mut self) -> String {
        self.orgs += 1;
        let org = format!("org-{}", self.orgs);
        self.fleet
            .connect(OrgSpec::from_folder(&org, small_org().join("night-1"), None))
            .await;
        org
    }

    async fn dies(&mut self, process: usize, at: &str) {
        let death = self.fleet.process(process).wait();
        let status = tokio::time::timeout(Duration::from_secs(40), death).await;
        let status = status.unwrap_or_else(|_| panic!("nobody came to {at}")).unwrap();
        assert!(!status.success(), "{at}");
    }

    /// The one sync of the org ends as if nothing had been.
    async fn ends_well(&mut self, org: &str, at: &str) {
        let worker = self.fleet.start("worker", &[]);
        let shown = self.fleet.org_is(org, at, |shown| shown["revision"] == 1).await;
        assert_eq!(shown["open_cases"], 0, "{at}");
        assert_eq!(contents(&self.fleet.export(org).await), self.quiet, "{at}");
        let syncs = "SELECT concat_ws(' ', name, state) FROM sync JOIN org ON org.id = org_id";
        let syncs = self.fleet.database.texts(syncs).await;
        let of_org = |sync: &&String| sync.split_once(' ').is_some_and(|(name, _)| name == org);
        let states: Vec<_> = syncs.iter().filter(of_org).collect();
        assert_eq!(states, [&format!("{org} succeeded")], "{at}");
        self.fleet.process(worker).kill().await.unwrap();
    }

    /// A worker dies at the point in each step; how many died.
    async fn workers_die_at(&mut self, point: &Point) -> usize {
        let mut org = self.syncing_org(point).await;
        let mut deaths = 0;
        for (kind, _) in registry()
            .kinds()
            .filter(|(kind, _)| point.is_met_in(kind.as_str()))
        {
            let armed = point.armed_by(kind.as_str());
            let mut tries = 0;
            while !self.worker_dies(&org, &armed).await {
                // the sweep was there first and told the queue itself: another sync
                tries += 1;
                assert!(tries < 5, "nobody comes to {armed}");
                self.ends_well(&org, point.name).await;
                org = self.syncing_org(point).await;
            }
            deaths += 1;
        }
        self.ends_well(&org, point.name).await;
        deaths
    }

    async fn syncing_org(&mut self, point: &Point) -> String {
        let org = self.new_org().await;
        if point.name.ends_with("heartbeat") {
            let slow = Fault {
                millis: Some(900),
                ..Fault::new(FaultKind::Slow)
            };
            self.fleet
                .simulator
                .fault(&org, slow.on(&[Call::Describe]))
                .unwrap();
        }
        assert!(self.fleet.run(&["sync", &org, "--json"]).await.status.success());
        org
    }

    /// Whether a worker that is armed dies of it before the org's sync is over.
    async fn worker_dies(&mut self, org: &str, armed: &str) -> bool {
        let worker = self.fleet.start("worker", &[("FAILPOINTS", armed)]);
        let mut patience = 600;
        while patience > 0 {
            if let Some(status) = self.fleet.process(worker).try_wait().unwrap() {
                assert!(!status.success(), "{armed}");
                return true;
            }
            if patience > 20 && !self.is_open(org).await {
                patience = 20;
            }
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!self.is_open(org).await, "{armed}: neither dead nor done");
        self.fleet.process(worker).kill().await.unwrap();
        false
    }

    async fn is_open(&self, org: &str) -> bool {
        let open = "SELECT name FROM sync JOIN org ON org.id = org_id WHERE state IN ('queued', 'running')";
        self.fleet
            .database
            .texts(open)
            .await
            .iter()
            .any(|name| name == org)
    }

    /// The scheduler dies there once, another one takes its place; what it was about came before it started.
    async fn scheduler_dies_at(&mut self, point: &Point) -> usize {
        let org = self.new_org().await;
        self.fleet.process(self.scheduler).kill().await.unwrap();
        match point.steps {
            "slot" => self.fleet.slot_comes(&org).await,
            "request" => {
                let request = json!({"version": 1, "request": "sync", "org": org, "id": point.name});
                publish(&self.fleet, &[&request.to_string()]).await;
            }
            _ => assert!(self.fleet.run(&["sync", &org, "--json"]).await.status.success()),
        }
        let armed = format!("{}=return", point.name);
        let dying = self.fleet.start("scheduler", &[("FAILPOINTS", &armed)]);
        // an event is there once the sync has ended
        let worker = (point.steps == "event").then(|| self.fleet.start("worker", &[]));
        self.dies(dying, &armed).await;
        if let Some(worker) = worker {
            self.fleet.process(worker).kill().await.unwrap();
        }
        self.scheduler = self.fleet.start("scheduler", &[]);
        self.ends_well(&org, &armed).await;
        1
    }

    /// A command dies there, and a person gives it again.
    async fn command_dies_at(&mut self, point: &Point) -> usize {
        let org = self.new_org().await;
        let armed = [("FAILPOINTS".to_owned(), format!("{}=return", point.name))];
        let died = self.fleet.run_with(&["sync", &org, "--json"], &armed).await;
        assert_eq!(died.status.code(), None, "{}", point.name);
        assert!(self.fleet.run(&["sync", &org, "--json"]).await.status.success());
        self.ends_well(&org, point.name).await;
        1
    }
}

async fn all_die(points: Vec<Point>) -> usize {
    let mut lane = Lane::open().await;
    let mut deaths = 0;
    for point in points {
        deaths += match point.who {
            "worker" => lane.workers_die_at(&point).await,
            "scheduler" => lane.scheduler_dies_at(&point).await,
            _ => lane.command_dies_at(&point).await,
        };
    }
    lane.fleet.database.history_holds().await;
    deaths
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the count is what the test is asked for")]
async fn whoever_is_killed_at_any_named_point_of_any_step_changes_nothing_b99() {
    let (workers, others): (Vec<_>, Vec<_>) = points().into_iter().partition(|point| point.who == "worker");
    let mut lanes: Vec<Vec<Point>> = vec![Vec::new(); LANES];
    for (n, point) in workers.into_iter().enumerate() {
        lanes[n % LANES].push(point);
    }
    lanes.push(others);
    let mut running = JoinSet::new();
    for points in lanes {
        running.spawn(all_die(points));
    }
    let deaths: usize = running.join_all().await.into_iter().sum();
    println!("{deaths} deaths at {} points", points().len());
    assert!(points().len() >= 20 && deaths >= 140, "{deaths}");
}
