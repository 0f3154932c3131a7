//! Queries with pages, objects, bundles: REST beyond what a sync asks first.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use nightshift_salesforce::{
    Api, Bundle, BundleWay, CallKind, Described, PathName, QueryKind, Records, SalesforceError, SubRequest,
};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use serde::Deserialize;

use crate::desk::{Desk, act};

const FIELDS: &str = "SELECT Id, DeveloperName FROM CustomField";

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "Id")]
    id: String,
}

async fn ids(mut records: Records<Row>) -> Result<BTreeSet<String>, SalesforceError> {
    let mut ids = BTreeSet::new();
    while let Some(row) = records.next().await? {
        ids.insert(row.id);
    }
    Ok(ids)
}

/// An org whose fields fill some pages.
async fn large() -> Desk {
    Desk::open(OrgSpec::generated("Acme", 1, 5_000)).await
}

#[tokio::test]
async fn all_pages_of_a_query_come_as_one_stream_and_each_is_one_call() {
    let desk = large().await;
    let fields = desk.simulator.expected_counts("Acme").unwrap()["CustomField"];
    assert!(fields > 600, "{fields} fields fill three pages");
    let records: Records<Row> = desk.client.query(QueryKind::Tooling, FIELDS).in_pages_of(200);
    let rows: Vec<Row> = records.stream().try_collect().await.unwrap();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((rows.len() as u64, ids.len() as u64), (fields, fields));
    let further = (fields - 1) / 200;
    assert_eq!(desk.made(CallKind::Query), 1);
    assert_eq!(desk.made(CallKind::QueryPage) as u64, further);
    assert_eq!(desk.seen(Call::QueryMore), further);
}

#[tokio::test]
async fn smaller_pages_are_asked_for_and_the_size_is_kept_from_page_to_page() {
    let desk = large().await;
    let mut records: Records<Row> = desk.client.query(QueryKind::Tooling, FIELDS).in_pages_of(300);
    for _ in 0..601 {
        records.next().await.unwrap().unwrap();
    }
    assert_eq!(desk.made(CallKind::QueryPage), 2);
    assert_eq!(
        records.total(),
        Some(desk.simulator.expected_counts("Acme").unwrap()["CustomField"])
    );
}

#[tokio::test]
async fn nothing_is_asked_before_the_first_record_is_wanted() {
    let desk = Desk::acme().await;
    let records: Records<Row> = desk.client.query(QueryKind::Live, "SELECT Id FROM User");
    assert_eq!(desk.made(CallKind::Query), 0);
    assert!(!ids(records).await.unwrap().is_empty());
}

#[tokio::test]
async fn deleted_rows_are_asked_for_by_a_path_of_their_own() {
    let desk = Desk::acme().await;
    let soql = "SELECT Id FROM User";
    let class = "SELECT Id FROM ApexClass";
    for (soql, live, all) in [
        (soql, QueryKind::Live, QueryKind::WithDeleted),
        (class, QueryKind::Tooling, QueryKind::ToolingWithDeleted),
    ] {
        let live = ids(desk.client.query(live, soql)).await.unwrap();
        let all = ids(desk.client.query(all, soql)).await.unwrap();
        assert!(!live.is_empty() && live.is_subset(&all), "{soql}");
    }
}

#[tokio::test]
async fn a_session_that_ends_between_two_pages_is_refreshed_and_no_row_is_lost() {
    let desk = large().await;
    let fields = desk.simulator.expected_counts("Acme").unwrap()["CustomField"];
    let mut records: Records<Row> = desk.client.query(QueryKind::Tooling, FIELDS).in_pages_of(200);
    let mut seen = BTreeSet::new();
    while let Some(row) = records.next().await.unwrap() {
        seen.insert(row.id);
        if seen.len() == 400 {
            desk.simulator.expire_sessions("Acme").unwrap();
        }
    }
    assert_eq!(seen.len() as u64, fields);
    assert_eq!(desk.made(CallKind::Token), 2);
}

