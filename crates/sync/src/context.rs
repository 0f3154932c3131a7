//! What the steps of a sync share, and the list of them.

use std::sync::Arc;

use domain::{NewJob, OrgId, SyncId};
use nightshift_domain as domain;
use nightshift_jobs::{Registry, Step, StepCx};
use nightshift_salesforce::{ApiVersion, CallCounter, Client, Salesforce, TokenSource};
use nightshift_store::Store;

use crate::{
    finish::Finish,
    ingest::Ingest,
    inventory::Inventory,
    merge::Merge,
    payload::StartJob,
    polite::{PolitenessSettings, Tally},
    poll::Poll,
    retrieve::Retrieve,
    settings::SyncSettings,
    start::Start,
    trouble::Trouble,
};

/// Tools of a sync. Read access to the store is by its aggregates; what readers see is written by settlements alone.
#[derive(Clone)]
pub struct SyncContext {
    /// For reading.
    pub(crate) store: Store,
    /// The process's one client.
    pub(crate) salesforce: Salesforce,
    /// Sessions.
    pub(crate) tokens: Arc<dyn TokenSource>,
    /// The numbers.
    pub(crate) settings: SyncSettings,
    /// How much of Salesforce may be taken.
    pub(crate) politeness: PolitenessSettings,
    /// Answers of this process that are in no row.
    pub(crate) tally: Arc<Tally>,
}

/// Name of the step with which every sync begins.
pub const FIRST_STEP: &str = "start";

impl SyncContext {
    /// Puts the tools together.
    pub fn new(
        store: Store,
        salesforce: Salesforce,
        tokens: Arc<dyn TokenSource>,
        settings: SyncSettings,
        politeness: PolitenessSettings,
    ) -> Self {
        Self {
            store,
            salesforce,
            tokens,
            settings,
            politeness,
            tally: Arc::default(),
        }
    }

    /// The job with which every sync begins.
    pub fn first_job() -> NewJob {
        <Start as Step<Self>>::job(&StartJob {})
    }

    /// A client for the step's org whose calls are counted on the step's bill.
    pub(crate) fn client(&self, org: OrgId, calls: &CallCounter, version: ApiVersion) -> Client {
        self.salesforce
            .client(org, Arc::clone(&self.tokens), calls.clone(), version)
    }
}

/// Adds the calls to the bill when it is dropped: also when the step is cut off.
pub(crate) struct Counted {
    bill: nightshift_jobs::Spent,
    calls: CallCounter,
}

impl Counted {
    pub(crate) fn new(bill: nightshift_jobs::Spent, calls: CallCounter) -> Self {
        Self { bill, calls }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.bill.add(&self.calls.bill());
    }
}

/// The sync that a step belongs to.
pub(crate) fn sync_of<C>(cx: &StepCx<'_, C>) -> Result<SyncId, Trouble> {
    cx.sync
        .ok_or_else(|| Trouble::internal("the job belongs to no sync"))
}

/// All steps of a sync, by name.
pub fn registry() -> Registry<SyncContext> {
    Registry::new()
        .with(Start)
        .with(Inventory)
        .with(Retrieve)
        .with(Poll)
        .with(Ingest)
        .with(Merge)
        .with(Finish)
}
