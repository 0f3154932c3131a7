//! Claims, fences and settlements on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nightshift_domain::{Bill, Class, Door, FailureCode, Kind, Mode, NewJob, OrgId, SyncId, SyncRequest};
use nightshift_store::{
    Store, StoreError,
    jobs::{
        AnnounceLimits, ClaimAnswer, Claimed, Due, Failure, Horizon, JobsFilter, Settled, Settlement,
        Settling,
    },
    requests::{IdSource, RequestId},
    syncs::{AdmissionAnswer, Opening, Patience},
};
use nightshift_testkit::{
    TestDb, new_org,
    toys::{self, Toys},
};

const LEASE: Duration = Duration::from_secs(30);
/// More than any of these tests claims at once.
const ROOM: u32 = 50;
const LIMITS: AnnounceLimits = AnnounceLimits {
    per_class: 10,
    per_org: 10,
    open_per_org: 3,
    running_per_org: 5,
    reannounce: Duration::from_secs(60),
};
const PATIENCE: Patience = Patience::For(Duration::from_secs(600));

async fn org(store: &Store, n: u32) -> OrgId {
    let now = store.now().await.unwrap();
    store.orgs().add(&new_org(n, now)).await.unwrap()
}

fn job(kind: &'static str) -> NewJob {
    NewJob::new(Kind::new(kind), Class::Control, serde_json::json!({}))
}

fn request(org: OrgId) -> SyncRequest {
    SyncRequest {
        org,
        mode: Mode::Incremental,
        door: Door::Hand,
        reason: None,
    }
}

fn opening<'a>(request: &'a SyncRequest, first: &'a NewJob) -> Opening<'a> {
    Opening {
        request,
        patience: PATIENCE,
        first,
        traceparent: None,
    }
}

async fn admit(store: &Store, org: OrgId) -> SyncId {
    let (request, first) = (request(org), job("start"));
    match store.syncs().admit(&opening(&request, &first)).await.unwrap() {
        AdmissionAnswer::Opened { sync } | AdmissionAnswer::Joined { sync } => sync,
        AdmissionAnswer::Refused(why) => panic!("{why}"),
    }
}

async fn jobs_of(store: &Store, org: OrgId) -> Vec<(nightshift_domain::JobId, String)> {
    let filter = JobsFilter {
        org: Some(org),
        limit: 100,
        ..JobsFilter::default()
    };
    store
        .jobs()
        .list(&filter)
        .await
        .unwrap()
        .into_iter()
        .map(|job| (job.id, job.kind))
        .collect()
}

async fn claim(store: &Store, org: OrgId, kind: &str) -> Option<Claimed> {
    for (job, found) in jobs_of(store, org).await {
        if found == kind
            && let ClaimAnswer::Ours(claimed) = store.jobs().claim(org, job, LEASE, ROOM).await.unwrap()
        {
            return Some(*claimed);
        }
    }
    None
}

