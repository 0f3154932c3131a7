//! What people do to jobs, and pauses, on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use nightshift_domain::{
    Bill, Class, Deed, Door, Hand, JobFate, JobState, Kind, Mode, NewJob, OrgId, Paused, SyncId, SyncRequest,
    SyncState,
};
use nightshift_store::{
    Store, StoreError,
    jobs::{AnnounceLimits, ClaimAnswer, Claimed, Done, JobRow, JobsFilter, Settlement, Settling},
    pauses::Changed,
    syncs::{AdmissionAnswer, Opening, Patience},
};
use nightshift_testkit::{TestDb, new_org, toys::swept};

const LEASE: Duration = Duration::from_secs(30);
const LIMITS: AnnounceLimits = AnnounceLimits {
    per_class: 100,
    per_org: 100,
    open_per_org: 100,
    running_per_org: 100,
    reannounce: Duration::from_secs(60),
};

fn hand() -> Hand {
    Hand::new("ann", "it hangs").unwrap()
}

fn job(kind: &'static str, class: Class) -> NewJob {
    NewJob::new(Kind::new(kind), class, serde_json::json!({}))
}

async fn sync(store: &Store, n: u32) -> (OrgId, SyncId) {
    let now = store.now().await.unwrap();
    let org = store.orgs().add(&new_org(n, now)).await.unwrap();
    (org, admit(store, org).await)
}

async fn admit(store: &Store, org: OrgId) -> SyncId {
    let request = SyncRequest {
        org,
        mode: Mode::Incremental,
        door: Door::Hand,
        reason: None,
    };
    let opening = Opening {
        request: &request,
        patience: Patience::For(Duration::from_secs(600)),
        first: &job("start", Class::Control),
        traceparent: None,
    };
    match store.syncs().admit(&opening).await.unwrap() {
        AdmissionAnswer::Opened { sync } => sync,
        other => panic!("{other:?}"),
    }
}

async fn only(store: &Store, org: OrgId) -> JobRow {
    let filter = JobsFilter {
        org: Some(org),
        limit: 10,
        ..JobsFilter::default()
    };
    let mut jobs = store.jobs().list(&filter).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs.remove(0)
}

async fn claim(store: &Store, job: &JobRow) -> Option<Claimed> {
    match store.jobs().claim(job.org, job.id, LEASE, 50).await.unwrap() {
        ClaimAnswer::Ours(claimed) => Some(*claimed),
        ClaimAnswer::Refused => None,
    }
}

