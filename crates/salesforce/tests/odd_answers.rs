//! The client against a server that answers everything that proxies, maintenance pages and attackers may.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose setting cannot be built must fail"
)]

#[path = "odd_answers/fleet.rs"]
mod fleet;
#[path = "odd_answers/rest.rs"]
mod rest;

use std::{
    collections::VecDeque,
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{self, HeaderMap, Response, Uri},
};
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, future::BoxFuture, stream};
use nightshift_domain::{FailureCode, OrgId, Verdict};
use nightshift_salesforce::{
    ApiVersion, App, AsyncId, CallCounter, CallKind, Client, Grant, HostPolicy, Http, HttpSettings,
    ListQuery, MIB, Proxy, RetrieveStatus, Salesforce, SalesforceError, Session, TokenError, TokenGeneration,
    TokenSource, Waited, ZipAnswer,
};
use secrecy::SecretString;
use url::Url;

type Answer = Response<Body>;

/// Answers what the test queued, one for each request, and keeps what was asked.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
}

struct Tokens {
    url: Url,
    generation: AtomicI64,
}

impl Tokens {
    fn session(&self) -> Session {
        let generation = self.generation.load(Ordering::SeqCst);
        Session {
            instance_url: self.url.clone(),
            access_token: format!("00Dxx!SECRETTOKEN{generation}").into(),
            generation: TokenGeneration(generation),
        }
    }
}

impl TokenSource for Tokens {
    fn token<'a>(&'a self, _: OrgId, _: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(async { Ok(self.session()) })
    }

    fn refresh<'a>(
        &'a self,
        _: OrgId,
        stale: TokenGeneration,
        _: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        self.generation.store(stale.0 + 1, Ordering::SeqCst);
        Box::pin(async { Ok(self.session()) })
    }
}

struct Bench {
    server: Server,
    client: Client,
    salesforce: Salesforce,
    url: Url,
}

async fn bench(answers: Vec<Answer>) -> Bench {
    let server = Server::default();
    server.answers.lock().unwrap().extend(answers);
    let app = Router::new()
        .fallback(
            |State(server): State<Server>, uri: Uri, headers: HeaderMap, body: String| async move {
                server.asked.lock().unwrap().push(format!("{uri} {body}"));
                server.headers.lock().unwrap().push(headers);
                server
                    .answers
                    .lock()
                    .unwrap()
                    .pop_front()
                    .unwrap_or_else(|| answer(599, "text/plain", "nothing queued"))
            },
        )
        .with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let mut settings = HttpSettings {
        proxy: Proxy::None,
        idle_timeout: Duration::from_millis(400),
        ..HttpSettings::default()
    };
    settings.limits.soap.body = MIB;
    settings.limits.rest.first_byte = Duration::from_millis(400);
    let salesforce = Salesforce::new(Http::new(settings).unwrap(), HostPolicy::new(["127.0.0.1"]));
    let tokens = Arc::new(Tokens {
        url: url.clone(),
        generation: AtomicI64::new(1),
    });
    let org = OrgId::from_uuid(uuid::Uuid::nil());
    let client = salesforce.client(org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED);
    Bench {
        server,
        client,
        salesforce,
        url,
    }
}

fn answer(status: u16, content_type: &str, body: impl Into<Body>) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(body.into())
        .unwrap()
}

fn xml(status: u16, body: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\"?><soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    );
    answer(status, "text/xml", text)
}

fn fault(code: &str, words: &str) -> Answer {
    let words = format!("{code}: {words}");
    xml(
        500,
        &format!(
            "<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{words}</faultstring></soapenv:Fault>"
        ),
    )
}

fn expired() -> Answer {
    let body = r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#;
    answer(401, "application/json", body)
}

fn versions() -> Answer {
    let body = r#"[{"label":"x","url":"/services/data/v66.0","version":"66.0"},{"version":"20.0"}]"#;
    answer(200, "application/json;charset=UTF-8", body)
}

