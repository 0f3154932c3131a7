//! How many calls an org's day and night still allow.
//!
//! The day's requests are the org's, for its users and all its programs: a part of them is never touched, and what starts
//! by itself takes no more than its share of a night. Who asks for a sync by hand has the day's, for a person wants it now
//! and knows the org; what such syncs take is not held against the night. Pure; what an org said last and what the ledger
//! adds to it is `store`'s knowledge.

use crate::{admission::Door, component::LeftOutReason, failure::FailureCode};

/// The shares, in percent of the day's requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllowanceRules {
    /// Stop when no more than this is left.
    pub left_percent: u32,
    /// Stop when the syncs that start by themselves have taken this of a night.
    pub night_percent: u32,
}

/// The day's requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayUse {
    /// Used, by all.
    pub used: i64,
    /// Allowed.
    pub allowed: i64,
}

/// Which share is used up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Shortfall {
    /// The day's: it comes back while requests of yesterday fall out of it.
    Day,
    /// The night's: it does not come back before the next night.
    Night,
}

/// Why a sync may make no more calls for this night: what it has not done are gaps, each with a code of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OutOfCalls {
    /// What is left of the org's requests is not ours.
    Share,
    /// Salesforce itself refuses: the org's requests are used up.
    Refused,
}

impl OutOfCalls {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Share, Self::Refused];

    /// Why components are gaps.
    pub fn reason(self) -> LeftOutReason {
        match self {
            Self::Share => LeftOutReason::ApiAllowance,
            Self::Refused => LeftOutReason::RequestLimit,
        }
    }

    /// Of the case that says what was not finished, and of a sync that could not even begin.
    pub fn code(self) -> FailureCode {
        match self {
            Self::Share => FailureCode::ApiAllowance,
            Self::Refused => FailureCode::RequestLimitExceeded,
        }
    }
}

/// What a sync may take of a night.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NightShare {
    /// The night's share, of which the syncs that start by themselves have taken so much.
    Taken(i64),
    /// All that the day leaves: somebody asked for it.
    Unbounded,
}

impl NightShare {
    /// For a sync that came through this door; the night's own syncs have made so many calls.
    pub fn of(door: Door, taken: i64) -> Self {
        if Door::BY_ITSELF.contains(&door) {
            Self::Taken(taken)
        } else {
            Self::Unbounded
        }
    }
}

/// Calls that may be made now, at least one.
pub fn calls_left(rules: &AllowanceRules, day: DayUse, share: NightShare) -> Result<i64, Shortfall> {
    let allowed = day.allowed.max(0);
    // rounded in the org's favour
    let kept = (allowed * i64::from(rules.left_percent) + 99) / 100;
    let night = match share {
        NightShare::Taken(taken) => allowed * i64::from(rules.night_percent) / 100 - taken,
        NightShare::Unbounded => i64::MAX,
    };
    if night <= 0 {
        return Err(Shortfall::Night);
    }
    let day = allowed - kept - looks(allowed) - day.used;
    if day <= 0 {
        return Err(Shortfall::Day);
    }
    Ok(day.min(night))
}

/// Kept for asking whether the day's requests have come back.
fn looks(allowed: i64) -> i64 {
    (allowed / 100).min(20)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: AllowanceRules = AllowanceRules {
        left_percent: 20,
        night_percent: 5,
    };

    proptest! {
        #[test]
        fn whoever_makes_all_calls_that_are_left_stays_within_both_shares(
            used in 0_i64..6_000_000, allowed in 0_i64..6_000_000, tonight in 0_i64..400_000,
            left_percent in 0_u32..=100, night_percent in 0_u32..=100,
        ) {
            let rules = AllowanceRules { left_percent, night_percent };
            let day = DayUse { used, allowed };
            for door in Door::ALL {
                let share = NightShare::of(door, tonight);
                if let Ok(calls) = calls_left(&rules, day, share) {
                    prop_assert!(calls > 0);
                    prop_assert!((allowed - used - calls) * 100 >= allowed * i64::from(left_percent));
                    let within = (tonight + calls) * 100 <= allowed * i64::from(night_percent);
                    prop_assert!(within || share == NightShare::Unbounded);
                }
            }
        }
    }

    #[test]
    fn a_night_that_has_taken_its_share_is_told_from_a_day_that_is_used_up() {
        let day = |used| DayUse {
            used,
            allowed: 15_000,
        };
        let left = |used, taken| calls_left(&RULES, day(used), NightShare::Taken(taken));
        assert_eq!(left(0, 0), Ok(750));
        assert_eq!(left(0, 749), Ok(1));
        assert_eq!(left(0, 750), Err(Shortfall::Night));
        assert_eq!(left(11_979, 0), Ok(1));
        assert_eq!(left(11_980, 0), Err(Shortfall::Day));
    }

    #[test]
    fn who_asks_by_hand_has_what_the_day_leaves_and_nothing_beyond_it() {
        let day = |used| DayUse {
            used,
            allowed: 15_000,
        };
        for door in [Door::Hand, Door::QueueMessage] {
            let left = |used| calls_left(&RULES, day(used), NightShare::of(door, 5_000));
            assert_eq!(left(0), Ok(11_980), "{door}");
            assert_eq!(left(11_980), Err(Shortfall::Day), "{door}");
        }
        for door in [Door::Slot, Door::SameNightRetry] {
            assert_eq!(NightShare::of(door, 5), NightShare::Taken(5), "{door}");
        }
    }
}
