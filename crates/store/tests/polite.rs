//! The ledger and the org's room on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use nightshift_domain::{
    Bill, Class, Door, JobId, Kind, Mode, NewJob, OrgId, SyncId, SyncRequest,
    allowance::DayUse,
    circuit::{CircuitRules, InstanceHealth, Permit, RetryPermit, Sighting},
};
use nightshift_store::{
    Store, StoreError,
    instances::DayReport,
    jobs::{ClaimAnswer, Claimed, Settlement, Settling},
    ledger::LedgerFilter,
    syncs::{AdmissionAnswer, Opening, Patience},
};
use nightshift_testkit::{TestDb, new_org, toys::swept};

const LEASE: Duration = Duration::from_secs(30);
const ROOM: u32 = 3;

/// An org with an open sync, whose first job has made way for as many as wanted.
async fn sync_with_jobs(store: &Store, jobs: usize) -> (OrgId, SyncId, Vec<JobId>) {
    let now = store.now().await.unwrap();
    let org = store.orgs().add(&new_org(0, now)).await.unwrap();
    let request = SyncRequest {
        org,
        mode: Mode::Incremental,
        door: Door::Hand,
        reason: None,
    };
    let mut first = job("start");
    let id = JobId::from_uuid(uuid::Uuid::now_v7());
    first.id = Some(id);
    let opening = Opening {
        request: &request,
        patience: Patience::For(Duration::from_secs(600)),
        first: &first,
        traceparent: None,
    };
    let AdmissionAnswer::Opened { sync } = store.syncs().admit(&opening).await.unwrap() else {
        panic!("not opened");
    };
    let ids: Vec<_> = (0..jobs)
        .map(|_| JobId::from_uuid(uuid::Uuid::now_v7()))
        .collect();
    let next = ids.iter().map(|id| NewJob {
        id: Some(*id),
        ..job("poll")
    });
    let claimed = claim(store, org, id, ROOM).await.unwrap();
    let done = Settling::Done {
        effects: vec![],
        next: next.collect(),
        last: None,
    };
    let settlement = Settlement {
        settling: done,
        bill: bill(&[("token", 1), ("query", 2)]),
    };
    store.jobs().settle(claimed.claim, settlement).await.unwrap();
    (org, sync, ids)
}

fn job(kind: &'static str) -> NewJob {
    NewJob::new(Kind::new(kind), Class::Poll, serde_json::json!({}))
}

fn bill(calls: &[(&str, i64)]) -> Bill {
    let mut bill = Bill::default();
    for (kind, calls) in calls {
        bill.add(kind, *calls);
    }
    bill
}

async fn claim(store: &Store, org: OrgId, job: JobId, room: u32) -> Option<Claimed> {
    match store.jobs().claim(org, job, LEASE, room).await.unwrap() {
        ClaimAnswer::Ours(claimed) => Some(*claimed),
        ClaimAnswer::Refused => None,
    }
}

fn waits(now: jiff::Timestamp, spent: &[(&str, i64)]) -> Settlement {
    Settlement {
        settling: Settling::Wait {
            until: now,
            why: nightshift_domain::WaitReason::SalesforcePending,
            payload: None,
        },
        bill: bill(spent),
    }
}

