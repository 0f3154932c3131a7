//! Grants: a code after a login, the app's own key, the app's secret; and a token that is given back.

use std::collections::BTreeMap;

use nightshift_domain::FailureCode;
use nightshift_salesforce::{
    Claims, CodeVerifier, Grant, LoginState, SalesforceError, TokenAnswer, assertion, audience, authorize_url,
};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::desk::{Desk, act, code};

const CALLBACK: &str = "http://localhost:1717/OauthRedirect";

/// Where Salesforce sends the browser of a person who says yes.
async fn sent_to(desk: &Desk, state: &LoginState, verifier: &CodeVerifier) -> BTreeMap<String, String> {
    let login: Url = desk.access.instance_url.parse().unwrap();
    let url = authorize_url(&login, &desk.access.client_id, CALLBACK, state, verifier);
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let answer = browser.build().unwrap().get(url).send().await.unwrap();
    let to: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    assert!(to.as_str().starts_with(CALLBACK), "{to}");
    to.query_pairs().into_owned().collect()
}

async fn exchange(
    desk: &Desk,
    code: &str,
    redirect_uri: &str,
    verifier: &CodeVerifier,
) -> Result<TokenAnswer, SalesforceError> {
    let code = SecretString::from(code);
    let grant = Grant::Code {
        code: &code,
        redirect_uri,
        verifier,
    };
    desk.asks(&desk.access.client_id, None, grant).await
}

#[tokio::test]
async fn a_login_gives_a_code_that_its_verifier_turns_into_a_refresh_token_once() {
    let desk = Desk::acme().await;
    let (state, verifier) = (LoginState::new([1; 32]), CodeVerifier::new([2; 32]));
    let back = sent_to(&desk, &state, &verifier).await;
    assert!(state.is(&back["state"]));
    let given = exchange(&desk, &back["code"], CALLBACK, &verifier).await.unwrap();
    assert_eq!(given.organization_id.as_str(), desk.access.organization_id);
    let token = given.refresh_token.unwrap();
    assert!(
        desk.refresh(&desk.access.client_id, None, token.expose_secret())
            .await
            .is_ok()
    );
    assert!(
        exchange(&desk, &back["code"], CALLBACK, &verifier).await.is_err(),
        "a code is good once"
    );
}

#[tokio::test]
async fn a_code_is_worth_nothing_without_its_verifier_or_with_another_address() {
    let desk = Desk::acme().await;
    let (state, verifier) = (LoginState::new([1; 32]), CodeVerifier::new([2; 32]));
    for (redirect_uri, shown) in [
        (CALLBACK, CodeVerifier::new([3; 32])),
        ("http://localhost:1718/OauthRedirect", verifier.clone()),
    ] {
        let back = sent_to(&desk, &state, &verifier).await;
        let refused = exchange(&desk, &back["code"], redirect_uri, &shown)
            .await
            .unwrap_err();
        assert!(refused.refusal().is_some(), "{refused}");
        let told = format!("{refused} {refused:?}");
        assert!(!told.contains(&back["code"]), "{told}");
    }
}

#[tokio::test]
async fn a_person_who_says_no_comes_back_with_an_error() {
    let desk = Desk::acme().await;
    let no = Fault::new(FaultKind::OauthError).saying("access_denied", "end-user denied authorization");
    desk.fault(no.on(&[Call::Authorize]).times(1));
    let (state, verifier) = (LoginState::new([1; 32]), CodeVerifier::new([2; 32]));
    let back = sent_to(&desk, &state, &verifier).await;
    assert_eq!(back["error"], "access_denied");
    assert!(state.is(&back["state"]) && !back.contains_key("code"));
}

/// A new key of the org's app, which the org is told.
fn key(desk: &Desk) -> SecretString {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    desk.simulator
        .register_key("Acme", &pair.public_key_pem())
        .unwrap();
    pair.serialize_pem().into()
}

#[tokio::test]
async fn the_apps_key_opens_the_org_for_the_user_it_names() {
    let desk = Desk::acme().await;
    let (key, user) = (key(&desk), desk.access.username.clone());
    let login: Url = desk.access.instance_url.parse().unwrap();
    let address = audience(&login);
    // by Salesforce's own clock, as ours is right too
    let refreshed = desk.refresh(&desk.access.client_id, None, &desk.access.refresh_token);
    let now = refreshed.await.unwrap().issued_at.unwrap();
    let signed = |username, audience| {
        let claims = Claims {
            client_id: &desk.access.client_id,
            username,
            audience,
            now,
        };
        assertion(&claims, &key).unwrap()
    };
    let app = &desk.access.client_id;
    let given = desk
        .asks(app, None, Grant::Assertion(&signed(&user, &address)))
        .await
        .unwrap();
    assert_eq!(given.organization_id.as_str(), desk.access.organization_id);
    assert!(given.refresh_token.is_none());
    for (username, to, expected) in [
        ("nobody@x.test", address.as_str(), FailureCode::AppNotApproved),
        (&user, "https://elsewhere.test", FailureCode::AppMisconfigured),
    ] {
        let grant = signed(username, to);
        let refused = desk.asks(app, None, Grant::Assertion(&grant)).await.unwrap_err();
        assert_eq!(
            (code(&refused), act(&refused)),
            (expected, "permanent"),
            "{refused}"
        );
        assert!(!refused.to_string().contains(grant.expose_secret()));
    }
}

#[tokio::test]
async fn the_apps_secret_opens_the_org_and_a_wrong_one_does_not() {
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 50).with_secret("s3cret")).await;
    let app = &desk.access.client_id;
    let (right, wrong) = (SecretString::from("s3cret"), SecretString::from("guess"));
    let given = desk
        .asks(app, Some(&right), Grant::ClientCredentials)
        .await
        .unwrap();
    assert_eq!(given.organization_id.as_str(), desk.access.organization_id);
    let refused = desk
        .asks(app, Some(&wrong), Grant::ClientCredentials)
        .await
        .unwrap_err();
    assert_eq!(code(&refused), FailureCode::AppMisconfigured);
}

#[tokio::test]
async fn a_token_that_is_given_back_opens_nothing_any_more() {
    let desk = Desk::acme().await;
    let address = desk.access.instance_url.parse().unwrap();
    let (oauth, calls) = (desk.salesforce.oauth(), desk.client.calls().clone());
    let token = SecretString::from(desk.access.refresh_token.as_str());
    oauth.revoke(&address, &token, &calls).await.unwrap();
    let refused = desk
        .refresh(&desk.access.client_id, None, token.expose_secret())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), FailureCode::TokenRevoked);
    let unknown = oauth
        .revoke(&address, &"never given".into(), &calls)
        .await
        .unwrap_err();
    assert_eq!(unknown.refusal().unwrap().code, "unsupported_token_type");
}
