//! One huge org beside many small ones: how much longer the small ones' syncs take for it.
//!
//! The same fleet syncs the small orgs alone and then beside the huge one, full each time, after a first night that is not
//! counted. Once all small ones come at the same moment, once one after the other over a while in which the fleet has time
//! left. What is measured is a small org's sync from its admission to its end. The huge org is in the middle of its work
//! (its first answer is ready to be ingested) when the small ones begin, and how much of their time it was there is printed.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use nightshift_simulator::{OrgLimits, OrgSpec, SimulatorSettings};

use crate::{harness::Fleet, load::Opener, measure::Figures};

const SMALL: u64 = 100;
const WORKERS: usize = 2;
const HUGE: &str = "huge";

const SMALL_ORGS: &str = "SELECT id::text FROM org WHERE name <> 'huge' ORDER BY id";
const HUGE_ORG: &str = "SELECT id::text FROM org WHERE name = 'huge'";
const SMALL_OPEN: &str =
    "SELECT count(*) FROM sync JOIN org ON org.id = org_id WHERE name <> 'huge' AND ended_at IS NULL";
const HUGE_OPEN: &str =
    "SELECT count(*) FROM sync JOIN org ON org.id = org_id WHERE name = 'huge' AND ended_at IS NULL";
/// The huge one has something to ingest.
const HUGE_INGESTS: &str =
    "SELECT count(*) FROM job JOIN org ON org.id = org_id WHERE name = 'huge' AND kind = 'ingest'";
const FAILED: &str = "SELECT count(*) FROM sync WHERE state <> 'succeeded'";
/// Of each sync of a small org, the round it belongs to and its seconds.
const SECONDS: &str = "SELECT concat(reason, ' ', extract(epoch FROM ended_at - admitted_at))
    FROM sync JOIN org ON org.id = org_id WHERE name <> 'huge'";

/// A fleet of usual settings with all orgs connected and synced once, but for the huge one.
struct Crowd {
    fleet: Fleet,
    opener: Opener,
    small: Vec<String>,
    huge: String,
}

/// How small ones come.
#[derive(Clone, Copy)]
struct Arrival {
    name: &'static str,
    over: Duration,
}

/// Whether the huge one is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Company {
    Alone,
    BesideHuge,
}

impl Crowd {
    async fn of(small: u64, huge: u64) -> Self {
        let usual = [
            ("JOBS__SWEEP_MILLIS", "500"),
            ("JOBS__REANNOUNCE_SECONDS", "60"),
            ("TELEMETRY__LOG", "warn"),
        ];
        let mut fleet = Fleet::beside(SimulatorSettings::default(), &usual).await;
        let specs = (0..small).map(|n| OrgSpec::generated(&format!("small-{n}"), n, SMALL));
        let all = specs.chain([OrgSpec::generated(HUGE, 11, huge)]).map(|spec| {
            spec.limited(OrgLimits {
                daily_requests: 1_000_000,
                ..OrgLimits::default()
            })
        });
        let connecting = all.map(|spec| fleet.connect(spec));
        stream::iter(connecting)
            .buffer_unordered(4)
            .collect::<Vec<_>>()
            .await;
        fleet.start("scheduler", &[]);
        for _ in 0..WORKERS {
            fleet.start("worker", &[]);
        }
        Self {
            opener: Opener::of(&fleet.database).await,
            small: fleet.database.texts(SMALL_ORGS).await,
            huge: fleet.database.texts(HUGE_ORG).await.remove(0),
            fleet,
        }
    }

    /// All small ones are synced, the reason of their syncs being the round's name; how long all of it took.
    async fn small_ones(&self, round: &str, over: Duration) -> Duration {
        let begun = Instant::now();
        for (n, org) in self.small.iter().enumerate() {
            let at = over.mul_f64(n as f64 / self.small.len() as f64);
            tokio::time::sleep(at.saturating_sub(begun.elapsed())).await;
            self.opener.open(org, round).await;
        }
        self.until(SMALL_OPEN, 0).await;
        begun.elapsed()
    }

    async fn until(&self, question: &'static str, wanted: i64) {
        while self.fleet.database.count(question).await != wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The seconds of a round's syncs.
    async fn seconds(&self, round: &str) -> Figures {
        let mut figures = Figures::default();
        for line in self.fleet.database.texts(SECONDS).await {
            if let Some((_, seconds)) = line.rsplit_once(' ').filter(|(reason, _)| *reason == round) {
                figures.add(seconds.parse().unwrap());
            }
        }
        figures
    }

    #[allow(clippy::print_stdout, reason = "see main.rs")]
    async fn round(&self, arrival: Arrival, company: Company) -> Figures {
        let beside = company == Company::BesideHuge;
        let name = if beside { "beside" } else { "alone" };
        let round = format!("{} {name}", arrival.name);
        let began = Instant::now();
        if beside {
            self.opener.open(&self.huge, &round).await;
            while self.fleet.database.count(HUGE_INGESTS).await == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let took = self.small_ones(&round, arrival.over).await;
        let there = self.fleet.database.count(HUGE_OPEN).await > 0;
        self.until(HUGE_OPEN, 0).await;
        let figures = self.seconds(&round).await;
        let (p50, p95) = (figures.quantile(0.5), figures.quantile(0.95));
        print!(
            "  {round}: p50 {p50:.2} s, p95 {p95:.2} s, all within {:.1} s",
            took.as_secs_f64()
        );
        if beside {
            let when = if there {
                "still at work then"
            } else {
                "done before"
            };
            print!(
                "; the huge one {when}, {:.1} s in all",
                began.elapsed().as_secs_f64()
            );
        }
        println!();
        figures
    }
}

/// Both arrivals, alone and beside.
#[allow(clippy::print_stdout, reason = "see main.rs")]
pub async fn beside(small: u64, huge: u64, over: Duration) {
    println!("{small} orgs of {SMALL} components, alone and beside one of {huge}, {WORKERS} workers");
    let crowd = Crowd::of(small, huge).await;
    let first = crowd.small_ones("first night", Duration::ZERO).await;
    println!("  first night of the small ones: {:.1} s", first.as_secs_f64());
    let at_once = Arrival {
        name: "at once",
        over: Duration::ZERO,
    };
    let spread = Arrival { name: "spread", over };
    for arrival in [at_once, spread] {
        let alone = crowd.round(arrival, Company::Alone).await;
        let beside = crowd.round(arrival, Company::BesideHuge).await;
        let ratio = |part: f64| beside.quantile(part) / alone.quantile(part);
        println!(
            "  {}: p50 {:.2} times, p95 {:.2} times what it is alone (must below 2)",
            arrival.name,
            ratio(0.5),
            ratio(0.95)
        );
    }
    assert_eq!(crowd.fleet.database.count(FAILED).await, 0);
}
