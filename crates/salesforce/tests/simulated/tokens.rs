//! Tokens: refreshed, rotated, revoked, expired, of another org.

use std::{sync::Arc, time::Duration};

use futures::future::{BoxFuture, join_all};
use nightshift_domain::{FailureCode, OrgId, Verdict, WaitReason};
use nightshift_salesforce::{
    ApiVersion, CallCounter, CallKind, ListQuery, Ruled, SalesforceError, Session, TokenError,
    TokenGeneration, TokenSource,
};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use secrecy::ExposeSecret;

use crate::desk::{Desk, LONG_ENOUGH, act, code};

#[tokio::test]
async fn a_refresh_says_who_answers_and_where_the_org_lives() {
    let desk = Desk::acme().await;
    let access = desk.access.clone();
    let answer = desk
        .refresh(&access.client_id, None, &access.refresh_token)
        .await
        .unwrap();
    assert_eq!(answer.organization_id.as_str(), access.organization_id);
    assert_eq!(answer.user_id, access.user_id);
    assert_eq!(answer.instance_url, access.instance_url.parse().unwrap());
    assert!(answer.refresh_token.is_none(), "nothing is rotated here");
    assert!(answer.issued_at.is_some());
    assert_eq!((desk.made(CallKind::Token), desk.seen(Call::Token)), (1, 1));
}

#[tokio::test]
async fn b61_a_rotated_token_takes_the_place_of_the_old_one_whose_second_use_revokes_all() {
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 50).rotating()).await;
    let app = desk.access.client_id.clone();
    let first = desk.access.refresh_token.clone();
    let rotated = desk
        .refresh(&app, None, &first)
        .await
        .unwrap()
        .refresh_token
        .unwrap();
    let second = rotated.expose_secret();
    assert_ne!(second, first);
    let third = desk
        .refresh(&app, None, second)
        .await
        .unwrap()
        .refresh_token
        .unwrap();
    let reused = desk.refresh(&app, None, &first).await.unwrap_err();
    assert_eq!(
        (code(&reused), act(&reused)),
        (FailureCode::TokenRevoked, "reauthenticate")
    );
    let newest = desk.refresh(&app, None, third.expose_secret()).await.unwrap_err();
    assert_eq!(code(&newest), FailureCode::TokenRevoked);
}

#[tokio::test]
async fn rotation_goes_on_from_night_to_night() {
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 50).rotating()).await;
    for night in 1..5 {
        assert!(desk.client.limits().await.is_ok(), "night {night}");
        desk.simulator.expire_sessions("Acme").unwrap();
    }
    assert_eq!(desk.made(CallKind::Token), 4);
}

#[tokio::test]
async fn b63_a_revoked_grant_needs_a_person_after_one_call() {
    let desk = Desk::acme().await;
    desk.simulator.revoke("Acme").unwrap();
    let error = desk.client.organization().await.unwrap_err();
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::TokenRevoked, "reauthenticate")
    );
    assert_eq!((desk.seen(Call::Token), desk.seen(Call::Query)), (1, 0));
    let shown = format!("{error} {error:?} {:?}", error.step_error());
    assert!(!shown.contains(&desk.access.refresh_token), "{shown}");
    let fresh = desk.simulator.reauthorize("Acme").unwrap();
    assert!(desk.refresh(&desk.access.client_id, None, &fresh).await.is_ok());
}

#[tokio::test]
async fn a_grant_that_is_revoked_in_the_middle_of_a_sync_is_found_at_the_next_call() {
    let desk = Desk::acme().await;
    desk.client.organization().await.unwrap();
    desk.simulator.revoke("Acme").unwrap();
    let error = desk.list("ApexClass").await.unwrap_err();
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::TokenRevoked, "reauthenticate")
    );
    assert_eq!((desk.seen(Call::List), desk.seen(Call::Token)), (1, 2));
}

#[tokio::test]
async fn b67_a_refreshed_sandbox_is_told_by_its_organization_id() {
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 50).as_sandbox()).await;
    desk.fault(Fault::new(FaultKind::OtherOrgId));
    let answer = desk
        .refresh(&desk.access.client_id, None, &desk.access.refresh_token)
        .await
        .unwrap();
    assert_ne!(answer.organization_id.as_str(), desk.access.organization_id);
    let identity = desk.client.identity().await.unwrap();
    assert_eq!(identity.organization_id, answer.organization_id);
}

