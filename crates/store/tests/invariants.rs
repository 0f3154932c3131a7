//! The invariants of job rows, each under the sentence that it promises, provoked as badly as we can.
//!
//! What many do at once is judged by the history that triggers wrote. The invariants of lost connections are in
//! `wire.rs`, those that need a machine that runs steps in crate `jobs`.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use nightshift_domain::{Deed, Effect, Hand, JobId, Lane, TypeHealth};
use nightshift_store::{
    StoreError,
    jobs::{AnnounceLimits, Claimed, Done, Settling},
    requests::{IdSource, RequestId},
};
use nightshift_testkit::{
    proxy::Fault,
    toys::{LEASE, Toys, again, done, fails, job, settlement, swept},
};
use tokio::sync::Barrier;

const WORKERS: usize = 8;
const DEATHS: u32 = 80;

const LIMITS: AnnounceLimits = AnnounceLimits {
    per_class: 1_000,
    per_org: 1_000,
    open_per_org: 1_000,
    running_per_org: 1_000,
    reannounce: Duration::from_secs(60),
};

/// All workers get the message of one job at the same instant; gives what the one got who got it.
async fn all_claim(toys: &Toys, job: JobId) -> Vec<Claimed> {
    let gate = Arc::new(Barrier::new(WORKERS));
    let claims = (0..WORKERS).map(|_| {
        let (toys, gate) = (toys.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            gate.wait().await;
            toys.claim(job).await
        })
    });
    let mut ours = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        ours.extend(claim.await.unwrap());
    }
    ours
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_claimed_by_at_most_one_live_lease_at_any_instant() {
    let toys = Toys::new().await;
    toys.admit().await;
    let job = toys.jobs().await[0].id;
    for round in 0..20 {
        let mut ours = all_claim(&toys, job).await;
        assert_eq!(ours.len(), 1, "round {round}");
        let claimed = ours.pop().unwrap();
        let settlement = match round % 3 {
            0 => again(&claimed),
            1 => settlement(Settling::Release),
            _ => {
                toys.leases_run_out().await;
                continue;
            }
        };
        toys.store.jobs().settle(claimed.claim, settlement).await.unwrap();
    }
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_claim_raises_the_fence_by_exactly_one() {
    let toys = Toys::new().await;
    toys.admit().await;
    let start = toys.claim_next().await;
    let many = (0..10).map(|_| job("toy")).collect();
    toys.store.jobs().settle(start.claim, done(many)).await.unwrap();
    let jobs: Vec<JobId> = toys.jobs().await.iter().map(|job| job.id).collect();
    for round in 1..=8 {
        let rounds = jobs.iter().map(|job| {
            let (toys, job) = (toys.clone(), *job);
            tokio::spawn(async move { all_claim(&toys, job).await })
        });
        for claims in rounds.collect::<Vec<_>>() {
            let claims = claims.await.unwrap();
            assert!(
                claims.len() == 1 && claims[0].claim.fence().0 == round,
                "{claims:?}"
            );
        }
        toys.leases_run_out().await;
    }
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_job_never_runs_or_changes_again() {
    let toys = Toys::new().await;
    toys.admit().await;
    let jobs = toys.store.jobs();
    let slept = toys.claim_next().await;
    let id = slept.claim.job();
    let seen = toys.jobs().await.remove(0);
    toys.leases_run_out().await;
    let rescued = toys.claim(id).await.unwrap();
    jobs.settle(rescued.claim, done(vec![job("next")])).await.unwrap();
    // the late ones: a message, a sweep, a person, a heartbeat, a chunk, a failure
    assert!(toys.claim(id).await.is_none());
    let due = swept(&toys.store, &LIMITS).await;
    assert!(due.iter().all(|due| due.job != id));
    let hand = Hand::new("ann", "it looked stuck").unwrap();
    let done_late = jobs.by_hand(Deed::Release, &hand, &seen).await;
    assert_eq!(done_late.unwrap(), Done::MovedOn);
    let lost = |answer: Result<(), StoreError>| matches!(answer, Err(StoreError::LeaseLost));
    assert!(lost(jobs.heartbeat(&slept.claim, LEASE).await));
    let mut writer = toys.store.staging().writer(&slept.claim, LEASE);
    writer
        .type_listed("ApexClass", nightshift_store::staging::Listing::Good)
        .await
        .unwrap();
    assert!(lost(writer.flush().await));
    assert!(lost(jobs.settle(slept.claim, fails()).await.map(drop)));
    let left = toys.jobs().await;
    assert!(left.len() == 1 && left[0].kind == "next", "{left:?}");
    toys.database.history_holds().await;
}

/// The clock of this database takes its time: so a sweep is long between what it reads and what it writes.
const SLOW_CLOCK: &str =
    "CREATE OR REPLACE FUNCTION nightshift_now() RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
    BEGIN
        IF current_query() LIKE '%mark_announceable%' THEN PERFORM pg_sleep(0.001); END IF;
        RETURN statement_timestamp() + make_interval(secs => (SELECT offset_seconds FROM clock));
    END $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_never_takes_a_job_whose_lease_still_holds() {
    let toys = Toys::new().await;
    toys.admit().await;
    let start = toys.claim_next().await;
    let many = (0..60).map(|_| job("toy")).collect();
    toys.store.jobs().settle(start.claim, done(many)).await.unwrap();
    let mut held = Vec::new();
    for job in toys.jobs().await {
        held.extend(toys.claim(job.id).await);
    }
    let early = swept(&toys.store, &LIMITS).await;
    assert_eq!(early, [], "every lease holds");
    toys.leases_run_out().await;
    toys.database.run(SLOW_CLOCK).await;
    // the sweep reads that all have lapsed; before it writes, every worker beats
    let sweeping = toys.clone();
    let sweep = tokio::spawn(async move { swept(&sweeping.store, &LIMITS).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    for claimed in &held {
        toys.store.jobs().heartbeat(&claimed.claim, LEASE).await.unwrap();
    }
    assert!(!sweep.is_finished(), "the beats came in between");
    assert_eq!(sweep.await.unwrap(), [], "their workers live");
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_page_of_unsweepable_rows_hides_no_later_row() {
    let busy = Toys::new().await;
    busy.admit().await;
    let start = busy.claim_next().await;
    let opens = |n: usize| {
        let lane = if n.is_multiple_of(2) {
            Lane::Opens
        } else {
            Lane::Free
        };
        nightshift_domain::NewJob { lane, ..job("toy") }
    };
    let next = done((0..40).map(opens).collect());
    busy.store.jobs().settle(start.claim, next).await.unwrap();
    // ten in work, then thirty that are due before any other and may not be announced: the org has its four
    for job in busy.jobs().await.iter().take(10) {
        busy.claim(job.id).await.unwrap();
    }
    let page = AnnounceLimits {
        per_class: 10,
        per_org: 4,
        open_per_org: 3,
        ..LIMITS
    };
    let first = swept(&busy.store, &page).await;
    assert!(!first.is_empty());
    let later = Toys::beside(busy.database.clone(), busy.store.clone(), 1).await;
    later.admit().await;
    let orgs: Vec<_> = swept(&later.store, &page)
        .await
        .iter()
        .map(|due| due.org)
        .collect();
    assert_eq!(orgs, [later.org]);
    busy.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn effects_settle_and_following_jobs_commit_together_or_not_at_all() {
    let toys = Toys::new().await;
    let (proxy, behind) = toys.database.behind_proxy().await;
    let far = behind.store().await;
    toys.admit().await;
    proxy.arm(Fault::Delay(Duration::from_millis(1)));
    let (mut written, mut whole) = (0, Duration::from_secs(5));
    for n in 0..DEATHS {
        let claimed = toys.claim_next().await;
        let mut settlement = done(vec![job("next"), job("next")]);
        if let Settling::Done { effects, .. } = &mut settlement.settling {
            effects.push(Effect::TypeHealth {
                type_name: format!("Type{n}"),
                health: TypeHealth::Failing,
            });
        }
        // the first lives; the others die a little later each time: before, between and after all statements
        let (begun, moment) = (
            Instant::now(),
            whole.mul_f64(1.5 * f64::from(n) / f64::from(DEATHS)),
        );
        let settling = far.jobs().settle(claimed.claim, settlement);
        if n == 0 {
            settling.await.unwrap();
            whole = begun.elapsed();
        } else {
            let _ = tokio::time::timeout(moment, settling).await;
        }
        toys.database.quiet().await;
        let parts = "SELECT count(*)::text FROM timeline UNION ALL SELECT count(*)::text FROM type_memory UNION ALL
                     SELECT coalesce(sum(calls), 0)::text FROM call_ledger UNION ALL SELECT (count(*) - 1)::text FROM job";
        let parts = toys.database.texts(parts).await;
        assert!(parts.iter().all(|part| *part == parts[0]), "death {n}: {parts:?}");
        written = parts[0].parse().unwrap();
        toys.leases_run_out().await;
    }
    assert!(
        (5..DEATHS - 5).contains(&written),
        "{written} of {DEATHS} were written"
    );
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_for_one_org_start_one_sync() {
    let toys = Toys::new().await;
    let gate = Arc::new(Barrier::new(50));
    let knocks = (0..50).map(|n| {
        let (toys, gate) = (toys.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            gate.wait().await;
            let id = RequestId {
                id: format!("id:{}", n % 5),
                source: IdSource::Sender,
                redelivered: false,
            };
            // half of them by hand, half by messages, some with one id
            if n % 4 < 2 {
                Some(toys.admit().await)
            } else {
                toys.request(&id).await
            }
        })
    });
    let mut syncs = BTreeSet::new();
    for knock in knocks.collect::<Vec<_>>() {
        syncs.extend(knock.await.unwrap());
    }
    assert_eq!(syncs.len(), 1);
    assert_eq!(toys.jobs().await.len(), 1);
    toys.database.history_holds().await;
}
