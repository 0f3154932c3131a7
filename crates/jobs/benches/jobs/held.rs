//! Claims and dispatches while somebody holds a snapshot: nothing that they leave behind can be cleaned up.
//!
//! A million rows wait. The load is the same with and without the snapshot: a dispatcher marks what is due at a steady
//! pace, four workers claim and settle it, each job is followed by one more. The queue between them is a channel.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nightshift_domain::{JobId, OrgId};
use nightshift_store::{
    Store,
    jobs::{AnnounceLimits, ClaimAnswer, Horizon},
};
use nightshift_testkit::{
    TestDb,
    toys::{LEASE, ROOM, done},
};
use sqlx::{Executor, PgConnection, raw_sql};
use tokio::sync::{Mutex, mpsc};

use crate::{measure::Figures, ours::link, site::Site, waiting::fill};

const CHAINS: u32 = 64;
const WORKERS: usize = 4;
/// Of the dispatcher: 64 chains at this pace are 640 jobs a second at most.
const PACE: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_secs(10);
const HELD_WINDOWS: usize = 6;
const LIMITS: AnnounceLimits = AnnounceLimits {
    per_class: 2_000,
    per_org: 4,
    open_per_org: 3,
    running_per_org: 5,
    reannounce: Duration::from_secs(60),
};

/// What a window saw, in milliseconds.
#[derive(Default)]
pub struct Window {
    claims: Figures,
    dispatches: Figures,
    jobs: usize,
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (claims, dispatches) = (&self.claims, &self.dispatches);
        write!(
            f,
            "{} jobs, claim p50 {:.2}, p99 {:.2}, dispatch p50 {:.2} ms",
            self.jobs,
            claims.quantile(0.5),
            claims.quantile(0.99),
            dispatches.quantile(0.5)
        )
    }
}

async fn work(store: Store, due: Arc<Mutex<mpsc::Receiver<(OrgId, JobId)>>>) -> (Vec<f64>, usize) {
    let (mut took, mut jobs) = (Vec::new(), 0);
    loop {
        let Some((org, job)) = due.lock().await.recv().await else {
            return (took, jobs);
        };
        let asked = Instant::now();
        let answer = store.jobs().claim(org, job, LEASE, ROOM).await.unwrap();
        took.push(asked.elapsed().as_secs_f64() * 1e3);
        if let ClaimAnswer::Ours(claimed) = answer {
            store
                .jobs()
                .settle(claimed.claim, done(vec![link()]))
                .await
                .unwrap();
            jobs += 1;
        }
    }
}

/// The load for one window.
async fn window(store: &Store, horizon: &mut Horizon) -> Window {
    let (told, due) = mpsc::channel(10_000);
    let due = Arc::new(Mutex::new(due));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| tokio::spawn(work(store.clone(), Arc::clone(&due))))
        .collect();
    let mut seen = Window::default();
    let (began, mut pace) = (Instant::now(), tokio::time::interval(PACE));
    while began.elapsed() < WINDOW {
        pace.tick().await;
        let asked = Instant::now();
        let marked = store.jobs().mark_announceable(*horizon, &LIMITS).await.unwrap();
        *horizon = marked.horizon;
        seen.dispatches.add(asked.elapsed().as_secs_f64() * 1e3);
        for job in marked.jobs {
            told.send((job.org, job.job)).await.unwrap();
        }
    }
    drop(told);
    for worker in workers {
        let (took, jobs) = worker.await.unwrap();
        for ms in took {
            seen.claims.add(ms);
        }
        seen.jobs += jobs;
    }
    seen
}

/// A transaction that sees the database as it is now, for as long as the connection lives.
async fn hold(database: &TestDb) -> PgConnection {
    let mut connection = database.connect().await;
    let begin = "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sync";
    connection.execute(raw_sql(begin)).await.unwrap();
    connection
}

pub async fn compare() {
    let site = Site::new(CHAINS).await;
    fill(&site.database).await;
    let mut horizon = Horizon::EVERYTHING;
    window(&site.store, &mut horizon).await;
    let free = window(&site.store, &mut horizon).await;
    println!("no snapshot: {free}");
    let holder = hold(&site.database).await;
    let mut held = Vec::new();
    for n in 1..=HELD_WINDOWS {
        let seen = window(&site.store, &mut horizon).await;
        println!("snapshot held for {} s: {seen}", n as u64 * WINDOW.as_secs());
        held.push(seen);
    }
    drop(holder);
    let last = held.pop().unwrap();
    println!(
        "foreign snapshot held for 60 s: claim p99 {:.1} ms (must 50), claim p50 {:.2} times, dispatch p50 {:.2} times that without",
        last.claims.quantile(0.99),
        last.claims.quantile(0.5) / free.claims.quantile(0.5),
        last.dispatches.quantile(0.5) / free.dispatches.quantile(0.5),
    );
}
