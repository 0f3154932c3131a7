//! Orgs that are connected anew or disconnected, and what becomes of the tokens of before.

use nightshift_connections::{
    ConnectError, GivenBack, Grant, Login, LoginAnswer, LoginApp, Renewal, disconnect, reauthenticate,
};
use nightshift_domain::{FailureCode, Verdict};
use nightshift_salesforce::{CallCounter, TokenError, TokenSource};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_store::connections::Refreshed;
use secrecy::SecretString;

use crate::{desk::Desk, refreshes::loses_an_answer};

/// What a browser is sent back with after a person said yes.
async fn answered(login: &Login) -> LoginAnswer {
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let answer = browser.build().unwrap().get(login.url()).send().await.unwrap();
    let to: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    let of = |name: &str| {
        to.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    LoginAnswer {
        code: of("code").map(Into::into),
        state: of("state"),
        error: of("error"),
        error_description: of("error_description"),
    }
}

fn login(desk: &Desk) -> Login {
    let app = LoginApp {
        login_url: desk.simulator.base_url(),
        client_id: desk.access.client_id.clone(),
        client_secret: desk.access.client_secret.clone().map(Into::into),
        redirect_uri: "http://localhost:1717/OauthRedirect".into(),
    };
    Login::begin(&desk.salesforce, app, &mut rand::rng()).unwrap()
}

/// The refresh token of one more grant.
async fn one_more(desk: &Desk) -> SecretString {
    let login = login(desk);
    let answer = answered(&login).await;
    login.finish(&desk.salesforce, answer).await.unwrap()
}

async fn renew(desk: &Desk, token: &SecretString) -> Result<(), ConnectError> {
    let org = desk.store.orgs().show(desk.org).await.unwrap();
    let renewal = Renewal {
        grant: Grant::RefreshToken(token.clone()),
        client_secret: None,
    };
    reauthenticate(&desk.store, &desk.salesforce, &org, renewal).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_brings_a_refresh_token_and_an_answer_to_another_login_nothing() {
    let desk = Desk::rotating().await;
    let (mine, theirs) = (login(&desk), login(&desk));
    let of_theirs = answered(&theirs).await;
    let wrong = mine.finish(&desk.salesforce, of_theirs).await;
    assert!(matches!(wrong, Err(ConnectError::LoginState)), "{wrong:?}");
    renew(&desk, &one_more(&desk).await).await.unwrap();
    assert!(desk.opens(desk.tokens().await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_denies_is_told_apart_from_a_salesforce_that_refuses() {
    let desk = Desk::rotating().await;
    for (error, is_denied) in [("access_denied", true), ("invalid_scope", false)] {
        let no = Fault::new(FaultKind::OauthError).saying(error, "no");
        desk.simulator
            .fault("acme", no.on(&[Call::Authorize]).times(1))
            .unwrap();
        let login = login(&desk);
        let answer = answered(&login).await;
        let told = login.finish(&desk.salesforce, answer).await.unwrap_err();
        assert_eq!(
            matches!(told, ConnectError::LoginDenied { .. }),
            is_denied,
            "{told}"
        );
        assert_eq!(
            matches!(told, ConnectError::LoginRefused { .. }),
            !is_denied,
            "{told}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grant_that_is_replaced_is_given_back_and_the_new_one_stays() {
    for spec in [
        OrgSpec::generated("acme", 1, 100),
        OrgSpec::generated("acme", 1, 100).rotating(),
    ] {
        let desk = Desk::open(spec).await;
        renew(&desk, &one_more(&desk).await).await.unwrap();
        assert_eq!(desk.seen(Call::Revoke), 1);
        desk.simulator.expire_sessions("acme").unwrap();
        let (tokens, calls) = (desk.tokens().await, CallCounter::new());
        let expired = tokens.token(desk.org, &calls).await.unwrap();
        tokens
            .refresh(desk.org, expired.generation, &calls)
            .await
            .unwrap();
        assert!(desk.opens(tokens).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_is_given_once_more_is_not_given_back() {
    let desk = Desk::open(OrgSpec::generated("acme", 1, 100)).await;
    renew(&desk, &desk.access.refresh_token.as_str().into())
        .await
        .unwrap();
    assert_eq!(desk.seen(Call::Revoke), 0);
    assert!(desk.opens(desk.tokens().await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_be_spent_is_not_given_back_when_it_is_replaced() {
    let desk = Desk::rotating().await;
    loses_an_answer(&desk).await;
    renew(&desk, &one_more(&desk).await).await.unwrap();
    assert_eq!(desk.seen(Call::Revoke), 0);
    assert!(
        desk.opens(desk.tokens().await).await,
        "a spent token that comes back would have ended this one too"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_is_never_connected_anew_to_another_one() {
    let desk = Desk::rotating().await;
    desk.simulator
        .fault("acme", Fault::new(FaultKind::OtherOrgId))
        .unwrap();
    let token = one_more(&desk).await;
    let refused = renew(&desk, &token).await;
    assert!(
        matches!(refused, Err(ConnectError::OtherOrg { .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_orgs_token_is_given_back_and_no_call_is_made_for_it() {
    let desk = Desk::rotating().await;
    let on_its_way = desk.begins().await.unwrap();
    let org = desk.store.orgs().show(desk.org).await.unwrap();
    let given = disconnect(&desk.store, &desk.salesforce, &org).await.unwrap();
    assert!(matches!(given, GivenBack::Yes), "{given:?}");
    assert_eq!(desk.seen(Call::Revoke), 1);

    // what was on its way brings nothing back
    let brought = Refreshed {
        access_token: "late".into(),
        refresh_token: Some("late too".into()),
        instance_url: desk.simulator.base_url(),
    };
    assert!(
        desk.store
            .connections()
            .end_refresh(on_its_way, &brought)
            .await
            .is_err()
    );
    let calls = desk.token_calls();
    let asked = desk.tokens().await.token(desk.org, &CallCounter::new()).await;
    let Err(TokenError::Salesforce(error)) = asked else {
        panic!("{asked:?}");
    };
    let answer = error.step_error();
    assert_eq!(
        (answer.code, answer.verdict),
        (FailureCode::OrgDisconnected, Verdict::Reauthenticate)
    );
    assert_eq!(desk.token_calls(), calls);

    let org = desk.store.orgs().show(desk.org).await.unwrap();
    assert!(org.disconnected_at.is_some() && org.paused && org.next_run.is_none());
    assert_eq!(org.state(), "needs_authentication");
    let connection = desk.store.connections().show(desk.org).await.unwrap();
    assert!(connection.grant.is_none() && connection.client_secret.is_none());
    let again = disconnect(&desk.store, &desk.salesforce, &org).await.unwrap();
    assert!(matches!(again, GivenBack::Nothing), "{again:?}");

    // a person logs in again: the app's secret was forgotten too, and is given with it
    let renewal = Renewal {
        grant: Grant::RefreshToken(one_more(&desk).await),
        client_secret: desk.access.client_secret.clone().map(Into::into),
    };
    reauthenticate(&desk.store, &desk.salesforce, &org, renewal)
        .await
        .unwrap();
    let org = desk.store.orgs().show(desk.org).await.unwrap();
    assert!(org.disconnected_at.is_none() && org.broken_with.is_none());
    assert!(desk.opens(desk.tokens().await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_whose_salesforce_is_down_is_disconnected_all_the_same() {
    let desk = Desk::rotating().await;
    let down = Fault::new(FaultKind::Html503).on(&[Call::Revoke]);
    desk.simulator.fault("acme", down).unwrap();
    let org = desk.store.orgs().show(desk.org).await.unwrap();
    let given = disconnect(&desk.store, &desk.salesforce, &org).await.unwrap();
    let GivenBack::No(error) = given else {
        panic!("{given:?}");
    };
    assert!(!format!("{error} {error:?}").contains(desk.access.refresh_token.as_str()));
    let connection = desk.store.connections().show(desk.org).await.unwrap();
    assert!(connection.grant.is_none());
    let secrets = desk.simulator.secrets("acme").unwrap();
    let shown = format!("{connection:?}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret)));
}
