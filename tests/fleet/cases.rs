//! Every step can fail, by an answer and by the death of its process: each failure has its case and its event.

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};
use nightshift_sync::registry;

use crate::harness::{Fleet, small_org};

/// A failure, its case and its event are rows of one transaction: what the code that failed forgets is not forgotten.
const WITHOUT_CASE: &str = "SELECT count(*) FROM history f WHERE event = 'sync_failed' AND NOT EXISTS
    (SELECT FROM history c WHERE c.tx = f.tx AND c.org = f.org AND c.word = f.word AND c.event IN ('case_opened', 'case_again'))";

/// The org's only sync fails with this code, its case is open, its event was written.
async fn fails_with(fleet: &Fleet, org: &str, code: &str) {
    let sync = fleet.sync(org).await;
    let found = (sync["state"].as_str(), sync["failure"]["code"].as_str());
    assert_eq!(found, (Some("failed"), Some(code)), "{org}: {sync}");
    let cases = fleet.json(&["case", "list", "--org", org, "--json"]).await;
    let found = (cases[0]["code"].as_str(), cases[0]["state"].as_str());
    assert_eq!(found, (Some(code), Some("open")), "{org}: {cases}");
    assert_eq!(cases.as_array().unwrap().len(), 1, "{cases}");
}

async fn connect(fleet: &Fleet, org: &str) {
    let night = small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder(org, night, None)).await;
}

/// Events as they are written, sent or not.
const KEEP_EVENTS: &str = "CREATE TABLE kept (org_id uuid, topic text);
    CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO kept VALUES (NEW.org_id, NEW.topic); RETURN NULL; END $$;
    CREATE TRIGGER keep AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep();";

#[tokio::test(flavor = "multi_thread")]
async fn b125_a_failure_of_any_step_by_an_answer_or_a_crash_has_its_case_and_its_event() {
    let settings = [
        ("JOBS__MAX_ATTEMPTS", "1"),
        ("JOBS__MAX_DEATHS", "1"),
        ("JOBS__LEASE_SECONDS", "1"),
        ("SYNC__BATCH_FILES", "30"),
        ("POLITENESS__CIRCUIT_FAILURES", "1000"),
    ];
    let mut fleet = Fleet::new(&settings).await;
    fleet.database.run(KEEP_EVENTS).await;
    fleet.start("scheduler", &[]);
    let worker = fleet.start("worker", &[]);
    // by an answer: start, inventory, retrieve, poll, ingest
    connect(&fleet, "start").await;
    fleet.simulator.revoke("start").unwrap();
    fails_with(&fleet, "start", "token_revoked").await;
    let answers = [
        (
            "inventory",
            FaultKind::Html503,
            Call::Describe,
            "salesforce_unavailable",
        ),
        (
            "retrieve",
            FaultKind::Html503,
            Call::Retrieve,
            "salesforce_unavailable",
        ),
        ("ingest", FaultKind::TruncatedZip, Call::Poll, "archive_truncated"),
    ];
    for (org, kind, call, code) in answers {
        connect(&fleet, org).await;
        let fault = match kind {
            FaultKind::TruncatedZip => Fault::new(kind),
            _ => Fault::new(kind).on(&[call]),
        };
        fleet.simulator.fault(org, fault).unwrap();
        fails_with(&fleet, org, code).await;
    }
    fleet.process(worker).kill().await.unwrap();
    // by a crash of the process, in every step there is
    let mut crashes = 0;
    for (kind, _) in registry().kinds() {
        let org = format!("crash-{}", kind.as_str());
        connect(&fleet, &org).await;
        assert!(fleet.run(&["sync", &org, "--json"]).await.status.success());
        let armed = format!("claimed-{}=1*return", kind.as_str());
        let dying = fleet.start("worker", &[("FAILPOINTS", &armed)]);
        let status = fleet.process(dying).wait().await.unwrap();
        assert!(!status.success(), "{org}");
        let heir = fleet.start("worker", &[]);
        fails_with_poison(&fleet, &org).await;
        fleet.process(heir).kill().await.unwrap();
        crashes += 1;
    }
    let failed = "SELECT count(*) FROM history WHERE event = 'sync_failed'";
    assert_eq!(fleet.database.count(failed).await, 4 + crashes);
    assert_eq!(fleet.database.count(WITHOUT_CASE).await, 0);
    let told = "SELECT count(*) FROM kept WHERE topic = 'sync.failed'";
    assert_eq!(fleet.database.count(told).await, 4 + crashes);
    fleet.database.history_holds().await;
}

/// The sync that is under way, not another one that somebody starts meanwhile.
async fn fails_with_poison(fleet: &Fleet, org: &str) {
    let shown = fleet
        .org_is(org, "failed", |shown| shown["open_cases"] == 1)
        .await;
    let cases = fleet.json(&["case", "list", "--org", org, "--json"]).await;
    assert_eq!(cases[0]["code"], "poison", "{shown} {cases}");
}