#[tokio::test]
async fn b69_two_refreshes_at_once_are_a_short_wait_and_then_go_on() {
    let desk = Desk::acme().await;
    desk.fault(Fault::new(FaultKind::OauthError).times(1).saying(
        "invalid_grant",
        "a refresh of this token is already being processed",
    ));
    let error = desk.client.limits().await.unwrap_err();
    assert_eq!(code(&error), FailureCode::TokenRefreshStuck);
    let Ruled::Step(Verdict::Wait { why, after }) = error.ruling().ruled else {
        panic!("{error}");
    };
    assert!(why == WaitReason::TokenBeingRefreshed && after <= Duration::from_secs(10));
    assert!(desk.client.limits().await.is_ok());
}

#[tokio::test]
async fn b59_thirty_calls_that_find_one_expired_session_refresh_it_once() {
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 50).rotating()).await;
    desk.client.limits().await.unwrap();
    desk.simulator.expire_sessions("Acme").unwrap();
    let calls = (0..30).map(|_| async { desk.list("ApexClass").await.map(|listed| listed.len()) });
    let answers = join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(desk.seen(Call::Token), 2);
    assert!(desk.seen(Call::List) <= 60);
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_has_the_code_of_whoever_can_mend_it() {
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 50).with_secret("s3cret")).await;
    let (app, token) = (desk.access.client_id.clone(), desk.access.refresh_token.clone());
    for (app, secret, token, expected) in [
        (
            "another app",
            Some("s3cret"),
            token.as_str(),
            FailureCode::AppMisconfigured,
        ),
        (&app, Some("wrong"), &token, FailureCode::AppMisconfigured),
        (&app, None, &token, FailureCode::AppMisconfigured),
        (
            &app,
            Some("s3cret"),
            "5Aep861never-issued",
            FailureCode::TokenRevoked,
        ),
    ] {
        let error = desk.refresh(app, secret, token).await.unwrap_err();
        assert_eq!(code(&error), expected, "{app} {secret:?}: {error}");
    }
    assert!(desk.refresh(&app, Some("s3cret"), &token).await.is_ok());
    for (word, text, expected, to_do) in [
        (
            "invalid_grant",
            "inactive user",
            FailureCode::UserInactive,
            "reauthenticate",
        ),
        (
            "invalid_grant",
            "ip restricted",
            FailureCode::IpRestricted,
            "permanent",
        ),
        (
            "invalid_grant",
            "invalid login hours",
            FailureCode::LoginHours,
            "wait",
        ),
        (
            "invalid_app_access",
            "user is not admin approved to access this app",
            FailureCode::AppNotApproved,
            "permanent",
        ),
        (
            "OAUTH_APPROVAL_ERROR_GENERIC",
            "An unexpected error",
            FailureCode::AppNotApproved,
            "permanent",
        ),
        (
            "invalid_scope",
            "the requested scope is not allowed",
            FailureCode::AppMisconfigured,
            "permanent",
        ),
        (
            "unknown_error",
            "retry your request",
            FailureCode::SalesforceUnavailable,
            "retry",
        ),
        (
            "invalid_request",
            "login rate exceeded",
            FailureCode::RequestLimitExceeded,
            "wait",
        ),
    ] {
        desk.fault(Fault::new(FaultKind::OauthError).times(1).saying(word, text));
        let error = desk.refresh(&app, Some("s3cret"), &token).await.unwrap_err();
        assert_eq!((code(&error), act(&error)), (expected, to_do), "{word}: {text}");
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_is_no_revoked_token() {
    let desk = Desk::acme().await;
    for (kind, expected) in [
        (FaultKind::Html503, FailureCode::SalesforceUnavailable),
        (FaultKind::Html200, FailureCode::SalesforceUnavailable),
        (FaultKind::Html420, FailureCode::SalesforceUnavailable),
        (FaultKind::Reset, FailureCode::SalesforceUnreachable),
    ] {
        desk.fault(Fault::new(kind).times(1).on(&[Call::Token]));
        let error = desk.client.limits().await.unwrap_err();
        assert_eq!(
            (code(&error), act(&error)),
            (expected, "retry"),
            "{kind:?}: {error}"
        );
    }
    assert!(desk.client.limits().await.is_ok());
}

/// Each kind of call, by its simulator's name.
async fn make(desk: &Desk, call: Call, id: &nightshift_salesforce::AsyncId) -> Result<(), SalesforceError> {
    match call {
        Call::Versions => desk.client.versions().await.map(drop),
        Call::Userinfo => desk.client.identity().await.map(drop),
        Call::Query => desk.client.organization().await.map(drop),
        Call::Limits => desk.client.limits().await.map(drop),
        Call::Describe => desk.client.describe_metadata().await.map(drop),
        Call::List => desk
            .client
            .list_metadata(&[ListQuery::of("ApexClass")])
            .await
            .map(drop),
        Call::Retrieve => desk.start("ApexClass", &["A".to_owned()]).await.map(drop),
        Call::Poll => desk.client.retrieve_status(id).await.map(drop),
        Call::Download => desk.fetch(id).await.map(drop),
        other => panic!("{other:?} is no call of a sync"),
    }
}

const CALLS: [Call; 8] = [
    Call::Userinfo,
    Call::Query,
    Call::Limits,
    Call::Describe,
    Call::List,
    Call::Retrieve,
    Call::Poll,
    Call::Download,
];

#[tokio::test]
async fn an_expired_session_costs_each_kind_of_call_one_refresh_and_nothing_else() {
    let desk = Desk::acme().await;
    let names = desk.names("ApexClass").await;
    let id = desk.ready("ApexClass", &names[..2]).await;
    for call in CALLS {
        let (tokens, seen) = (desk.seen(Call::Token), desk.seen(call));
        desk.simulator.expire_sessions("Acme").unwrap();
        make(&desk, call, &id)
            .await
            .unwrap_or_else(|error| panic!("{call:?}: {error}"));
        assert_eq!(desk.seen(Call::Token) - tokens, 1, "{call:?}");
        assert_eq!(desk.seen(call) - seen, 2, "{call:?}");
    }
}

#[tokio::test]
async fn a_session_that_ends_by_time_is_refreshed_too() {
    let desk = Desk::acme().await;
    desk.client.limits().await.unwrap();
    desk.simulator.advance(LONG_ENOUGH * 20);
    desk.client.limits().await.unwrap();
    assert_eq!(desk.made(CallKind::Token), 2);
}

#[tokio::test]
async fn sessions_that_are_refused_though_fresh_end_it_after_one_refresh() {
    for call in CALLS {
        let desk = Desk::acme().await;
        let id = desk.ready("ApexClass", &[]).await;
        desk.fault(Fault::new(FaultKind::ExpiredSession).on(&[call]));
        let (tokens, seen) = (desk.seen(Call::Token), desk.seen(call));
        let error = make(&desk, call, &id).await.unwrap_err();
        assert_eq!(
            (code(&error), act(&error)),
            (FailureCode::SessionNotUsable, "permanent"),
            "{call:?}"
        );
        assert_eq!(
            (desk.seen(Call::Token) - tokens, desk.seen(call) - seen),
            (1, 2),
            "{call:?}"
        );
    }
}

#[tokio::test]
async fn a_rule_on_addresses_or_apps_is_not_answered_by_refreshing() {
    let desk = Desk::acme().await;
    desk.client.versions().await.unwrap();
    desk.fault(Fault::new(FaultKind::SessionNotUsable));
    for call in [Call::Limits, Call::List] {
        let id = nightshift_salesforce::AsyncId::new("09S000000000001AAA").unwrap();
        let error = make(&desk, call, &id).await.unwrap_err();
        assert_eq!(
            (code(&error), act(&error)),
            (FailureCode::SessionNotUsable, "permanent"),
            "{call:?}"
        );
        assert_eq!(desk.seen(call), 1);
    }
    assert_eq!(desk.seen(Call::Token), 1);
}

#[tokio::test]
async fn an_org_that_moved_away_is_asked_once_more_and_then_needs_a_person() {
    let desk = Desk::acme().await;
    desk.fault(Fault::new(FaultKind::UrlNotReset).times(1));
    assert!(
        desk.list("ApexClass").await.is_ok(),
        "the fresh token named the new address"
    );
    desk.fault(Fault::new(FaultKind::UrlNotReset));
    let error = desk.client.limits().await.unwrap_err();
    assert!(matches!(error, SalesforceError::WrongHost(_)), "{error}");
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::TokenRevoked, "reauthenticate")
    );
}

/// Has but one session, whatever is said of it.
struct Stuck(Session);

impl TokenSource for Stuck {
    fn token<'a>(&'a self, _: OrgId, _: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }

    fn refresh<'a>(
        &'a self,
        _: OrgId,
        _: TokenGeneration,
        _: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn a_refresh_that_brings_the_refused_session_again_is_not_tried_on_salesforce() {
    let desk = Desk::acme().await;
    let answer = desk
        .refresh(&desk.access.client_id, None, &desk.access.refresh_token)
        .await
        .unwrap();
    let stuck = Stuck(Session {
        instance_url: answer.instance_url,
        access_token: answer.access_token,
        generation: TokenGeneration(1),
    });
    let org = OrgId::from_uuid(uuid::Uuid::nil());
    let client = desk.salesforce.client(
        org,
        Arc::new(stuck),
        CallCounter::new(),
        ApiVersion::NEWEST_TESTED,
    );
    client.limits().await.unwrap();
    desk.simulator.expire_sessions("Acme").unwrap();
    let error = client.limits().await.unwrap_err();
    assert_eq!(code(&error), FailureCode::SessionNotUsable);
    assert_eq!(desk.seen(Call::Limits), 2);
}
