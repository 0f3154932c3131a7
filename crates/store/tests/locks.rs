//! One order of locks: slots that join a sync, doors and hands against settlements of the same sync, all at once.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use jiff::{Span, Timestamp, civil::date};
use nightshift_domain::{
    Effect, Mode, OrgFacts,
    schedule::{Firing, NightRun},
};
use nightshift_store::{
    jobs::Settling,
    nights::{DueOrg, FireDecision, Fired},
};
use nightshift_testkit::{
    TestDb,
    toys::{Toys, done, fails, job},
};

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

/// Settles the org's sync again and again, as its first step does, now and then as a failure, while slots and doors come;
/// gives how often a slot joined.
async fn besieged(toys: Toys) -> usize {
    let mut joined = 0;
    for round in 0..ROUNDS {
        toys.admit().await;
        let claimed = toys.claim_next().await;
        let mut settlement = done(vec![job("next")]);
        if round % 5 == 0 {
            settlement = fails();
        } else if let Settling::Done { effects, .. } = &mut settlement.settling {
            effects.push(facts());
        }
        let settling = toys.store.jobs().settle(claimed.claim, settlement);
        let (settled, fired, _) = tokio::join!(settling, fires(&toys, round), toys.admit());
        settled.unwrap();
        joined += fired.joined.len();
    }
    joined
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
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(database.count(deadlocks).await, 0);
}
