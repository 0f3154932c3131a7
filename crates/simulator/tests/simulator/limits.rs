//! What an org allows, of which edition it is, and how long it takes.

use std::time::{Duration, Instant};

use nightshift_simulator::{
    Cloud, Edition, Extra, FaultPlan, Latency, OrgLimits, OrgSpec, SimulatorSettings,
};
use serde_json::{Value, json};

use crate::client::{Session, element, rows};

const LIMITS: &str = "/services/data/v67.0/limits";

#[tokio::test]
async fn requests_are_counted_down_refused_at_the_end_and_allowed_again_a_day_later() {
    let limits = OrgLimits {
        daily_requests: 3,
        ..OrgLimits::default()
    };
    let mut session = Session::open(OrgSpec::generated("Acme", 1, 100).limited(limits)).await;
    for used in 1..=3 {
        let answer = session
            .http
            .get(session.url(LIMITS))
            .bearer_auth(&session.token)
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.headers()["sforce-limit-info"],
            format!("api-usage={used}/3")
        );
        let told: Value = answer.json().await.unwrap();
        assert_eq!(
            told["DailyApiRequests"],
            json!({ "Max": 3, "Remaining": 3 - used })
        );
    }
    let refused = session.get(LIMITS).await;
    assert_eq!(refused.0, 403);
    assert!(refused.1.contains("REQUEST_LIMIT_EXCEEDED"), "{}", refused.1);
    let listing = session.list_raw(&[("ApexClass", None)]).await;
    assert!(
        listing.0 == 500 && listing.1.contains("sf:REQUEST_LIMIT_EXCEEDED"),
        "{}",
        listing.1
    );
    session.simulator.advance(Duration::from_hours(25));
    session.renew().await;
    assert_eq!(session.get(LIMITS).await.0, 200);
}

/// What the result of a retrieve says when it failed, else nothing.
async fn refused(session: &Session, types: &[(&str, &[&str])]) -> String {
    let id = session.retrieve(types).await;
    element(&session.wait(&id).await, "errorMessage").unwrap_or_default()
}

#[tokio::test]
async fn types_with_a_budget_are_given_a_few_at_a_time_and_seldom_in_a_day() {
    let xml = "<WaveDashboard><label>D</label></WaveDashboard>";
    let spec = OrgSpec::generated("Acme", 1, 100)
        .with(Extra::new("AnalyticsDashboard", "One", xml))
        .with(Extra::new("AnalyticsDashboard", "Two", xml))
        .with(Extra::new("AnalyticsWorkspace", "Three", xml))
        .limited(OrgLimits {
            budgeted_members: 1,
            budgeted_retrieves: 2,
            ..OrgLimits::default()
        });
    let mut session = Session::open(spec).await;
    let dashboards = "AnalyticsDashboard";
    let both = refused(&session, &[(dashboards, &["One", "Two"])]).await;
    assert_eq!(
        both,
        "LIMIT_EXCEEDED: Too many AnalyticsDashboard in retrieve call, limit is: 1."
    );
    for name in ["One", "Two"] {
        assert_eq!(refused(&session, &[(dashboards, &[name])]).await, "");
    }
    let third = refused(&session, &[(dashboards, &["One"])]).await;
    let words = "LIMIT_EXCEEDED: Too many retrieve calls of AnalyticsDashboard in a day, limit is: 2.";
    assert_eq!(third, words);
    assert_eq!(refused(&session, &[("AnalyticsWorkspace", &["Three"])]).await, "");
    assert_eq!(refused(&session, &[("ApexClass", &["*"])]).await, "");
    session.simulator.advance(Duration::from_hours(25));
    session.renew().await;
    assert_eq!(refused(&session, &[(dashboards, &["One"])]).await, "");
}

#[tokio::test]
async fn a_zip_that_would_be_too_large_fails_its_retrieve_packed_or_unpacked() {
    let session = Session::open(OrgSpec::weighing("Acme", 1, 6_000, 3_000)).await;
    let all: &[(&str, &[&str])] = &[("ApexClass", &["*"]), ("ApexTrigger", &["*"]), ("Layout", &["*"])];
    let files = session.fetch(all).await.files;
    assert!(files.len() > 300, "{} files: a sample is taken", files.len());
    let unpacked: usize = files.values().map(Vec::len).sum();
    let limit = |limits| session.control("limits", limits);
    limit(json!({ "unpacked_bytes": unpacked })).await;
    assert_eq!(refused(&session, all).await, "");
    limit(json!({ "unpacked_bytes": unpacked - 1 })).await;
    let words = "LIMIT_EXCEEDED: Maximum size of request reached. Maximum size of request is";
    assert_eq!(
        refused(&session, all).await,
        format!("{words} {} bytes.", unpacked - 1)
    );
    limit(json!({ "unpacked_bytes": unpacked, "zip_bytes": 30_000 })).await;
    assert_eq!(refused(&session, all).await, format!("{words} 40000 bytes."));
}

