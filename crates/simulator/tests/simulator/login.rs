//! Tokens and REST.

use nightshift_simulator::{OrgSpec, SimulatorSettings};
use serde_json::{Value, json};

use crate::client::Session;

#[tokio::test]
async fn a_refresh_gives_a_token_that_names_its_org() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 100)).await;
    let (status, answer) = session.refresh(&session.access.refresh_token).await;
    assert_eq!(status, 200);
    let organization_id = &session.access.organization_id;
    assert_eq!(organization_id.len(), 18);
    assert!(
        answer["access_token"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}!", &organization_id[..15]))
    );
    assert_eq!(answer["instance_url"], session.access.instance_url);
    let id = format!("/id/{organization_id}/{}", session.access.user_id);
    assert!(answer["id"].as_str().unwrap().ends_with(&id));
    assert_eq!(answer.get("refresh_token"), None);
    assert!(answer["issued_at"].as_str().unwrap().parse::<u64>().is_ok());
}

#[tokio::test]
async fn token_errors_read_as_salesforce_writes_them() {
    let session = Session::closed(
        OrgSpec::generated("Acme", 1, 100).with_secret("s3"),
        SimulatorSettings::default(),
    )
    .await;
    let ask = |changes: &[(&str, &str)]| {
        let mut form = std::collections::BTreeMap::from([
            ("grant_type", "refresh_token"),
            ("refresh_token", session.access.refresh_token.as_str()),
            ("client_id", session.access.client_id.as_str()),
            ("client_secret", "s3"),
        ]);
        form.extend(changes.iter().copied());
        let request = session
            .http
            .post(session.url("/services/oauth2/token"))
            .form(&form);
        async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        }
    };
    let refused = |error: &str, text: &str| (400, json!({ "error": error, "error_description": text }));
    assert_eq!(ask(&[]).await.0, 200);
    assert_eq!(
        ask(&[("client_secret", "no")]).await,
        refused("invalid_client", "invalid client credentials")
    );
    assert_eq!(
        ask(&[("client_id", "no")]).await,
        refused("invalid_client_id", "client identifier invalid")
    );
    assert_eq!(
        ask(&[("refresh_token", "no")]).await,
        refused("invalid_grant", "expired access/refresh token")
    );
    assert_eq!(
        ask(&[("grant_type", "no")]).await,
        refused("unsupported_grant_type", "grant type not supported")
    );
}

#[tokio::test]
async fn b59_with_rotation_a_reused_token_revokes_everything() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 100).rotating()).await;
    let second = session.simulator.access("Acme").unwrap().refresh_token;
    assert_ne!(second, session.access.refresh_token);
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 200);
    assert_eq!(session.refresh(&session.access.refresh_token).await.0, 400);
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 401);
    let (status, answer) = session.refresh(&second).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    let third = session.simulator.reauthorize("Acme").unwrap();
    assert_eq!(session.refresh(&third).await.0, 200);
}

#[tokio::test]
async fn tokens_end_by_time_by_revocation_and_by_the_administrator() {
    let mut session = Session::open(OrgSpec::generated("Acme", 1, 100)).await;
    assert_eq!(session.get("/services/oauth2/userinfo").await.0, 200);
    session.simulator.advance(std::time::Duration::from_secs(7_201));
    let (status, text) = session.get("/services/data/v67.0/limits").await;
    assert_eq!(
        (status, text.as_str()),
        (
            401,
            r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#
        )
    );
    assert_eq!(
        session.get("/services/oauth2/userinfo").await,
        (403, "Bad_OAuth_Token".to_owned())
    );
    let (status, text) = session.soap("<describeMetadata/>").await;
    assert!(
        status == 500 && text.contains("<faultcode>sf:INVALID_SESSION_ID</faultcode>"),
        "{text}"
    );
    session.renew().await;
    let revoke = [("token", session.token.clone())];
    let answer = session
        .http
        .post(session.url("/services/oauth2/revoke"))
        .form(&revoke)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(session.get("/services/data/v67.0/limits").await.0, 401);
    session.renew().await;
    session.control("revoke", json!({ "org": "Acme" })).await;
    assert_eq!(session.refresh(&session.access.refresh_token).await.0, 400);
}

#[tokio::test]
async fn identity_documents_and_queries_tell_org_user_and_zone() {
    let session = Session::open(
        OrgSpec::generated("Acme", 1, 100)
            .in_time_zone("Asia/Kathmandu")
            .as_sandbox(),
    )
    .await;
    let of = |path: String| {
        let session = &session;
        async move {
            let (status, text) = session.get(&path).await;
            assert_eq!(status, 200, "{text}");
            serde_json::from_str::<Value>(&text).unwrap()
        }
    };
    let access = &session.access;
    assert_eq!(
        of("/services/oauth2/userinfo".to_owned()).await["zoneinfo"],
        "Asia/Kathmandu"
    );
    let identity = of(format!("/id/{}/{}", access.organization_id, access.user_id)).await;
    assert_eq!(
        (&identity["timezone"], &identity["organization_id"]),
        (&json!("Asia/Kathmandu"), &json!(access.organization_id))
    );
    let query = of(
        "/services/data/v67.0/query?q=SELECT+Id,Name,TimeZoneSidKey,IsSandbox+FROM+Organization".to_owned(),
    )
    .await;
    let row = &query["records"][0];
    assert_eq!(
        (&query["totalSize"], &row["IsSandbox"], &row["Name"]),
        (&json!(1), &json!(true), &json!("Acme"))
    );
    assert_eq!(row["Id"], json!(access.organization_id));
    assert_eq!(
        of("/services/data/v67.0/limits".to_owned()).await["DailyApiRequests"]["Max"],
        15_000
    );
    let user = of(format!("/services/data/v51.0/sobjects/User/{}", access.user_id)).await;
    assert_eq!(user["Username"], "admin@acme.example.com");
    assert!(
        session
            .get("/services/data/v67.0/query?q=SELECT+Nope+FROM+User")
            .await
            .1
            .contains("INVALID_FIELD")
    );
    assert!(
        session
            .get("/services/data/v67.0/query?q=SELECT+Id+FROM+Nope")
            .await
            .1
            .contains("INVALID_TYPE")
    );
    assert_eq!(session.get("/services/data/v67.0/nothing").await.0, 404);
}

#[tokio::test]
async fn versions_answer_without_a_token_and_rest_answers_carry_the_use() {
    let settings = SimulatorSettings {
        greatest_version: 660,
        ..SimulatorSettings::default()
    };
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 100), settings).await;
    let versions: Value = session
        .http
        .get(session.url("/services/data"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(versions.as_array().unwrap().last().unwrap()["version"], "66.0");
    let answer = session
        .http
        .get(session.url("//services/data/v67.0/limits"))
        .bearer_auth(&session.token)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["sforce-limit-info"], "api-usage=1/15000");
    assert!(
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/json")
    );
}
