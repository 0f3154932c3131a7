//! Queries by REST and in bulk, describes, composites: what comes, what is bounded, what is refused.

use std::time::Duration;

use nightshift_simulator::{Call, OrgSpec, RetrievePace, SimulatorSettings};
use serde_json::{Value, json};

use crate::client::Session;

const DATA: &str = "/services/data/v67.0";

async fn open() -> Session {
    Session::open(OrgSpec::generated("Acme", 1, 2_000)).await
}

fn encoded(soql: &str) -> String {
    url::form_urlencoded::byte_serialize(soql.as_bytes()).collect()
}

/// A query of an API (`""` or `"/tooling"`): status and answer.
async fn query(session: &Session, api: &str, soql: &str) -> (u16, Value) {
    let (status, text) = session
        .get(&format!("{DATA}{api}/query?q={}", encoded(soql)))
        .await;
    (status, serde_json::from_str(&text).unwrap())
}

async fn refused(session: &Session, api: &str, soql: &str) -> (String, String) {
    let (status, answer) = query(session, api, soql).await;
    assert_eq!(status, 400, "{answer}");
    let text = |name: &str| answer[0][name].as_str().unwrap().to_owned();
    (text("errorCode"), text("message"))
}

#[tokio::test]
async fn a_large_result_comes_in_pages_and_its_locator_is_good_until_the_last() {
    let session = open().await;
    let (_, first) = query(&session, "", "SELECT Id FROM Account").await;
    assert_eq!(
        (&first["totalSize"], &first["done"]),
        (&json!(4_500), &json!(false))
    );
    assert_eq!(first["records"].as_array().unwrap().len(), 2_000);
    let second = first["nextRecordsUrl"].as_str().unwrap();
    assert!(
        second.starts_with("/services/data/v67.0/query/0r8") && second.ends_with("-2000"),
        "{second}"
    );
    let (_, text) = session.get(second).await;
    let page: Value = serde_json::from_str(&text).unwrap();
    let third = page["nextRecordsUrl"].as_str().unwrap();
    let (_, text) = session.get(third).await;
    let page: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(page["records"].as_array().unwrap().len(), 500);
    assert_eq!((&page["done"], page.get("nextRecordsUrl")), (&json!(true), None));
    let (status, text) = session.get(third).await;
    assert!(status == 400 && text.contains("INVALID_QUERY_LOCATOR"), "{text}");
    assert_eq!(session.simulator.calls("Acme").unwrap()[&Call::QueryMore], 3);
}

#[tokio::test]
async fn a_locator_lives_for_two_days() {
    let mut session = open().await;
    let (_, first) = query(&session, "", "SELECT Id FROM Account").await;
    session.simulator.advance(Duration::from_hours(49));
    session.renew().await;
    let (status, text) = session.get(first["nextRecordsUrl"].as_str().unwrap()).await;
    assert!(status == 400 && text.contains("INVALID_QUERY_LOCATOR"), "{text}");
}

#[tokio::test]
async fn refusals_read_as_salesforce_writes_them() {
    let session = open().await;
    let (code, text) = refused(&session, "", "SELECT Id FORM Account").await;
    assert_eq!(code, "MALFORMED_QUERY");
    assert_eq!(
        text,
        "\nSELECT Id FORM Account\n          ^\nERROR at Row:1:Column:11\nunexpected token: 'FORM'"
    );
    let (code, text) = refused(&session, "", "SELECT Nope FROM Account").await;
    assert!(
        code == "INVALID_FIELD" && text.contains("No such column 'Nope' on entity 'Account'"),
        "{text}"
    );
    let (code, text) = refused(&session, "", "SELECT Boss.Name FROM Account").await;
    assert!(
        code == "INVALID_FIELD" && text.contains("Didn't understand relationship 'Boss'"),
        "{text}"
    );
    let (code, text) = refused(&session, "", "SELECT Id FROM Nope__c").await;
    assert!(
        code == "INVALID_TYPE" && text.contains("sObject type 'Nope__c' is not supported"),
        "{text}"
    );
    let (code, text) = refused(&session, "", "SELECT Id FROM User WHERE IsActive = 'true'").await;
    assert!(
        code == "INVALID_FIELD"
            && text.contains("must be of type boolean and should not be enclosed in quotes"),
        "{text}"
    );
}

#[tokio::test]
async fn the_tooling_api_answers_from_the_inventory_within_its_bounds() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 40_000)).await;
    let counts = session.simulator.expected_counts("Acme").unwrap();
    let (_, classes) = query(&session, "/tooling", "SELECT Id, CreatedBy.Name FROM ApexClass").await;
    assert_eq!(classes["totalSize"], json!(counts["ApexClass"]));
    assert_eq!(classes["entityTypeName"], "ApexClass");
    assert_eq!(classes["records"][0]["CreatedBy"]["Name"], "Sim Admin");
    let (code, text) = refused(&session, "/tooling", "SELECT Id FROM FieldDefinition").await;
    assert_eq!(
        (code.as_str(), text.as_str()),
        (
            "MALFORMED_QUERY",
            "FieldDefinition: a filter on a reified column is required [EntityDefinitionId,DurableId]"
        )
    );
    let (code, text) = refused(&session, "/tooling", "SELECT Metadata FROM Layout").await;
    assert!(
        code == "MALFORMED_QUERY" && text.contains("must specify no more than one row"),
        "{text}"
    );
    let (_, one) = query(
        &session,
        "/tooling",
        "SELECT Id, FullName, Metadata FROM Layout LIMIT 1",
    )
    .await;
    assert!(one["records"][0]["Metadata"].is_object(), "{one}");
}