fn done(next: Vec<NewJob>, last: Option<NewJob>) -> Settlement {
    Settlement {
        settling: Settling::Done {
            effects: vec![],
            next,
            last,
        },
        bill: Bill::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_fence_settles_nothing() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let org = org(&store, 0).await;
    admit(&store, org).await;
    let stale = claim(&store, org, "start").await.unwrap();
    database.advance(LEASE + Duration::from_secs(1)).await;
    let fresh = claim(&store, org, "start").await.unwrap();
    assert!(fresh.died && fresh.deaths == 1 && fresh.claim.fence() > stale.claim.fence());
    let refused = store.jobs().heartbeat(&stale.claim, LEASE).await.unwrap_err();
    assert!(matches!(refused, StoreError::LeaseLost));
    let refused = store
        .jobs()
        .settle(stale.claim, done(vec![job("inventory")], None))
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::LeaseLost), "{refused}");
    assert_eq!(jobs_of(&store, org).await.len(), 1);
    store
        .jobs()
        .settle(fresh.claim, done(vec![job("inventory")], None))
        .await
        .unwrap();
    let kinds: Vec<_> = jobs_of(&store, org).await.into_iter().map(|job| job.1).collect();
    assert_eq!(kinds, ["inventory"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_batches_that_settle_at_once_bring_one_finish() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    for n in 0..12 {
        let org = org(&store, n).await;
        admit(&store, org).await;
        let start = claim(&store, org, "start").await.unwrap();
        let batches = (0..8).map(|_| job("ingest")).collect();
        store
            .jobs()
            .settle(start.claim, done(batches, None))
            .await
            .unwrap();
        let mut claims = Vec::new();
        while let Some(claimed) = claim(&store, org, "ingest").await {
            claims.push(claimed);
        }
        assert_eq!(claims.len(), 8);
        let gate = Arc::new(tokio::sync::Barrier::new(8));
        let settling = claims.into_iter().map(|claimed| {
            let (store, gate) = (store.clone(), Arc::clone(&gate));
            tokio::spawn(async move {
                gate.wait().await;
                store
                    .jobs()
                    .settle(claimed.claim, done(vec![], Some(job("finish"))))
                    .await
            })
        });
        for settled in settling.collect::<Vec<_>>() {
            settled.await.unwrap().unwrap();
        }
        let kinds: Vec<_> = jobs_of(&store, org).await.into_iter().map(|job| job.1).collect();
        assert_eq!(kinds, ["finish"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_until_the_broker_has_it() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    for n in 0..3 {
        let org = org(&store, n).await;
        admit(&store, org).await;
        let claimed = claim(&store, org, "start").await.unwrap();
        let failure = Failure {
            code: FailureCode::Internal,
            message: String::new(),
            evidence: BTreeMap::new(),
        };
        let failed = Settlement {
            settling: Settling::Fail { failure },
            bill: Bill::default(),
        };
        store.jobs().settle(claimed.claim, failed).await.unwrap();
    }
    let waiting = store.outbox().waiting().await.unwrap();
    assert!(waiting >= 6, "{waiting}: of each org its sync and its case");
    let taken = store.outbox().take(10, LEASE).await.unwrap();
    assert_eq!(taken.len(), 3, "one of each org at a time");
    for event in &taken {
        store.outbox().delete(event).await.unwrap();
    }
    assert_eq!(store.outbox().waiting().await.unwrap(), waiting - 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_twice_is_carried_out_once() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let org = org(&store, 0).await;
    let (wish, first) = (request(org), job("start"));
    let come = async |id: &str, source, redelivered| {
        let id = RequestId {
            id: id.to_owned(),
            source,
            redelivered,
        };
        store
            .requests()
            .admit(&id, &opening(&wish, &first))
            .await
            .unwrap()
    };
    // two schedulers at once, then again after the sync has ended
    let (one, other) = tokio::join!(
        come("id:7", IdSource::Sender, false),
        come("id:7", IdSource::Sender, false)
    );
    assert_eq!([&one, &other].iter().filter(|answer| answer.is_some()).count(), 1);
    let end = "WITH ended AS (UPDATE sync SET state = 'succeeded', ended_at = nightshift_now() RETURNING 1) SELECT count(*) FROM ended";
    database.count(end).await;
    assert_eq!(come("id:7", IdSource::Sender, true).await, None);

    // a body's own hash tells only of what the broker says it delivers again
    assert!(come("body:1", IdSource::Body, false).await.is_some());
    assert_eq!(come("body:1", IdSource::Body, true).await, None);
    assert!(come("body:1", IdSource::Body, false).await.is_some());
    database.advance(Duration::from_secs(11 * 60)).await;
    assert!(come("body:1", IdSource::Body, true).await.is_some());
    assert_eq!(come("id:7", IdSource::Sender, false).await, None);
    database.advance(Duration::from_secs(24 * 3600)).await;
    assert!(come("id:7", IdSource::Sender, false).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_nobody_refers_to_are_collected_once_no_sync_is_open() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let org = org(&store, 0).await;
    admit(&store, org).await;
    let staged = "WITH body AS (INSERT INTO blob (org_id, hash, body, size, stored_at)
                       SELECT id, decode(hash, 'hex'), '', 0, nightshift_now() FROM org, unnest('{01,02,03}'::text[]) hash),
                  file AS (INSERT INTO file_version (org_id, type, name, path, from_revision, canonical_hash, blob, size)
                       SELECT id, 'ApexClass', 'A', 'classes/A.cls', 1, '', decode('01', 'hex'), 0 FROM org),
                  left_over AS (INSERT INTO staging (org_id, sync_id, job_id, touched_at)
                       SELECT id, gen_random_uuid(), gen_random_uuid(), nightshift_now() FROM org)
                  SELECT count(*) FROM org";
    database.count(staged).await;
    let bodies = "SELECT count(*) FROM blob";
    while store.staging().sweep(10).await.unwrap() {}
    assert_eq!(
        database.count(bodies).await,
        3,
        "an ingest may be about to refer to them"
    );

    let over = "WITH ended AS (UPDATE sync SET state = 'failed', ended_at = nightshift_now()),
                  left_over AS (INSERT INTO staging (org_id, sync_id, job_id, touched_at)
                       SELECT id, gen_random_uuid(), gen_random_uuid(), nightshift_now() FROM org)
                  SELECT count(*) FROM org";
    database.count(over).await;
    while store.staging().sweep(10).await.unwrap() {}
    let kept = "SELECT count(*) FROM blob WHERE hash = decode('01', 'hex')";
    assert_eq!((database.count(bodies).await, database.count(kept).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_begins_where_the_one_before_saw_the_first_job_that_is_not_over() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let toys = Toys::new().await;
    let jobs = toys.store.jobs();
    toys.admit().await;
    let first = jobs
        .mark_announceable(Horizon::EVERYTHING, &LIMITS)
        .await
        .unwrap();
    assert_eq!(first.jobs.len(), 1);
    toys.database.advance(HOUR).await;
    let dead = toys.claim_next().await;
    toys.leases_run_out().await;
    let again = jobs.mark_announceable(first.horizon, &LIMITS).await.unwrap();
    assert_eq!(
        (again.jobs.len(), again.horizon),
        (1, first.horizon),
        "it is old, and lives"
    );
    drop(dead);
    let over = toys.claim_next().await;
    jobs.settle(over.claim, toys::done(vec![job("next")]))
        .await
        .unwrap();
    let moved = jobs.mark_announceable(again.horizon, &LIMITS).await.unwrap();
    assert_eq!(moved.jobs.len(), 1);
    assert!(moved.horizon > again.horizon, "nothing lives below");
    // as if its transaction had taken an hour to commit
    toys.database
        .run("UPDATE job SET not_before = not_before - interval '1 hour', announced_at = NULL")
        .await;
    let passed = jobs.mark_announceable(moved.horizon, &LIMITS).await.unwrap();
    assert_eq!(passed.jobs, []);
    let whole = toys::swept(&toys.store, &LIMITS).await;
    assert_eq!(whole.len(), 1, "everything is looked at now and then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_marks_what_follows_where_no_limit_can_bind_and_nothing_is_paused() {
    const PAUSE: &str = "DELETE FROM job WHERE state = 'due';
        INSERT INTO pause (org_id, kind, name, since, person, reason)
        VALUES ('00000000-0000-0000-0000-000000000000', 'class', 'poll', now(), 'ann', 'a test')";
    let toys = Toys::new().await;
    let jobs = toys.store.jobs();
    toys.admit().await;
    for (followers, before, marked) in [(3, "SELECT 1", 3), (2, "SELECT 1", 0), (1, PAUSE, 0)] {
        let claimed = toys.claim_next().await;
        toys.database.run(before).await;
        let next = toys::done((0..followers).map(|_| job("next")).collect());
        let settled = jobs.settle_and_mark(claimed.claim, next, &LIMITS).await.unwrap();
        let sent = match settled {
            Settled::Written(Due::Marked(jobs)) => jobs.len(),
            settled => {
                assert_eq!(settled, Settled::Written(Due::Now));
                0
            }
        };
        assert_eq!(sent, marked, "{followers} followers after {before}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_meets_a_full_disk_takes_its_time_between_tries_and_is_written_once_there_is_room()
{
    const FULL: &str = "CREATE SEQUENCE tries;
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM nextval('tries'); RAISE 'no space left' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON timeline FOR EACH ROW EXECUTE FUNCTION full_disk()";
    let toys = Toys::new().await;
    toys.admit().await;
    let claimed = toys.claim_next().await;
    toys.database.run(FULL).await;
    let room = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        toys.database.run("DROP TRIGGER full_disk ON timeline").await;
    };
    let next = toys::done(vec![job("next")]);
    let (settled, ()) = tokio::join!(toys.store.jobs().settle(claimed.claim, next), room);
    assert!(matches!(settled, Ok(Settled::Written(_))), "{settled:?}");
    assert_eq!(toys.jobs().await.len(), 1);
    let tries = toys.database.count("SELECT last_value FROM tries").await;
    assert!(tries <= 4, "{tries} tries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_a_worker_is_announced_ever_more_rarely() {
    let toys = Toys::new().await;
    toys.admit().await;
    let mut at = Vec::new();
    for minute in 0..40 {
        if !toys::swept(&toys.store, &LIMITS).await.is_empty() {
            at.push(minute);
        }
        toys.database.advance(Duration::from_secs(60)).await;
    }
    assert_eq!(at, [0, 1, 2, 4, 8, 16, 26, 36]);
}