#[tokio::test]
async fn while_too_many_long_requests_run_nobody_else_is_let_in() {
    let session = Session::open(OrgSpec::generated("Acme", 1, 100)).await;
    session
        .control(
            "limits",
            json!({ "org": "Acme", "long_requests": 2, "long_after_millis": 200 }),
        )
        .await;
    session
        .fault(json!({ "fault": "slow", "millis": 900, "times": 2, "calls": ["limits"] }))
        .await;
    let late = async {
        tokio::time::sleep(Duration::from_millis(450)).await;
        session.list_raw(&[("ApexClass", None)]).await
    };
    let (one, two, refused) = tokio::join!(session.get(LIMITS), session.get(LIMITS), late);
    assert_eq!((one.0, two.0), (200, 200));
    assert!(
        refused.1.contains("REQUEST_LIMIT_EXCEEDED: ConcurrentRequests"),
        "{}",
        refused.1
    );
    assert_eq!(
        session.list_raw(&[("ApexClass", None)]).await.0,
        200,
        "they have ended"
    );
}

#[tokio::test]
async fn an_idle_session_ends_and_a_refresh_opens_the_next() {
    let limits = OrgLimits {
        session_seconds: Some(900),
        ..OrgLimits::default()
    };
    let mut session = Session::open(OrgSpec::generated("Acme", 1, 100).limited(limits)).await;
    for (minutes, status) in [(14, 200), (14, 200), (16, 401)] {
        session.simulator.advance(Duration::from_mins(minutes));
        assert_eq!(session.get(LIMITS).await.0, status);
    }
    session.renew().await;
    assert_eq!(session.get(LIMITS).await.0, 200);
}

#[tokio::test]
async fn edition_clouds_and_namespace_are_seen() {
    let spec = OrgSpec::generated("Acme", 1, 1_500)
        .of_edition(Edition::Unlimited)
        .with_cloud(Cloud::Cpq)
        .with_cloud(Cloud::Service)
        .named_within("acme");
    let session = Session::open(spec).await;
    let organization = session
        .get("/services/data/v67.0/query?q=SELECT+OrganizationType,NamespacePrefix+FROM+Organization")
        .await
        .1;
    assert!(
        organization.contains("Unlimited Edition") && organization.contains("\"acme\""),
        "{organization}"
    );
    assert!(session.get(LIMITS).await.1.contains("100000"));
    assert!(!session.list("EntitlementProcess", None).await.is_empty());
    assert_eq!(
        session.list_raw(&[("OmniScript", None)]).await.0,
        500,
        "a cloud that it has not"
    );
    let classes = session.list("ApexClass", None).await;
    assert!(classes.iter().all(|row| row["namespacePrefix"] == "acme"));
    let layouts = session.list("Layout", None).await;
    assert!(
        layouts
            .iter()
            .any(|row| row["fullName"] == "SBQQ__Quote__c-Quote Layout" && row["namespacePrefix"] == "SBQQ")
    );
    let described = session.soap("<m:describeMetadata/>").await.1;
    assert!(described.contains("<organizationNamespace>acme</organizationNamespace>"));
    let files = session
        .fetch(&[
            ("EntitlementProcess", &["*"]),
            ("CustomObject", &["SBQQ__Quote__c"]),
        ])
        .await;
    assert_eq!(files.messages(), Vec::<String>::new());
    assert_eq!(
        rows(&files.text, "fileProperties")
            .iter()
            .filter(|row| row["fullName"] == "SBQQ__Quote__c")
            .count(),
        1
    );
}

#[tokio::test]
async fn calls_and_retrieves_take_their_drawn_time_and_the_same_seed_draws_the_same() {
    let settings = |speed| SimulatorSettings {
        latency: Latency::Drawn { speed },
        ..SimulatorSettings::default()
    };
    let (slow, quick) = (settings(1.0), settings(10_000.0));
    let begin = Instant::now();
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 100), slow).await;
    let id = session.retrieve(&[("ApexClass", &["*"])]).await;
    assert!(
        begin.elapsed() > Duration::from_millis(100),
        "{:?}",
        begin.elapsed()
    );
    assert!(session.status(&id, false).await.1.contains("<done>false</done>"));
    let session = Session::open_with(OrgSpec::generated("Acme", 1, 100), quick).await;
    let begin = Instant::now();
    session.fetch(&[("ApexClass", &["*"])]).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_plan_orders_faults_for_some_orgs_from_a_file_and_at_the_control_door() {
    let session = Session::open(OrgSpec::generated("org-1", 1, 100)).await;
    session
        .simulator
        .add_org(OrgSpec::generated("other", 2, 100))
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let text =
        "[[fault]]\norg = \"org-*\"\nfault = \"api_disabled\"\ncalls = [\"limits\"]\nafter = 1\ntimes = 1\n";
    std::fs::write(file.path(), text).unwrap();
    session
        .simulator
        .plan(&FaultPlan::read(file.path()).unwrap())
        .unwrap();
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(session.get(LIMITS).await.0);
    }
    assert_eq!(statuses, [200, 403, 200]);
    let order = |plan: &'static str| session.http.post(session.url("/_control/plan")).body(plan).send();
    assert_eq!(
        order("[[fault]]\norg = \"org-1\"\nfault = \"html_503\"\n")
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(session.get(LIMITS).await.0, 503);
    let refused = order("[[fault]]\norg = \"nobody\"\nfault = \"html_503\"\n")
        .await
        .unwrap();
    assert!(refused.text().await.unwrap().contains("org nobody is not there"));
}
