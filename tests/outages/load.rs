//! Syncs by the hundred: opened through the one door as the command line does, without a process for each.

use std::time::Duration;

use nightshift_domain::{Door, Mode, NewJob, OrgId, SyncRequest};
use nightshift_jobs::{JobsSettings, admit_sync};
use nightshift_store::{
    Store,
    syncs::{AdmissionAnswer, Opening, Patience},
};
use nightshift_sync::SyncContext;
use nightshift_testkit::TestDb;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than any of these runs.
const PATIENCE: Duration = Duration::from_secs(7_200);
/// How often a load looks for orgs whose sync has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Orgs without an open sync.
const IDLE: &str = "SELECT id::text FROM org WHERE NOT EXISTS
    (SELECT FROM sync WHERE sync.org_id = org.id AND sync.state IN ('queued', 'running'))";

/// Opens full syncs.
pub struct Opener {
    store: Store,
    settings: JobsSettings,
    first: NewJob,
}

impl Opener {
    pub async fn of(database: &TestDb) -> Self {
        Self {
            store: database.store_of(2).await,
            settings: JobsSettings::default(),
            first: SyncContext::first_job(),
        }
    }

    /// A sync of the org with this id, for this reason; says how many that are: none when one is open.
    pub async fn open(&self, org: &str, reason: &str) -> u64 {
        let request = SyncRequest {
            org: OrgId::from_uuid(org.parse().unwrap()),
            mode: Mode::Full,
            door: Door::Hand,
            reason: Some(reason.to_owned()),
        };
        let opening = Opening {
            request: &request,
            patience: Patience::For(PATIENCE),
            first: &self.first,
            traceparent: None,
        };
        match admit_sync(&self.store, None, &self.settings, &opening)
            .await
            .unwrap()
        {
            AdmissionAnswer::Opened { .. } => 1,
            AdmissionAnswer::Joined { .. } => 0,
            AdmissionAnswer::Refused(why) => panic!("{org}: {why}"),
        }
    }
}

/// A sync of every org is open as long as it lasts.
pub struct Load {
    stop: CancellationToken,
    keeping: JoinHandle<u64>,
}

impl Load {
    pub fn on(database: &TestDb) -> Self {
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(database.clone(), stop.clone()));
        Self { stop, keeping }
    }

    /// Opens no more; says how many it has opened.
    pub async fn end(self) -> u64 {
        self.stop.cancel();
        self.keeping.await.unwrap()
    }
}

async fn keep(database: TestDb, stop: CancellationToken) -> u64 {
    let (opener, mut opened) = (Opener::of(&database).await, 0);
    while !stop.is_cancelled() {
        for org in database.texts(IDLE).await {
            opened += opener.open(&org, "load").await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    opened
}
