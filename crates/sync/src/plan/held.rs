//! Is a revision's loss larger than a night should bring?
//!
//! A forbidden listing deletes nothing, but a broken permission may make a good listing short. So a revision that
//! deletes much waits for a person. Never on a first sync: it has nothing to lose.

use domain::{Deletions, HoldReason};
use nightshift_domain as domain;

use crate::settings::SyncSettings;

/// `Some` when the revision must be held.
pub fn hold(deletions: &Deletions, settings: &SyncSettings) -> Option<HoldReason> {
    let current: i64 = deletions.by_type.values().map(|count| count.current).sum();
    let deleted: i64 = deletions.by_type.values().map(|count| count.deleted).sum();
    if deleted * 100 > current * i64::from(settings.held_percent) && deleted > i64::from(settings.held_min) {
        let message = format!("{deleted} of {current} components would be deleted");
        return Some(HoldReason { message });
    }
    let emptied = deletions.by_type.iter().find(|(_, count)| {
        count.current >= i64::from(settings.held_type_min) && count.deleted * 2 >= count.current
    });
    emptied.map(|(name, count)| HoldReason {
        message: format!(
            "{} of {} components of type {name} would be deleted",
            count.deleted, count.current
        ),
    })
}

#[cfg(test)]
mod tests {
    use domain::effect::TypeCount;

    use super::*;

    fn check(types: &[(&str, i64, i64)]) -> bool {
        let by_type = types
            .iter()
            .map(|&(name, current, deleted)| (name.to_owned(), TypeCount { current, deleted }))
            .collect();
        hold(&Deletions { by_type }, &SyncSettings::default()).is_some()
    }

    #[test]
    fn a_loss_is_held_beyond_a_tenth_of_the_org_or_half_of_a_type() {
        assert!(!check(&[]), "a first sync has nothing to lose");
        assert!(!check(&[("ApexClass", 1_000, 100)]));
        assert!(check(&[("ApexClass", 1_000, 101)]));
        assert!(!check(&[("ApexClass", 100, 20)]), "few are never many");
        assert!(check(&[("Layout", 10, 5), ("ApexClass", 1_000, 0)]));
        assert!(
            !check(&[("Layout", 9, 9), ("ApexClass", 1_000, 0)]),
            "a small type may vanish"
        );
        assert!(check(&[("Layout", 10, 10), ("ApexClass", 1_000, 0)]));
    }
}
