//! Every fault, as its victim sees it.

use base64::{Engine, engine::general_purpose::STANDARD};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use serde_json::json;

use crate::client::{Session, check, element, unzip};

async fn acme() -> Session {
    Session::open(OrgSpec::generated("Acme", 1, 400)).await
}

#[tokio::test]
async fn pages_instead_of_answers() {
    let session = acme().await;
    for (fault, status) in [
        ("html_503", 503),
        ("html_200", 200),
        ("html_420", 420),
        ("empty_406", 406),
    ] {
        session
            .fault(json!({ "fault": fault, "times": 1, "calls": ["listMetadata"] }))
            .await;
        assert_eq!(
            session.get("/services/data/v67.0/limits").await.0,
            200,
            "{fault} is for listings only"
        );
        let answer = session.list_raw(&[("ApexClass", None)]).await;
        assert_eq!(answer.0, status, "{fault}");
        assert!(answer.1.contains("<html>") || fault == "empty_406", "{fault}");
        assert_eq!(
            session.list_raw(&[("ApexClass", None)]).await.0,
            200,
            "{fault} hits once"
        );
    }
}

#[tokio::test]
async fn sessions_and_limits_in_the_shape_of_the_call() {
    let mut session = acme().await;
    session
        .fault(json!({ "fault": "expired_session", "times": 1 }))
        .await;
    let (status, text) = session.list_raw(&[("ApexClass", None)]).await;
    assert!(status == 500 && text.contains("sf:INVALID_SESSION_ID"), "{text}");
    assert_eq!(
        session.get("/services/data/v67.0/limits").await.0,
        401,
        "the token is gone"
    );
    session.renew().await;
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 200);
    session
        .fault(json!({ "fault": "request_limit_exceeded", "times": 2 }))
        .await;
    let (status, text) = session.get("/services/data/v67.0/limits").await;
    assert!(
        status == 403 && text.contains("TotalRequests Limit exceeded."),
        "{text}"
    );
    assert!(
        session
            .list_raw(&[("ApexClass", None)])
            .await
            .1
            .contains("sf:REQUEST_LIMIT_EXCEEDED")
    );
    for (fault, text) in [
        (
            "session_not_usable",
            "This session is not valid for use with the REST API",
        ),
        ("concurrent_limit_exceeded", "ConcurrentRequests"),
        ("server_unavailable", "SERVER_UNAVAILABLE"),
        ("url_not_reset", "Destination URL not reset"),
    ] {
        session.fault(json!({ "fault": fault, "times": 1 })).await;
        let answer = session.get("/services/data/v67.0/limits").await.1;
        assert!(answer.contains(text), "{answer}");
    }
    session
        .fault(json!({ "fault": "error", "code": "ORG_LOCKED", "text": "locked", "times": 1 }))
        .await;
    assert!(
        session
            .list_raw(&[("ApexClass", None)])
            .await
            .1
            .contains("<faultstring>ORG_LOCKED: locked</faultstring>")
    );
}

#[tokio::test]
async fn tokens_revoked_refused_and_of_another_org() {
    let session = acme().await;
    session
        .fault(
            json!({ "fault": "oauth_error", "code": "invalid_grant", "text": "inactive user", "times": 1 }),
        )
        .await;
    let refresh = &session.access.refresh_token;
    assert_eq!(
        session.refresh(refresh).await,
        (
            400,
            json!({ "error": "invalid_grant", "error_description": "inactive user" })
        )
    );
    session
        .fault(json!({ "fault": "other_org_id", "times": 1, "calls": ["oauth_token"] }))
        .await;
    let id = session.refresh(refresh).await.1["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        id.contains("/id/00D") && !id.contains(&session.access.organization_id),
        "b67: {id}"
    );
    assert!(
        session.refresh(refresh).await.1["id"]
            .as_str()
            .unwrap()
            .contains(&session.access.organization_id)
    );
    session.fault(json!({ "fault": "revoked_token" })).await;
    assert_eq!(
        session.refresh(refresh).await.1["error_description"],
        "expired access/refresh token"
    );
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 401);
}

#[tokio::test]
async fn the_connection_is_reset_before_and_in_the_middle_of_an_answer() {
    let session = acme().await;
    session
        .fault(json!({ "fault": "reset", "times": 1, "calls": ["describeMetadata"] }))
        .await;
    let cut = session.soap_raw("<describeMetadata/>").await.unwrap_err();
    assert!(cut.status().is_none(), "{cut:?}");
    assert_eq!(session.soap("<describeMetadata/>").await.0, 200);
    session
        .fault(json!({ "fault": "reset_in_mid_transfer", "times": 1 }))
        .await;
    let id = session.retrieve(&[("ApexClass", &["*"])]).await;
    session.wait(&id).await;
    let answer = session.soap_raw(&check(&id, true)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.is_err());
    assert!(
        session
            .status(&id, true)
            .await
            .1
            .contains("<zipFile xsi:nil=\"true\"/>"),
        "handed over all the same"
    );
}

