//! Refreshes of one org's token by many, on a real PostgreSQL, at a token endpoint that revokes all on a reuse.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nightshift_connections::Tokens;
use nightshift_domain::{FailureCode, OrgId, Verdict};
use nightshift_salesforce::{CallCounter, Session, TokenError, TokenGeneration, TokenSource};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_store::connections::RefreshFailure;
use secrecy::ExposeSecret;
use tokio::sync::Barrier;

use crate::desk::{Desk, LAPSED};

const TASKS: usize = 30;

/// Asks again while another one refreshes, as a job that waits does.
async fn newer_than(tokens: &Tokens, org: OrgId, stale: TokenGeneration) -> Result<Session, TokenError> {
    let calls = CallCounter::new();
    loop {
        match tokens.refresh(org, stale, &calls).await {
            Err(TokenError::BeingRefreshed { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => return answer,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b59_thirty_who_meet_an_expired_token_refresh_it_once_and_share_the_new_one() {
    let desk = Desk::rotating().await;
    let (before, start) = (desk.token_calls(), Arc::new(Barrier::new(TASKS)));
    let mut asking = Vec::new();
    for _ in 0..TASKS {
        let (tokens, org, start) = (desk.tokens().await, desk.org, Arc::clone(&start));
        asking.push(tokio::spawn(async move {
            let expired = tokens.token(org, &CallCounter::new()).await.unwrap();
            start.wait().await;
            let fresh = newer_than(&tokens, org, expired.generation).await.unwrap();
            let shared = |session: &Session| session.access_token.expose_secret().to_owned();
            (shared(&expired), shared(&fresh), fresh.generation)
        }));
    }
    let mut answers = BTreeSet::new();
    for task in asking {
        answers.insert(task.await.unwrap());
    }
    assert_eq!(desk.token_calls() - before, 1, "one call, whoever made it");
    assert_eq!(
        answers.len(),
        1,
        "thirty had one expired token, and have one new token"
    );
    let (expired, fresh, _) = answers.pop_first().unwrap();
    assert_ne!(expired, fresh);
    assert!(desk.opens(desk.tokens().await).await);
    // the rotated refresh token was kept: the next refresh is good, and nothing was revoked
    desk.simulator.expire_sessions("acme").unwrap();
    let tokens = desk.tokens().await;
    let expired = tokens.token(desk.org, &CallCounter::new()).await.unwrap();
    newer_than(&tokens, desk.org, expired.generation).await.unwrap();
    assert!(desk.opens(tokens).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn b59_a_refresh_whose_worker_dies_before_its_call_is_taken_over_once_it_lapses() {
    let desk = Desk::rotating().await;
    let (tokens, org, calls) = (desk.tokens().await, desk.org, CallCounter::new());
    let before = desk.token_calls();
    let stale = tokens.token(org, &calls).await.unwrap().generation;
    drop(
        desk.begins()
            .await
            .expect("nobody else refreshes, and this one dies"),
    );
    let waits = tokens.refresh(org, stale, &calls).await;
    assert!(
        matches!(waits, Err(TokenError::BeingRefreshed { .. })),
        "{waits:?}"
    );
    desk.database.advance(LAPSED).await;
    newer_than(&tokens, org, stale).await.unwrap();
    assert_eq!(desk.token_calls() - before, 1, "who waits calls nobody");
    assert!(desk.opens(tokens).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn b61_a_rotated_token_that_dies_with_its_worker_needs_a_person_and_is_said_to() {
    let desk = Desk::rotating().await;
    let (tokens, org, calls) = (desk.tokens().await, desk.org, CallCounter::new());
    let before = desk.token_calls();
    let stale = tokens.token(org, &calls).await.unwrap().generation;
    let slow = Fault {
        millis: Some(60_000),
        ..Fault::new(FaultKind::Slow).on(&[Call::Token]).times(1)
    };
    desk.simulator.fault("acme", slow).unwrap();
    let dying = desk.tokens().await;
    let dying = tokio::spawn(async move { dying.refresh(org, stale, &CallCounter::new()).await.is_ok() });
    while desk.token_calls() == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    let waits = tokens.refresh(org, stale, &calls).await;
    assert!(
        matches!(waits, Err(TokenError::BeingRefreshed { .. })),
        "{waits:?}"
    );
    desk.database.advance(LAPSED).await;
    let Err(TokenError::Salesforce(refused)) = newer_than(&tokens, org, stale).await else {
        panic!("Salesforce has taken the token back")
    };
    let answer = refused.step_error();
    assert_eq!(answer.verdict, Verdict::Reauthenticate, "{refused}");
    assert_eq!(answer.code, FailureCode::TokenAnswerLost, "{refused}");
    assert_eq!(
        desk.store.orgs().show(org).await.unwrap().state(),
        "needs_authentication"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn b59_a_worker_that_slept_through_its_refresh_frees_nobody_elses() {
    let desk = Desk::rotating().await;
    let gives_back = async |refresh| {
        desk.store
            .connections()
            .fail_refresh(refresh, RefreshFailure::PassesByItself)
            .await
            .unwrap();
    };
    let sleeper = desk.begins().await.expect("nobody refreshes yet");
    desk.database.advance(LAPSED).await;
    let taken_over = desk.begins().await.expect("the sleeper's right has lapsed");
    gives_back(sleeper).await;
    let third = desk.begins().await;
    assert!(
        third.is_none(),
        "a second call with the same refresh token would revoke everything"
    );
    gives_back(taken_over).await;
    assert!(desk.begins().await.is_some(), "its own right it gives back");
}

/// A refresh that Salesforce carries out, and whose answer comes when nobody waits for it any more.
pub async fn loses_an_answer(desk: &Desk) {
    let slow = Fault {
        millis: Some(60_000),
        ..Fault::new(FaultKind::Slow).on(&[Call::Token]).times(1)
    };
    desk.simulator.fault("acme", slow).unwrap();
    let (tokens, calls) = (desk.tokens().await, CallCounter::new());
    let expired = tokens.token(desk.org, &calls).await.unwrap();
    let lost = tokens.refresh(desk.org, expired.generation, &calls).await;
    let Err(TokenError::Salesforce(error)) = lost else {
        panic!("{lost:?}");
    };
    assert_eq!(
        error.step_error().code,
        FailureCode::SalesforceUnreachable,
        "{error}"
    );
}

pub async fn next_refresh(desk: &Desk) -> Result<(), (FailureCode, Verdict)> {
    let (tokens, calls) = (desk.tokens().await, CallCounter::new());
    let expired = tokens.token(desk.org, &calls).await.unwrap();
    match tokens.refresh(desk.org, expired.generation, &calls).await {
        Ok(_) => Ok(()),
        Err(TokenError::Salesforce(error)) => {
            let answer = error.step_error();
            Err((answer.code, answer.verdict))
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b61_an_answer_that_was_lost_after_a_rotation_is_a_code_of_its_own() {
    let desk = Desk::rotating().await;
    loses_an_answer(&desk).await;
    let answer = next_refresh(&desk).await;
    assert_eq!(
        answer,
        Err((FailureCode::TokenAnswerLost, Verdict::Reauthenticate))
    );
    let org = desk.store.orgs().show(desk.org).await.unwrap();
    assert_eq!(org.broken_with.as_deref(), Some("token_answer_lost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_without_rotation_heals_by_the_next_refresh() {
    let desk = Desk::open(OrgSpec::generated("acme", 1, 100)).await;
    loses_an_answer(&desk).await;
    next_refresh(&desk).await.unwrap();
    // and what is revoked afterwards is revoked, and nothing else
    loses_an_answer(&desk).await;
    desk.simulator.revoke("acme").unwrap();
    let answer = next_refresh(&desk).await;
    assert_eq!(answer, Err((FailureCode::TokenRevoked, Verdict::Reauthenticate)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_no_mark_of_a_lost_answer() {
    let desk = Desk::rotating().await;
    let fault = Fault::new(FaultKind::OauthError).saying("unknown_error", "retry your request");
    desk.simulator.fault("acme", fault.times(1)).unwrap();
    assert!(next_refresh(&desk).await.is_err());
    let connection = desk.store.connections().show(desk.org).await.unwrap();
    assert!(connection.unanswered_since.is_none());
    desk.simulator.revoke("acme").unwrap();
    let answer = next_refresh(&desk).await;
    assert_eq!(answer, Err((FailureCode::TokenRevoked, Verdict::Reauthenticate)));
}