#[tokio::test]
async fn a_locator_that_is_gone_says_to_ask_the_query_anew() {
    let desk = large().await;
    let mut records: Records<Row> = desk.client.query(QueryKind::Tooling, FIELDS).in_pages_of(200);
    records.next().await.unwrap();
    desk.simulator.advance(std::time::Duration::from_hours(49));
    let error = loop {
        match records.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the locator was gone"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.refusal().unwrap().code, "INVALID_QUERY_LOCATOR");
    assert_eq!(act(&error), "retry");
}

#[tokio::test]
async fn a_field_that_is_not_there_leaves_the_question_out() {
    let desk = Desk::acme().await;
    let mut records: Records<Row> = desk.client.query(QueryKind::Live, "SELECT Id, Nope FROM User");
    let error = records.next().await.unwrap_err();
    assert_eq!(act(&error), "leave out", "{error}");
}

#[tokio::test]
async fn objects_tell_their_fields() {
    let desk = Desk::acme().await;
    let all = desk.client.sobjects(Api::Data).await.unwrap();
    assert!(all.iter().any(|object| object.name == "User" && object.queryable));
    let name = PathName::new("User").unwrap();
    let Described::Changed { sobject, .. } = desk.client.sobject(Api::Data, &name, None).await.unwrap()
    else {
        panic!("no date was sent");
    };
    assert_eq!(sobject.summary.name, "User");
    assert!(sobject.fields.iter().any(|field| field.name == "Username"));
    let absent = PathName::new("SourceMember").unwrap();
    let error = desk
        .client
        .sobject(Api::Tooling, &absent, None)
        .await
        .unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 404);
    assert_eq!(act(&error), "leave out");
    assert_eq!(desk.made(CallKind::Sobject) as u64, desk.seen(Call::Sobject));
}

#[tokio::test]
async fn a_bundle_is_one_call_and_a_refused_part_leaves_the_others_whole() {
    let desk = Desk::acme().await;
    for way in [BundleWay::Composite, BundleWay::Batch] {
        let before = desk.made(CallKind::Composite);
        let parts = [
            SubRequest::Query(
                QueryKind::Live,
                "SELECT Id FROM User WHERE Username != 'a & b'".to_owned(),
            ),
            SubRequest::Sobject(Api::Data, PathName::new("Nope__c").unwrap()),
            SubRequest::Limits,
            SubRequest::Query(QueryKind::Tooling, "SELECT Id FROM ApexClass LIMIT 3".to_owned()),
        ];
        let bundles = Bundle::cut(way, parts);
        let [bundle] = &bundles[..] else {
            panic!("{bundles:?}");
        };
        let answers = desk.client.bundle(bundle).await.unwrap();
        assert!(answers[0].as_ref().unwrap()["totalSize"].as_u64().unwrap() > 0);
        let error = answers[1].as_ref().unwrap_err();
        assert_eq!((error.refusal().unwrap().status, act(error)), (404, "leave out"));
        assert!(answers[2].as_ref().unwrap()["DailyApiRequests"]["Max"].is_u64());
        assert_eq!(
            answers[3].as_ref().unwrap()["records"].as_array().unwrap().len(),
            3
        );
        assert_eq!(desk.made(CallKind::Composite), before + 1);
    }
    assert_eq!(desk.seen(Call::Composite), 2);
}

#[tokio::test]
async fn every_rest_answer_tells_what_is_used_of_the_day() {
    let desk = Desk::slow(OrgSpec::generated("Acme", 1, 400)).await;
    let client = &desk.client;
    let user = PathName::new("User").unwrap();
    let job = client
        .bulk_create(QueryKind::Live, "SELECT Id FROM User")
        .await
        .unwrap();
    let mut before = client.usage().unwrap().used;
    let mut grew = |what: &str| {
        let used = client.usage().unwrap().used;
        assert_eq!(used, before + 1, "{what}");
        before = used;
    };
    client.limits().await.unwrap();
    grew("limits");
    client.identity().await.unwrap();
    grew("identity");
    client.organization().await.unwrap();
    grew("query");
    client.sobjects(Api::Tooling).await.unwrap();
    grew("sobjects");
    client.sobject(Api::Data, &user, None).await.unwrap();
    grew("sobject");
    for bundle in Bundle::cut(BundleWay::Composite, [SubRequest::Limits]) {
        client.bundle(&bundle).await.unwrap();
    }
    grew("composite");
    client.bulk_abort(&job).await.unwrap();
    grew("abort");
    client.bulk_delete(&job).await.unwrap();
    grew("delete");
    let nope: Result<_, _> = client
        .query::<Row>(QueryKind::Live, "SELECT Nope FROM User")
        .next()
        .await;
    assert!(nope.is_err());
    grew("a refusal");
    desk.fault(Fault::new(FaultKind::RequestLimitExceeded).times(1));
    let refused = client.limits().await.unwrap_err();
    assert_eq!(act(&refused), "wait");
}
