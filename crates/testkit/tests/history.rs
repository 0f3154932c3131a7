//! The checker is checked: each rule by a history that breaks it, all of them by histories that break none.

mod lawful;

use nightshift_testkit::history::{Event, Happened as H, Rule, Violation, check};
use proptest::prelude::*;
use uuid::Uuid;

const JOB: u128 = 7;
const SYNC: u128 = 5;

/// One line: second, transaction, what; of the job and the sync that the constants name.
fn line(second: i64, tx: i64, happened: H) -> Event {
    let id = |n| Some(Uuid::from_u128(n));
    let of_job = !matches!(
        happened,
        H::SyncOpen
            | H::SyncSucceeded { .. }
            | H::SyncFailed { .. }
            | H::SyncAside
            | H::Revision(_)
            | H::CaseOpened(_)
            | H::CaseAgain(_)
            | H::CaseResolved(_)
            | H::Night(_)
    );
    Event {
        at: second * 1_000_000,
        tx,
        org: Uuid::from_u128(1),
        sync: id(SYNC),
        job: if of_job { id(JOB) } else { None },
        happened,
    }
}

fn claimed(fence: i64, until: i64, deaths: i64) -> H {
    H::Claimed {
        fence,
        lease: until * 1_000_000,
        deaths,
    }
}

fn staged(fence: i64) -> H {
    H::Staged {
        fence,
        rows: 40,
        table: "staged_file".into(),
    }
}

fn effects(fence: i64) -> H {
    H::Effects {
        fence,
        outcome: "done".into(),
    }
}

fn of_sync(sync: u128, mut event: Event) -> Event {
    event.sync = Some(Uuid::from_u128(sync));
    event
}

/// For each rule a history that breaks it, with a beginning that has nothing to do with it.
fn breaches() -> Vec<(Rule, Vec<Event>)> {
    let added = || line(0, 1, H::Added { deaths: 0 });
    let code = || "internal".to_owned();
    vec![
        (
            Rule::OneLease,
            vec![
                added(),
                line(1, 2, claimed(1, 31, 0)),
                line(2, 3, H::Freed),
                line(3, 4, claimed(2, 33, 0)),
                line(
                    20,
                    5,
                    H::Kept {
                        fence: 2,
                        lease: 50_000_000,
                    },
                ),
                line(40, 6, claimed(3, 70, 1)),
            ],
        ),
        (
            Rule::FenceByOne,
            vec![
                added(),
                line(1, 2, claimed(1, 31, 0)),
                line(40, 3, claimed(3, 70, 1)),
            ],
        ),
        (
            Rule::NewestFence,
            vec![
                added(),
                line(1, 2, claimed(1, 31, 0)),
                line(2, 3, staged(1)),
                line(40, 4, claimed(2, 70, 1)),
                line(41, 5, staged(1)),
            ],
        ),
        (
            Rule::SettledStays,
            vec![
                added(),
                line(1, 2, claimed(1, 31, 0)),
                line(2, 3, H::Settled),
                line(2, 3, effects(1)),
                line(3, 4, claimed(2, 33, 0)),
            ],
        ),
        (
            Rule::SweepLeaves,
            vec![
                added(),
                line(0, 2, H::Announced),
                line(1, 3, claimed(1, 31, 0)),
                line(
                    30,
                    4,
                    H::Kept {
                        fence: 1,
                        lease: 60_000_000,
                    },
                ),
                line(32, 5, H::Announced),
            ],
        ),
        (
            Rule::DeathsAreLeases,
            vec![
                added(),
                line(1, 2, claimed(1, 31, 0)),
                line(2, 3, H::Freed),
                line(3, 4, claimed(2, 33, 1)),
            ],
        ),
        (
            Rule::OneSync,
            vec![
                line(0, 1, H::SyncOpen),
                line(1, 2, H::SyncOpen),
                of_sync(6, line(2, 3, H::SyncOpen)),
            ],
        ),
        (
            Rule::WholeRevision,
            vec![
                line(0, 1, H::SyncSucceeded { revision: 1 }),
                line(1, 2, H::Revision(1)),
            ],
        ),
        (
            Rule::RevisionByOne,
            vec![
                line(0, 1, H::SyncSucceeded { revision: 1 }),
                line(0, 1, H::Revision(1)),
                line(9, 2, H::SyncSucceeded { revision: 3 }),
                line(9, 2, H::Revision(3)),
            ],
        ),
        (
            Rule::OneCase,
            vec![
                line(0, 1, H::SyncFailed { code: code() }),
                line(0, 1, H::CaseOpened(code())),
                of_sync(6, line(5, 2, H::SyncSucceeded { revision: 1 })),
                of_sync(6, line(5, 2, H::Revision(1))),
            ],
        ),
        (
            Rule::OneNight,
            vec![
                line(0, 1, H::Night("2026-03-29".into())),
                line(9, 2, H::Night("2026-03-30".into())),
                line(10, 3, H::Night("2026-03-29".into())),
            ],
        ),
    ]
}

#[test]
fn each_rule_that_is_broken_is_told_in_its_shortest_story() {
    let breaches = breaches();
    assert_eq!(
        breaches.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(),
        Rule::ALL,
        "one history for each rule"
    );
    let mut stories = String::new();
    for (rule, history) in breaches {
        let found = check(&history);
        let of_rule: Vec<&Violation> = found.iter().filter(|violation| violation.rule == rule).collect();
        assert_eq!(of_rule.len(), 1, "{rule}: {found:#?}");
        stories.push_str(&of_rule[0].to_string());
    }
    insta::assert_snapshot!(stories);
}

#[test]
fn a_failed_sync_without_its_case_and_a_second_open_case_are_seen() {
    let code = || "internal".to_owned();
    let lonely = [
        line(0, 1, H::SyncFailed { code: code() }),
        line(1, 2, H::SyncOpen),
    ];
    let double = [
        line(0, 1, H::CaseOpened(code())),
        line(1, 2, H::CaseOpened(code())),
    ];
    for history in [&lonely[..], &double] {
        let found = check(history);
        assert!(found.len() == 1 && found[0].rule == Rule::OneCase, "{found:?}");
    }
}

#[test]
fn a_stale_settlement_is_seen() {
    let history = [
        line(1, 2, claimed(1, 31, 0)),
        line(40, 3, claimed(2, 70, 1)),
        line(41, 4, H::Settled),
        line(41, 4, effects(1)),
    ];
    let found = check(&history);
    assert!(
        found.len() == 1 && found[0].rule == Rule::NewestFence,
        "{found:?}"
    );
    assert_eq!(found[0].story, [history[1].clone(), history[3].clone()]);
}

proptest! {
    #[test]
    fn histories_made_by_the_rules_are_never_accused(acts in lawful::acts()) {
        let history = lawful::history(&acts);
        prop_assert_eq!(check(&history), vec![]);
    }

    #[test]
    fn a_claim_with_another_fence_is_always_accused(acts in lawful::acts(), which in any::<prop::sample::Index>(), by in 1_i64..5) {
        let mut history = lawful::history(&acts);
        let claims: Vec<usize> = (0..history.len())
            .filter(|n| matches!(history[*n].happened, H::Claimed { .. }))
            .collect();
        prop_assume!(!claims.is_empty());
        if let H::Claimed { fence, .. } = &mut history[claims[which.index(claims.len())]].happened {
            *fence += by;
        }
        prop_assert!(check(&history).iter().any(|found| found.rule == Rule::FenceByOne));
    }
}
