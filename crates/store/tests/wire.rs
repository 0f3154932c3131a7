//! A network that breaks at the worst moment, between the store and a real PostgreSQL.
//!
//! The proxy sees the protocol's bytes, so each cut falls where its test wants it: at BEGIN, into a COPY, at COMMIT
//! before it arrives or after, when only its answer is lost. What was drawn is printed as a seed.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use nightshift_domain::{LeftOut, LeftOutReason, ProcessId};
use nightshift_store::{
    Store, StoreError,
    jobs::{Claimed, Settled, Settlement, Settling},
};
use nightshift_testkit::{
    proxy::{Fault, Proxy, Way, When},
    seed,
    toys::{LEASE, Toys, again, done, job},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

const CUTS: usize = 200;
const STAGED: usize = 60;

/// How a settlement goes.
#[derive(Clone, Copy)]
enum Settles {
    /// As one statement.
    AtOnce,
    /// As statements of a transaction.
    InSteps,
}

impl Settles {
    /// One that is followed by a job `next`.
    fn to_next(self) -> Settlement {
        let mut settlement = done(vec![job("next")]);
        if let (Self::InSteps, Settling::Done { next, last, .. }) = (self, &mut settlement.settling) {
            // whether other jobs are left is asked behind the sync's lock
            *last = next.pop();
        }
        settlement
    }
}

/// Settles job after job, each once through a connection that its own fault cuts, and counts what was written; gives how
/// often it was cut.
async fn each_is_settled_once(way: Settles, fault: impl Fn(usize) -> Fault) -> usize {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let far = behind.store().await;
    toys.admit().await;
    for n in 0..CUTS {
        let claimed = toys.claim_next().await;
        proxy.arm(fault(n));
        let settled = far.jobs().settle(claimed.claim, way.to_next()).await;
        assert!(matches!(settled, Ok(Settled::Written(_))), "{n}: {settled:?}");
        proxy.heal();
        let left = toys.jobs().await;
        assert!(
            left.len() == 1 && left[0].kind == "next" && left[0].deaths == 0,
            "{n}: {left:?}"
        );
    }
    let lines = "SELECT count(*) FROM timeline";
    let calls = "SELECT sum(calls)::bigint FROM call_ledger";
    assert_eq!(toys.database.count(lines).await, CUTS as i64);
    assert_eq!(toys.database.count(calls).await, CUTS as i64, "each effect once");
    toys.database.history_holds().await;
    proxy.cuts() as usize
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_commit_is_resolved_before_anything_else_happens() {
    let whens = [When::Before, When::After];
    let cut = |n| Fault::CutOn(Way::ToServer, b"COMMIT\0", whens[n % 2]);
    assert_eq!(each_is_settled_once(Settles::InSteps, cut).await, CUTS);
    // of one statement, its parameters are its COMMIT: this is the word of the timeline
    let cut = |n| Fault::CutOn(Way::ToServer, b"\x04done", whens[n % 2]);
    assert_eq!(each_is_settled_once(Settles::AtOnce, cut).await, CUTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_that_is_cut_or_whose_answer_is_cut_costs_no_lease() {
    let whens = [When::Before, When::After];
    let cut = |n| Fault::CutOn(Way::ToServer, b"BEGIN\0", whens[n % 2]);
    assert_eq!(each_is_settled_once(Settles::InSteps, cut).await, CUTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_is_cut_at_any_byte_of_its_answers_is_done_once() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    // a settlement's answers have some two hundred bytes, those to a new connection more; a few cuts come too late
    let places: Vec<u64> = (0..CUTS).map(|_| rng.random_range(0..300)).collect();
    for way in [Settles::InSteps, Settles::AtOnce] {
        let cuts = each_is_settled_once(way, |n| Fault::CutAfter(Way::ToClient, places[n])).await;
        assert!(cuts > CUTS / 4, "{cuts}");
    }
}

async fn stages(store: &Store, claimed: &Claimed) -> Result<(), StoreError> {
    let mut writer = store.staging().writer(&claimed.claim, LEASE);
    for n in 0..STAGED {
        let left_out = LeftOut {
            type_name: "ApexClass".into(),
            name: format!("Class{n}"),
            reason: LeftOutReason::CannotBeFound,
            detail: "some words that make the row a little longer".into(),
        };
        writer.left_out(&left_out).await?;
    }
    writer.flush().await
}

async fn bytes_of_a_chunk(toys: &Toys, proxy: &Proxy, far: &Store) -> u64 {
    let claimed = toys.claim_next().await;
    let before = proxy.carried(Way::ToServer);
    stages(far, &claimed).await.unwrap();
    let bytes = proxy.carried(Way::ToServer) - before;
    let next = done(vec![job("ingest")]);
    toys.store.jobs().settle(claimed.claim, next).await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_at_any_byte_leaves_each_row_once() {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let far = behind.store().await;
    toys.admit().await;
    let bytes = bytes_of_a_chunk(&toys, &proxy, &far).await;
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut cuts, mut chunks) = (0, 1);
    while cuts < CUTS {
        let claimed = toys.claim_next().await;
        if claimed.claim.fence().0 > 1 {
            toys.store
                .staging()
                .remove_older_fences(&claimed.claim)
                .await
                .unwrap();
        }
        let before = proxy.cuts();
        let way = if rng.random_bool(0.8) {
            Fault::CutAfter(Way::ToServer, rng.random_range(0..bytes))
        } else {
            Fault::CutAfter(Way::ToClient, rng.random_range(0..200))
        };
        // now and then a chunk gets through
        if rng.random_bool(0.7) {
            proxy.arm(way.clone());
        }
        let staged = stages(&far, &claimed).await;
        proxy.heal();
        cuts += (proxy.cuts() - before) as usize;
        let settlement = match staged {
            Ok(()) => {
                chunks += 1;
                done(vec![job("ingest")])
            }
            Err(error) if error.is_transient() => again(&claimed),
            Err(error) => panic!("{}", error.detail()),
        };
        toys.store.jobs().settle(claimed.claim, settlement).await.unwrap();
        let rows = toys.database.count("SELECT count(*) FROM staged_left_out").await;
        assert_eq!(
            rows as usize,
            chunks * STAGED,
            "after {cuts} cuts, the last: {way:?}"
        );
    }
    assert!(chunks > CUTS / 5, "{chunks}");
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_returns_to_the_pool_inside_a_transaction() {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    // so few that the next statement borrows the connection of the last one
    let far = behind.store_of(2).await;
    let sync = toys.admit().await;
    let mut rng = StdRng::seed_from_u64(seed());
    proxy.arm(Fault::Delay(Duration::from_millis(1)));
    for n in 0..CUTS {
        // a settlement and a COPY, dropped anywhere between their first and their last byte
        let claimed = toys.claim_next().await;
        let moment = Duration::from_micros(rng.random_range(0..25_000));
        let work = async {
            stages(&far, &claimed).await?;
            far.jobs().settle(claimed.claim, done(vec![job("ingest")])).await
        };
        let _ = tokio::time::timeout(moment, work).await;
        if n % 8 == 0 {
            proxy.hang_up();
        }
        // the connection is asked when it comes back; then its words must be everybody's at once
        let process = ProcessId::from_uuid(Uuid::now_v7());
        if far.processes().beat(process, "worker", "", "toy").await.is_ok() {
            let alive = toys.store.processes().alive().await.unwrap();
            assert!(
                alive.iter().any(|seen| seen.id == process),
                "{n}: written into nothing"
            );
        }
        toys.leases_run_out().await;
    }
    proxy.heal();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let inside = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    assert_eq!(toys.database.count(inside).await, 0);
    assert_eq!(toys.admit().await, sync);
    toys.database.history_holds().await;
}
