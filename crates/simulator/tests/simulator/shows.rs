//! How each misbehaviour of the list is recognised.

use std::time::{Duration, Instant};

use nightshift_simulator::ChangeKind;
use serde_json::{Value, json};

use crate::{
    client::{Session, element, rows},
    misbehaviours::{CLASS, listed, parent_keeps_its_date, ten_thousand_files_are_the_most},
};

const LIMITS: &str = "/services/data/v67.0/limits";
const ACCOUNTS: &str = "/services/data/v67.0/query?q=SELECT+Id,Name+FROM+Account";

/// Whether the session meets the misbehaviour of that name.
pub async fn shows(id: &str, session: &Session) -> bool {
    let get = || session.get(LIMITS);
    match id {
        "pending_for_ever" => {
            let id = retrieve(session).await;
            session.simulator.advance(Duration::from_hours(1));
            session
                .status(&id, false)
                .await
                .1
                .contains("<status>Pending</status>")
        }
        "zip_once" => {
            let id = retrieve(session).await;
            session.wait(&id).await;
            let first = session.status(&id, true).await.1;
            let second = session.status(&id, true).await.1;
            first.contains("<zipFile>") && second.contains("<zipFile xsi:nil=\"true\"/>")
        }
        "cut_body" => match session.soap_raw(LIST).await {
            Ok(answer) => answer.text().await.is_err(),
            Err(_) => false,
        },
        "html_420" => get().await.0 == 420 && get().await.1.contains("setting things up"),
        "html_200" => get().await.0 == 200 && get().await.1.contains("<html>"),
        "empty_406" => get().await == (406, String::new()),
        "empty_400" => get().await == (400, String::new()),
        "session_expired" => get().await.1.contains("Session expired or invalid"),
        "session_not_valid" => get().await.1.contains("not valid for use with the REST API"),
        "session_not_attached" => get().await.1.contains("not attached to Agent"),
        "rotation_reuse" => {
            let token = &session.access.refresh_token;
            let first = session.refresh(token).await;
            let second = session.refresh(token).await;
            let third = first.1["refresh_token"].as_str().unwrap_or_default();
            first.0 == 200 && is_expired(&second) && is_expired(&session.refresh(third).await)
        }
        "sixth_grant" => is_expired(&session.refresh(&session.access.refresh_token).await),
        "login_hours" => {
            let (_, answer) = session.refresh(&session.access.refresh_token).await;
            answer["error_description"] == "invalid login hours"
        }
        "other_org_id" => {
            let (_, answer) = session.refresh(&session.access.refresh_token).await;
            !answer["id"]
                .as_str()
                .unwrap()
                .contains(&session.access.organization_id)
        }
        "moved_instance" => {
            let (_, answer) = session.refresh(&session.access.refresh_token).await;
            let new = answer["instance_url"].as_str().unwrap();
            let there = session
                .http
                .get(format!("{new}{LIMITS}"))
                .bearer_auth(&session.token);
            get().await.1.contains("URL_NOT_RESET") && there.send().await.unwrap().status() == 200
        }
        "url_not_reset" => {
            let soap = session.soap(LIST).await.1;
            get().await.1.contains("URL_NOT_RESET") && soap.contains("sf:UNKNOWN_EXCEPTION")
        }
        "jwt_access_token" => {
            let (_, answer) = session.refresh(&session.access.refresh_token).await;
            let token = answer["access_token"].as_str().unwrap();
            let rest = session
                .http
                .get(session.url(LIMITS))
                .bearer_auth(token)
                .send()
                .await
                .unwrap();
            let envelope = format!(
                "<E><Header><SessionHeader><sessionId>{token}</sessionId></SessionHeader></Header><Body>{LIST}</Body></E>"
            );
            let soap = session
                .http
                .post(session.url("/services/Soap/m/67.0"))
                .body(envelope.replace("m:", ""));
            let soap = soap.send().await.unwrap().text().await.unwrap();
            token.split('.').count() == 3 && rest.status() == 200 && soap.contains("sf:INVALID_SESSION_ID")
        }
        "total_requests" => get().await.1.contains("TotalRequests Limit exceeded."),
        "concurrent_requests" => get().await.1.contains("ConcurrentRequests"),
        "one_bad_of_three" => {
            let three = [("ApexClass", None), ("Flow", None), ("Layout", None)];
            let (status, text) = session.list_raw(&three).await;
            status == 500 && text.contains("Cannot use: Flow in this organization")
        }
        "four_list_queries" => {
            let text = session.list_raw(&[("ApexClass", None); 4]).await.1;
            text.contains("LIMIT_EXCEEDED: No more than 3 allowed in request")
        }
        "refused_types" => session
            .list_raw(&[("ApexClass", None)])
            .await
            .1
            .contains("Unknown type:ApexClass"),
        "nil_type" => {
            let entry = listed(session, "AnimationRule", "_Default").await;
            entry.is_some_and(|entry| !entry.contains_key("type") && !entry.contains_key("fileName"))
        }
        "nil_file_name" => {
            let entry = listed(session, "Prompt", "Welcome_Mat").await;
            entry.is_some_and(|entry| entry.contains_key("type") && !entry.contains_key("fileName"))
        }
        "nil_dates" => {
            let entry = listed(session, "CustomApplication", "standard__Nil").await;
            entry.is_some_and(|entry| !entry.contains_key("lastModifiedDate"))
        }
        "epoch_dates" => {
            let entry = listed(session, "Settings", "Account").await;
            entry.is_some_and(|entry| entry["lastModifiedDate"] == "1970-01-01T00:00:00.000Z")
        }
        "doubled_packages" => {
            let all = session.list("InstalledPackage", None).await;
            all.iter().filter(|row| row["fullName"] == "npe01").count() == 2
        }
        "managed_layout" => {
            let wrong = "SBQQ__Quote__c-Quote Layout";
            listed(session, "Layout", wrong).await.is_some() && is_unknown(session, "Layout", wrong).await
        }
        "record_twins" => {
            let all = session.list("CustomMetadata", None).await;
            all.iter()
                .filter(|row| row["fullName"] == "Setting.Default")
                .count()
                == 2
        }
        "odd_layouts" => listed(session, "Layout", "Broker__c-v1%2E1 Broker Layout")
            .await
            .is_some(),
        "parentheses_profile" => {
            let name = "My(awesome)profile";
            listed(session, "Profile", name).await.is_some()
                && session
                    .fetch(&[("Profile", &[name])])
                    .await
                    .text
                    .contains("My%28awesome%29profile")
        }
        "hidden_record_type" => {
            let inside = brings(session, "CustomObject", "Idea", "InternalIdeasIdeaRecordType").await;
            inside
                && listed(session, "RecordType", "Idea.InternalIdeasIdeaRecordType")
                    .await
                    .is_none()
        }
        "short_folder_names" => {
            listed(session, "ReportFolder", "lower").await.is_some()
                && brings(session, "Report", "upper/lower", "ReportFolder").await
        }
        "deep_dashboards" => session.list("Dashboard", Some("top/su/su1")).await.len() == 1,
        "value_sets_unlisted" => {
            let unlisted = session.list("StandardValueSet", None).await.is_empty();
            unlisted && brings(session, "StandardValueSet", "AccountContactRole", "standardValue").await
        }
        "workflow_file_name" => {
            let all = session.list("Workflow", None).await;
            all.iter()
                .any(|row| row["fileName"].starts_with("Workflow/") && row["fullName"].ends_with("__c"))
        }
        "next_release" => {
            let described = session.soap("<m:describeMetadata/>").await.1;
            described.contains("<xmlName>NextReleaseThing</xmlName>")
                && brings(session, "NextReleaseThing", "One", "<label>One</label>").await
        }
        "child_moves_no_parent" => parent_keeps_its_date(session, ChangeKind::Changed).await,
        "deletion_moves_no_date" => parent_keeps_its_date(session, ChangeKind::Deleted).await,
        "hidden_apex" => brings(session, "ApexClass", "SBQQ__Engine", "(hidden)").await,
        "carriage_returns" => brings(session, "CustomTab", "Carriage", "one\rtwo\r\nthree").await,
        "sparse_profiles" => {
            let name = session.list("Profile", None).await[0]["fullName"].clone();
            let alone = session.fetch(&[("Profile", &[&name])]).await;
            let with = session
                .fetch(&[("Profile", &[&name]), ("CustomObject", &["*"])])
                .await;
            let rights = |fetched: &crate::client::Fetched| {
                fetched
                    .file(&format!("unpackaged/profiles/{name}.profile"))
                    .matches("<objectPermissions>")
                    .count()
            };
            rights(&alone) < rights(&with)
        }
        "ten_thousand_and_one_files" => ten_thousand_files_are_the_most().await,
        "unknown_exception" => {
            let text = failed(session).await;
            text.contains("UNKNOWN_EXCEPTION: An unexpected error occurred. Please include this ErrorId")
        }
        "nested_insufficient_access" => failed(session)
            .await
            .contains("UNKNOWN_EXCEPTION: INSUFFICIENT_ACCESS: "),
        "not_found_message" => is_unknown(session, "ApexClass", "Nobody").await,
        "wrong_case_message" => {
            let fetched = session.fetch(&[("ApexClass", &[CLASS])]).await;
            let told = format!(
                "Entity of type 'ApexClass' named '{}' cannot be found",
                CLASS.to_lowercase()
            );
            fetched.messages() == [told] && fetched.files.len() == 1
        }
        "cross_reference_leaving_pending" => {
            let id = retrieve(session).await;
            let pending = session.status(&id, false).await;
            session.simulator.advance(Duration::from_secs(30));
            let leaving = session.status(&id, false).await;
            pending.1.contains("Pending")
                && leaving.1.contains("sf:INVALID_CROSS_REFERENCE_KEY")
                && session.status(&id, false).await.0 == 200
        }
        "cross_reference" => {
            let id = retrieve(session).await;
            let first = session.status(&id, false).await;
            first.1.contains("sf:INVALID_CROSS_REFERENCE_KEY") && session.status(&id, false).await.0 == 200
        }
        "no_check_status" => {
            let text = session
                .soap("<checkStatus><asyncProcessId>09S</asyncProcessId></checkStatus>")
                .await
                .1;
            text.contains("sf:UNSUPPORTED_API_VERSION")
        }
        "read_ten" => {
            let ask = |names: usize| {
                let names = "<fullNames>Nobody</fullNames>".repeat(names);
                format!(
                    "<readMetadata><type>ApexClass</type><fullNames>{CLASS}</fullNames>{names}</readMetadata>"
                )
            };
            let ten = session.soap(&ask(9)).await.1;
            let eleven = session.soap(&ask(10)).await.1;
            ten.matches("<records xsi:nil=\"true\"/>").count() == 9
                && ten.contains(&format!(
                    "<records xsi:type=\"ApexClass\"><fullName>{CLASS}</fullName><content>"
                ))
                && eleven
                    .contains("EXCEEDED_ID_LIMIT: record limit reached. cannot submit more than 10 records")
        }
        "spent_locators" => {
            let first: Value = serde_json::from_str(&session.get(ACCOUNTS).await.1).unwrap();
            let next = first["nextRecordsUrl"].as_str().unwrap();
            let statuses = (session.get(next).await.0, session.get(next).await.0);
            statuses == (200, 400)
        }
        "bulk_failed" => bulk(session).await.0["state"] == "Failed",
        "nul_in_results" => bulk(session).await.1.contains('\0'),
        "slow_drip" => {
            let begin = Instant::now();
            session.list("CustomField", None).await;
            begin.elapsed() >= Duration::from_millis(150)
        }
        "data_descriptors" => {
            // `unzip` asserts it of every entry.
            session.fetch(&[("ApexClass", &["*"])]).await.files.len() > 1
        }
        "five_hundred_lists" => {
            let lists = (0..500).map(|_| session.list("ApexClass", None));
            let counts = futures::future::join_all(lists).await;
            counts.iter().all(|rows| rows.len() == counts[0].len())
        }
        other => panic!("nobody knows how {other} shows"),
    }
}