async fn list(client: &Client) -> Result<usize, SalesforceError> {
    Ok(client
        .list_metadata(&[ListQuery::of("ApexClass")])
        .await?
        .collect()
        .await?
        .len())
}

fn code(error: &SalesforceError) -> FailureCode {
    error.step_error().code
}

#[tokio::test]
async fn an_expired_session_is_refreshed_once_and_the_call_repeated() {
    let bench = bench(vec![expired(), versions()]).await;
    assert_eq!(bench.client.choose_version().await.unwrap().to_string(), "66.0");
    assert_eq!(bench.client.calls().count(CallKind::Versions), 2);
}

#[tokio::test]
async fn a_fresh_session_that_is_refused_ends_it_and_never_loops() {
    let bench = bench((0..9).map(|_| expired()).collect()).await;
    let error = bench.client.versions().await.unwrap_err();
    assert_eq!(
        (code(&error), error.step_error().verdict),
        (FailureCode::SessionNotUsable, Verdict::Permanent)
    );
    assert_eq!(bench.client.calls().count(CallKind::Versions), 2);
}

#[tokio::test]
async fn words_that_no_refresh_mends_end_it_after_one_call() {
    let words = "This session is not valid for use with the API";
    let bench = bench(vec![fault("INVALID_SESSION_ID", words)]).await;
    let error = list(&bench.client).await.unwrap_err();
    assert_eq!(code(&error), FailureCode::SessionNotUsable);
    assert_eq!(bench.client.calls().count(CallKind::List), 1);
}

#[tokio::test]
async fn an_org_that_moved_is_asked_once_more_at_its_new_address_and_then_needs_a_person() {
    let moved = || {
        fault(
            "UNKNOWN_EXCEPTION",
            "Destination URL not reset. The URL returned from login must be set",
        )
    };
    let bench = bench(vec![moved(), moved(), moved()]).await;
    let error = list(&bench.client).await.unwrap_err();
    assert_eq!(error.step_error().verdict, Verdict::Reauthenticate);
    assert_eq!(bench.client.calls().count(CallKind::List), 2);
}

#[tokio::test]
async fn a_web_page_is_named_whatever_its_status_and_type() {
    for (status, kind) in [
        (200, "text/html"),
        (200, "text/xml"),
        (503, "text/html"),
        (420, "text/html"),
    ] {
        let page = || answer(status, kind, "\n <!DOCTYPE html><h1>down for maintenance</h1>");
        let bench = bench(vec![page(), page()]).await;
        for error in [
            list(&bench.client).await.unwrap_err(),
            bench.client.versions().await.unwrap_err(),
        ] {
            assert!(
                matches!(error, SalesforceError::Page { .. }),
                "{status} {kind}: {error}"
            );
            assert_eq!(code(&error), FailureCode::SalesforceUnavailable);
        }
    }
}

#[tokio::test]
async fn a_small_gzip_that_unpacks_beyond_the_limit_is_refused_at_the_limit() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(b"<Envelope><Body><listMetadataResponse>").unwrap();
    for _ in 0..3000 {
        gzip.write_all("<result/>".repeat(100).as_bytes()).unwrap();
    }
    let body = gzip.finish().unwrap();
    assert!(body.len() < 100_000);
    let mut zipped = answer(200, "text/xml", body);
    zipped
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    let error = list(&bench(vec![zipped]).await.client).await.unwrap_err();
    assert!(
        matches!(error, SalesforceError::BodyTooLarge { limit: MIB, .. }),
        "{error}"
    );
    assert_eq!(code(&error), FailureCode::HttpBodyTooLarge);
}

