//! Ten thousand lives of jobs, drawn: what a map in memory says must be what PostgreSQL says, after each deed.
//!
//! `NIGHTSHIFT_HISTORIES` says how many (150 else). At the end of each the checker reads what the triggers wrote. A
//! failure is printed as the shortest list of deeds that proptest finds.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "histories/model.rs"]
mod model;

use std::{
    collections::BTreeMap,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use model::{Answer, Deed, Held, How, Job, Model};
use nightshift_domain::{JobId, LeftOut, LeftOutReason, NewJob};
use nightshift_store::{
    Store, StoreError,
    jobs::{AnnounceLimits, Claimed, Due, DueJob, Horizon, Settled, Settlement, Settling},
};
use nightshift_testkit::{
    TestDb,
    history::check,
    seed,
    toys::{LEASE, Toys, again, fails, job, settlement},
};
use proptest::test_runner::{Config, RngSeed};
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// One database for all: each history has an org of its own.
static WORLD: LazyLock<(Runtime, TestDb, Store)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let (database, store) = runtime.block_on(async {
        let database = TestDb::fresh().await;
        database.record().await;
        let store = database.store().await;
        (database, store)
    });
    (runtime, database, store)
});

static ORGS: AtomicU32 = AtomicU32::new(0);

const LIMITS: AnnounceLimits = AnnounceLimits {
    per_class: 10_000,
    per_org: 10_000,
    open_per_org: 10_000,
    running_per_org: 10_000,
    reannounce: Duration::from_secs(model::REANNOUNCE),
};

/// One org on a real PostgreSQL, and the claims that its workers hold.
struct System {
    toys: Toys,
    claims: BTreeMap<Held, Claimed>,
    /// The id of job 0; the others follow it.
    base: u128,
    added: Job,
    horizon: Horizon,
}

impl System {
    async fn new() -> Self {
        let (_, database, store) = &*WORLD;
        // jobs of earlier histories would be swept with ours
        database.empty("job").await;
        let n = ORGS.fetch_add(1, Ordering::Relaxed);
        let toys = Toys::beside(database.clone(), store.clone(), n).await;
        let base = Uuid::now_v7().as_u128() & !0xFFFF;
        Self {
            toys,
            claims: BTreeMap::new(),
            base,
            added: 0,
            horizon: Horizon::EVERYTHING,
        }
    }

    fn id(&self, n: Job) -> JobId {
        JobId::from_uuid(Uuid::from_u128(self.base + u128::from(n)))
    }

    fn number(&self, id: JobId) -> Job {
        (id.uuid().as_u128() - self.base) as Job
    }

    /// The jobs that may be inserted next, in the model's order.
    fn new_jobs(&self, n: u32) -> Vec<NewJob> {
        (0..n)
            .map(|n| NewJob {
                id: Some(self.id(self.added + n)),
                ..job("toy")
            })
            .collect()
    }

    async fn settlement(&self, claimed: &Claimed, how: How) -> Settlement {
        let until = self.toys.store.now().await.unwrap() + Duration::from_secs(model::WAIT);
        let two = self.new_jobs(2);
        settlement(match how {
            How::Done(n) => Settling::Done {
                effects: vec![],
                next: self.new_jobs(n),
                last: self.new_jobs(1).pop(),
            },
            How::Split => Settling::Split {
                halves: two.try_into().unwrap(),
            },
            How::Again => Settling::Again { from: two[0].clone() },
            How::Wait => Settling::Wait {
                until,
                why: nightshift_domain::WaitReason::SalesforcePending,
                payload: None,
            },
            How::Retry => match again(claimed).settling {
                Settling::Retry { error, .. } => Settling::Retry {
                    not_before: until,
                    error,
                },
                other => other,
            },
            How::Release => Settling::Release,
            How::Fail => fails().settling,
        })
    }

    async fn settle(&mut self, held: Held, how: How) -> Answer {
        let claimed = self.claims.remove(&held).unwrap();
        let settlement = self.settlement(&claimed, how).await;
        let jobs = self.toys.store.jobs();
        let settled = if model::marks(held) {
            jobs.settle_and_mark(claimed.claim, settlement, &LIMITS).await
        } else {
            jobs.settle(claimed.claim, settlement).await
        };
        match settled {
            Ok(Settled::Written(Due::Marked(jobs))) => self.announced(&jobs),
            Ok(Settled::Written(Due::Now | Due::Later)) => Answer::Done,
            Ok(Settled::SyncEnded) => Answer::Ended,
            Err(StoreError::LeaseLost) => Answer::No,
            Err(error) => panic!("{}", error.detail()),
        }
    }

