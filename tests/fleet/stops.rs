//! Workers that stand still past their lease, at the worst places: inside a COPY, between the check of the fence and
//! COMMIT, at the end of a step that is not settled, and anywhere.
//!
//! The database tells when a worker stands where it is wanted: its session is inside a COPY, or idle inside a
//! transaction whose last statement took the job's row, or a job has been claimed for a while. A point of crate `fail` and a proxy that drips make these places
//! long enough to be met. `NIGHTSHIFT_STOPS=100` stops a hundred times, `NIGHTSHIFT_SOAK=1` once with a lease of 60 s.

use std::time::Duration;

use nightshift_simulator::OrgSpec;
use nightshift_testkit::{
    given,
    proxy::{Fault, Proxy},
    seed, soaks,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::harness::{Fleet, contents, small_org};

/// Where a worker stands while it is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// It sends rows.
    Copy,
    /// It holds the job's row, its effects are written or not, nothing is committed.
    BeforeCommit,
    /// Its step is done, and the database does not know.
    BeforeSettle,
    /// Wherever it was.
    Anywhere,
}

const PLACES: [Place; 4] = [
    Place::Copy,
    Place::BeforeCommit,
    Place::BeforeSettle,
    Place::Anywhere,
];

/// Counts workers that are there now.
fn there(place: Place) -> &'static str {
    match place {
        Place::Copy => {
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY staged%'
                AND state = 'active'"
        }
        Place::BeforeCommit => {
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND state = 'idle in transaction' AND xact_start < clock_timestamp() - interval '100 ms'"
        }
        // of a lease of 2 s, which each beat extends
        Place::BeforeSettle => {
            "SELECT count(*) FROM job WHERE state = 'claimed' AND lease_until < nightshift_now() + interval '1600 ms'"
        }
        Place::Anywhere => "SELECT count(*) FROM job WHERE state = 'claimed'",
    }
}

/// One fleet whose first worker is stopped again and again, and whose second one goes on.
struct Stops {
    fleet: Fleet,
    proxy: Proxy,
    lease: Duration,
    quiet: Vec<String>,
    /// What it said when another had its job.
    lost: usize,
}

impl Stops {
    async fn with(lease: u64) -> Self {
        let seconds = lease.to_string();
        let settings = [
            ("JOBS__LEASE_SECONDS", seconds.as_str()),
            ("JOBS__MAX_DEATHS", "9"),
            ("SYNC__BATCH_FILES", "30"),
        ];
        let mut fleet = Fleet::new(&settings).await;
        let (proxy, _) = fleet.database.behind_proxy().await;
        fleet.start("scheduler", &[]);
        let helper = fleet.start("worker", &[]);
        let quiet = fleet.quiet_night().await;
        fleet.process(helper).kill().await.unwrap();
        Self {
            fleet,
            proxy,
            lease: Duration::from_secs(lease),
            quiet,
            lost: 0,
        }
    }

    /// A worker that stands at a place for a while of its own accord, so that it can be stopped there.
    fn slow_worker(&mut self, place: Place, rng: &mut StdRng) -> usize {
        let url = self.proxy.instead(self.fleet.database.url());
        let points = [
            "settle-taken",
            "settle-written",
            "before-commit:jobs.settle",
            "before-commit:staging.chunk",
        ];
        let point = points[rng.random_range(0..points.len())];
        let passed = rng.random_range(0..4);
        let armed = match place {
            Place::BeforeCommit => format!("{point}={passed}*off->1*sleep(1500)->off"),
            Place::BeforeSettle => format!("before-settle={passed}*off->1*sleep(1500)->off"),
            Place::Copy | Place::Anywhere => String::new(),
        };
        if place == Place::Copy {
            let drip = Fault::Drip {
                bytes: 4_000,
                every: Duration::from_millis(20),
            };
            self.proxy.arm(drip);
        }
        let variables = [
            ("NIGHTSHIFT__DATABASE__URL", url.as_str()),
            ("FAILPOINTS", armed.as_str()),
        ];
        self.fleet.start("worker", &variables)
    }

    /// Waits until the worker is there; a few times it passes too fast.
    async fn is_at(&self, place: Place) -> bool {
        for _ in 0..800 {
            if self.fleet.database.count(there(place)).await > 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// One sync of an org of its own, in which a worker is stopped past its lease; where it stood.
    async fn stop(&mut self, n: u64, rng: &mut StdRng) -> Option<Place> {
        let (place, org) = (PLACES[n as usize % PLACES.len()], format!("org-{n}"));
        let night = small_org().join("night-1");
        self.fleet.connect(OrgSpec::from_folder(&org, night, None)).await;
        assert!(self.fleet.run(&["sync", &org, "--json"]).await.status.success());
        let worker = self.slow_worker(place, rng);
        if place == Place::Anywhere {
            tokio::time::sleep(Duration::from_millis(rng.random_range(300..1_500))).await;
        }
        let there = self.is_at(place).await;
        self.fleet.signal(worker, "STOP").await;
        let helper = self.fleet.start("worker", &[]);
        tokio::time::sleep(self.lease.mul_f64(1.6)).await;
        self.proxy.heal();
        self.fleet.signal(worker, "CONT").await;
        let sync = self.fleet.sync(&org).await;
        assert_eq!(sync["state"], "succeeded", "{place:?}: {sync}");
        assert_eq!(contents(&self.fleet.export(&org).await), self.quiet, "{place:?}");
        // what it has still to say it says now
        tokio::time::sleep(Duration::from_millis(200)).await;
        for process in [worker, helper] {
            self.fleet.process(process).kill().await.unwrap();
        }
        there.then_some(place)
    }

    fn lease_losses(&self) -> usize {
        let log = std::fs::read_to_string(self.fleet.log("worker")).unwrap();
        log.matches("lease_lost").count()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "the counts are what the test is asked for")]
async fn an_effect_is_written_only_under_the_newest_fence() {
    let mut rng = StdRng::seed_from_u64(seed());
    let mut stops = Stops::with(2).await;
    let mut met = [0; PLACES.len()];
    let times = given("NIGHTSHIFT_STOPS", 6);
    for n in 0..times {
        if let Some(place) = stops.stop(n, &mut rng).await {
            met[place as usize] += 1;
        }
    }
    stops.lost = stops.lease_losses();
    let deaths = "SELECT coalesce(sum(deaths), 0)::bigint FROM timeline";
    println!(
        "{times} stops past the lease: {met:?} in {PLACES:?}; lease_lost said {} times, {} deaths, {} events",
        stops.lost,
        stops.fleet.database.count(deaths).await,
        stops.fleet.database.history_holds().await,
    );
    assert!(met.iter().all(|met| *met > 0), "a place was never met: {met:?}");
    assert!(stops.lost > 0, "nobody noticed that another had its job");
    if soaks() {
        let mut long = Stops::with(60).await;
        assert!(long.stop(1, &mut rng).await.is_some());
        long.fleet.database.history_holds().await;
    }
}
