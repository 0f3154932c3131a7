//! Bulk 2.0 query jobs from their making to their end.

use std::{collections::BTreeSet, time::Duration};

use nightshift_domain::FailureCode;
use nightshift_salesforce::{
    Api, ApiVersion, BulkJob, BulkLocator, BulkState, BulkTime, CallKind, QueryKind, SalesforceError,
};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};

use crate::desk::{Desk, LONG_ENOUGH, act, code};

const FIELDS: &str = "SELECT Id, DeveloperName FROM CustomField";

const EARLY: BulkTime = BulkTime {
    waited: Duration::from_secs(1),
    patience: Duration::from_secs(60),
};
const LATE: BulkTime = BulkTime {
    waited: Duration::from_secs(61),
    patience: Duration::from_secs(60),
};

async fn made(desk: &Desk, kind: QueryKind, soql: &str) -> BulkJob {
    let job = desk.client.bulk_create(kind, soql).await.unwrap();
    // What a step keeps of a job is all that a later one needs.
    BulkJob::new(job.api(), job.version(), job.id()).unwrap()
}

async fn done(desk: &Desk, job: &BulkJob) -> u64 {
    desk.simulator.advance(LONG_ENOUGH);
    match desk.client.bulk_look(job, EARLY).await.unwrap() {
        BulkState::Complete { rows } => rows,
        other => panic!("{other:?}"),
    }
}

/// Ids of one page's rows, and where the next begins.
async fn page(
    desk: &Desk,
    job: &BulkJob,
    at: Option<&BulkLocator>,
    most: u32,
) -> (Vec<String>, Option<BulkLocator>) {
    let mut rows = desk.client.bulk_rows(job, at, most).await.unwrap();
    let mut ids = Vec::new();
    while let Some(row) = rows.next().await.unwrap() {
        ids.push(row.get("Id").unwrap().to_owned());
    }
    (ids, rows.ahead().cloned())
}

#[tokio::test]
async fn a_job_is_worked_on_and_then_gives_all_its_rows_page_by_page() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 6_000)).await;
    let fields = desk.simulator.expected_counts("Acme").unwrap()["CustomField"];
    let job = made(&desk, QueryKind::Tooling, FIELDS).await;
    assert_eq!(job.api(), Api::Tooling);
    assert_eq!(
        desk.client.bulk_look(&job, EARLY).await.unwrap(),
        BulkState::Working
    );
    assert_eq!(done(&desk, &job).await, fields);
    let (mut all, mut at, mut pages) = (BTreeSet::new(), None, 0);
    loop {
        let (ids, ahead) = page(&desk, &job, at.as_ref(), 1_000).await;
        assert!(ids.len() <= 1_000);
        all.extend(ids);
        pages += 1;
        at = ahead;
        if at.is_none() {
            break;
        }
    }
    assert_eq!(all.len() as u64, fields);
    assert_eq!(desk.made(CallKind::BulkResults), pages);
    assert_eq!(desk.seen(Call::BulkResults), pages as u64);
    desk.client.bulk_delete(&job).await.unwrap();
    let gone = desk.client.bulk_look(&job, EARLY).await.unwrap_err();
    assert_eq!(gone.refusal().unwrap().status, 404);
}

#[tokio::test]
async fn a_page_can_be_read_again_from_its_locator() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 4_000)).await;
    let job = made(&desk, QueryKind::Tooling, FIELDS).await;
    done(&desk, &job).await;
    let (_, second) = page(&desk, &job, None, 300).await;
    let once = page(&desk, &job, second.as_ref(), 300).await;
    assert_eq!(once, page(&desk, &job, second.as_ref(), 300).await);
}

#[tokio::test]
async fn a_page_that_breaks_off_is_an_error_and_never_a_short_page() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 6_000)).await;
    let job = made(&desk, QueryKind::Tooling, FIELDS).await;
    done(&desk, &job).await;
    desk.fault(Fault::new(FaultKind::Reset).times(1).on(&[Call::BulkResults]));
    let error = match desk.client.bulk_rows(&job, None, 50_000).await {
        Err(error) => error,
        Ok(mut rows) => loop {
            match rows.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a short page"),
                Err(error) => break error,
            }
        },
    };
    assert_eq!(act(&error), "retry", "{error}");
}

#[tokio::test]
async fn b73_a_job_past_its_time_is_aborted_and_says_so() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 400)).await;
    let job = made(&desk, QueryKind::Live, "SELECT Id FROM User").await;
    let error = desk.client.bulk_look(&job, LATE).await.unwrap_err();
    assert!(matches!(error, SalesforceError::BulkTooSlow { .. }), "{error}");
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::PollingTimedOut, "split")
    );
    let BulkState::Failed(failure) = desk.client.bulk_look(&job, EARLY).await.unwrap() else {
        panic!("it works on");
    };
    assert_eq!(failure.refusal().code, "ABORTED");
    assert_eq!(desk.made(CallKind::BulkEnd), 1);
    desk.client.bulk_delete(&job).await.unwrap();
}

#[tokio::test]
async fn a_job_that_is_done_late_is_taken_all_the_same() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 400)).await;
    let job = made(&desk, QueryKind::Live, "SELECT Id FROM User").await;
    desk.simulator.advance(LONG_ENOUGH);
    let state = desk.client.bulk_look(&job, LATE).await.unwrap();
    assert!(
        matches!(state, BulkState::Complete { rows } if rows > 0),
        "{state:?}"
    );
    assert_eq!(desk.made(CallKind::BulkEnd), 0);
}

#[tokio::test]
async fn no_stumble_of_a_look_ends_the_job() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 400)).await;
    let job = made(&desk, QueryKind::Live, "SELECT Id FROM User").await;
    for kind in [
        FaultKind::Html503,
        FaultKind::Html200,
        FaultKind::Html420,
        FaultKind::Empty406,
        FaultKind::Reset,
        FaultKind::ServerUnavailable,
    ] {
        desk.fault(Fault::new(kind).times(1));
        let error = desk.client.bulk_look(&job, LATE).await.unwrap_err();
        assert_eq!(act(&error), "wait", "{kind:?}: {error}");
    }
    assert!(done(&desk, &job).await > 0);
}

#[tokio::test]
async fn results_are_asked_for_in_the_version_of_the_job_whatever_the_client_speaks_by_now() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 400)).await;
    let job = made(&desk, QueryKind::Live, "SELECT Id FROM User").await;
    done(&desk, &job).await;
    let older = desk.client.clone().at("60.0".parse::<ApiVersion>().unwrap());
    let rows = older.bulk_rows(&job, None, 10).await.unwrap();
    assert_eq!(rows.columns(), ["Id"]);
}

#[tokio::test]
async fn b75_a_query_that_bulk_does_not_take_is_left_to_rest() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 400)).await;
    let error = desk
        .client
        .bulk_create(QueryKind::Live, "SELECT COUNT() FROM User")
        .await
        .unwrap_err();
    assert_eq!(act(&error), "leave out", "{error}");
}
