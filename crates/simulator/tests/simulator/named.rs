//! Every failure that real fleets reported, ordered by its name and looked at as its victim would.
//!
//! The list (`named.toml`) says what a client does, which status it gets and what the answer says; here is how each of
//! those things is done.

use std::time::Duration;

use nightshift_simulator::{NamedFault, OrgSpec, Seen, SimulatorSettings};
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::client::{Session, check};

const LIMITS: &str = "/services/data/v67.0/limits";
const CLASSES: &str = "/services/data/v67.0/tooling/query?q=SELECT+Id,Name+FROM+ApexClass";
const ACCOUNTS: &str = "/services/data/v67.0/query?q=SELECT+Id+FROM+Account";

/// Status and text of an answer; status 0 when none came, or none that was whole.
type Answer = (u16, String);

const NOTHING: Answer = (0, String::new());

async fn read(sent: Result<reqwest::Response, reqwest::Error>) -> Answer {
    let Ok(answer) = sent else { return NOTHING };
    let status = answer.status().as_u16();
    let location = answer
        .headers()
        .get("location")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    match answer.text().await {
        Ok(text) => (status, location.unwrap_or(text)),
        Err(_) => NOTHING,
    }
}

async fn get(session: &Session, path: &str) -> Answer {
    read(
        session
            .http
            .get(session.url(path))
            .bearer_auth(&session.token)
            .send()
            .await,
    )
    .await
}

async fn soap(session: &Session, body: &str) -> Answer {
    read(session.soap_raw(body).await).await
}

const LIST: &str = "<m:listMetadata><m:queries><m:type>ApexClass</m:type></m:queries></m:listMetadata>";

/// Polls until the retrieve is done, with the zip at the end if it succeeded.
async fn retrieved(session: &Session) -> Answer {
    let id = session.retrieve(&[("ApexClass", &["*"])]).await;
    session.wait(&id).await;
    soap(session, &check(&id, true)).await
}

async fn oauth_token(session: &Session) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &session.access.refresh_token),
        ("client_id", &session.access.client_id),
    ];
    read(
        session
            .http
            .post(session.url("/services/oauth2/token"))
            .form(&form)
            .send()
            .await,
    )
    .await
}

/// What a client gets that does what the list says.
async fn answer(session: &Session, by: &str) -> Answer {
    match by {
        "limits" => get(session, LIMITS).await,
        "query" => get(session, CLASSES).await,
        "query_more" | "query_more_twice" => {
            let first: Value = serde_json::from_str(&get(session, ACCOUNTS).await.1).unwrap();
            let next = first["nextRecordsUrl"].as_str().unwrap();
            if by == "query_more_twice" {
                assert_eq!(get(session, next).await.0, 200, "the first time is good");
            }
            get(session, next).await
        }
        "bulk" => bulk(session).await,
        "listMetadata" => soap(session, LIST).await,
        "readMetadata" => {
            let body = "<m:readMetadata><type>ApexClass</type><fullNames>A</fullNames></m:readMetadata>";
            soap(session, body).await
        }
        "checkRetrieveStatus" => {
            let id = session.retrieve(&[("ApexClass", &["*"])]).await;
            soap(session, &check(&id, false)).await
        }
        "polled_for_a_second" => {
            let id = session.retrieve(&[("ApexClass", &["*"])]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            soap(session, &check(&id, false)).await
        }
        "retrieved" | "zip" => retrieved(session).await,
        "profile" => {
            let name = session.list("Profile", None).await[0]["fullName"].clone();
            let fetched = session
                .fetch(&[("Profile", &[&name]), ("CustomObject", &["*"])])
                .await;
            let profile = fetched
                .file(&format!("unpackaged/profiles/{name}.profile"))
                .to_owned();
            assert!(!profile.contains("objectPermissions"), "{profile}");
            (200, profile)
        }
        "oauth_token" => oauth_token(session).await,
        "oauth_token_twice" => {
            assert_eq!(oauth_token(session).await.0, 200, "the first time is good");
            oauth_token(session).await
        }
        "oauth_authorize" => {
            let http = reqwest::Client::builder()
                .redirect(Policy::none())
                .build()
                .unwrap();
            let query = [
                ("response_type", "code"),
                ("client_id", &session.access.client_id),
                ("redirect_uri", "http://localhost:1717/callback"),
            ];
            read(
                http.get(session.url("/services/oauth2/authorize"))
                    .query(&query)
                    .send()
                    .await,
            )
            .await
        }
        "soap_login" => {
            let body = format!(
                "<E xmlns='x'><Header/><Body><login><username>{}</username><password>{}</password></login></Body></E>",
                session.access.username, session.access.password
            );
            read(
                session
                    .http
                    .post(session.url("/services/Soap/u/67.0"))
                    .body(body)
                    .send()
                    .await,
            )
            .await
        }
        other => panic!("nobody knows how to see a failure by {other}"),
    }
}

async fn bulk(session: &Session) -> Answer {
    let jobs = "/services/data/v67.0/jobs/query";
    let order = json!({ "operation": "query", "query": "SELECT Id FROM Account" });
    let made = session
        .http
        .post(session.url(jobs))
        .bearer_auth(&session.token)
        .body(order.to_string());
    let made: Value = serde_json::from_str(&read(made.send().await).await.1).unwrap();
    let path = format!("{jobs}/{}", made["id"].as_str().unwrap());
    loop {
        let (status, text) = get(session, &path).await;
        let job: Value = serde_json::from_str(&text).unwrap();
        if !matches!(job["state"].as_str(), Some("UploadComplete" | "InProgress")) {
            assert_eq!(job.get("errorMessage"), None);
            return (status, text);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A session that gives up soon, as a client under test must not wait for an hour.
async fn impatient() -> Session {
    let mut session =
        Session::open_with(OrgSpec::generated("Acme", 1, 200), SimulatorSettings::default()).await;
    session.http = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    session
}

/// What is different from what the list says; nothing when nothing is.
fn differs(seen: &Seen, (status, text): &Answer) -> Option<String> {
    (*status != seen.status || !text.contains(&seen.says)).then(|| {
        let told: String = text.chars().take(300).collect();
        format!(
            "wanted {} with {:?}, got {status} with {told}",
            seen.status, seen.says
        )
    })
}

#[tokio::test]
async fn every_named_fault_is_seen_as_the_list_says_and_not_without_it() {
    let mut wrong = Vec::new();
    for named in NamedFault::all() {
        let session = impatient().await;
        if named.seen.by != "profile" {
            let before = answer(&impatient().await, without_twice(&named.seen.by)).await;
            let shown = differs(&named.seen, &before).is_none();
            if shown {
                wrong.push(format!("{}: seen without being ordered", named.name));
            }
        }
        session.fault(json!({ "fault": named.name })).await;
        let told = answer(&session, &named.seen.by).await;
        wrong.extend(differs(&named.seen, &told).map(|difference| format!("{}: {difference}", named.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A way that holds for a good org too.
fn without_twice(by: &str) -> &str {
    by.strip_suffix("_twice").unwrap_or(by)
}
