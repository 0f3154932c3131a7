//! Walks `fleet.toml`: each answer that real fleets met comes over HTTP and gets its code, its verdict and its delay.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};

use axum::body::Body;
use nightshift_domain::{FailureCode, LeftOutReason, Verdict};
use nightshift_salesforce::{
    Api, ApiVersion, App, AsyncId, BulkJob, BulkState, BulkTime, CallCounter, Client, Grant, HostPolicy,
    Http, HttpSettings, ListQuery, Proxy, QueryKind, ReadRequest, Records, RetrieveRequest, RetrieveStatus,
    Ruled, Salesforce, SalesforceError, read_message,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpListener};
use url::Url;

use super::{Answer, Tokens, answer, bench, fault, xml};

/// The rows of the facts' section 11: 1 to 58, and three that were put between.
const ROWS: std::ops::RangeInclusive<u32> = 1..=58;
const BETWEEN: [&str; 3] = ["4b", "44b", "44c"];
/// Ours: which of several things decides, and what must not be kept.
const OURS: [&str; 2] = ["order", "secret"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    met: Vec<Met>,
    elsewhere: Vec<Elsewhere>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    row: String,
    what: String,
    test: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Met {
    row: String,
    call: Option<Asked>,
    status: Option<u16>,
    r#type: Option<String>,
    body: Option<String>,
    rest: Option<[String; 2]>,
    soap: Option<[String; 2]>,
    oauth: Option<[String; 2]>,
    result: Option<[String; 2]>,
    html: Option<u16>,
    network: Option<Network>,
    message: Option<String>,
    facts: Option<char>,
    code: Option<FailureCode>,
    act: Option<String>,
    after: Option<u64>,
    tries: Option<u32>,
    sent: Option<usize>,
    culprit: Option<String>,
    reason: Option<LeftOutReason>,
    differs: Option<String>,
}

/// Who gets the answer.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    Token,
    Versions,
    Limits,
    Query,
    Tooling,
    List,
    Read,
    Retrieve,
    Poll,
    Bulk,
}

/// What happens in the place of an answer.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Network {
    Silence,
    Reset,
    Cut,
    Refused,
    PlainForTls,
    UnknownName,
}

fn file() -> File {
    toml::from_str(include_str!("fleet.toml")).unwrap()
}

