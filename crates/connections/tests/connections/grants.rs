//! Each kind of grant, from the first proof to the refresh of a later night.

use std::fmt::Write as _;

use nightshift_connections::{ConnectError, Grant, JwtBearer};
use nightshift_domain::FailureCode;
use nightshift_salesforce::{CallCounter, CallKind, SalesforceError, TokenSource};
use nightshift_simulator::{Call, OrgSpec, SimulatorSettings};
use secrecy::{ExposeSecret, SecretString};

use crate::desk::{Bare, Desk};

/// A new key of the org's app, which the org is told.
fn key(bare: &Bare) -> SecretString {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    bare.simulator
        .register_key("acme", &pair.public_key_pem())
        .unwrap();
    pair.serialize_pem().into()
}

fn bearer(username: &str, key: SecretString) -> Grant {
    Grant::JwtBearer(JwtBearer {
        username: username.to_owned(),
        audience: None,
        key,
    })
}

/// A session of a later night: the stored one is over, so it is asked for anew.
async fn is_refreshed(desk: &Desk) {
    let (tokens, calls) = (desk.tokens().await, CallCounter::new());
    let before = desk.token_calls();
    let expired = tokens.token(desk.org, &calls).await.unwrap();
    tokens
        .refresh(desk.org, expired.generation, &calls)
        .await
        .unwrap();
    assert_eq!(desk.token_calls() - before, 1);
    assert!(desk.opens(tokens).await);
}

/// Everything that the database holds about orgs, as text; bytes in hexadecimal.
async fn dump(desk: &Desk) -> String {
    desk.database.texts("SELECT org::text FROM org").await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_is_connected_and_refreshed_by_the_apps_key_which_is_stored_encrypted() {
    let bare = Bare::new(OrgSpec::generated("acme", 1, 100)).await;
    let user = bare.access.username.clone();
    let key = key(&bare);
    let desk = bare.by(bearer(&user, key.clone())).await;
    is_refreshed(&desk).await;
    let middle = &key.expose_secret()[60..100];
    let hex = middle.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let dump = dump(&desk).await;
    assert!(dump.contains("jwt_bearer") && dump.contains(&user), "{dump}");
    assert!(!dump.contains(middle) && !dump.contains(&hex));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_is_connected_and_refreshed_by_the_apps_secret() {
    let bare = Bare::new(OrgSpec::generated("acme", 1, 100).with_secret("s3cret")).await;
    is_refreshed(&bare.by(Grant::ClientCredentials).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_leaves_no_trace() {
    let bare = Bare::new(OrgSpec::generated("acme", 1, 100)).await;
    let connection = |grant| bare.connection(grant);
    let unknown = bare
        .connects(connection(bearer("nobody@x.test", key(&bare))))
        .await;
    let Err(ConnectError::Salesforce(error)) = unknown else {
        panic!("{unknown:?}")
    };
    assert_eq!(error.step_error().code, FailureCode::AppNotApproved, "{error}");
    let calls = bare.simulator.calls("acme").unwrap()[&Call::Token];
    let no_key = bare.connects(connection(bearer("a@b", "hunter2".into()))).await;
    assert!(matches!(no_key, Err(ConnectError::Salesforce(_))), "{no_key:?}");
    assert!(!format!("{no_key:?}").contains("hunter2"));
    let no_secret = bare.connects(connection(Grant::ClientCredentials)).await;
    assert!(
        matches!(no_secret, Err(ConnectError::NeedsSecret)),
        "{no_secret:?}"
    );
    for host in ["login", "test"] {
        let mut at_login = connection(Grant::ClientCredentials);
        at_login.login_url = format!("https://{host}.salesforce.com");
        at_login.client_secret = Some("s3cret".into());
        let refused = bare.connects(at_login).await;
        assert!(
            matches!(refused, Err(ConnectError::NeedsMyDomain { .. })),
            "{refused:?}"
        );
    }
    let asked = bare.simulator.calls("acme").unwrap()[&Call::Token];
    assert_eq!(asked, calls, "what is known to be wrong is not sent");
    assert_eq!(bare.database.count("SELECT count(*) FROM org").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_that_is_said_to_live_at_a_foreign_host_is_not_connected() {
    let settings = SimulatorSettings {
        public_url: Some("https://salesforce.com.evil.test".into()),
        ..SimulatorSettings::default()
    };
    let bare = Bare::at(OrgSpec::generated("acme", 1, 100), settings).await;
    let grant = Grant::RefreshToken(bare.access.refresh_token.as_str().into());
    let refused = bare.connects(bare.connection(grant)).await;
    assert!(
        matches!(
            &refused,
            Err(ConnectError::Salesforce(SalesforceError::Host {
                call: CallKind::Token,
                ..
            }))
        ),
        "{refused:?}"
    );
    assert_eq!(bare.database.count("SELECT count(*) FROM org").await, 0);
}