fn done(next: Vec<NewJob>) -> Settlement {
    Settlement {
        settling: Settling::Done {
            effects: vec![],
            next,
            last: None,
        },
        bill: Bill::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_runs_a_job_that_is_released_or_failed_by_hand_writes_nothing_more() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    for (n, deed) in [Deed::Release, Deed::Requeue, Deed::Fail].into_iter().enumerate() {
        let (org, _) = sync(&store, n as u32).await;
        let claimed = claim(&store, &only(&store, org).await).await.unwrap();
        let seen = only(&store, org).await;
        let answer = store.jobs().by_hand(deed, &hand(), &seen).await.unwrap();
        assert!(matches!(answer, Done::Yes(_)), "{deed}: {answer:?}");
        let lost = store.jobs().heartbeat(&claimed.claim, LEASE).await.unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost), "{deed}");
        let follow = done(vec![job("inventory", Class::Control)]);
        let lost = store.jobs().settle(claimed.claim, follow).await.unwrap_err();
        assert!(matches!(lost, StoreError::LeaseLost), "{deed}");
    }
    assert_eq!(
        database
            .count("SELECT count(*) FROM job WHERE kind <> 'start'")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_released_is_announced_and_claimed_at_once_as_after_a_death_b119() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _) = sync(&store, 0).await;
    assert_eq!(swept(&store, &LIMITS).await.len(), 1);
    let _claimed = claim(&store, &only(&store, org).await).await.unwrap();
    assert!(claim(&store, &only(&store, org).await).await.is_none());
    let seen = only(&store, org).await;
    let answer = store.jobs().by_hand(Deed::Release, &hand(), &seen).await.unwrap();
    assert_eq!(answer, Done::Yes(JobFate::DueNow));
    assert_eq!(swept(&store, &LIMITS).await.len(), 1);
    let again = claim(&store, &only(&store, org).await).await.unwrap();
    assert!(again.died, "a cut step may have left something behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deed_meant_for_a_job_that_has_moved_on_since_it_was_seen_does_nothing() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _) = sync(&store, 0).await;
    let seen = only(&store, org).await;
    let claimed = claim(&store, &seen).await.unwrap();
    for deed in [Deed::Release, Deed::Fail, Deed::Requeue] {
        let answer = store.jobs().by_hand(deed, &hand(), &seen).await.unwrap();
        assert_eq!(answer, Done::MovedOn, "{deed}");
    }
    store.jobs().heartbeat(&claimed.claim, LEASE).await.unwrap();
    assert_eq!(database.count("SELECT count(*) FROM hand").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_ended_by_hand_has_a_case_with_the_person_and_the_reason() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, id) = sync(&store, 0).await;
    let start = claim(&store, &only(&store, org).await).await.unwrap();
    let batches = (0..3).map(|_| job("poll", Class::Poll)).collect();
    store.jobs().settle(start.claim, done(batches)).await.unwrap();
    let filter = JobsFilter {
        kind: Some("poll".to_owned()),
        limit: 10,
        ..JobsFilter::default()
    };
    let jobs = store.jobs().list(&filter).await.unwrap();
    let running = claim(&store, &jobs[1]).await.unwrap();
    let answer = store.jobs().by_hand(Deed::Fail, &hand(), &jobs[0]).await.unwrap();
    assert_eq!(answer, Done::Yes(JobFate::SyncFails));
    let row = store.syncs().show(id).await.unwrap();
    let (code, message) = row.failure.unwrap();
    assert_eq!(
        (row.state, code.as_str(), message.as_str()),
        (
            SyncState::Failed,
            "ended_by_hand",
            "ann ended the sync at poll: it hangs"
        )
    );
    let cases = database
        .texts(
            "SELECT concat(code, ' ', evidence ->> 'person', ': ', evidence ->> 'reason') FROM support_case",
        )
        .await;
    assert_eq!(cases, ["ended_by_hand ann: it hangs"]);
    let retries = "SELECT count(*) FROM night WHERE retry_at IS NOT NULL";
    assert_eq!(database.count(retries).await, 0);

    // of the sync's other jobs the due one is gone, the one that runs goes when it settles
    let settled = store.jobs().settle(running.claim, done(vec![])).await.unwrap();
    assert_eq!(settled, nightshift_store::jobs::Settled::SyncEnded);
    assert_eq!(database.count("SELECT count(*) FROM job").await, 0);
    let hands = store.hands().of_sync(org, id).await.unwrap();
    assert_eq!(hands.len(), 1);
    assert_eq!(
        (hands[0].deed, hands[0].person.as_str(), hands[0].reason.as_str()),
        (Deed::Fail, "ann", "it hangs")
    );
    assert_eq!(store.hands().of_job(jobs[0].id).await.unwrap(), hands);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_requeued_as_if_never_tried_and_failed_for_good() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let now = store.now().await.unwrap();
    store.orgs().add(&new_org(0, now)).await.unwrap();
    let dead = "WITH dead AS (INSERT INTO job (org_id, id, kind, class, lane, payload, state, not_before, attempts, deaths, created_at)
                SELECT id, gen_random_uuid(), 'mail', 'notify', 'free', '{}', 'dead', nightshift_now() - interval '1 hour', 5, 2,
                       nightshift_now() FROM org RETURNING 1) SELECT count(*) FROM dead";
    database.count(dead).await;
    let filter = JobsFilter {
        state: Some(JobState::Dead),
        older_than: Some(Duration::from_secs(1_800)),
        limit: 10,
        ..JobsFilter::default()
    };
    let jobs = store.jobs().list(&filter).await.unwrap();
    let deed = async |deed, job: &JobRow| store.jobs().by_hand(deed, &hand(), job).await.unwrap();
    assert_eq!(deed(Deed::Release, &jobs[0]).await, Done::NoBusiness);
    assert_eq!(deed(Deed::Requeue, &jobs[0]).await, Done::Yes(JobFate::DueNow));
    let due = only(&store, jobs[0].org).await;
    assert_eq!((due.state, due.attempts, due.deaths), (JobState::Due, 0, 0));
    assert_eq!(deed(Deed::Fail, &due).await, Done::Yes(JobFate::Dead));
    let dead = only(&store, due.org).await;
    assert_eq!(deed(Deed::Fail, &dead).await, Done::Yes(JobFate::Gone));
    assert_eq!(database.count("SELECT count(*) FROM job").await, 0);
    assert_eq!(store.hands().of_job(dead.id).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_book_of_deeds_cannot_be_changed() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _) = sync(&store, 0).await;
    store
        .jobs()
        .by_hand(Deed::Release, &hand(), &only(&store, org).await)
        .await
        .unwrap();
    for statement in ["UPDATE hand SET person = 'bob'", "DELETE FROM hand"] {
        let refused = sqlx::raw_sql(statement)
            .execute(&mut database.connect().await)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_is_neither_announced_nor_claimed_and_what_runs_ends() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (org, _) = sync(&store, 0).await;
    let (other, _) = sync(&store, 1).await;
    let instance = "acme.my.salesforce.com".to_owned();
    for what in [
        Paused::Class(Class::Control),
        Paused::Org(org),
        Paused::Instance(instance),
    ] {
        let running = claim(&store, &only(&store, org).await).await.unwrap();
        assert_eq!(
            store.pauses().begin(&what, "it", &hand()).await.unwrap(),
            Changed::Yes
        );
        assert_eq!(
            store.pauses().begin(&what, "it", &hand()).await.unwrap(),
            Changed::WasSo
        );
        store.jobs().heartbeat(&running.claim, LEASE).await.unwrap();
        let follow = done(vec![job("inventory", Class::Control)]);
        store.jobs().settle(running.claim, follow).await.unwrap();
        let waits = only(&store, org).await;
        assert!(waits.paused, "{what:?}");
        let announced = swept(&store, &LIMITS).await;
        assert!(announced.iter().all(|job| job.org == other), "{what:?}");
        // a message of before
        assert!(claim(&store, &waits).await.is_none(), "{what:?}");
        let others = only(&store, other).await;
        assert_eq!(others.paused, !matches!(what, Paused::Org(_)));
        assert_eq!(store.pauses().of_org(org).await.unwrap()[0].waiting, 1);
        assert_eq!(
            store.pauses().end(&what, "it", &hand()).await.unwrap(),
            Changed::Yes
        );
        let announced = swept(&store, &LIMITS).await;
        assert!(announced.iter().any(|job| job.org == org), "{what:?}");
        assert!(store.pauses().of_org(org).await.unwrap().is_empty());
    }
    assert_eq!(database.count("SELECT count(*) FROM hand").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_time_ends_under_a_pause_says_so() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let (_, id) = sync(&store, 0).await;
    let class = Paused::Class(Class::Control);
    store.pauses().begin(&class, "control", &hand()).await.unwrap();
    database.advance(Duration::from_secs(1_300)).await;
    assert_eq!(store.syncs().end_impatient().await.unwrap(), 1);
    let (code, message) = store.syncs().show(id).await.unwrap().failure.unwrap();
    assert_eq!(code, "window_ended");
    assert!(
        message.ends_with("class control was paused by ann: it hangs"),
        "{message}"
    );
}