impl Met {
    fn answer(&self, token: &str) -> Answer {
        let status = self.status.unwrap_or(200);
        let plain = |text: &String| text.replace("{token}", token);
        if let Some([code, words]) = &self.soap {
            return fault(code, &plain(words));
        }
        if let Some([code, words]) = &self.rest {
            let body = json!([{ "message": plain(words), "errorCode": code }]);
            return answer(status, "application/json;charset=UTF-8", body.to_string());
        }
        if let Some([error, words]) = &self.oauth {
            let body = json!({ "error": error, "error_description": plain(words) });
            return answer(status, "application/json;charset=UTF-8", body.to_string());
        }
        if let Some([code, words]) = &self.result {
            let code = match code.as_str() {
                "" => String::new(),
                code => format!("<errorStatusCode>{code}</errorStatusCode>"),
            };
            return xml(
                200,
                &format!(
                    "<checkRetrieveStatusResponse><result><done>true</done><errorMessage>{words}</errorMessage>{code}\
                     <id>09S000000000001AAA</id><status>Failed</status><success>false</success>\
                     <zipFile xsi:nil=\"true\"/></result></checkRetrieveStatusResponse>"
                ),
            );
        }
        if let Some(status) = self.html {
            let page = "<!DOCTYPE HTML><html><body>We are setting things up</body></html>";
            return answer(status, "text/html; charset=UTF-8", page);
        }
        let body = plain(self.body.as_ref().unwrap());
        answer(status, self.r#type.as_deref().unwrap(), Body::from(body))
    }
}

/// Makes the call; the error that it ends with, a job's failure among them.
async fn ask(call: Asked, client: &Client, salesforce: &Salesforce, url: &Url) -> SalesforceError {
    match call {
        Asked::Token => {
            let app = App {
                address: url,
                client_id: "app",
                client_secret: None,
            };
            let token = "5Aep-SECRETTOKEN".into();
            let grant = Grant::RefreshToken(&token);
            let oauth = salesforce.oauth();
            oauth.token(&app, grant, &CallCounter::new()).await.unwrap_err()
        }
        Asked::Versions => client.versions().await.unwrap_err(),
        Asked::Limits => client.limits().await.unwrap_err(),
        Asked::Query => client.organization().await.unwrap_err(),
        Asked::Tooling => {
            let soql = "SELECT QualifiedApiName FROM EntityDefinition";
            let mut records: Records<Value> = client.query(QueryKind::Tooling, soql);
            records.next().await.unwrap_err()
        }
        Asked::List => match client.list_metadata(&[ListQuery::of("Layout")]).await {
            Err(error) => error,
            Ok(listing) => listing.collect().await.unwrap_err(),
        },
        Asked::Read => {
            let requests = ReadRequest::cut("QuickAction", &["X.y"]);
            match client.read_metadata(&requests[0]).await {
                Err(error) => error,
                Ok(reading) => reading.collect().await.unwrap_err(),
            }
        }
        Asked::Retrieve => client
            .retrieve(&RetrieveRequest { types: Vec::new() })
            .await
            .unwrap_err(),
        Asked::Poll => {
            let id = AsyncId::new("09S000000000001AAA").unwrap();
            match client.retrieve_status(&id).await {
                Ok(RetrieveStatus::Failed(failure)) => failure.into(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => error,
            }
        }
        Asked::Bulk => {
            let job = BulkJob::new(Api::Data, ApiVersion::NEWEST_TESTED, "750xx0000000001AAA").unwrap();
            let time = BulkTime {
                waited: Duration::ZERO,
                patience: Duration::MAX,
            };
            match client.bulk_look(&job, time).await {
                Ok(BulkState::Failed(failure)) => failure.into(),
                Ok(other) => panic!("{other:?}"),
                Err(error) => error,
            }
        }
    }
}

/// An address where this happens to whoever asks.
async fn nowhere(network: Network) -> Url {
    if network == Network::UnknownName {
        return "http://gone.invalid/".parse().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let scheme = if network == Network::PlainForTls {
        "https"
    } else {
        "http"
    };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                let head =
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"reco";
                match network {
                    Network::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
                    Network::Cut => stream.write_all(head.as_bytes()).await.unwrap(),
                    Network::PlainForTls => {
                        stream
                            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                            .await
                            .unwrap();
                    }
                    Network::Reset | Network::Refused | Network::UnknownName => {}
                }
            });
        }
    });
    if network == Network::Refused {
        return "http://127.0.0.1:1/".parse().unwrap();
    }
    format!("{scheme}://{address}/").parse().unwrap()
}

async fn over_network(met: &Met, network: Network) -> SalesforceError {
    let url = nowhere(network).await;
    let mut settings = HttpSettings {
        proxy: Proxy::None,
        ..HttpSettings::default()
    };
    for limit in [
        &mut settings.limits.rest,
        &mut settings.limits.poll,
        &mut settings.limits.soap,
    ] {
        limit.first_byte = Duration::from_millis(if network == Network::Silence { 300 } else { 20_000 });
    }
    let hosts = HostPolicy::new(["127.0.0.1", "gone.invalid"]);
    let salesforce = Salesforce::new(Http::new(settings).unwrap(), hosts);
    let tokens = Arc::new(Tokens {
        url: url.clone(),
        generation: 1.into(),
    });
    let org = nightshift_domain::OrgId::from_uuid(uuid::Uuid::nil());
    let client = salesforce.client(org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED);
    ask(met.call.unwrap(), &client, &salesforce, &url).await
}

/// The act in the table's word, and the delay.
fn act(ruled: &Ruled) -> (&'static str, Option<u64>) {
    match ruled {
        Ruled::Step(Verdict::Retry { after }) => ("retry", after.map(|after| after.as_secs())),
        Ruled::Step(Verdict::Wait { after, .. }) => ("wait", Some(after.as_secs())),
        Ruled::Step(Verdict::Reauthenticate) => ("reauthenticate", None),
        Ruled::Step(Verdict::Permanent) => ("permanent", None),
        Ruled::Split => ("split", None),
        Ruled::LeaveOut(_) => ("leave_out", None),
    }
}

