//! The control door.

use std::collections::BTreeSet;

use nightshift_simulator::{Call, OrgLimits, OrgSpec, SimulatorSettings};
use serde_json::{Value, json};

use crate::client::Session;

#[tokio::test]
async fn scripts_learn_the_orgs_and_what_they_need_to_connect() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 300)).await;
    session
        .simulator
        .add_org(OrgSpec::generated("Beta", 2, 300).in_time_zone("Asia/Tokyo"))
        .unwrap();
    let orgs: Value = serde_json::from_str(&session.get("/_control/orgs").await.1).unwrap();
    let acme = &orgs[0];
    for (key, value) in [
        ("name", &session.access.name),
        ("organization_id", &session.access.organization_id),
        ("client_id", &session.access.client_id),
        ("refresh_token", &session.access.refresh_token),
        ("instance_url", &session.access.instance_url),
    ] {
        assert_eq!(acme[key], json!(value), "{key}");
    }
    assert_eq!(
        (&orgs[1]["name"], &orgs[1]["time_zone"]),
        (&json!("Beta"), &json!("Asia/Tokyo"))
    );
    let ids: BTreeSet<&str> = [0, 1]
        .map(|at| orgs[at]["organization_id"].as_str().unwrap())
        .into();
    assert_eq!(ids.len(), 2);
    let counts: Value = serde_json::from_str(&session.get("/_control/counts?org=Beta").await.1).unwrap();
    assert_eq!(
        counts
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum::<u64>(),
        300
    );
}

#[tokio::test]
async fn every_secret_that_was_given_out_is_told_also_when_it_is_spent() {
    let spec = OrgSpec::generated("Acme", 1, 300).rotating();
    let mut session = Session::open(spec).await;
    let (first, rotated) = (
        session.access.refresh_token.clone(),
        session.simulator.access("Acme").unwrap().refresh_token,
    );
    let spent = session.token.clone();
    session.access.refresh_token.clone_from(&rotated);
    session.renew().await;
    let again = session.simulator.reauthorize("Acme").unwrap();
    session
        .simulator
        .add_org(OrgSpec::generated("Beta", 2, 300).with_secret("of the app"))
        .unwrap();
    let secrets: Value = serde_json::from_str(&session.get("/_control/secrets").await.1).unwrap();
    let acme = secrets["Acme"].as_array().unwrap();
    for token in [&first, &rotated, &again, &spent, &session.token] {
        assert!(acme.contains(&json!(token)), "{acme:?}");
    }
    assert_eq!(secrets["Beta"][0], "of the app");
}

#[tokio::test]
async fn every_request_is_counted_by_its_kind_whatever_becomes_of_it() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 300)).await;
    session.get("/services/data/v67.0/limits").await;
    session.list("ApexClass", None).await;
    session.list_raw(&[("Nonsense", None)]).await;
    session.fault(json!({ "fault": "html_503", "times": 1 })).await;
    session.list_raw(&[("ApexClass", None)]).await;
    session.fetch(&[("ApexClass", &["*"])]).await;
    let calls: Value = serde_json::from_str(&session.get("/_control/calls?org=Acme").await.1).unwrap();
    let of = |kind: &str| calls[kind].as_u64().unwrap();
    assert_eq!(
        [
            of("oauth_token"),
            of("limits"),
            of("listMetadata"),
            of("retrieve"),
            of("checkRetrieveStatus_zip")
        ],
        [1, 1, 3, 1, 1]
    );
    assert!(of("checkRetrieveStatus") > 1);
    assert_eq!(session.simulator.calls("Acme").unwrap()[&Call::List], 3);
    let most: Value = serde_json::from_str(&session.get("/_control/most_at_once").await.1).unwrap();
    assert_eq!(most, json!({ "Acme": 1 }));
    session
        .http
        .delete(session.url("/_control/calls?org=Acme"))
        .send()
        .await
        .unwrap();
    assert!(session.simulator.calls("Acme").unwrap().is_empty());
}

#[tokio::test]
async fn orders_that_make_no_sense_are_refused_with_a_reason() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 300)).await;
    let refused = |method: reqwest::Method, path: &'static str, body: &'static str| {
        let request = session
            .http
            .request(method, session.url(&format!("/_control/{path}")))
            .body(body);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    let post = reqwest::Method::POST;
    for (path, body, reason) in [
        (
            "fault",
            r#"{"org":"Nobody","fault":"html_503"}"#,
            "org Nobody is not there",
        ),
        ("fault", r#"{"org":"Acme","fault":"nonsense"}"#, "unknown variant"),
        (
            "fault",
            r#"{"org":"Acme","fault":"poisonous_component","type":"ApexClass"}"#,
            "needs `name`",
        ),
        (
            "fault",
            r#"{"org":"Acme","fault":"slow","milis":3}"#,
            "unknown field",
        ),
        ("next", r#"{"org":"Acme"}"#, "no next night"),
        ("nonsense", "", "is not known"),
    ] {
        let (status, text) = refused(post.clone(), path, body).await;
        assert!(status == 400 && text.contains(reason), "{path}: {text}");
    }
}

#[tokio::test]
async fn faults_are_of_one_org_and_are_taken_back() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 300)).await;
    session
        .simulator
        .add_org(OrgSpec::generated("Beta", 2, 300))
        .unwrap();
    session
        .control("fault", json!({ "org": "Beta", "fault": "html_503" }))
        .await;
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 200);
    session.control("fault", json!({ "fault": "html_503" })).await;
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 503);
    let delete = session
        .http
        .delete(session.url("/_control/fault"))
        .body(r#"{"org":"Acme"}"#);
    assert_eq!(delete.send().await.unwrap().status(), 200);
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 200);
}

#[tokio::test]
async fn five_hundred_lists_at_once_are_answered() {
    // On a busy machine these requests become long ones, of which an org allows few.
    let limits = OrgLimits {
        long_requests: 1_000,
        ..OrgLimits::default()
    };
    let session = Session::open(OrgSpec::generated("Acme", 1, 2_000).limited(limits)).await;
    let lists = (0..500).map(|_| session.list("ApexClass", None));
    let counts: BTreeSet<usize> = futures::future::join_all(lists)
        .await
        .into_iter()
        .map(|rows| rows.len())
        .collect();
    assert_eq!(counts.len(), 1);
}

#[tokio::test]
async fn a_stopped_simulator_frees_its_port() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 300)).await;
    let listen = session.simulator.addr();
    session.simulator.stop().await;
    let settings = SimulatorSettings {
        listen,
        ..SimulatorSettings::default()
    };
    let again = Session::open_with(OrgSpec::generated("Acme", 1, 300), settings).await;
    assert_eq!(again.simulator.addr(), listen);
}