#[tokio::test]
async fn dependencies_are_found_and_a_query_brings_two_thousand_at_most() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 40_000)).await;
    let soql = "SELECT MetadataComponentId, RefMetadataComponentId FROM MetadataComponentDependency";
    let (_, some) = query(&session, "/tooling", soql).await;
    assert_eq!(some["done"], true);
    let found = some["totalSize"].as_u64().unwrap();
    assert!(found > 0 && found <= 2_000, "{found}");
}

#[tokio::test]
async fn a_bulk_job_is_made_worked_on_and_fetched_in_pages() {
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 500), slow()).await;
    let (status, job) = bulk(&session, "SELECT Id, Name FROM Account").await;
    assert_eq!(
        (status, &job["state"], &job["apiVersion"]),
        (200, &json!("UploadComplete"), &json!(67.0))
    );
    let url = format!("{DATA}/jobs/query/{}", job["id"].as_str().unwrap());
    let results = format!("{url}/results?maxRecords=4000");
    assert_eq!(session.get(&results).await.0, 400);
    session.simulator.advance(Duration::from_secs(70));
    let told: Value = serde_json::from_str(&session.get(&url).await.1).unwrap();
    assert_eq!(
        (&told["state"], &told["numberRecordsProcessed"]),
        (&json!("JobComplete"), &json!(4_500))
    );
    let answer = session
        .http
        .get(session.url(&results))
        .bearer_auth(&session.token)
        .send()
        .await
        .unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("sforce-numberofrecords"), header("content-type")),
        ("4000".to_owned(), "text/csv".to_owned())
    );
    let locator = header("sforce-locator");
    let first = answer.text().await.unwrap();
    assert!(first.starts_with("\"Id\",\"Name\"\n") && first.lines().count() == 4_001);
    let (_, rest) = session.get(&format!("{url}/results?locator={locator}")).await;
    assert_eq!(rest.lines().count(), 501);
    let old = url.replace("v67.0", "v66.0");
    assert_eq!(session.get(&format!("{old}/results")).await.0, 409);
}

#[tokio::test]
async fn a_bulk_job_can_be_aborted_and_then_deleted() {
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 500), slow()).await;
    let (_, job) = bulk(&session, "SELECT Id FROM Account").await;
    let url = session.url(&format!("{DATA}/jobs/query/{}", job["id"].as_str().unwrap()));
    let delete = || session.http.delete(&url).bearer_auth(&session.token).send();
    assert_eq!(delete().await.unwrap().status(), 400);
    let abort = session
        .http
        .patch(&url)
        .bearer_auth(&session.token)
        .body(r#"{"state":"Aborted"}"#);
    let told: Value = abort.send().await.unwrap().json().await.unwrap();
    assert_eq!(told["state"], "Aborted");
    assert_eq!(delete().await.unwrap().status(), 204);
    assert_eq!(delete().await.unwrap().status(), 404);
    let (status, refused) = bulk(&session, "SELECT Nope FROM Account").await;
    assert_eq!((status, &refused[0]["errorCode"]), (400, &json!("INVALID_FIELD")));
}

fn slow() -> SimulatorSettings {
    SimulatorSettings {
        pace: RetrievePace {
            pending: Duration::from_secs(30),
            in_progress: Duration::from_secs(30),
            per_file: Duration::ZERO,
        },
        ..SimulatorSettings::default()
    }
}

async fn post(session: &Session, path: &str, body: Value) -> (u16, Value) {
    let request = session.http.post(session.url(path)).bearer_auth(&session.token);
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn bulk(session: &Session, soql: &str) -> (u16, Value) {
    let order = json!({ "operation": "query", "query": soql });
    post(session, &format!("{DATA}/jobs/query"), order).await
}

#[tokio::test]
async fn a_composite_is_one_request_of_many_parts() {
    let session = open().await;
    let before = session.simulator.calls("Acme").unwrap().values().sum::<u64>();
    let part =
        |url: &str, id: &str| json!({ "method": "GET", "url": format!("{DATA}/{url}"), "referenceId": id });
    let parts = json!({ "compositeRequest": [part("limits", "a"), part("sobjects/Nope/describe", "b")] });
    let (status, answer) = post(&session, &format!("{DATA}/composite"), parts).await;
    assert_eq!(status, 200);
    let parts = answer["compositeResponse"].as_array().unwrap();
    assert_eq!(
        (
            &parts[0]["httpStatusCode"],
            &parts[1]["httpStatusCode"],
            &parts[1]["referenceId"]
        ),
        (&json!(200), &json!(404), &json!("b"))
    );
    let after = session.simulator.calls("Acme").unwrap().values().sum::<u64>();
    assert_eq!(after - before, 1);
    let many: Vec<Value> = (0..26).map(|n| part("limits", &format!("r{n}"))).collect();
    let (status, answer) = post(
        &session,
        &format!("{DATA}/composite"),
        json!({ "compositeRequest": many }),
    )
    .await;
    assert_eq!((status, &answer[0]["errorCode"]), (400, &json!("LIMIT_EXCEEDED")));
}

#[tokio::test]
async fn describes_know_the_custom_fields_of_the_inventory() {
    let session = open().await;
    let all: Value = serde_json::from_str(&session.get(&format!("{DATA}/sobjects")).await.1).unwrap();
    let custom = all["sobjects"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["custom"] == true)
        .unwrap();
    let url = custom["urls"]["describe"].as_str().unwrap();
    let one: Value = serde_json::from_str(&session.get(url).await.1).unwrap();
    let fields = one["fields"].as_array().unwrap();
    assert!(
        fields
            .iter()
            .any(|field| field["custom"] == true && field["type"] != "id"),
        "{url}"
    );
    assert_eq!(
        session.get(&format!("{DATA}/sobjects/Nope/describe")).await.0,
        404
    );
    assert_eq!(session.get("/services/data/v99.0/sobjects").await.0, 404);
}