    async fn stage(&self, held: Held) -> Answer {
        let claim = &self.claims[&held].claim;
        let mut writer = self.toys.store.staging().writer(claim, LEASE);
        let left_out = LeftOut {
            type_name: "ApexClass".into(),
            // one writer a claim in production, here one a deed
            name: Uuid::now_v7().to_string(),
            reason: LeftOutReason::CannotBeFound,
            detail: String::new(),
        };
        writer.left_out(&left_out).await.unwrap();
        owned(writer.flush().await)
    }

    async fn sweep(&mut self) -> Answer {
        let jobs = self.toys.store.jobs();
        let marked = jobs.mark_announceable(self.horizon, &LIMITS).await.unwrap();
        self.horizon = marked.horizon;
        self.announced(&marked.jobs)
    }

    fn announced(&self, jobs: &[DueJob]) -> Answer {
        Answer::Announced(jobs.iter().map(|due| self.number(due.job)).collect())
    }

    async fn act(&mut self, deed: Deed) -> Answer {
        match deed {
            Deed::Admit => {
                self.toys.admit_with(&self.new_jobs(1)[0]).await;
                Answer::Done
            }
            Deed::Claim(n) => match self.toys.claim(self.id(n)).await {
                Some(claimed) => {
                    self.claims.insert((n, claimed.claim.fence().0), claimed);
                    Answer::Done
                }
                None => Answer::No,
            },
            Deed::Beat(held) => owned(
                self.toys
                    .store
                    .jobs()
                    .heartbeat(&self.claims[&held].claim, LEASE)
                    .await,
            ),
            Deed::Stage(held) => self.stage(held).await,
            Deed::Settle(held, how) => self.settle(held, how).await,
            Deed::Crash(held) => {
                self.claims.remove(&held);
                Answer::Done
            }
            Deed::Sweep => self.sweep().await,
            Deed::Pass(seconds) => {
                self.toys.database.advance(Duration::from_secs(seconds)).await;
                Answer::Done
            }
        }
    }
}

fn owned(answer: Result<(), StoreError>) -> Answer {
    match answer {
        Ok(()) => Answer::Done,
        Err(StoreError::LeaseLost) => Answer::No,
        Err(error) => panic!("{}", error.detail()),
    }
}

struct Histories;

impl StateMachineTest for Histories {
    type SystemUnderTest = System;
    type Reference = Model;

    fn init_test(_: &Model) -> System {
        WORLD.0.block_on(System::new())
    }

    fn apply(mut system: System, model: &Model, deed: Deed) -> System {
        let told = format!("{deed:?}");
        let answer = WORLD.0.block_on(system.act(deed));
        assert_eq!(answer, model.answer, "{told}");
        system.added = model.next;
        system
    }

    fn check_invariants(system: &System, model: &Model) {
        let rows = WORLD.0.block_on(system.toys.jobs());
        let found: BTreeMap<Job, _> = rows
            .iter()
            .map(|row| {
                let counts = [row.attempts, row.deaths, row.waits];
                (
                    system.number(row.id),
                    (row.lease_until.is_some(), row.fence, counts),
                )
            })
            .collect();
        let wanted: BTreeMap<Job, _> = model
            .jobs
            .iter()
            .map(|(n, row)| {
                let counts = [row.attempts, row.deaths, row.waits];
                (*n, (row.lease.is_some(), row.fence, counts))
            })
            .collect();
        assert_eq!(found, wanted);
    }

    fn teardown(system: System, _: Model) {
        let toys = &system.toys;
        let history = WORLD.0.block_on(toys.database.history(Some(toys.org)));
        let broken = check(&history);
        assert!(broken.is_empty(), "{}", broken[0]);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`make soak` asks for more than `make test`"
)]
fn histories() -> u32 {
    let asked = std::env::var("NIGHTSHIFT_HISTORIES").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(150)
}

prop_state_machine! {
    #![proptest_config(Config {
        cases: histories(),
        max_shrink_iters: 2_000,
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn whatever_happens_to_jobs_the_rows_are_those_of_the_model(sequential 1..40 => Histories);
}