#[tokio::test]
async fn a_retrieve_stays_pending_until_the_fault_is_taken_back() {
    let session = acme().await;
    session
        .fault(json!({ "fault": "stays_pending", "times": 1 }))
        .await;
    let id = session.retrieve(&[("ApexClass", &["*"])]).await;
    session.simulator.advance(std::time::Duration::from_mins(40));
    assert!(
        session
            .status(&id, false)
            .await
            .1
            .contains("<status>Pending</status>")
    );
    let other = session.retrieve(&[("ApexClass", &["*"])]).await;
    session.wait(&other).await;
    session
        .simulator
        .clear_faults("Acme", Some(FaultKind::StaysPending))
        .unwrap();
    assert!(
        session.wait(&id).await.contains("<status>Succeeded</status>"),
        "b25"
    );
}

#[tokio::test]
async fn large_batches_stay_in_progress_and_small_ones_do_not() {
    let session = acme().await;
    session
        .fault(json!({ "fault": "stays_in_progress", "files": 10 }))
        .await;
    let large = session.retrieve(&[("ApexClass", &["*"])]).await;
    let class = session.list("ApexClass", None).await[0]["fullName"].clone();
    let small = session.retrieve(&[("ApexClass", &[&class])]).await;
    assert!(session.wait(&small).await.contains("<status>Succeeded</status>"));
    session.simulator.advance(std::time::Duration::from_hours(1));
    assert!(
        session
            .status(&large, false)
            .await
            .1
            .contains("<status>InProgress</status>")
    );
}

#[tokio::test]
async fn b17_a_poisonous_component_fails_every_batch_it_is_in() {
    let session = acme().await;
    let classes = session.list("ApexClass", None).await;
    let (one, two) = (classes[0]["fullName"].as_str(), classes[1]["fullName"].as_str());
    session
        .fault(json!({ "fault": "poisonous_component", "type": "ApexClass", "name": one }))
        .await;
    for _ in 0..2 {
        let text = session
            .wait(&session.retrieve(&[("ApexClass", &[two, one])]).await)
            .await;
        assert_eq!(element(&text, "errorStatusCode").unwrap(), "UNKNOWN_EXCEPTION");
        let message = element(&text, "errorMessage").unwrap();
        assert!(
            message.contains("ErrorId") && message.ends_with("(-1073734177)"),
            "{message}"
        );
    }
    let text = session
        .wait(&session.retrieve(&[("ApexClass", &[two])]).await)
        .await;
    assert!(text.contains("<status>Succeeded</status>"));
}

#[tokio::test]
async fn b21_what_cannot_be_loaded_is_a_message_in_a_retrieve_that_succeeds() {
    let session = acme().await;
    let classes = session.list("ApexClass", None).await;
    let (one, two) = (classes[0]["fullName"].as_str(), classes[1]["fullName"].as_str());
    session
        .fault(json!({ "fault": "load_from_db_failed", "type": "ApexClass", "name": one }))
        .await;
    let fetched = session.fetch(&[("ApexClass", &[one, two])]).await;
    let told = format!("Load of metadata from db failed for metadata of type:ApexClass and file name:{one}.");
    assert!(fetched.messages()[0].ends_with(&told), "{:?}", fetched.messages());
    assert_eq!(fetched.files.len(), 3);
}

#[tokio::test]
async fn types_that_may_not_be_listed_and_other_refusals_of_salesforce() {
    let session = acme().await;
    session
        .fault(json!({ "fault": "type_may_not_be_listed", "type": "Flow" }))
        .await;
    let (status, text) = session.list_raw(&[("ApexClass", None), ("Flow", None)]).await;
    assert!(
        status == 500 && text.contains("Cannot use: Flow in this organization"),
        "{text}"
    );
    assert_eq!(session.list_raw(&[("ApexClass", None)]).await.0, 200);
    session
        .fault(json!({ "fault": "type_may_not_be_listed", "type": "Role", "code": "INSUFFICIENT_ACCESS" }))
        .await;
    assert!(
        session
            .list_raw(&[("Role", None)])
            .await
            .1
            .contains("ModifyAllData or ModifyMetadata permissions")
    );
    session
        .fault(json!({ "fault": "insufficient_access", "type": "Role", "times": 1 }))
        .await;
    let text = session.wait(&session.retrieve(&[("Role", &["*"])]).await).await;
    assert!(
        text.contains("INSUFFICIENT_ACCESS: insufficient access rights on entity: Role"),
        "{text}"
    );
    session
        .fault(json!({ "fault": "limit_exceeded", "files": 3, "times": 1 }))
        .await;
    let text = session
        .wait(&session.retrieve(&[("ApexClass", &["*"])]).await)
        .await;
    assert!(
        text.contains("Too many files in retrieve call, limit is: 3."),
        "{text}"
    );
}