async fn lines(store: &Store, org: OrgId) -> Vec<(String, String, i64)> {
    let filter = LedgerFilter {
        org: Some(org),
        night: None,
        limit: 100,
    };
    let rows = store.ledger().list(filter).await.unwrap();
    rows.into_iter()
        .map(|row| (row.step, row.kind, row.calls))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_claims_that_come_at_once_only_those_for_which_the_org_has_room_succeed() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _, jobs) = sync_with_jobs(&store, 20).await;
    let claims = jobs.iter().map(|job| {
        let (store, job) = (store.clone(), *job);
        tokio::spawn(async move { claim(&store, org, job, ROOM).await })
    });
    let mut ours = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        ours.extend(claim.await.unwrap());
    }
    assert_eq!(ours.len(), ROOM as usize);
    // one that settles makes room for one, a lease that runs out too
    let now = store.now().await.unwrap();
    store
        .jobs()
        .settle(ours.pop().unwrap().claim, waits(now, &[]))
        .await
        .unwrap();
    let mut taken = 0;
    for job in &jobs {
        taken += usize::from(claim(&store, org, *job, ROOM).await.is_some());
    }
    assert_eq!(taken, 1);
    database.advance(LEASE + Duration::from_secs(1)).await;
    assert!(claim(&store, org, jobs[0], ROOM).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_sees_the_one_of_the_same_org_that_began_before_it() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _, jobs) = sync_with_jobs(&store, 2).await;
    let mut first = database.connect().await;
    let claim_first = "BEGIN; SELECT org_has_room(org_id, 1) FROM job LIMIT 1;
        UPDATE job SET state = 'claimed', lease_until = nightshift_now() + interval '1 minute'
         WHERE id = (SELECT min(id::text)::uuid FROM job)";
    sqlx::raw_sql(claim_first).execute(&mut first).await.unwrap();
    let second = {
        let (store, job) = (store.clone(), *jobs.iter().max().unwrap());
        tokio::spawn(async move { claim(&store, org, job, 1).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqlx::raw_sql("COMMIT").execute(&mut first).await.unwrap();
    assert!(second.await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_met_no_room_is_announced_again_without_delay() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _, jobs) = sync_with_jobs(&store, 2).await;
    sqlx::query("UPDATE job SET announced_at = nightshift_now()")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let _running = claim(&store, org, jobs[0], 1).await.unwrap();
    assert!(claim(&store, org, jobs[1], 1).await.is_none());
    let unmarked = "SELECT count(*) FROM job WHERE state = 'due' AND announced_at IS NULL";
    assert_eq!(database.count(unmarked).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_of_an_org_are_announced_than_may_run_beside_those_that_do() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _, jobs) = sync_with_jobs(&store, 10).await;
    let limits = nightshift_store::jobs::AnnounceLimits {
        per_class: 100,
        per_org: 100,
        open_per_org: 100,
        running_per_org: ROOM,
        reannounce: Duration::from_secs(60),
    };
    let _running = claim(&store, org, jobs[0], ROOM).await.unwrap();
    assert_eq!(swept(&store, &limits).await.len(), 2);
    assert_eq!(swept(&store, &limits).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nights_calls_are_one_line_for_each_step_and_kind() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, sync, jobs) = sync_with_jobs(&store, 1).await;
    let now = store.now().await.unwrap();
    for _ in 0..3 {
        let claimed = claim(&store, org, jobs[0], ROOM).await.unwrap();
        store
            .jobs()
            .settle(claimed.claim, waits(now, &[("poll", 1)]))
            .await
            .unwrap();
    }
    // a worker that lost its lease settles nothing, and has called all the same
    let lost = claim(&store, org, jobs[0], ROOM).await.unwrap();
    database.advance(LEASE + Duration::from_secs(1)).await;
    let _other = claim(&store, org, jobs[0], ROOM).await.unwrap();
    let settled = store.jobs().settle(lost.claim, waits(now, &[("poll", 1)])).await;
    assert!(matches!(settled, Err(StoreError::LeaseLost)));
    let line = |step: &str, kind: &str, calls| (step.to_owned(), kind.to_owned(), calls);
    let before = [
        line("poll", "poll", 3),
        line("start", "query", 2),
        line("start", "token", 1),
    ];
    assert_eq!(lines(&store, org).await, before);
    store
        .ledger()
        .book(org, Some(sync), &Kind::new("poll"), &bill(&[("poll", 1)]))
        .await
        .unwrap();
    assert_eq!(lines(&store, org).await[0], line("poll", "poll", 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn nights_older_than_wanted_leave_the_ledger() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, ..) = sync_with_jobs(&store, 0).await;
    assert_eq!(store.ledger().forget(35, 100).await.unwrap(), 0);
    database.advance(Duration::from_hours(24 * 37)).await;
    assert_eq!(store.ledger().forget(35, 1).await.unwrap(), 1);
    assert_eq!(store.ledger().forget(35, 100).await.unwrap(), 1);
    assert!(lines(&store, org).await.is_empty());
}

const RULES: CircuitRules = CircuitRules {
    failures: 1_000,
    percent: 50,
    window: Duration::from_secs(3_600),
    open: Duration::from_secs(30),
    open_max: Duration::from_secs(600),
    probe: Duration::from_secs(120),
    retries_percent: 0,
    retries_min: 7,
};

/// Twenty at once change one instance by a rule.
async fn twenty<T: Send + 'static>(
    store: &Store,
    rule: fn(InstanceHealth, jiff::Timestamp) -> (T, InstanceHealth),
) -> Vec<T> {
    let changes = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.instances().change("EU42", rule).await.unwrap().0 })
    });
    let mut answers = Vec::new();
    for change in changes.collect::<Vec<_>>() {
        answers.push(change.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_tell_of_an_instance_at_once_nobody_is_lost_and_one_alone_probes() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let calls = Sighting::Calls {
        answered: 2,
        unavailable: 1,
    };
    twenty(&store, |health, now| {
        let calls = Sighting::Calls {
            answered: 2,
            unavailable: 1,
        };
        ((), health.after(calls, now, &RULES))
    })
    .await;
    let known = store.instances().list().await.unwrap();
    assert_eq!(
        (
            known[0].health.traffic.answered,
            known[0].health.traffic.unavailable
        ),
        (40, 20)
    );
    let granted = twenty(&store, |health, now| health.asks_retry(now, &RULES)).await;
    let granted = granted
        .iter()
        .filter(|permit| **permit == RetryPermit::Granted)
        .count();
    assert_eq!(granted, 7);
    // one failure too many for a stricter rule
    let strict = CircuitRules {
        failures: 1,
        percent: 1,
        ..RULES
    };
    let opens = |health: InstanceHealth, now| ((), health.after(calls, now, &strict));
    store.instances().change("EU42", opens).await.unwrap();
    let permits = twenty(&store, |health, now| health.asks(now, &RULES)).await;
    assert!(permits.iter().all(|permit| matches!(permit, Permit::Later(_))));
    database.advance(Duration::from_secs(31)).await;
    let permits = twenty(&store, |health, now| health.asks(now, &RULES)).await;
    assert_eq!(
        permits.iter().filter(|permit| **permit == Permit::Probe).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_stands_by_its_instance_its_day_and_its_night() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, sync, jobs) = sync_with_jobs(&store, 2).await;
    let standing = store.instances().standing(org, sync).await.unwrap();
    assert_eq!(
        (standing.instance.as_str(), standing.tonight, standing.day),
        ("acme.my.salesforce.com", 3, None)
    );
    let report = DayReport {
        day: DayUse {
            used: 100,
            allowed: 15_000,
        },
        night: standing.night,
        booked: standing.tonight,
    };
    store.instances().saw_day(org, report).await.unwrap();
    store
        .ledger()
        .book(org, Some(sync), &Kind::new("poll"), &bill(&[("poll", 5)]))
        .await
        .unwrap();
    let _one = claim(&store, org, jobs[0], ROOM).await.unwrap();
    let _two = claim(&store, org, jobs[1], ROOM).await.unwrap();
    let standing = store.instances().standing(org, sync).await.unwrap();
    // our own calls since then are used too; beside each of two running jobs there is one other
    assert_eq!(
        standing.day.unwrap().day,
        DayUse {
            used: 105,
            allowed: 15_000
        }
    );
    assert_eq!((standing.tonight, standing.others), (8, 1));
    // the fixture's sync came by hand: what it takes is not the night's
    assert_eq!((standing.door, standing.by_themselves), (Door::Hand, 0));
    let change = "WITH changed AS (UPDATE sync SET door = 'slot' RETURNING 1) SELECT count(*) FROM changed";
    assert_eq!(database.count(change).await, 1);
    let standing = store.instances().standing(org, sync).await.unwrap();
    assert_eq!((standing.door, standing.by_themselves), (Door::Slot, 8));
    store
        .instances()
        .saw_pending(org, Duration::from_secs(60))
        .await
        .unwrap();
    store
        .instances()
        .saw_pending(org, Duration::from_secs(10))
        .await
        .unwrap();
    let pending = store.instances().pending(org).await.unwrap();
    assert_eq!(pending, Some(Duration::from_secs(50)));
}