#[tokio::test]
async fn an_answer_that_pauses_too_long_is_a_time_out() {
    let head = Bytes::from_static(b"<Envelope><Body><listMetadataResponse>");
    let drip = stream::iter([Ok::<_, std::io::Error>(head)]).chain(stream::pending());
    let error = list(
        &bench(vec![answer(200, "text/xml", Body::from_stream(drip))])
            .await
            .client,
    )
    .await
    .unwrap_err();
    assert!(
        matches!(
            error,
            SalesforceError::Timeout {
                waited: Waited::Idle,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(code(&error), FailureCode::SalesforceUnreachable);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_answer_is_no_whole_listing() {
    let head =
        Bytes::from_static(b"<Envelope><Body><listMetadataResponse><result><fullName>A</fullName></result>");
    let broken = stream::iter([Ok(head), Err(std::io::Error::other("cut"))]);
    let bench = bench(vec![answer(200, "text/xml", Body::from_stream(broken))]).await;
    let error = list(&bench.client).await.unwrap_err();
    assert!(matches!(error, SalesforceError::Transport { .. }), "{error}");
    // whoever is not there to end an answer was not there
    let seen = bench.client.calls().sightings();
    assert_eq!((seen.answered, seen.unavailable), (0, 1));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut away = answer(302, "text/plain", "");
    away.headers_mut()
        .insert("location", "http://127.0.0.1:1/steal".parse().unwrap());
    let bench = bench(vec![away]).await;
    assert!(matches!(
        bench.client.versions().await,
        Err(SalesforceError::Unexpected { status: 302, .. })
    ));
    assert_eq!(bench.server.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_call_that_finds_nobody_is_not_counted() {
    let bench = bench(Vec::new()).await;
    let nobody = Arc::new(Tokens {
        url: "http://127.0.0.1:1/".parse().unwrap(),
        generation: AtomicI64::new(1),
    });
    let org = OrgId::from_uuid(uuid::Uuid::nil());
    let client = bench
        .salesforce
        .client(org, nobody, CallCounter::new(), ApiVersion::NEWEST_TESTED);
    let error = client.versions().await.unwrap_err();
    assert_eq!(code(&error), FailureCode::SalesforceUnreachable);
    assert!(client.calls().bill().0.is_empty());
}

#[tokio::test]
async fn no_error_shows_the_token_even_when_the_answer_repeats_it() {
    let echo = || {
        answer(
            500,
            "text/plain",
            "you sent 00Dxx!SECRETTOKEN1 and <sessionId>00Dxx!SECRETTOKEN1</sessionId>",
        )
    };
    let bench = bench(vec![echo(), echo()]).await;
    for error in [
        list(&bench.client).await.unwrap_err(),
        bench.client.versions().await.unwrap_err(),
    ] {
        let shown = format!("{error} {error:?} {:?}", error.step_error());
        assert!(!shown.contains("SECRETTOKEN"), "{shown}");
    }
}

#[tokio::test]
async fn b01_one_bad_type_of_three_refuses_the_call_and_is_named() {
    let bench = bench(vec![fault(
        "INVALID_TYPE",
        "Cannot use: TypeTheOrgLacks in this organization",
    )])
    .await;
    let queries = ["ApexClass", "TypeTheOrgLacks", "Layout"].map(ListQuery::of);
    let Err(error) = bench.client.list_metadata(&queries).await else {
        panic!("listed");
    };
    let nightshift_salesforce::Ruled::LeaveOut(Some(culprit)) = error.ruling().ruled else {
        panic!("{error}");
    };
    assert_eq!(culprit.type_name, "TypeTheOrgLacks");
    let asked = bench.server.asked.lock().unwrap();
    assert_eq!(asked[0].matches("<queries>").count(), 3);
}

#[tokio::test]
async fn b31_polls_leave_the_zip_and_the_fetch_reads_it() {
    let result = |inner: &str| {
        xml(
            200,
            &format!("<checkRetrieveStatusResponse><result>{inner}</result></checkRetrieveStatusResponse>"),
        )
    };
    let done = "<done>true</done><status>Succeeded</status>";
    let bench = bench(vec![
        result(&format!("{done}<zipFile xsi:nil=\"true\"/>")),
        result(&format!("{done}<zipFile>UEsFBgAA</zipFile>")),
        result(&format!("{done}<zipFile xsi:nil=\"true\"/>")),
    ])
    .await;
    let id = AsyncId::new("09S000000000001AAA").unwrap();
    assert!(matches!(
        bench.client.retrieve_status(&id).await,
        Ok(RetrieveStatus::Succeeded { .. })
    ));
    let Ok(ZipAnswer::Zip(mut download)) = bench.client.retrieve_zip(&id).await else {
        panic!("no zip");
    };
    let bytes = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        download.reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    assert_eq!(bytes.await.unwrap().unwrap(), b"PK\x05\x06\0\0");
    download.end.wait().await.unwrap();
    assert!(matches!(
        bench.client.retrieve_zip(&id).await,
        Ok(ZipAnswer::Gone)
    ));
    let asked = bench.server.asked.lock().unwrap();
    assert!(
        asked[0].contains("<includeZip>false</includeZip>")
            && asked[1].contains("<includeZip>true</includeZip>")
    );
}

#[tokio::test]
async fn b61_a_refresh_gives_the_rotated_token_and_the_orgs_address() {
    let bench = bench(Vec::new()).await;
    let body = format!(
        r#"{{"access_token":"00Dxx!new","refresh_token":"5Aep-second","instance_url":"{}","issued_at":"1700000000000",
            "id":"https://login.salesforce.com/id/00Dxx0000001gEREAY/005xx000001Sv6AAAS"}}"#,
        bench.url
    );
    let jwt = body.replace("00Dxx!new", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln");
    let foreign = body.replace(bench.url.as_str(), "https://evil.test");
    for body in [body, jwt, foreign] {
        bench
            .server
            .answers
            .lock()
            .unwrap()
            .push_back(answer(200, "application/json", body));
    }
    let words = r#"{"error":"invalid_grant","error_description":"expired access/refresh token 5Aep-first"}"#;
    bench
        .server
        .answers
        .lock()
        .unwrap()
        .push_back(answer(400, "application/json", words));
    let (calls, refresh_token) = (CallCounter::new(), SecretString::from("5Aep-first"));
    let oauth = bench.salesforce.oauth();
    let app = App {
        address: &bench.url,
        client_id: "app",
        client_secret: None,
    };
    let refresh = async || {
        oauth
            .token(&app, Grant::RefreshToken(&refresh_token), &calls)
            .await
    };
    let token = refresh().await.unwrap();
    assert_eq!(
        (token.organization_id.as_str(), token.user_id.as_str()),
        ("00Dxx0000001gEREAY", "005xx000001Sv6AAAS")
    );
    assert!(token.refresh_token.is_some() && token.instance_url == bench.url && !token.is_jwt());
    assert!(!format!("{token:?}").contains("5Aep-second"));
    let of_jwt = refresh().await.unwrap();
    assert!(
        of_jwt.is_jwt() && of_jwt.refresh_token.is_some(),
        "the rotated token is not lost with it"
    );
    let elsewhere = refresh().await.unwrap();
    assert!(
        bench.salesforce.hosts().check(&elsewhere.instance_url).is_err() && elsewhere.refresh_token.is_some(),
        "nothing is sent there, and the rotated token is not lost with it"
    );
    let error = refresh().await.unwrap_err();
    assert_eq!(code(&error), FailureCode::TokenRevoked);
    assert!(!format!("{error:?}").contains("5Aep-first"));
    assert_eq!(calls.count(CallKind::Token), 4);
}

#[tokio::test]
async fn of_several_errors_the_gravest_is_told() {
    let body = r#"[{"message":"busy","errorCode":"SERVER_UNAVAILABLE"},{"message":"off","errorCode":"API_DISABLED_FOR_ORG"}]"#;
    let bench = bench(vec![answer(403, "application/json", body)]).await;
    assert_eq!(
        code(&bench.client.limits().await.unwrap_err()),
        FailureCode::ApiDisabled
    );
}
