//! Odd answers to queries, descriptions, bundles and Bulk jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures::StreamExt;
use http::Response;
use nightshift_domain::FailureCode;
use nightshift_salesforce::{
    Api, ApiVersion, BulkJob, BulkRows, BulkState, BulkTime, Bundle, BundleWay, CallKind, Described,
    PathName, QueryKind, ReadRequest, Records, SalesforceError, SubRequest,
};
use serde_json::Value;

use super::{Answer, Bench, answer, bench, code, http, xml};

const JSON: &str = "application/json;charset=UTF-8";

const PATIENT: BulkTime = BulkTime {
    waited: Duration::ZERO,
    patience: Duration::from_secs(60),
};

fn json(body: &str) -> Answer {
    answer(200, JSON, body.to_owned())
}

fn with_headers(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let builder = Response::builder().status(status);
    headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value))
        .body(body.into())
        .unwrap()
}

async fn all(bench: &Bench, soql: &str) -> Result<usize, SalesforceError> {
    let mut records: Records<Value> = bench.client.query(QueryKind::Tooling, soql);
    let mut rows = 0;
    while records.next().await?.is_some() {
        rows += 1;
    }
    Ok(rows)
}

#[tokio::test]
async fn each_kind_of_query_has_a_path_of_its_own() {
    for (kind, path) in [
        (QueryKind::Live, "/query?q="),
        (QueryKind::WithDeleted, "/queryAll?q="),
        (QueryKind::Tooling, "/tooling/query?q="),
        (QueryKind::ToolingWithDeleted, "/tooling/queryAll?q="),
    ] {
        let bench = bench(vec![json(r#"{"totalSize":0,"done":true,"records":[]}"#)]).await;
        let mut records: Records<Value> = bench.client.query(kind, "SELECT Id FROM X");
        assert!(records.next().await.unwrap().is_none());
        let asked = bench.server.asked.lock().unwrap()[0].clone();
        let version = format!("/services/data/v{}", bench.client.version());
        assert!(
            asked.starts_with(&format!("{version}{path}")),
            "{kind:?}: {asked}"
        );
    }
}

#[tokio::test]
async fn a_next_page_elsewhere_gets_no_token() {
    for next in [
        "https://evil.test/services/data/v67.0/query/0r8-2000",
        "//evil.test/services/data/v67.0/query/0r8-2000",
        "/services/data/v67.0/../../apexrest/take",
        "/services/data/v67.0/sobjects/Account/0r8",
    ] {
        let page = format!(r#"{{"totalSize":3,"done":false,"nextRecordsUrl":"{next}","records":[{{}}]}}"#);
        let bench = bench(vec![json(&page), json(&page)]).await;
        let error = all(&bench, "SELECT Id FROM X").await.unwrap_err();
        assert!(
            matches!(error, SalesforceError::Unexpected { .. }),
            "{next}: {error}"
        );
        assert_eq!(bench.server.asked.lock().unwrap().len(), 1, "{next}");
    }
}

#[tokio::test]
async fn a_page_that_names_itself_as_the_next_one_is_fetched_once() {
    let page =
        r#"{"totalSize":9,"done":false,"nextRecordsUrl":"/services/data/v67.0/query/0r8-2","records":[{}]}"#;
    let bench = bench((0..9).map(|_| json(page)).collect()).await;
    assert!(all(&bench, "SELECT Id FROM X").await.is_err());
    assert_eq!(bench.client.calls().count(CallKind::QueryPage), 1);
}

#[tokio::test]
async fn a_query_that_is_not_done_never_ends_for_lack_of_a_next_page() {
    let bench = bench(vec![json(r#"{"totalSize":9,"done":false,"records":[{}]}"#)]).await;
    let error = all(&bench, "SELECT Id FROM X").await.unwrap_err();
    assert!(matches!(error, SalesforceError::Unexpected { .. }), "{error}");
}

#[tokio::test]
async fn a_page_that_fails_is_no_end_and_can_be_asked_for_again() {
    let first =
        r#"{"totalSize":2,"done":false,"nextRecordsUrl":"/services/data/v67.0/query/0r8-1","records":[{}]}"#;
    let busy = r#"[{"message":"busy","errorCode":"SERVER_UNAVAILABLE"}]"#;
    let last = r#"{"totalSize":2,"done":true,"records":[{}]}"#;
    let bench = bench(vec![json(first), answer(503, JSON, busy), json(last)]).await;
    let mut records: Records<Value> = bench.client.query(QueryKind::Live, "SELECT Id FROM X");
    assert!(records.next().await.unwrap().is_some());
    assert!(records.next().await.is_err());
    assert!(records.next().await.unwrap().is_some());
    assert!(records.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_query_of_dependencies_that_comes_back_full_is_split() {
    let rows = |count: usize| {
        let rows = vec!["{}"; count].join(",");
        json(&format!(
            r#"{{"totalSize":{count},"done":true,"records":[{rows}]}}"#
        ))
    };
    let bench = bench(vec![rows(1_999), rows(2_000), rows(2_000)]).await;
    let soql = "SELECT MetadataComponentId FROM MetadataComponentDependency";
    assert_eq!(all(&bench, soql).await.unwrap(), 1_999);
    let error = all(&bench, soql).await.unwrap_err();
    assert!(
        matches!(error, SalesforceError::TooManyRows { rows: 2_000, .. }),
        "{error}"
    );
    assert_eq!(code(&error), FailureCode::TooLarge);
    assert_eq!(all(&bench, "SELECT Id FROM ApexClass").await.unwrap(), 2_000);
}

#[tokio::test]
async fn an_object_is_described_again_only_when_it_has_changed() {
    let date = "Wed, 01 Apr 2026 10:00:00 GMT";
    let user = r#"{"name":"User","label":"User","queryable":true,"keyPrefix":"005",
        "fields":[{"name":"Id","label":"Id","type":"id"}]}"#;
    let bench = bench(vec![
        with_headers(200, &[("content-type", JSON), ("last-modified", date)], user),
        with_headers(304, &[], ""),
        with_headers(304, &[], ""),
    ])
    .await;
    let name = PathName::new("User").unwrap();
    let described = bench.client.sobject(Api::Data, &name, None).await.unwrap();
    let Described::Changed {
        sobject,
        last_modified,
    } = described
    else {
        panic!("no date was sent");
    };
    assert_eq!((sobject.fields.len(), last_modified.as_deref()), (1, Some(date)));
    let again = bench.client.sobject(Api::Data, &name, Some(date)).await.unwrap();
    assert_eq!(again, Described::Unchanged);
    // 304 to whoever sent no date is no answer.
    assert!(bench.client.sobject(Api::Data, &name, None).await.is_err());
    let asked = bench.server.headers.lock().unwrap();
    let dates: Vec<_> = asked
        .iter()
        .map(|headers| headers.get("if-modified-since"))
        .collect();
    assert_eq!(dates[0], None);
    assert_eq!(dates[1].unwrap(), date);
}

#[tokio::test]
async fn an_object_without_a_name_of_an_object_is_never_asked_for() {
    for text in [
        "",
        "../limits",
        "User/describe",
        "Us er",
        "User?x=y",
        "%2e%2e",
        "Üser",
    ] {
        assert_eq!(PathName::new(text), None, "{text}");
    }
}

#[tokio::test]
async fn a_bundle_with_another_number_of_answers_is_no_answer() {
    let short = r#"{"hasErrors":false,"results":[{"statusCode":200,"result":{}}]}"#;
    let bench = bench(vec![json(short)]).await;
    for bundle in Bundle::cut(BundleWay::Batch, [SubRequest::Limits, SubRequest::Limits]) {
        let error = bench.client.bundle(&bundle).await.unwrap_err();
        assert!(matches!(error, SalesforceError::Unexpected { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_answers_of_a_composite_are_put_in_the_order_of_its_parts() {
    let swapped = r#"{"compositeResponse":[
        {"body":[{"message":"gone","errorCode":"NOT_FOUND"}],"httpStatusCode":404,"referenceId":"part1"},
        {"body":{"at":0},"httpStatusCode":200,"referenceId":"part0"}]}"#;
    let bench = bench(vec![json(swapped)]).await;
    for bundle in Bundle::cut(BundleWay::Composite, [SubRequest::Limits, SubRequest::Limits]) {
        let answers = bench.client.bundle(&bundle).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap()["at"], 0);
        assert_eq!(
            answers[1].as_ref().unwrap_err().refusal().unwrap().code,
            "NOT_FOUND"
        );
    }
}

fn job() -> BulkJob {
    BulkJob::new(Api::Tooling, ApiVersion::NEWEST_TESTED, "750xx0000000001AAA").unwrap()
}

fn csv(rows: &str, locator: &str, body: impl Into<Body>) -> Answer {
    let headers = [
        ("content-type", "text/csv"),
        ("sforce-numberofrecords", rows),
        ("sforce-locator", locator),
    ];
    with_headers(200, &headers, body)
}

async fn read(mut rows: BulkRows) -> Result<Vec<Vec<String>>, SalesforceError> {
    let mut all = Vec::new();
    while let Some(row) = rows.next().await? {
        all.push(row.values().map(str::to_owned).collect());
    }
    Ok(all)
}

#[tokio::test]
async fn b77_csv_is_read_with_its_quotes_line_ends_and_nul_bytes() {
    let text = "\"Id\",\"Na\"\"me\"\r\n\"1\",\"a,\n\"\"b\"\"\"\n2,\"x\0y\"\n\"3\",\n";
    for cut in 0..text.len() {
        let pieces = [&text.as_bytes()[..cut], &text.as_bytes()[cut..]]
            .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()));
        let body = Body::from_stream(futures::stream::iter(pieces));
        let bench = bench(vec![csv("3", "null", body)]).await;
        let rows = bench.client.bulk_rows(&job(), None, 10).await.unwrap();
        assert_eq!(rows.columns(), ["Id", "Na\"me"]);
        assert!(rows.ahead().is_none());
        assert_eq!(
            read(rows).await.unwrap(),
            [["1", "a,\n\"b\""], ["2", "xy"], ["3", ""]],
            "cut at {cut}"
        );
    }
}

#[tokio::test]
async fn csv_that_is_not_what_was_announced_is_no_page() {
    let huge = format!("Id\n\"{}", "x".repeat(20 << 20));
    let bodies: [(&str, Vec<u8>); 6] = [
        ("2", b"Id\n1\n".to_vec()),
        ("1", b"Id\n1\n2\n".to_vec()),
        ("1", b"Id,Name\n1\n".to_vec()),
        ("1", b"Id\n\xff\xfe\n".to_vec()),
        ("1", huge.into_bytes()),
        ("1", Vec::new()),
    ];
    for (rows, body) in bodies {
        let bench = bench(vec![csv(rows, "null", body.clone())]).await;
        let came = match bench.client.bulk_rows(&job(), None, 10).await {
            Ok(rows) => read(rows).await,
            Err(error) => Err(error),
        };
        let error = came.unwrap_err();
        assert!(matches!(error, SalesforceError::Unexpected { .. }), "{error}");
        assert!(error.to_string().len() < 1_000);
    }
}

#[tokio::test]
async fn a_page_of_rows_is_fetched_as_fast_as_it_is_read_and_never_held() {
    const PIECES: usize = 1_024;
    let sent = Arc::new(AtomicUsize::new(0));
    let counting = sent.clone();
    let piece = format!("\"{}\"\n", "x".repeat(64 << 10));
    let pieces = futures::stream::iter(0..PIECES).map(move |n| {
        counting.fetch_add(1, Ordering::SeqCst);
        let head = if n == 0 { "Id\n" } else { "" };
        Ok::<_, std::io::Error>(format!("{head}{piece}"))
    });
    let rows = PIECES.to_string();
    let bench = bench(vec![csv(&rows, "null", Body::from_stream(pieces))]).await;
    let mut page = bench.client.bulk_rows(&job(), None, 50_000).await.unwrap();
    assert!(page.next().await.unwrap().is_some());
    tokio::time::sleep(Duration::from_millis(100)).await;
    // what the sockets and hyper hold, of 64 MiB
    let ahead = sent.load(Ordering::SeqCst);
    assert!(
        ahead < PIECES / 3,
        "{ahead} pieces of {PIECES} were taken for one row"
    );
    assert_eq!(read(page).await.unwrap().len(), PIECES - 1);
}

#[tokio::test]
async fn a_page_of_rows_that_names_itself_as_the_next_one_is_refused() {
    let bench = bench(vec![csv("1", "bG9j", "Id\n1\n"), csv("1", "bG9j", "Id\n1\n")]).await;
    let first = bench.client.bulk_rows(&job(), None, 10).await.unwrap();
    let ahead = first.ahead().cloned();
    assert!(bench.client.bulk_rows(&job(), ahead.as_ref(), 10).await.is_err());
}

#[tokio::test]
async fn a_job_without_rows_ends_well() {
    let bench = bench(vec![csv("0", "null", "\"Id\"\n"), csv("0", "null", "")]).await;
    for _ in 0..2 {
        let rows = bench.client.bulk_rows(&job(), None, 10).await.unwrap();
        assert!(read(rows).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn b71_a_job_that_failed_is_its_failure_and_never_no_rows() {
    let failed = r#"{"id":"750xx0000000001AAA","state":"Failed","object":"Account","numberRecordsProcessed":0,
        "errorMessage":"QUERY_TIMEOUT: Your query request was running for too long."}"#;
    let bench = bench(vec![json(failed)]).await;
    match bench.client.bulk_look(&job(), PATIENT).await.unwrap() {
        BulkState::Failed(failure) => assert!(failure.refusal().text.contains("running for too long")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dependencies_that_fill_a_job_are_split() {
    let done = |rows: u64| {
        json(&format!(
            r#"{{"id":"750xx0000000001AAA","state":"JobComplete","object":"MetadataComponentDependency",
                "numberRecordsProcessed":{rows}}}"#
        ))
    };
    let bench = bench(vec![done(99_999), done(100_000)]).await;
    let state = bench.client.bulk_look(&job(), PATIENT).await.unwrap();
    assert_eq!(state, BulkState::Complete { rows: 99_999 });
    let error = bench.client.bulk_look(&job(), PATIENT).await.unwrap_err();
    assert!(matches!(error, SalesforceError::TooManyRows { .. }), "{error}");
}

#[tokio::test]
async fn a_late_job_that_cannot_be_aborted_because_it_is_done_is_taken() {
    let working = r#"{"id":"750xx0000000001AAA","state":"InProgress"}"#;
    let done = r#"{"id":"750xx0000000001AAA","state":"JobComplete","numberRecordsProcessed":7}"#;
    let refused =
        r#"[{"message":"Aborting already Completed Job not allowed","errorCode":"INVALIDJOBSTATE"}]"#;
    let bench = bench(vec![json(working), answer(400, JSON, refused), json(done)]).await;
    let late = BulkTime {
        waited: PATIENT.patience,
        ..PATIENT
    };
    let state = bench.client.bulk_look(&job(), late).await.unwrap();
    assert_eq!(state, BulkState::Complete { rows: 7 });
    let asked = bench.server.asked.lock().unwrap();
    assert!(asked[1].contains(r#"{"state":"Aborted"}"#), "{}", asked[1]);
}

#[tokio::test]
async fn a_job_of_another_shape_is_no_job() {
    for id in [
        "",
        "750",
        "750xx0000000001AA_",
        "../../../limitsss",
        "750xx0000000001AA A",
    ] {
        assert_eq!(
            BulkJob::new(Api::Data, ApiVersion::NEWEST_TESTED, id),
            None,
            "{id}"
        );
    }
    let told = r#"{"id":"../limits","state":"UploadComplete"}"#;
    let bench = bench(vec![json(told)]).await;
    let error = bench
        .client
        .bulk_create(QueryKind::Live, "SELECT Id FROM X")
        .await;
    assert!(
        matches!(error, Err(SalesforceError::Unexpected { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn components_are_read_ten_at_a_time_and_those_that_do_not_come_are_absent() {
    let records = "<readMetadataResponse><result><records xsi:type=\"Layout\"><fullName>A-B %28c%29</fullName>\
        <layoutSections><label>x</label></layoutSections></records><records xsi:nil=\"true\"/></result>\
        </readMetadataResponse>";
    let bench = bench(vec![
        xml(200, records),
        xml(200, "<readMetadataResponse><result/></readMetadataResponse>"),
    ])
    .await;
    let names: Vec<String> = (0..12).map(|n| format!("A-B %28{n}%29")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let requests = ReadRequest::cut("Layout", &names);
    assert_eq!(requests.len(), 2);
    let read = async |request| bench.client.read_metadata(request).await?.collect().await;
    let came = read(&requests[0]).await.unwrap();
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].full_name, "A-B %28c%29");
    assert!(
        came[0]
            .xml
            .contains("<layoutSections><label>x</label></layoutSections>")
    );
    assert!(read(&requests[1]).await.unwrap().is_empty());
    assert_eq!(bench.client.calls().count(CallKind::Read), 2);
    let asked = bench.server.asked.lock().unwrap();
    assert!(
        asked[0].contains("<type>Layout</type><fullNames>A-B %280%29</fullNames>"),
        "{}",
        asked[0]
    );
    assert_eq!(asked[0].matches("<fullNames>").count(), 10);
}
