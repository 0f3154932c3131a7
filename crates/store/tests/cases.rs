//! Cases: one open one for each org and code, whoever fails at the same moment, and a success that resolves its org's.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{collections::BTreeMap, sync::Arc};

use nightshift_domain::{Effect, FailureCode, Switch};
use nightshift_store::jobs::{Claimed, Failure, Settlement, Settling};
use nightshift_testkit::toys::{Toys, done, job, settlement};
use tokio::sync::Barrier;

fn fails_with(code: FailureCode) -> Settlement {
    let failure = Failure {
        code,
        message: "a toy broke".into(),
        evidence: BTreeMap::new(),
    };
    settlement(Settling::Fail { failure })
}

/// The sync ends well.
fn succeeds() -> Settlement {
    let mut settlement = done(vec![]);
    if let Settling::Done { effects, .. } = &mut settlement.settling {
        effects.push(Effect::Switch(Switch::default()));
    }
    settlement
}

/// A sync with two jobs that are claimed at the same time.
async fn two_claims(toys: &Toys) -> Vec<Claimed> {
    toys.admit().await;
    let start = toys.claim_next().await;
    let both = done(vec![job("one"), job("two")]);
    toys.store.jobs().settle(start.claim, both).await.unwrap();
    vec![toys.claim_next().await, toys.claim_next().await]
}

/// Both settle at the same instant; whoever comes second finds that the sync has ended.
async fn both_settle(toys: &Toys, settlements: [Settlement; 2]) {
    let gate = Arc::new(Barrier::new(2));
    let settling = two_claims(toys).await.into_iter().zip(settlements);
    let settling = settling.map(|(claimed, settlement)| {
        let (toys, gate) = (toys.clone(), Arc::clone(&gate));
        tokio::spawn(async move {
            gate.wait().await;
            toys.store.jobs().settle(claimed.claim, settlement).await
        })
    });
    for settled in settling.collect::<Vec<_>>() {
        settled.await.unwrap().unwrap();
    }
}

const OPEN: &str =
    "SELECT concat_ws(' ', code, occurrences) FROM support_case WHERE state = 'open' ORDER BY code";

#[tokio::test(flavor = "multi_thread")]
async fn every_failed_sync_has_exactly_one_open_case_of_its_code_and_a_success_resolves_it() {
    let toys = Toys::new().await;
    // the same failure from two workers at once: one sync has failed, not two
    for round in 1..=10 {
        let both = [FailureCode::Internal; 2].map(fails_with);
        both_settle(&toys, both).await;
        let open = toys.database.texts(OPEN).await;
        assert_eq!(open, [format!("internal {round}")], "one occurrence a sync");
    }
    // another code is another case, of which the first to settle decides
    both_settle(
        &toys,
        [FailureCode::TokenRevoked, FailureCode::Internal].map(fails_with),
    )
    .await;
    let codes = "SELECT failure_code FROM sync ORDER BY admitted_at DESC LIMIT 1";
    let last = toys.database.texts(codes).await;
    let open = toys.database.texts(OPEN).await;
    assert!(
        open.iter().any(|case| case.starts_with(&last[0])),
        "{last:?} {open:?}"
    );

    // a success races with a failure: whichever comes first, the cases say what the sync says
    let (mut well, mut failed) = (0, 0);
    for _ in 0..20 {
        both_settle(&toys, [succeeds(), fails_with(FailureCode::TokenRevoked)]).await;
        let state = "SELECT state FROM sync ORDER BY admitted_at DESC LIMIT 1";
        let open = toys.database.texts(OPEN).await;
        match toys.database.texts(state).await[0].as_str() {
            "succeeded" => {
                well += 1;
                assert!(open.is_empty(), "{open:?}");
            }
            "failed" => {
                failed += 1;
                let of_code = open.iter().filter(|case| case.starts_with("token_revoked"));
                assert_eq!(of_code.count(), 1, "{open:?}");
            }
            state => panic!("{state}"),
        }
    }
    assert!(well + failed == 20 && well > 0, "{well} {failed}");
    let open_and_failed = "SELECT count(*) FROM sync s WHERE state = 'failed' AND NOT EXISTS
        (SELECT FROM support_case c WHERE c.org_id = s.org_id AND c.code = s.failure_code)";
    assert_eq!(toys.database.count(open_and_failed).await, 0);
    toys.database.history_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b133_a_success_of_one_org_resolves_no_other_orgs_case() {
    let one = Toys::new().await;
    let other = Toys::beside(one.database.clone(), one.store.clone(), 1).await;
    for toys in [&one, &other] {
        toys.admit().await;
        let claimed = toys.claim_next().await;
        let failing = fails_with(FailureCode::TokenRevoked);
        toys.store.jobs().settle(claimed.claim, failing).await.unwrap();
    }
    one.admit().await;
    let claimed = one.claim_next().await;
    one.store.jobs().settle(claimed.claim, succeeds()).await.unwrap();
    let cases = "SELECT concat_ws(' ', name, code, state) FROM support_case JOIN org ON org.id = org_id ORDER BY name";
    assert_eq!(
        one.database.texts(cases).await,
        ["org-0 token_revoked resolved", "org-1 token_revoked open"]
    );
    one.database.history_holds().await;
}
