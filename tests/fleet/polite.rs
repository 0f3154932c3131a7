//! How a fleet behaves towards a Salesforce that is down, slow, or wants to be left alone.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, Latency, OrgSpec, SimulatorSettings};
use nightshift_testkit::free_port;
use serde_json::Value;

use crate::harness::{Fleet, small_org};

fn small(name: &str, instance: &str) -> OrgSpec {
    let mut spec = OrgSpec::from_folder(name, small_org().join("night-1"), None);
    instance.clone_into(&mut spec.instance_name);
    spec
}

/// Waits until a question about the database has an answer of at least so much.
async fn at_least(fleet: &Fleet, least: i64, question: &'static str) {
    for _ in 0..300 {
        if fleet.database.count(question).await >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lines = "SELECT concat_ws(' ', kind, event, detail) FROM timeline ORDER BY n";
    panic!(
        "{question} never gives {least}: {:#?}",
        fleet.database.texts(lines).await
    );
}

/// Moves the clock on until the newest sync of every org has ended.
async fn until_ended(fleet: &Fleet, by: Duration) {
    for _ in 0..60 {
        if fleet
            .database
            .count("SELECT count(*) FROM sync WHERE ended_at IS NULL")
            .await
            == 0
        {
            return;
        }
        fleet.database.advance(by).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let lines = "SELECT concat_ws(' ', kind, event, detail) FROM timeline ORDER BY n";
    panic!("a sync never ends: {:#?}", fleet.database.texts(lines).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_down_is_called_by_nobody_until_a_probe_is_answered() {
    let settings = [
        ("POLITENESS__CIRCUIT_FAILURES", "3"),
        ("SYNC__PATIENCE_SECONDS", "100000"),
    ];
    let fleet = Fleet::running(&settings).await;
    for (name, instance) in [("one", "EU1"), ("two", "EU1"), ("other", "NA2")] {
        fleet.connect(small(name, instance)).await;
    }
    let mut down = Fault::new(FaultKind::Html503);
    down.calls = vec![Call::Versions, Call::Query];
    for org in ["one", "two"] {
        fleet.simulator.fault(org, down.clone()).unwrap();
    }
    fleet.json(&["sync", "one", "--json"]).await;
    at_least(
        &fleet,
        1,
        "SELECT count(*) FROM instance WHERE name = 'EU1' AND circuit = 'open'",
    )
    .await;
    // the next org of the instance makes no call, and its job loses no attempt; another instance is called
    let before = fleet.simulator.calls("two").unwrap();
    fleet.json(&["sync", "two", "--json"]).await;
    at_least(
        &fleet,
        2,
        "SELECT count(*) FROM job WHERE waiting_for = 'instance_down'",
    )
    .await;
    assert_eq!(fleet.simulator.calls("two").unwrap(), before);
    assert_eq!(fleet.sync("other").await["state"], "succeeded");
    let doctor = fleet.json(&["doctor", "--json"]).await;
    let instances = doctor["checks"].as_array().unwrap().iter();
    let instances = instances.filter(|check| check["check"] == "instances");
    let saw: Vec<_> = instances.map(|check| check["saw"].as_str().unwrap()).collect();
    assert!(saw[0].contains("EU1 not called until"), "{doctor}");
    // probes that fail cost no attempt either, however many they are
    for _ in 0..8 {
        fleet.database.advance(Duration::from_secs(1_300)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    at_least(&fleet, 4, "SELECT times::bigint FROM instance WHERE name = 'EU1'").await;
    for org in ["one", "two"] {
        fleet.simulator.clear_faults(org, None).unwrap();
    }
    until_ended(&fleet, Duration::from_secs(61)).await;
    let syncs = "SELECT state FROM sync";
    let lines = "SELECT concat_ws(' ', sync_id, at, kind, event, attempts, detail) FROM timeline ORDER BY n";
    let lines = fleet.database.texts(lines).await;
    assert_eq!(fleet.database.texts(syncs).await, ["succeeded"; 3], "{lines:#?}");
    let retries = "SELECT count(*) FROM timeline WHERE event = 'retry'";
    assert_eq!(fleet.database.count(retries).await, 2, "those before it opened");
    let closed = "SELECT count(*) FROM instance WHERE name = 'EU1' AND circuit = 'closed'";
    assert_eq!(fleet.database.count(closed).await, 1);
}

/// What a process serves at `/metrics`.
async fn metrics(port: u16) -> String {
    let answer = client()
        .get(format!("http://127.0.0.1:{port}/metrics"))
        .send()
        .await;
    answer.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_open_the_circuit_which_is_shown_as_open_until_it_closes() {
    let settings = [
        ("POLITENESS__CIRCUIT_FAILURES", "3"),
        ("SYNC__PATIENCE_SECONDS", "100000"),
    ];
    let mut fleet = Fleet::new(&settings).await;
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    fleet.start("scheduler", &[("NIGHTSHIFT__HTTP__LISTEN", &listen)]);
    fleet.start("worker", &[]);
    fleet.connect(small("small", "EU1")).await;
    let mut cut = Fault::new(FaultKind::CutBody);
    cut.calls = vec![Call::List];
    fleet.simulator.fault("small", cut).unwrap();
    fleet.json(&["sync", "small", "--json"]).await;
    let open = "SELECT count(*) FROM instance WHERE name = 'EU1' AND circuit = 'open'";
    at_least(&fleet, 1, open).await;
    let shown = async |value: &str| {
        let line = format!("nightshift_circuit_open{{instance=\"EU1\"}} {value}");
        for _ in 0..100 {
            if metrics(port).await.contains(&line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never shown: {line}: {}", metrics(port).await);
    };
    shown("1").await;
    fleet.simulator.clear_faults("small", None).unwrap();
    until_ended(&fleet, Duration::from_secs(601)).await;
    assert_eq!(
        fleet.database.texts("SELECT state FROM sync").await,
        ["succeeded"]
    );
    shown("0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_that_breaks_off_counts_against_its_instance_too() {
    let fleet = Fleet::running(&[]).await;
    fleet.connect(small("small", "EU1")).await;
    let mut cut = Fault::new(FaultKind::ResetInMidTransfer);
    cut.times = Some(1);
    fleet.simulator.fault("small", cut).unwrap();
    assert_eq!(fleet.sync("small").await["state"], "succeeded");
    let met = "SELECT coalesce(sum(unavailable), 0)::bigint FROM instance WHERE name = 'EU1'";
    assert_eq!(fleet.database.count(met).await, 1);
}

/// A sync by hand whose retrieve waits in Salesforce's queue while others use up the org's day.
async fn day_used_up_in_the_middle() -> Fleet {
    let fleet = Fleet::running(&[("SYNC__PATIENCE_SECONDS", "7200")]).await;
    fleet.connect(small("small", "EU1")).await;
    fleet
        .simulator
        .fault("small", Fault::new(FaultKind::StaysPending))
        .unwrap();
    fleet.json(&["sync", "small", "--json"]).await;
    let pending = "SELECT count(*) FROM job WHERE waiting_for = 'salesforce_pending'";
    at_least(&fleet, 1, pending).await;
    let access = fleet.simulator.access("small").unwrap();
    others_call(&fleet, &access.client_id, &access.refresh_token, 12_000).await;
    fleet.simulator.clear_faults("small", None).unwrap();
    // the org's last word is old by now, and asked for anew
    fleet.database.advance(Duration::from_secs(1_801)).await;
    let waits = "SELECT count(*) FROM job WHERE waiting_for = 'daily_allowance'";
    at_least(&fleet, 1, waits).await;
    fleet
}

#[expect(
    clippy::disallowed_methods,
    reason = "another program's client, and the one of who orders the simulator about"
)]
fn client() -> reqwest::Client {
    reqwest::Client::new()
}

/// Another program uses the org.
async fn others_call(fleet: &Fleet, client_id: &str, refresh_token: &str, calls: usize) {
    let url = fleet.simulator.base_url();
    let client = client();
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", client_id),
        ("refresh_token", refresh_token),
    ];
    let body = as_form(&form);
    let answer = client
        .post(format!("{url}/services/oauth2/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let token = answer["access_token"].as_str().unwrap().to_owned();
    let callers = (0..8).map(|_| {
        let (client, url, token) = (client.clone(), format!("{url}/services/data/"), token.clone());
        tokio::spawn(async move {
            for _ in 0..calls / 8 {
                client.get(&url).bearer_auth(&token).send().await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

/// What the org used is little again beside what it may use.
async fn allow_more(fleet: &Fleet) {
    let limits = format!("{}/_control/limits", fleet.simulator.base_url());
    let order = r#"{"org": "small", "daily_requests": 1000000}"#;
    let answer = client().post(limits).body(order).send().await.unwrap();
    assert!(answer.status().is_success());
}

fn as_form(form: &[(&str, &str)]) -> String {
    let mut url: reqwest::Url = "http://localhost".parse().unwrap();
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_waits_for_the_orgs_day_and_goes_on_when_it_comes_back() {
    let fleet = day_used_up_in_the_middle().await;
    let before: u64 = fleet.simulator.calls("small").unwrap().values().sum();
    fleet.database.advance(Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after: u64 = fleet.simulator.calls("small").unwrap().values().sum();
    assert!(after - before <= 3, "{} calls while it waits", after - before);
    allow_more(&fleet).await;
    until_ended(&fleet, Duration::from_secs(600)).await;
    assert_eq!(
        fleet.database.texts("SELECT state FROM sync").await,
        ["succeeded"]
    );
    let retries = "SELECT count(*) FROM timeline WHERE event = 'retry'";
    assert_eq!(fleet.database.count(retries).await, 0);
    // half an hour in Salesforce's queue is known of its instance
    let queue =
        "SELECT count(*) FROM instance WHERE name = 'EU1' AND pending_seen > 0 AND pending_last IS NOT NULL";
    assert_eq!(fleet.database.count(queue).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_day_does_not_come_back_ends_with_gaps_and_says_what_was_not_finished() {
    let fleet = day_used_up_in_the_middle().await;
    let used: u64 = fleet.simulator.calls("small").unwrap().values().sum();
    until_ended(&fleet, Duration::from_secs(600)).await;
    let lines = "SELECT state FROM sync";
    assert_eq!(fleet.database.texts(lines).await, ["succeeded_with_gaps"]);
    let reasons = "SELECT DISTINCT reason FROM gap";
    assert_eq!(fleet.database.texts(reasons).await, ["api_allowance"]);
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(
        (cases[0]["code"].as_str(), cases[0]["state"].as_str()),
        (Some("api_allowance"), Some("open"))
    );
    let case = fleet
        .json(&["case", "show", cases[0]["id"].as_str().unwrap(), "--json"])
        .await;
    assert!(
        case["message"].as_str().unwrap().contains("not retrieved"),
        "{case}"
    );
    // while it waited it asked now and then whether the day has come back, and nothing else: at most each half hour of a
    // night, ever sooner towards its end, with a token now and then
    let used_then: u64 = fleet.simulator.calls("small").unwrap().values().sum();
    assert!(used_then - used <= 40, "{} calls", used_then - used);
    // the next night asks for the gaps, and resolves the case
    allow_more(&fleet).await;
    fleet.database.advance(Duration::from_secs(1_801)).await;
    let next = fleet.sync("small").await;
    assert_eq!(
        (next["state"].as_str(), next["components"].as_i64()),
        (Some("succeeded"), Some(114)),
        "{next}"
    );
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(cases[0]["state"], "resolved");
    assert_eq!(fleet.database.count("SELECT count(*) FROM gap").await, 0);
}

/// A sync whose calls of this kind Salesforce refuses for ever, since the org's requests are used up: how it stands once
/// it has waited for them and ended.
async fn refused_for_the_day(call: Call, patience: &str) -> Fleet {
    let fleet = Fleet::running(&[("SYNC__PATIENCE_SECONDS", patience)]).await;
    fleet.connect(small("small", "EU1")).await;
    let used_up = Fault::new(FaultKind::RequestLimitExceeded).on(&[call]);
    fleet.simulator.fault("small", used_up).unwrap();
    fleet.json(&["sync", "small", "--json"]).await;
    let waits = "SELECT count(*) FROM job WHERE waiting_for = 'request_limit'";
    at_least(&fleet, 1, waits).await;
    until_ended(&fleet, Duration::from_secs(600)).await;
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_calls_salesforce_refuses_for_the_day_waits_and_ends_with_gaps_of_their_own_code() {
    let fleet = refused_for_the_day(Call::Poll, "7200").await;
    assert_eq!(
        fleet.database.texts("SELECT state FROM sync").await,
        ["succeeded_with_gaps"]
    );
    let reasons = "SELECT DISTINCT reason FROM gap";
    assert_eq!(fleet.database.texts(reasons).await, ["request_limit"]);
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(cases[0]["code"], "request_limit_exceeded", "{cases}");
    let case = fleet
        .json(&["case", "show", cases[0]["id"].as_str().unwrap(), "--json"])
        .await;
    let message = case["message"].as_str().unwrap();
    assert!(
        message.contains("not retrieved") && message.contains("TotalRequests"),
        "{case}"
    );
    let attempts = "SELECT count(*) FROM timeline WHERE event = 'retry'";
    assert_eq!(
        fleet.database.count(attempts).await,
        0,
        "it is no failure of ours"
    );
    // the next sync asks for them, and resolves the case
    fleet.simulator.clear_faults("small", None).unwrap();
    assert_eq!(fleet.sync("small").await["state"], "succeeded");
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(cases[0]["state"], "resolved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_salesforce_refuses_before_there_is_a_plan_fails_with_its_code_when_its_patience_ends() {
    let fleet = refused_for_the_day(Call::List, "3600").await;
    let codes = "SELECT failure_code FROM sync";
    assert_eq!(fleet.database.texts(codes).await, ["request_limit_exceeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_takes_no_more_than_its_share_of_the_orgs_requests() {
    // 150 of 15,000, and batches so small that a first sync needs more
    let settings = [
        ("POLITENESS__NIGHT_PERCENT", "1"),
        ("SYNC__BATCH_FILES", "50"),
        ("SCHEDULER__TICK_MILLIS", "100"),
    ];
    let fleet = Fleet::running(&settings).await;
    fleet.connect(OrgSpec::generated("big", 7, 2_000)).await;
    fleet.slot_comes("big").await;
    at_least(&fleet, 1, "SELECT count(*) FROM sync").await;
    until_ended(&fleet, Duration::ZERO).await;
    assert_eq!(
        fleet.database.texts("SELECT state FROM sync").await,
        ["succeeded_with_gaps"]
    );
    let cases = fleet.json(&["case", "list", "--org", "big", "--json"]).await;
    assert_eq!(cases[0]["code"], "api_allowance");
    let (booked, share) = ("SELECT sum(calls)::bigint FROM call_ledger", 15_000 / 100);
    let of_the_night = fleet.database.count(booked).await;
    assert!(
        (share - 5..=share).contains(&of_the_night),
        "{of_the_night} calls"
    );
    // a person who wants the rest now is not held to it
    let sync = fleet.sync("big").await;
    assert_eq!(sync["state"], "succeeded", "{sync}");
    assert!(fleet.database.count(booked).await > share);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_of_an_org_are_under_way_than_it_may_have_however_many_workers_run() {
    // slow enough that calls meet, and batches small enough that many jobs are due at once
    let salesforce = SimulatorSettings {
        latency: Latency::Drawn { speed: 10.0 },
        ..SimulatorSettings::default()
    };
    let settings = [("JOBS__CALLS_PER_ORG", "3"), ("SYNC__BATCH_FILES", "40")];
    let mut fleet = Fleet::beside(salesforce, &settings).await;
    fleet.start("scheduler", &[]);
    for _ in 0..3 {
        fleet.start("worker", &[]);
    }
    for org in ["one", "two"] {
        fleet.connect(OrgSpec::generated(org, 7, 500)).await;
        fleet.json(&["sync", org, "--json"]).await;
    }
    let ended = "SELECT count(*) FROM sync WHERE ended_at IS NOT NULL";
    for _ in 0..1_200 {
        if fleet.database.count(ended).await == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        fleet.database.texts("SELECT state FROM sync").await,
        ["succeeded"; 2]
    );
    let retrieves = "SELECT count(*) FROM timeline WHERE kind = 'retrieve'";
    assert!(fleet.database.count(retrieves).await > 12);
    for org in ["one", "two"] {
        assert_eq!(fleet.simulator.most_at_once(org).unwrap(), 3, "{org}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nights_retries_are_a_share_of_its_tries() {
    let settings = [
        ("POLITENESS__CIRCUIT_FAILURES", "1000"),
        ("POLITENESS__RETRIES_MIN", "3"),
        ("JOBS__MAX_ATTEMPTS", "50"),
        ("JOBS__BACKOFF_MAX_SECONDS", "1"),
    ];
    let fleet = Fleet::running(&settings).await;
    fleet.connect(small("small", "EU1")).await;
    let mut fault = Fault::new(FaultKind::Html503);
    fault.calls = vec![Call::Retrieve];
    fleet.simulator.fault("small", fault).unwrap();
    let sync = fleet.sync("small").await;
    assert_eq!(sync["failure"]["code"], "salesforce_unavailable", "{sync}");
    let retries = "SELECT count(*) FROM timeline WHERE event = 'retry'";
    assert_eq!(fleet.database.count(retries).await, 3);
    let told = "SELECT count(*) FROM support_case WHERE evidence ? 'retry_budget'";
    assert_eq!(fleet.database.count(told).await, 1);
}