/// What the facts' letter allows. A poll that finds nothing is looked at again, which is how it is tried again.
fn allows(facts: char, act: &str) -> bool {
    match facts {
        'R' => matches!(act, "retry" | "wait"),
        'W' => act == "wait",
        'A' => act == "reauthenticate",
        'S' => act == "split",
        'L' => act == "leave_out",
        'P' | 'B' => act == "permanent",
        other => panic!("no verdict of the facts: {other}"),
    }
}

async fn check(met: &Met) {
    if let Some(problem) = &met.message {
        let reading = read_message(problem);
        assert_eq!(reading.reason, met.reason, "{met:?}");
        assert_eq!(
            reading.culprit.map(|culprit| culprit.type_name),
            met.culprit,
            "{met:?}"
        );
        return;
    }
    let call = met.call.unwrap();
    let error = if let Some(network) = met.network {
        over_network(met, network).await
    } else {
        let answers = (1..=4).map(|generation| met.answer(&format!("00Dxx!SECRETTOKEN{generation}")));
        let bench = bench(answers.collect()).await;
        let error = ask(call, &bench.client, &bench.salesforce, &bench.url).await;
        let sent = bench.server.asked.lock().unwrap().len();
        assert_eq!(sent, met.sent.unwrap_or(1), "{met:?}: requests");
        error
    };
    let ruling = error.ruling();
    let (done, after) = act(&ruling.ruled);
    assert_eq!(
        (Some(ruling.code), Some(done), after, ruling.tries),
        (met.code, met.act.as_deref(), met.after, met.tries),
        "{met:#?}\n{error}: row {:?}",
        ruling.row
    );
    if let Some(culprit) = &met.culprit {
        let Ruled::LeaveOut(Some(named)) = &ruling.ruled else {
            panic!("{met:?}: {ruling:?}");
        };
        assert_eq!(&named.type_name, culprit);
    }
    let told = error.step_error();
    let all = format!("{error} {error:?} {told:?}");
    assert!(!all.contains("SECRETTOKEN"), "{met:?}: {all}");
    let said = met.rest.as_ref().or(met.soap.as_ref()).or(met.oauth.as_ref());
    if let Some([code, _]) = said {
        assert_eq!(&told.evidence["salesforce_code"], code, "{met:?}");
    }
}

#[tokio::test]
async fn what_real_fleets_met_gets_its_code_its_verdict_and_its_delay() {
    for met in file().met {
        check(&met).await;
    }
}

#[test]
fn every_row_of_the_facts_is_met_here_or_kept_by_a_test_that_is_named() {
    let file = file();
    let rows = file.met.iter().map(|met| &met.row);
    let all: BTreeSet<String> = rows
        .chain(file.elsewhere.iter().map(|elsewhere| &elsewhere.row))
        .cloned()
        .collect();
    let wanted: BTreeSet<String> = ROWS
        .map(|row| row.to_string())
        .chain(BETWEEN.into_iter().chain(OURS).map(str::to_owned))
        .collect();
    assert_eq!(all, wanted);
    let sources = sources();
    for elsewhere in file.elsewhere {
        let name = format!("fn {}(", elsewhere.test);
        assert!(
            sources.contains(&name),
            "row {}: {} is gone",
            elsewhere.row,
            elsewhere.test
        );
        assert!(elsewhere.what.len() > 10);
    }
}

#[test]
fn what_we_do_is_what_the_facts_ask_for_or_says_why_not() {
    for met in file().met {
        let ours = OURS.contains(&met.row.as_str());
        assert_eq!(met.facts.is_none(), ours, "{met:?}");
        let (Some(facts), Some(act)) = (met.facts, &met.act) else {
            continue;
        };
        let agrees = allows(facts, act);
        assert_eq!(agrees, met.differs.is_none(), "{met:?}");
    }
}

/// All Rust sources of the workspace in one text.
fn sources() -> String {
    fn walk(dir: &Path, all: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, all);
            } else if path.extension().is_some_and(|end| end == "rs") {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let top = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut all = String::new();
    for folder in ["crates", "tests"] {
        walk(&top.join(folder), &mut all);
    }
    all
}