#[tokio::test]
async fn b33_one_poll_answers_invalid_cross_reference_key_though_all_is_well() {
    let session = acme().await;
    session
        .fault(json!({ "fault": "invalid_cross_reference", "times": 1, "after": 1 }))
        .await;
    let id = session.retrieve(&[("ApexClass", &["*"])]).await;
    let codes = [
        session.status(&id, false).await.0,
        session.status(&id, false).await.0,
        session.status(&id, false).await.0,
    ];
    assert_eq!(codes, [200, 500, 200]);
    assert!(session.wait(&id).await.contains("<status>Succeeded</status>"));
}

/// The base64 text that a spoilt download brings.
async fn spoilt(session: &Session, fault: Fault) -> String {
    session.simulator.fault("Acme", fault.times(1)).unwrap();
    let id = session
        .retrieve(&[("ApexClass", &["*"]), ("CustomObject", &["*"])])
        .await;
    session.wait(&id).await;
    let (status, text) = session.status(&id, true).await;
    assert_eq!(status, 200);
    element(&text, "zipFile").unwrap()
}

#[tokio::test]
async fn zips_that_went_wrong_on_the_way() {
    let session = acme().await;
    let good = session
        .fetch(&[("ApexClass", &["*"]), ("CustomObject", &["*"])])
        .await
        .zip;
    let cut = STANDARD
        .decode(spoilt(&session, Fault::new(FaultKind::TruncatedZip)).await)
        .unwrap();
    assert!(cut.len() < good.len() && good.starts_with(&cut));
    let flipped = STANDARD
        .decode(spoilt(&session, Fault::new(FaultKind::FlippedBit)).await)
        .unwrap();
    assert_eq!(flipped.iter().zip(&good).filter(|(a, b)| a != b).count(), 1);
    let broken = spoilt(&session, Fault::new(FaultKind::Base64BrokenOff)).await;
    assert!(broken.len() % 4 == 1 && STANDARD.decode(&broken).is_err());
}

#[tokio::test]
async fn zips_of_ill_intent() {
    let session = acme().await;
    let files = async |kind| unzip(&STANDARD.decode(spoilt(&session, Fault::new(kind)).await).unwrap());
    assert!(
        files(FaultKind::ZipWithDotdot)
            .await
            .keys()
            .any(|path| path.contains("/../"))
    );
    let entities = files(FaultKind::XmlWithEntities).await;
    assert_eq!(
        entities
            .values()
            .filter(|bytes| bytes.starts_with(b"<?xml version=\"1.0\"?>\n<!DOCTYPE"))
            .count(),
        1
    );
    let deep = files(FaultKind::Xml10000Levels).await;
    assert!(
        deep.values()
            .any(|bytes| bytes.windows(3).filter(|window| window == b"<a>").count() == 10_000)
    );
    let mut bomb = Fault::new(FaultKind::ZipBomb);
    bomb.bytes = Some(50 << 20);
    let zip = STANDARD.decode(spoilt(&session, bomb).await).unwrap();
    assert!(zip.len() < 2 << 20, "{}", zip.len());
    assert_eq!(
        unzip(&zip)["unpackaged/staticresources/Bomb.resource"].len(),
        50 << 20
    );
}

#[tokio::test]
async fn slow_answers_and_slow_bodies() {
    let session = acme().await;
    let begin = std::time::Instant::now();
    session
        .fault(json!({ "fault": "slow", "millis": 300, "times": 1, "calls": ["limits"] }))
        .await;
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 200);
    assert!(begin.elapsed().as_millis() >= 300);
    let mut drip = Fault::new(FaultKind::SlowDrip).on(&[Call::Download]);
    drip.millis = Some(20);
    let begin = std::time::Instant::now();
    spoilt(&session, drip).await;
    assert!(begin.elapsed().as_millis() >= 100);
}
