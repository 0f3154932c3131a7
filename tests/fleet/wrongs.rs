//! Bad input and absent servers: each a clear word and a code, and the other orgs unharmed.

use std::time::Duration;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, small_org};

#[tokio::test(flavor = "multi_thread")]
async fn each_damaged_answer_is_a_named_failure_and_the_other_org_is_unharmed() {
    let fleet = Fleet::running(&[("JOBS__MAX_ATTEMPTS", "1"), ("JOBS__MAX_DEATHS", "2")]).await;
    fleet
        .connect(OrgSpec::from_folder("good", small_org().join("night-1"), None))
        .await;
    let faults = [
        (Fault::new(FaultKind::ZipWithDotdot), "archive_bad_path"),
        (Fault::new(FaultKind::ZipBomb), "archive_bomb"),
        (Fault::new(FaultKind::Base64BrokenOff), "base64_truncated"),
        (
            Fault::new(FaultKind::Html200).on(&[Call::Describe]),
            "salesforce_unavailable",
        ),
    ];
    for (n, (fault, code)) in faults.into_iter().enumerate() {
        let name = format!("bad-{n}");
        fleet
            .connect(OrgSpec::from_folder(&name, small_org().join("night-1"), None))
            .await;
        fleet.simulator.fault(&name, fault).unwrap();
        let sync = fleet.sync(&name).await;
        assert_eq!(
            (sync["state"].as_str(), sync["failure"]["code"].as_str()),
            (Some("failed"), Some(code)),
            "{sync}"
        );
        let cases = fleet.json(&["case", "list", "--org", &name, "--json"]).await;
        assert_eq!(cases[0]["code"], code);
        assert!(!cases[0]["first_step"].as_str().unwrap().is_empty());
    }
    for (name, kind, code) in [
        ("entities", FaultKind::XmlWithEntities, "xml_doctype"),
        ("levels", FaultKind::Xml10000Levels, "xml_too_deep"),
    ] {
        fleet
            .connect(OrgSpec::from_folder(name, small_org().join("night-1"), None))
            .await;
        fleet.simulator.fault(name, Fault::new(kind)).unwrap();
        let sync = fleet.sync(name).await;
        let left_out = sync["left_out"].as_array().unwrap();
        assert!(
            left_out
                .iter()
                .any(|left| left["reason"] == "unreadable"
                    && left["detail"].as_str().unwrap().starts_with(code)),
            "{sync}"
        );
    }
    assert_eq!(fleet.sync("good").await["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_once_heals_within_the_sync() {
    let fleet = Fleet::running(&[
        ("SYNC__POLL_DEADLINE_SECONDS", "2"),
        ("SYNC__POLL_UNKNOWN_SECONDS", "1"),
    ])
    .await;
    let faults = [
        FaultKind::Html503,
        FaultKind::ServerUnavailable,
        FaultKind::ExpiredSession,
        FaultKind::TruncatedZip,
        FaultKind::FlippedBit,
        FaultKind::Base64BrokenOff,
        FaultKind::ResetInMidTransfer,
        FaultKind::InvalidCrossReference,
        FaultKind::RetrieveLost,
    ];
    for (n, kind) in faults.into_iter().enumerate() {
        let name = format!("org-{n}");
        fleet
            .connect(OrgSpec::from_folder(&name, small_org().join("night-1"), None))
            .await;
        fleet.simulator.fault(&name, Fault::new(kind).times(1)).unwrap();
        let sync = fleet.sync(&name).await;
        assert_eq!(sync["state"], "succeeded", "{kind:?}: {sync}");
        assert_eq!(sync["components"], 114, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_exception_is_asked_once_more_before_anything_is_halved() {
    let fleet = Fleet::running(&[]).await;
    for name in ["quiet", "stumbles"] {
        fleet
            .connect(OrgSpec::from_folder(name, small_org().join("night-1"), None))
            .await;
    }
    let once = Fault::new(FaultKind::PoisonousComponent)
        .of_type("ApexClass")
        .named("ALLO_Allocations_TDTM")
        .times(1);
    fleet.simulator.fault("stumbles", once).unwrap();
    let (quiet, stumbles) = (fleet.sync("quiet").await, fleet.sync("stumbles").await);
    assert_eq!(stumbles["state"], "succeeded", "{stumbles}");
    let retrieves = |sync: &serde_json::Value| sync["api_calls"]["retrieve"].as_u64().unwrap();
    assert_eq!(retrieves(&stumbles), retrieves(&quiet) + 1, "{stumbles}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_is_waited_for_and_costs_no_attempt() {
    const FULL: &str = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'no space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON staged_component FOR EACH ROW EXECUTE FUNCTION full_disk()";
    const WAITED: &str = "SELECT count(*) FROM timeline WHERE event = 'waits' AND detail = 'database'";
    let fleet = Fleet::running(&[("JOBS__MAX_ATTEMPTS", "1")]).await;
    fleet
        .connect(OrgSpec::from_folder("small", small_org().join("night-1"), None))
        .await;
    fleet.database.run(FULL).await;
    let room = async {
        while fleet.database.count(WAITED).await < 8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        fleet
            .database
            .run("DROP TRIGGER full_disk ON staged_component")
            .await;
    };
    let (sync, ()) = tokio::join!(fleet.sync("small"), room);
    assert_eq!(sync["state"], "succeeded", "{sync}");
    assert_eq!(sync["components"], 114);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_orgs_answer_is_never_taken_for_this_ones() {
    let fleet = Fleet::running(&[]).await;
    fleet
        .connect(OrgSpec::from_folder("acme", small_org().join("night-1"), None))
        .await;
    fleet
        .simulator
        .fault("acme", Fault::new(FaultKind::OtherOrgId))
        .unwrap();
    fleet.simulator.expire_sessions("acme").unwrap();
    let sync = fleet.sync("acme").await;
    assert_eq!(sync["failure"]["code"], "other_org", "{sync}");
    assert_eq!(fleet.database.count("SELECT count(*) FROM version").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_exit_code_two_and_name_the_remedy() {
    let fleet = Fleet::new(&[]).await;
    let long = ["org", "show", "nobody"];
    let cases: [(&[&str], i32, &str); 6] = [
        (&["sync"], 2, "required"),
        (&["--set", "jobs.leese_seconds=3", "doctor"], 2, "lease_seconds"),
        (
            &["--set", "jobs.lease_seconds=soon", "doctor"],
            2,
            "jobs.lease_seconds",
        ),
        (
            &[
                "--set",
                "salesforce.proxy=socks5://u:hunter2@proxy.test:1",
                "worker",
            ],
            2,
            "http://user:password@proxy.example.com:3128",
        ),
        (&long, 1, "nobody"),
        (&["case", "show", "12"], 2, "case id"),
    ];
    for (arguments, code, says) in cases {
        let output = fleet.run(arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
    std::fs::write(fleet.folder.path().join("nightshift.toml"), "[jobs\nlease = 3").unwrap();
    let output = fleet.run(&["config", "show"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nightshift.toml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_its_servers_waits_and_then_gives_up() {
    let fleet = Fleet::new(&[("DATABASE__START_PATIENCE_SECONDS", "2")]).await;
    for wrong in [
        "database.url=postgres://nightshift:secret-word@127.0.0.1:9/x",
        "broker.url=amqp://guest:secret-word@127.0.0.1:9/%2f",
    ] {
        let output = fleet.run(&["--set", wrong, "worker"]).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("could not be reached within 2 s") && !stderr.contains("secret-word"),
            "{stderr}"
        );
    }
}
