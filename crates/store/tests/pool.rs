//! The pool of connections under callers that go away and a network that says nothing; claims under an old snapshot.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use nightshift_domain::NewJob;
use nightshift_testkit::{
    proxy::Fault,
    seed,
    toys::{LEASE, ROOM, Toys, done, job},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Of a pool that must come back.
const CONNECTIONS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn b121_claims_that_are_dropped_at_any_moment_leave_no_connection_inside_a_transaction() {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let far = behind.store_of(CONNECTIONS * 4).await;
    toys.admit().await;
    let target = toys.jobs().await[0].id;
    proxy.arm(Fault::Delay(Duration::from_millis(10)));
    let mut rng = StdRng::seed_from_u64(seed());
    let moments: Vec<_> = (0..1_000)
        .map(|_| rng.random_range(Duration::ZERO..Duration::from_millis(60)))
        .collect();
    let dropped = stream::iter(moments).map(|moment| {
        let (far, org) = (far.clone(), toys.org);
        async move {
            let claiming = async { far.jobs().claim(org, target, LEASE, ROOM).await };
            tokio::time::timeout(moment, claiming).await.is_err()
        }
    });
    let dropped: Vec<bool> = dropped.buffer_unordered(20).collect().await;
    assert!(dropped.iter().filter(|dropped| **dropped).count() > 100);
    proxy.heal();
    // normal work, on every connection
    let work = (0..100).map(|_| far.now());
    for now in futures::future::join_all(work).await {
        now.unwrap();
    }
    toys.database.quiet().await;
    toys.leases_run_out().await;
    let claimed = toys.claim(target).await.unwrap();
    far.jobs().settle(claimed.claim, done(vec![])).await.unwrap();
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b123_a_pool_whose_database_fell_silent_works_again_when_it_speaks() {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let far = behind.store_of(CONNECTIONS).await;
    far.now().await.unwrap();
    // more queries than there are connections, each dropped by its caller's patience, round after round
    for round in 0..3 {
        proxy.arm(Fault::HalfOpen);
        let queries = (0..10).map(|_| tokio::time::timeout(Duration::from_millis(700), far.now()));
        let answered = futures::future::join_all(queries).await;
        assert!(
            answered.iter().all(|answer| !matches!(answer, Ok(Ok(_)))),
            "round {round}"
        );
        // what was on its way is gone without a word
        proxy.hang_up();
        proxy.heal();
        let back = async {
            loop {
                let all = (0..u64::from(CONNECTIONS) * 2).map(|_| far.now());
                if futures::future::join_all(all).await.iter().all(Result::is_ok) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let back = tokio::time::timeout(Duration::from_secs(20), back).await;
        assert!(back.is_ok(), "round {round}: permits are lost");
    }
}

/// Jobs that are claimed and settled, each followed by the next; the median time of both.
async fn median_of(toys: &Toys, times: usize) -> Duration {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let id = toys.jobs().await[0].id;
        let begun = Instant::now();
        let claimed = toys.claim(id).await.unwrap();
        let next: Vec<NewJob> = vec![job("next")];
        toys.store.jobs().settle(claimed.claim, done(next)).await.unwrap();
        took.push(begun.elapsed());
    }
    took.sort();
    took[times / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn b107_claims_stay_as_fast_under_a_snapshot_that_somebody_holds() {
    let toys = Toys::new().await;
    toys.admit().await;
    median_of(&toys, 100).await;
    let fresh = median_of(&toys, 200).await;
    let mut forgotten = toys.database.connect().await;
    let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM org";
    sqlx::raw_sql(hold).execute(&mut forgotten).await.unwrap();
    median_of(&toys, 1_500).await;
    let held = median_of(&toys, 200).await;
    // where dead rows are walked through it is the hundredfold
    assert!(held < fresh * 8, "{fresh:?} became {held:?}");
    assert!(toys.store.oldest_snapshot().await.unwrap().seconds > 0.5);
}
