//! A database with chains of toy jobs: one sync an org, one job a sync, each of which is followed by one more.

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use nightshift_domain::{JobId, OrgId, SyncId};
use nightshift_store::Store;
use nightshift_testkit::{TestDb, toys::Toys};

use crate::ours::link;

/// Connections of each side to the database.
pub const CONNECTIONS: u32 = 24;
/// Before a rate is counted.
const WARM: Duration = Duration::from_secs(1);
/// While it is counted.
const COUNTED: Duration = Duration::from_secs(4);

/// One database, and whose chains are in it.
pub struct Site {
    pub database: TestDb,
    pub store: Store,
    pub chains: Vec<Chain>,
}

/// An org whose sync has one live job at any time.
#[derive(Clone, Copy)]
pub struct Chain {
    pub org: OrgId,
    pub sync: SyncId,
    /// The first of them.
    pub job: JobId,
}

impl Site {
    /// With so many chains. Commits wait for the disk, as in production.
    pub async fn new(chains: u32) -> Self {
        let database = TestDb::fresh().await;
        let durable = format!("ALTER DATABASE {} SET synchronous_commit = on", database.name());
        database.run(&durable).await;
        let store = database.store_of(CONNECTIONS).await;
        let mut site = Self {
            database,
            store,
            chains: Vec::new(),
        };
        for n in 0..chains {
            let toys = Toys::beside(site.database.clone(), site.store.clone(), n).await;
            let sync = toys.admit_with(&link()).await;
            let job = toys.jobs().await[0].id;
            site.chains.push(Chain {
                org: toys.org,
                sync,
                job,
            });
        }
        site
    }
}

/// How much was done, by anybody.
pub type Done = Arc<AtomicU64>;

/// How fast a number grows, a second, once it has been growing for a while.
pub async fn rate(done: &Done) -> f64 {
    tokio::time::sleep(WARM).await;
    let (before, began) = (done.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(COUNTED).await;
    (done.load(Ordering::Relaxed) - before) as f64 / began.elapsed().as_secs_f64()
}
