//! An org with toy jobs on a database whose history is recorded: what tests of claims and settlements begin with.

use std::{collections::BTreeMap, time::Duration};

use nightshift_domain::{
    Bill, Class, Door, FailureCode, JobId, Kind, Mode, NewJob, OrgId, StepError, SyncId, SyncRequest, Verdict,
};
use nightshift_store::{
    Store,
    jobs::{
        AnnounceLimits, ClaimAnswer, Claimed, DueJob, Failure, Horizon, JobRow, JobsFilter, Settlement,
        Settling,
    },
    requests::RequestId,
    syncs::{AdmissionAnswer, Opening, Patience},
};

use crate::{TestDb, new_org};

/// Of a toy's claim.
pub const LEASE: Duration = Duration::from_secs(30);
/// More than any of these tests claims at once.
pub const ROOM: u32 = 1_000;

/// One org, and the doors to it.
#[derive(Clone, Debug)]
pub struct Toys {
    /// Recorded.
    pub database: TestDb,
    /// On it.
    pub store: Store,
    /// The only one.
    pub org: OrgId,
}

impl Toys {
    /// An org without a sync.
    ///
    /// # Panics
    /// When the tests' server is not there.
    pub async fn new() -> Self {
        let database = TestDb::fresh().await;
        database.record().await;
        let store = database.store().await;
        Self::beside(database, store, 0).await
    }

    /// The n-th org of a database.
    ///
    /// # Panics
    /// When there is an n-th one.
    pub async fn beside(database: TestDb, store: Store, n: u32) -> Self {
        let now = store.now().await.expect("the database has a clock");
        let org = store.orgs().add(&new_org(n, now)).await.expect("the org is new");
        Self { database, store, org }
    }

    /// A sync with its first job, `start`; or the one that is open.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn admit(&self) -> SyncId {
        self.admit_with(&job("start")).await
    }

    /// The same with a first job of the test's own.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn admit_with(&self, first: &NewJob) -> SyncId {
        let request = self.wish();
        match self.store.syncs().admit(&opening(&request, first)).await {
            Ok(AdmissionAnswer::Opened { sync } | AdmissionAnswer::Joined { sync }) => sync,
            other => panic!("{other:?}"),
        }
    }

    /// The same by a message; `None` when its id was seen before.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn request(&self, id: &RequestId) -> Option<SyncId> {
        let (request, first) = (self.wish(), job("start"));
        match self.store.requests().admit(id, &opening(&request, &first)).await {
            Ok(Some(AdmissionAnswer::Opened { sync } | AdmissionAnswer::Joined { sync })) => Some(sync),
            Ok(None) => None,
            other => panic!("{other:?}"),
        }
    }

    fn wish(&self) -> SyncRequest {
        SyncRequest {
            org: self.org,
            mode: Mode::Incremental,
            door: Door::Hand,
            reason: None,
        }
    }

    /// Its live jobs, the longest due first.
    ///
    /// # Panics
    /// When the database is gone.
    pub async fn jobs(&self) -> Vec<JobRow> {
        let filter = JobsFilter {
            org: Some(self.org),
            limit: 1_000,
            ..JobsFilter::default()
        };
        self.store.jobs().list(&filter).await.expect("jobs can be listed")
    }

    /// What a message of this job brings.
    ///
    /// # Panics
    /// When the database is gone.
    pub async fn claim(&self, job: JobId) -> Option<Claimed> {
        match self.store.jobs().claim(self.org, job, LEASE, ROOM).await {
            Ok(ClaimAnswer::Ours(claimed)) => Some(*claimed),
            Ok(ClaimAnswer::Refused) => None,
            Err(error) => panic!("{}", error.detail()),
        }
    }

    /// Claims the job that is longest due.
    ///
    /// # Panics
    /// When there is none, or the database is gone.
    pub async fn claim_next(&self) -> Claimed {
        for job in self.jobs().await {
            if let Some(claimed) = self.claim(job.id).await {
                return claimed;
            }
        }
        panic!("no job can be claimed: {:#?}", self.jobs().await)
    }

    /// Lets every lease run out.
    pub async fn leases_run_out(&self) {
        self.database.advance(LEASE + Duration::from_secs(1)).await;
    }
}

/// What a sweep of everything marks now.
///
/// # Panics
/// When the database refuses.
pub async fn swept(store: &Store, limits: &AnnounceLimits) -> Vec<DueJob> {
    let marked = store.jobs().mark_announceable(Horizon::EVERYTHING, limits).await;
    marked.expect("jobs can be marked").jobs
}

fn opening<'a>(request: &'a SyncRequest, first: &'a NewJob) -> Opening<'a> {
    Opening {
        request,
        // longer than any test moves the clock
        patience: Patience::For(Duration::from_secs(100_000_000)),
        first,
        traceparent: None,
    }
}

/// A job for no step that is known.
pub fn job(kind: &'static str) -> NewJob {
    NewJob::new(Kind::new(kind), Class::Control, serde_json::json!({}))
}

/// Settled with these to follow, and one call on the bill.
pub fn done(next: Vec<NewJob>) -> Settlement {
    let mut bill = Bill::default();
    bill.add("rest", 1);
    let settling = Settling::Done {
        effects: vec![],
        next,
        last: None,
    };
    Settlement { settling, bill }
}

/// The sync fails.
pub fn fails() -> Settlement {
    let failure = Failure {
        code: FailureCode::Internal,
        message: "a toy broke".into(),
        evidence: BTreeMap::new(),
    };
    settlement(Settling::Fail { failure })
}

/// Tried again at once: one attempt more.
pub fn again(claimed: &Claimed) -> Settlement {
    let error = StepError {
        code: FailureCode::Internal,
        verdict: Verdict::Retry { after: None },
        message: "a toy broke".into(),
        evidence: BTreeMap::new(),
    };
    settlement(Settling::Retry {
        not_before: claimed.now,
        error,
    })
}

/// Without a bill.
pub fn settlement(settling: Settling) -> Settlement {
    Settlement {
        settling,
        bill: Bill::default(),
    }
}
