//! A night whose sync timed out is tried again by itself, while its window lasts and not after.

use std::time::Duration;

use nightshift_simulator::{Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, small_org};

const QUICK: [(&str, &str); 1] = [("SCHEDULER__TICK_MILLIS", "100")];
/// Longer than a retrieve may be in progress.
const RETRIEVE_IS_LATE: Duration = Duration::from_secs(3_601);
/// Longer than a failed night waits before it is tried again.
const RETRY_IS_DUE: Duration = Duration::from_secs(601);

/// A fleet (scheduler 0, worker 1) in which the night of org `small` has just timed out.
async fn timed_out() -> Fleet {
    let fleet = Fleet::running(&QUICK).await;
    let night = small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder("small", night, None)).await;
    let stuck = Fault::new(FaultKind::StaysInProgress);
    fleet.simulator.fault("small", stuck).unwrap();
    fleet.slot_comes("small").await;
    let (waiting, not_seen) = (
        "SELECT count(*) FROM job",
        "SELECT count(*) FROM job WHERE payload ->> 'in_progress_since' IS NULL",
    );
    for _ in 0..150 {
        if fleet.database.count(waiting).await > 0 && fleet.database.count(not_seen).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    fleet.database.advance(RETRIEVE_IS_LATE).await;
    fleet
        .org_is("small", "failed", |org| org["open_cases"] == 1)
        .await;
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(cases[0]["code"], "polling_timed_out", "{cases}");
    fleet
}

async fn syncs(fleet: &Fleet, door: &str) -> (i64, i64) {
    let (all, well) = match door {
        "slot" => (
            "SELECT count(*) FROM sync WHERE door = 'slot'",
            "SELECT count(*) FROM sync WHERE door = 'slot' AND state = 'succeeded'",
        ),
        _ => (
            "SELECT count(*) FROM sync WHERE door = 'same_night_retry'",
            "SELECT count(*) FROM sync WHERE door = 'same_night_retry' AND state = 'succeeded'",
        ),
    };
    (fleet.database.count(all).await, fleet.database.count(well).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_timed_out_is_tried_again_by_itself_and_its_case_is_resolved() {
    let fleet = timed_out().await;
    assert_eq!(syncs(&fleet, "slot").await, (1, 0));
    fleet.simulator.clear_faults("small", None).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(syncs(&fleet, "retry").await, (0, 0), "its time has not come");
    fleet.database.advance(RETRY_IS_DUE).await;
    let healed = fleet.org_is("small", "synced", |org| org["revision"] == 1).await;
    assert_eq!(healed["open_cases"], 0, "{healed}");
    assert_eq!(
        (syncs(&fleet, "slot").await, syncs(&fleet, "retry").await),
        ((1, 0), (1, 1))
    );
    let cases = fleet.json(&["case", "list", "--org", "small", "--json"]).await;
    assert_eq!(cases[0]["state"], "resolved", "{cases}");
    // the night is one, however often it was tried, and nothing more is planned for it
    let nights = "SELECT count(*) FROM night WHERE state = 'run' AND retries = 1 AND retry_at IS NULL";
    assert_eq!(fleet.database.count(nights).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_timed_out_is_not_tried_again_once_its_window_has_closed() {
    let mut fleet = timed_out().await;
    // no scheduler looks while the retry is due and the window open
    fleet.process(0).kill().await.unwrap();
    fleet.simulator.clear_faults("small", None).unwrap();
    fleet.database.advance(Duration::from_hours(9)).await;
    fleet.start("scheduler", &[]);
    let planned = "SELECT count(*) FROM night WHERE retry_at IS NOT NULL";
    for _ in 0..100 {
        if fleet.database.count(planned).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(
        fleet.database.count(planned).await,
        0,
        "a retry is planned for ever"
    );
    assert_eq!(syncs(&fleet, "retry").await, (0, 0), "it is day for this org");
    let org = fleet.json(&["org", "show", "small", "--json"]).await;
    assert_eq!(org["open_cases"], 1, "{org}");
}
