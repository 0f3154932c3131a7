//! Whether a worker's and a sweeper's memory stays as it is under load: each a process of its own, looked at every second.
//!
//! `NIGHTSHIFT_BENCH_SECONDS` says for how long (60 seconds unless told); over 600 it is the figure that is asked for.

use std::{
    fs,
    process::{Child, Command},
    time::Duration,
};

use nightshift_testkit::TestDb;
use sqlx::PgPool;

use crate::{
    AT_A_TIME, CHAINS,
    ours::{Ours, queue_of},
    site::{CONNECTIONS, Site},
};

/// Before the first look: pools and buffers fill.
const WARM: Duration = Duration::from_secs(10);

/// A process of ours until it is killed: `--child worker|sweeper URL PREFIX`.
pub async fn child(arguments: &[String]) {
    let [what, url, prefix] = arguments else {
        panic!("a child needs its part, a database and a prefix");
    };
    let store = TestDb::at(url).store_of(CONNECTIONS).await;
    let ours = Ours::new(store, queue_of(prefix).await);
    let _running = match what.as_str() {
        "worker" => ours.work(AT_A_TIME),
        _ => ours.sweep(),
    };
    std::future::pending::<()>().await;
}

/// Killed with the bench.
struct Process(Child);

impl Process {
    fn start(what: &str, url: &str, prefix: &str) -> Self {
        let me = std::env::current_exe().unwrap();
        Self(
            Command::new(me)
                .args(["--child", what, url, prefix])
                .spawn()
                .unwrap(),
        )
    }

    fn megabytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024.0 / 1e6
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// By how much samples that are a second apart grow in a minute (least squares).
fn slope_a_minute(samples: &[f64]) -> f64 {
    let middle = (samples.len() as f64 - 1.0) / 2.0;
    let mean = samples.iter().sum::<f64>() / samples.len() as f64;
    let along = |(n, sample): (usize, &f64)| (n as f64 - middle) * (sample - mean);
    let rise: f64 = samples.iter().enumerate().map(along).sum();
    let run: f64 = (0..samples.len()).map(|n| (n as f64 - middle).powi(2)).sum();
    60.0 * rise / run
}

#[expect(clippy::disallowed_methods, reason = "a bench is told how long by a variable")]
fn seconds() -> usize {
    let told = std::env::var("NIGHTSHIFT_BENCH_SECONDS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(60)
}

pub async fn watch() {
    let site = Site::new(CHAINS).await;
    let prefix = format!("memory-{}", site.database.name());
    let [worker, sweeper] =
        ["worker", "sweeper"].map(|what| Process::start(what, site.database.url(), &prefix));
    let pool = PgPool::connect(site.database.url()).await.unwrap();
    let jobs = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM timeline");
        count.fetch_one(&pool).await.unwrap()
    };
    tokio::time::sleep(WARM).await;
    let before = jobs().await;
    let [mut of_worker, mut of_sweeper] = <[Vec<f64>; 2]>::default();
    let mut every = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..seconds() {
        every.tick().await;
        of_worker.push(worker.megabytes());
        of_sweeper.push(sweeper.megabytes());
    }
    println!(
        "memory over {} s and {} jobs:",
        of_worker.len(),
        jobs().await - before
    );
    for (what, samples) in [("worker", of_worker), ("sweeper", of_sweeper)] {
        println!(
            "  {what}: first {:.1}, last {:.1} MB, {:+.2} MB a minute",
            samples[0],
            samples[samples.len() - 1],
            slope_a_minute(&samples),
        );
    }
}
