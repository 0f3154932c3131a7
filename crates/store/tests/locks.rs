//! One order of locks: slots that join a sync, doors and hands against settlements of the same sync, all at once.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use jiff::{Span, Timestamp, civil::date};
use nightshift_domain::{
    Effect, Mode, OrgFacts,
    schedule::{Firing, NightRun},
};
use nightshift_store::{
    jobs::{Settled, Settling},
    nights::{DueOrg, FireDecision, Fired},
};
use nightshift_testkit::{
    TestDb,
    toys::{Toys, done, fails, job},
};
use sqlx::Executor;

const ORGS: u32 = 4;
const ROUNDS: i64 = 120;

/// The round's own night, whose slot has come.
fn night(round: i64, now: Timestamp) -> NightRun {
    NightRun {
        night: date(2030, 1, 1).checked_add(Span::new().days(round)).unwrap(),
        opens: now,
        slot: now,
        closes: now.checked_add(Span::new().hours(5)).unwrap(),
    }
}

async fn fires(toys: &Toys, round: i64) -> Fired {
    let decide = |_: &DueOrg, now: Timestamp| {
        let run = night(round, now);
        Ok(FireDecision {
            firing: Firing::Fire {
                run,
                missed: vec![],
                next: night(round, now),
            },
            mode: Mode::Incremental,
            closes_at: run.closes,
        })
    };
    let fired = toys
        .store
        .nights()
        .fire(None, i64::from(ORGS), &job("start"), decide)
        .await;
    fired.unwrap()
}

fn facts() -> Effect {
    Effect::OrgFacts(OrgFacts {
        organization_id: "00D000000000062EAA".parse().unwrap(),
        instance_name: None,
        edition: None,
        is_sandbox: false,
        api_version: "67.0".into(),
    })
}

/// Settles the org's sync again and again, as its first step does, now and then as a failure or as a step that only hands
/// over, while slots and doors come; gives how often a slot joined.
async fn besieged(toys: Toys) -> usize {
    let mut joined = 0;
    for round in 0..ROUNDS {
        toys.admit().await;
        let claimed = toys.claim_next().await;
        let mut settlement = done(vec![job("next")]);
        match &mut settlement.settling {
            _ if round % 5 == 0 => settlement = fails(),
            Settling::Done { effects, .. } if round % 5 > 1 => effects.push(facts()),
            _ => {}
        }
        let settling = toys.store.jobs().settle(claimed.claim, settlement);
        let (settled, fired, _) = tokio::join!(settling, fires(&toys, round), toys.admit());
        settled.unwrap();
        joined += fired.joined.len();
    }
    joined
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_the_row_of_a_sync_that_has_ended_meanwhile_brings_nothing() {
    let toys = Toys::new().await;
    toys.admit().await;
    let claimed = toys.claim_next().await;
    let mut ends = toys.database.connect().await;
    let end =
        "BEGIN; UPDATE sync SET state = 'failed', ended_at = nightshift_now(), failure_code = 'internal'";
    ends.execute(end).await.unwrap();
    let commits = async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while toys.database.count(waits).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ends.execute("COMMIT").await.unwrap();
    };
    let settling = toys.store.jobs().settle(claimed.claim, done(vec![job("next")]));
    let (settled, ()) = tokio::join!(settling, commits);
    assert_eq!(settled.unwrap(), Settled::SyncEnded);
    assert!(toys.jobs().await.is_empty());
    assert_eq!(toys.database.count("SELECT count(*) FROM timeline").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_and_settlements_of_the_same_syncs_never_wait_for_each_other_in_a_circle() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let mut all = Vec::new();
    for n in 0..ORGS {
        all.push(Toys::beside(database.clone(), store.clone(), n).await);
    }
    // every slot is always due
    database
        .run("CREATE FUNCTION always_due() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.next_run := '2020-01-01'; RETURN NEW; END $$;
              CREATE TRIGGER always_due BEFORE UPDATE ON org FOR EACH ROW EXECUTE FUNCTION always_due();
              UPDATE org SET next_run = next_run")
        .await;
    let sieges: Vec<_> = all.into_iter().map(|toys| tokio::spawn(besieged(toys))).collect();
    let mut joined = 0;
    for siege in sieges {
        joined += siege.await.unwrap();
    }
    assert!(joined > 20, "slots met open syncs {joined} times only");
    // sessions tell what they counted when they end
    store.close().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.count(deadlocks).await, 0);
}
