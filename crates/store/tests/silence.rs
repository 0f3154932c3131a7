//! A peer that is gone without a word, between the store and a real PostgreSQL: every call ends, and the next one works.
//!
//! The proxy keeps the connections open and moves nothing. What the kernel thinks of them is all right, so nothing but
//! the store's own limit ends a wait.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::{Duration, Instant};

use futures::future::join_all;
use nightshift_domain::{LeftOut, LeftOutReason};
use nightshift_store::{Store, StoreError, StoreSettings, jobs::Settled};
use nightshift_testkit::{
    proxy::{Fault, Proxy, Way},
    toys::{LEASE, Toys, done, job},
};

const STATEMENT: Duration = Duration::from_secs(1);
/// The limit of an answer: five seconds above the server's. And what a slow machine adds.
const LIMIT: Duration = Duration::from_secs(6);
const SLOW: Duration = Duration::from_secs(4);
/// Of a pool that must come back.
const CONNECTIONS: u32 = 3;

async fn far(toys: &Toys) -> (Proxy, Store) {
    let (proxy, behind) = toys.database.behind_proxy().await;
    let store = behind.store_with(|settings| StoreSettings {
        max_connections: CONNECTIONS,
        statement_timeout: STATEMENT,
        ..settings
    });
    (proxy, store.await)
}

fn is_silence<T>(answer: &Result<T, StoreError>) -> bool {
    answer
        .as_ref()
        .is_err_and(|error| error.is_transient() && error.detail().contains("said nothing"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_a_half_open_connection_ends_within_its_limit_and_the_next_one_goes_over_a_new_one() {
    let toys = Toys::new().await;
    let (proxy, far) = far(&toys).await;
    far.now().await.unwrap();
    let before = proxy.accepted();
    // it goes back first
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.arm(Fault::HalfOpen);
    let begun = Instant::now();
    let answer = far.now().await;
    let took = begun.elapsed();
    assert!(is_silence(&answer), "{answer:?}");
    assert!(took >= STATEMENT && took < LIMIT + SLOW, "{took:?}");
    proxy.heal();
    far.now().await.unwrap();
    assert_eq!(proxy.accepted(), before + 1, "the silent one was used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_calls_all_met_silence_has_all_its_places_again() {
    let toys = Toys::new().await;
    let (proxy, far) = far(&toys).await;
    let all = async || join_all((0..CONNECTIONS * 2).map(|_| far.now())).await;
    assert!(all().await.iter().all(Result::is_ok));
    proxy.arm(Fault::HalfOpen);
    let begun = Instant::now();
    // some wait for an answer, the others for a place
    assert!(all().await.iter().all(Result::is_err));
    assert!(begun.elapsed() < LIMIT + SLOW, "{:?}", begun.elapsed());
    proxy.heal();
    let begun = Instant::now();
    let answers = all().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begun.elapsed() < SLOW, "{:?}", begun.elapsed());
}

/// An answer that has come is worth nothing for the next: here the silence begins between the two, while the session is
/// given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_falls_silent_while_it_is_given_back_keeps_no_place() {
    let toys = Toys::new().await;
    let (proxy, far) = far(&toys).await;
    for _ in 0..CONNECTIONS {
        proxy.heal();
        far.now().await.unwrap();
        proxy.arm(Fault::HalfOpen);
    }
    tokio::time::sleep(LIMIT).await;
    proxy.heal();
    let begun = Instant::now();
    let answers = join_all((0..CONNECTIONS * 2).map(|_| far.now())).await;
    assert!(
        answers.iter().filter(|answer| answer.is_err()).count() <= CONNECTIONS as usize,
        "{answers:?}"
    );
    assert!(begun.elapsed() < SLOW, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_meets_silence_is_written_once_when_the_network_is_back() {
    let toys = Toys::new().await;
    let (proxy, far) = far(&toys).await;
    toys.admit().await;
    // the first one meets it at its BEGIN, the others further on: an answer has some hundred bytes
    for bytes in [None, Some(80), Some(160), Some(240)] {
        let claimed = toys.claim_next().await;
        let carried = proxy.carried(Way::ToClient);
        let silence = async {
            while bytes.is_some_and(|bytes| proxy.carried(Way::ToClient) < carried + bytes) {
                tokio::task::yield_now().await;
            }
            proxy.arm(Fault::HalfOpen);
            tokio::time::sleep(LIMIT + Duration::from_millis(500)).await;
            proxy.heal();
        };
        let begun = Instant::now();
        let settling = far.jobs().settle(claimed.claim, done(vec![job("next")]));
        let settled = if bytes.is_none() {
            proxy.arm(Fault::HalfOpen);
            tokio::join!(settling, silence).0
        } else {
            tokio::select! {
                settled = settling => settled,
                () = async { silence.await; std::future::pending().await } => unreachable!(),
            }
        };
        assert!(matches!(settled, Ok(Settled::Written(_))), "{settled:?}");
        assert!(begun.elapsed() < LIMIT * 3 + SLOW, "{:?}", begun.elapsed());
        proxy.heal();
        let left = toys.jobs().await;
        assert!(left.len() == 1 && left[0].kind == "next", "{left:?}");
    }
    let lines = "SELECT count(*) FROM timeline";
    assert_eq!(toys.database.count(lines).await, 4, "each once");
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_meets_silence_ends_and_leaves_nothing() {
    let toys = Toys::new().await;
    let (proxy, far) = far(&toys).await;
    toys.admit().await;
    let claimed = toys.claim_next().await;
    let mut writer = far.staging().writer(&claimed.claim, LEASE);
    for n in 0..60 {
        let left_out = LeftOut {
            type_name: "ApexClass".into(),
            name: format!("Class{n}"),
            reason: LeftOutReason::CannotBeFound,
            detail: "some words that make the row a little longer".into(),
        };
        writer.left_out(&left_out).await.unwrap();
    }
    let before = proxy.carried(Way::ToServer);
    let silence = async {
        while proxy.carried(Way::ToServer) < before + 500 {
            tokio::task::yield_now().await;
        }
        proxy.arm(Fault::HalfOpen);
    };
    let (flushed, ()) = tokio::join!(tokio::time::timeout(LIMIT + SLOW, writer.flush()), silence);
    let flushed = flushed.expect("it waits without end");
    proxy.heal();
    if let Err(error) = flushed {
        assert!(error.is_transient(), "{}", error.detail());
        let rows = "SELECT count(*) FROM staged_left_out";
        assert_eq!(toys.database.count(rows).await, 0);
    }
    far.now().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_answered_while_the_pool_is_busy_and_says_soon_that_the_database_is_away() {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let far = behind.store_of(1).await;
    let probe = far.probe(Duration::from_secs(2));
    probe.ask().await.unwrap();
    // the only session of the pool waits for a lock
    let mut other = toys.database.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE org")
        .execute(&mut other)
        .await
        .unwrap();
    let busy = tokio::spawn({
        let (far, org) = (far.clone(), toys.org);
        async move { far.orgs().list().await.map(|orgs| (org, orgs.len())) }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    probe.ask().await.unwrap();
    assert!(!busy.is_finished(), "nobody was busy");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    busy.await.unwrap().unwrap();
    for _ in 0..2 {
        proxy.arm(Fault::HalfOpen);
        let begun = Instant::now();
        assert!(probe.ask().await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        proxy.heal();
        probe.ask().await.unwrap();
    }
}