const LIST: &str = "<m:listMetadata><m:queries><m:type>ApexClass</m:type></m:queries></m:listMetadata>";

async fn retrieve(session: &Session) -> String {
    session.retrieve(&[("ApexClass", &["*"])]).await
}

fn is_expired((status, answer): &(u16, Value)) -> bool {
    *status == 400 && answer["error_description"] == "expired access/refresh token"
}

/// Why a retrieve of a class failed; empty when it did not.
async fn failed(session: &Session) -> String {
    let id = session.retrieve(&[("ApexClass", &[CLASS])]).await;
    element(&session.wait(&id).await, "errorMessage").unwrap_or_default()
}

/// Whether a retrieve of a member brings that text.
async fn brings(session: &Session, kind: &str, name: &str, text: &str) -> bool {
    let fetched = session.fetch(&[(kind, &[name])]).await;
    let files = fetched
        .files
        .iter()
        .filter(|(path, _)| !path.ends_with("package.xml"));
    files
        .map(|(_, bytes)| String::from_utf8_lossy(bytes))
        .any(|found| found.contains(text))
}

async fn is_unknown(session: &Session, kind: &str, name: &str) -> bool {
    let id = session.retrieve(&[(kind, &[name])]).await;
    let text = session.wait(&id).await;
    let told = format!("Entity of type '{kind}' named '{name}' cannot be found");
    rows(&text, "messages").iter().any(|row| row["problem"] == told)
}

/// A Bulk job at its end, and its results.
async fn bulk(session: &Session) -> (Value, String) {
    let jobs = "/services/data/v67.0/jobs/query";
    let order = json!({ "operation": "query", "query": "SELECT Id, Name FROM Account" });
    let made = session
        .http
        .post(session.url(jobs))
        .bearer_auth(&session.token)
        .body(order.to_string());
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let path = format!("{jobs}/{}", made["id"].as_str().unwrap());
    session.simulator.advance(Duration::from_mins(1));
    let job = serde_json::from_str(&session.get(&path).await.1).unwrap();
    (job, session.get(&format!("{path}/results")).await.1)
}
