//! The ways to a session besides a refresh: codes, assertions, an app's own, a person's password.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};
use url::Url;

use crate::client::Session;

const CALLBACK: &str = "http://localhost:1717/callback";
// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn open() -> Session {
    Session::open(OrgSpec::generated("Acme", 1, 100)).await
}

/// Where the consent page sends the browser.
async fn consent(session: &Session, client_id: &str) -> Url {
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let query = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", CALLBACK),
        ("state", "s 1"),
        ("code_challenge", CHALLENGE),
    ];
    let page = http.get(session.url("/services/oauth2/authorize")).query(&query);
    let answer = page.send().await.unwrap();
    assert_eq!(answer.status(), 302);
    answer.headers()["location"].to_str().unwrap().parse().unwrap()
}

fn of(url: &Url, key: &str) -> String {
    url.query_pairs()
        .find(|(name, _)| name == key)
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

async fn token(session: &Session, form: &[(&str, &str)]) -> (u16, Value) {
    let request = session
        .http
        .post(session.url("/services/oauth2/token"))
        .form(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_code_with_its_verifier_gives_a_grant_once() {
    let session = open().await;
    let client_id = session.access.client_id.as_str();
    let back = consent(&session, client_id).await;
    assert_eq!((of(&back, "state").as_str(), back.path()), ("s 1", "/callback"));
    let code = of(&back, "code");
    let with = |verifier: &'static str| {
        [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("redirect_uri", CALLBACK),
            ("code", code.as_str()),
            ("code_verifier", verifier),
        ]
    };
    let (status, answer) = token(&session, &with(VERIFIER)).await;
    assert_eq!(status, 200, "{answer}");
    let fresh = answer["refresh_token"].as_str().unwrap();
    assert_eq!(session.refresh(fresh).await.0, 200);
    assert_eq!(session.refresh(&session.access.refresh_token).await.0, 200);
    let (status, answer) = token(&session, &with(VERIFIER)).await;
    assert_eq!(
        (status, &answer["error"], &answer["error_description"]),
        (400, &json!("invalid_grant"), &json!("invalid authorization code"))
    );
}

#[tokio::test]
async fn a_wrong_verifier_spends_the_code() {
    let session = open().await;
    let code = of(&consent(&session, &session.access.client_id).await, "code");
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", session.access.client_id.as_str()),
        ("redirect_uri", CALLBACK),
        ("code", code.as_str()),
        ("code_verifier", "wrong"),
    ];
    assert_eq!(
        token(&session, &form).await.1["error_description"],
        "invalid code verifier"
    );
    assert_eq!(
        token(&session, &form).await.1["error_description"],
        "invalid authorization code"
    );
}

#[tokio::test]
async fn who_says_no_is_told_to_the_app_and_an_unknown_app_to_the_person_alone() {
    let session = open().await;
    let denied = Fault::new(FaultKind::OauthError)
        .on(&[Call::Authorize])
        .saying("access_denied", "end-user denied authorization");
    session.simulator.fault("Acme", denied).unwrap();
    let back = consent(&session, &session.access.client_id).await;
    assert_eq!(
        (of(&back, "error").as_str(), back.path()),
        ("access_denied", "/callback")
    );
    let page = consent(&session, "nobody").await;
    assert!(page.path().ends_with("RemoteAccessErrorPage.apexp"), "{page}");
    assert_eq!(of(&page, "error"), "invalid_client_id");
}

/// A new key's public half (PEM), and claims signed with the other one.
fn signed(claims: &str) -> (String, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let public = STANDARD.encode(public.as_ref());
    let text = [r#"{"alg":"RS256"}"#, claims]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    (
        format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n"),
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)),
    )
}

#[tokio::test]
async fn an_assertion_and_an_app_of_its_own_give_sessions_without_a_grant() {
    let session = open().await;
    let access = &session.access;
    let claims = json!({ "iss": access.client_id, "sub": access.username, "aud": access.instance_url, "exp": 4_000_000_000_u64 });
    let (public_key, assertion) = signed(&claims.to_string());
    let jwt = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.as_str()),
    ];
    let apps = [
        ("grant_type", "client_credentials"),
        ("client_id", access.client_id.as_str()),
    ];
    let (_, refused) = token(&session, &jwt).await;
    assert_eq!(
        refused["error_description"], "invalid assertion",
        "no key is known yet"
    );
    let order = json!({ "org": "Acme", "public_key": public_key });
    let told = session
        .http
        .post(session.url("/_control/key"))
        .body(order.to_string());
    assert_eq!(told.send().await.unwrap().status(), 200);
    for form in [jwt.as_slice(), apps.as_slice()] {
        let (status, answer) = token(&session, form).await;
        assert_eq!((status, answer.get("refresh_token")), (200, None), "{answer}");
    }
    let (_, refused) = token(
        &session,
        &[("grant_type", "client_credentials"), ("client_id", "nobody")],
    )
    .await;
    assert_eq!(refused["error"], "invalid_client_id");
}

#[tokio::test]
async fn introspection_tells_a_live_token_from_a_dead_one() {
    let session = open().await;
    let ask = |token: &str| {
        let form = [("token", token.to_owned())];
        let request = session
            .http
            .post(session.url("/services/oauth2/introspect"))
            .form(&form);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let live = ask(&session.token).await;
    assert_eq!(
        (&live["active"], &live["username"], &live["token_type"]),
        (
            &json!(true),
            &json!(session.access.username),
            &json!("access_token")
        )
    );
    assert_eq!(ask(&session.access.refresh_token).await["active"], true);
    assert_eq!(ask("nothing").await, json!({ "active": false }));
}

#[tokio::test]
async fn a_login_over_soap_opens_the_other_apis() {
    let session = open().await;
    let login = |password: &str| {
        let body = format!(
            "<E xmlns='x'><Header/><Body><login><username>{}</username><password>{password}</password></login></Body></E>",
            session.access.username
        );
        let request = session.http.post(session.url("/services/Soap/u/67.0")).body(body);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    // The security token follows the password.
    let (status, text) = login(&format!("{}TOKEN", session.access.password)).await;
    assert_eq!(status, 200, "{text}");
    let between = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let id = between(&text, "sessionId");
    let limits = session
        .http
        .get(session.url("/services/data/v67.0/limits"))
        .bearer_auth(id);
    assert_eq!(limits.send().await.unwrap().status(), 200);
    let (status, text) = login("wrong").await;
    assert_eq!(
        (status, between(&text, "sf:exceptionCode").as_str()),
        (500, "INVALID_LOGIN")
    );
}
