//! The ledger of calls beside what Salesforce counted.

use std::collections::BTreeMap;

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec};

use crate::harness::{Fleet, small_org};

const QUICK: [(&str, &str); 1] = [("SCHEDULER__TICK_MILLIS", "100")];

/// What the simulator counted, in the ledger's words.
fn counted(fleet: &Fleet, org: &str) -> BTreeMap<String, i64> {
    let word = |call: Call| match call {
        Call::Token => "token",
        Call::Versions => "versions",
        Call::Userinfo => "identity",
        Call::Query => "query",
        Call::Limits => "limits",
        Call::Describe => "describe",
        Call::List => "list",
        Call::Read => "read",
        Call::Retrieve => "retrieve",
        Call::Poll => "poll",
        Call::Download => "zip",
        other => panic!("a sync makes no call {other:?}"),
    };
    let calls = fleet.simulator.calls(org).unwrap();
    calls
        .into_iter()
        .map(|(call, count)| (word(call).to_owned(), count.cast_signed()))
        .collect()
}

/// What the ledger says by kind.
async fn booked(fleet: &Fleet, arguments: &[&str]) -> BTreeMap<String, i64> {
    let lines = fleet.json(&[&["calls", "--json"], arguments].concat()).await;
    let mut booked = BTreeMap::new();
    for line in lines.as_array().unwrap() {
        let kind = line["kind"].as_str().unwrap().to_owned();
        *booked.entry(kind).or_default() += line["calls"].as_i64().unwrap();
    }
    booked
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_what_salesforce_counted_over_a_night_with_retries() {
    let fleet = Fleet::running(&QUICK).await;
    for org in ["small", "other"] {
        let night = small_org().join("night-1");
        fleet.connect(OrgSpec::from_folder(org, night, None)).await;
    }
    let connecting = counted(&fleet, "small");
    let once = |kind, calls: &[Call], times| {
        let mut fault = Fault::new(kind);
        fault.calls = calls.to_vec();
        fault.times = Some(times);
        fleet.simulator.fault("small", fault).unwrap();
    };
    once(FaultKind::Html503, &[Call::Retrieve], 2);
    once(FaultKind::Reset, &[Call::Describe], 1);
    once(FaultKind::ServerUnavailable, &[Call::Limits], 1);
    once(FaultKind::ExpiredSession, &[Call::List], 1);
    once(FaultKind::TruncatedZip, &[], 1);
    fleet.slot_comes("small").await;
    fleet.org_is("small", "synced", |org| org["revision"] == 1).await;
    let mut made = counted(&fleet, "small");
    for (kind, calls) in connecting {
        *made.get_mut(&kind).unwrap() -= calls;
    }
    made.retain(|_, calls| *calls > 0);
    let night = fleet.database.texts("SELECT night::text FROM night").await;
    assert_eq!(
        booked(&fleet, &["--org", "small", "--night", &night[0]]).await,
        made
    );
    // every fault cost a call more, and the bill of the night's one sync is the same
    assert!(
        made["retrieve"] >= 4 && made["describe"] >= 2 && made["token"] >= 1,
        "{made:?}"
    );
    let bill = fleet
        .database
        .count("SELECT sum(calls)::bigint FROM sync_bill JOIN org ON org.id = org_id WHERE name = 'small'")
        .await;
    assert_eq!(bill, made.values().sum::<i64>());
    // people may ask the view
    let view = "SELECT DISTINCT org || ' ' || step FROM api_calls WHERE kind = 'list' AND org = 'small'";
    assert_eq!(fleet.database.texts(view).await, ["small inventory"]);
}
