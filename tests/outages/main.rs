//! The broker and the database restarted in the middle of twenty syncs. A target of its own, because the servers are
//! shared: `cargo test` runs targets one after the other.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "../fleet/harness.rs"]
#[allow(dead_code, reason = "the fleet's tests use the rest")]
mod harness;

use std::path::Path;

use harness::{Fleet, contents, small_org};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::variable;

const SYNCS: usize = 20;

async fn restart(server: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/deps/restart");
    let restart = tokio::process::Command::new(script)
        .args([server, &variable("NIGHTSHIFT_TEST_DEPS")])
        .output();
    let output = restart.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Twenty syncs, the restart once the first have begun, and all of them end as if nothing had been.
async fn survives_a_restart_of(server: &str) {
    let fleet = Fleet::running(&[("JOBS__LEASE_SECONDS", "3"), ("JOBS__REANNOUNCE_SECONDS", "2")]).await;
    let night = || small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder("quiet", night(), None)).await;
    assert_eq!(fleet.sync("quiet").await["state"], "succeeded");
    let quiet = contents(&fleet.export("quiet").await);
    for n in 0..SYNCS {
        fleet
            .connect(OrgSpec::from_folder(&format!("org-{n}"), night(), None))
            .await;
    }
    for n in 0..SYNCS {
        let accepted = fleet.run(&["sync", &format!("org-{n}"), "--json"]).await;
        assert!(accepted.status.success());
        if n == SYNCS - 4 {
            let open = "SELECT count(*) FROM sync WHERE state IN ('queued', 'running')";
            assert!(fleet.database.count(open).await > 0, "the restart comes too late");
            restart(server).await;
        }
    }
    for n in 0..SYNCS {
        let org = format!("org-{n}");
        let sync = fleet.sync(&org).await;
        assert_eq!(sync["state"], "succeeded", "{sync}");
        assert_eq!(contents(&fleet.export(&org).await), quiet);
    }
    assert_eq!(fleet.database.count("SELECT count(*) FROM support_case").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_syncs_survive_a_restart_of_the_broker_and_of_the_database() {
    survives_a_restart_of("rabbitmq").await;
    survives_a_restart_of("postgres").await;
}
