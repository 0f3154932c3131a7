//! The org's requests: how many calls a step may make, and what happens when none is left.

use std::time::Duration;

use domain::{
    WaitReason,
    allowance::{DayUse, NightShare, OutOfCalls, Shortfall, calls_left},
};
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_salesforce::{ApiVersion, CallCounter};
use nightshift_store::instances::{DayReport, Standing};

use super::{Polite, PolitenessSettings, unheard};
use crate::{context::Counted, trouble::Trouble};

/// Bounds of the time between two looks whether the day's requests have come back.
const LOOK_AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(1_800)];
/// Calls of one look: the question, and a refresh of the token when it is needed.
const LOOK_CALLS: i64 = 4;

impl Polite<'_> {
    /// How many calls the step may make. What the org said of its day is asked for anew when it is old: its users and other
    /// programs call too, and SOAP's answers do not tell.
    pub(super) async fn room(&mut self, standing: &Standing) -> Result<i64, Trouble> {
        let left = self.left(standing);
        let look = match left {
            Ok(_) => age_of_day(standing).is_some_and(|age| age >= LOOK_AGAIN[1]),
            Err(Shortfall::Day) => self.may_have_come_back(standing),
            Err(Shortfall::Night) => false,
        };
        if !look {
            return left.map_err(|short| self.short_of_calls(standing, short));
        }
        self.look(standing).await;
        let standing = self.store().instances().standing(self.org, self.sync).await?;
        self.left(&standing)
            .map_err(|short| self.short_of_calls(&standing, short))
    }

    /// What the shares leave, one call kept for each other job that runs at this moment.
    pub(super) fn left(&self, standing: &Standing) -> Result<i64, Shortfall> {
        let Some(seen) = standing.day else {
            return Ok(i64::MAX);
        };
        let day = DayUse {
            used: seen.day.used + standing.others,
            ..seen.day
        };
        let share = NightShare::of(standing.door, standing.by_themselves + standing.others);
        calls_left(&self.context.politeness.allowance(), day, share)
    }

    /// Whether the org's last word about its day is so old that asking again is worth a call.
    pub(super) fn may_have_come_back(&self, standing: &Standing) -> bool {
        let again = look_again(standing.now, self.give_up_at).unwrap_or(LOOK_AGAIN[0]);
        age_of_day(standing).is_none_or(|age| age >= again / 2)
    }

    /// Asks the org what is left of its day. What comes of it is in the store; an error leaves the old word standing.
    pub(super) async fn look(&self, standing: &Standing) {
        let version = standing
            .api_version
            .as_deref()
            .and_then(|text| text.parse().ok())
            .unwrap_or(ApiVersion::NEWEST_TESTED);
        let calls = CallCounter::limited(LOOK_CALLS);
        let counted = Counted::new(self.bill.clone(), calls.clone());
        let answer = self.context.client(self.org, &calls, version).limits().await;
        drop(counted);
        if let Err(error) = answer {
            tracing::info!(org.id = %self.org, "the day's requests could not be asked for: {error}");
        }
        self.report_day(standing, &calls).await;
    }

    pub(super) async fn report_day(&self, standing: &Standing, calls: &CallCounter) {
        let Some(usage) = calls.usage() else { return };
        let report = DayReport {
            day: DayUse {
                used: usage.used,
                allowed: usage.allowed,
            },
            night: standing.night,
            booked: standing.tonight + calls.total(),
        };
        unheard(self.store().instances().saw_day(self.org, report).await);
    }

    /// The org's requests are used up as far as they are ours: wait for the day's, end for the night's.
    pub(super) fn short_of_calls(&mut self, standing: &Standing, short: Shortfall) -> Trouble {
        let words = told(standing, short, &self.context.politeness);
        match short {
            Shortfall::Day => self.until_they_are_back(OutOfCalls::Share, standing.now, words),
            Shortfall::Night => Trouble::Spent {
                why: OutOfCalls::Share,
                words,
            },
        }
    }

    /// Salesforce has refused a call because the org's requests are used up, whatever was thought to be left of them.
    /// A refused call costs nothing: making it again is how to ask whether they are back.
    pub(super) fn refused(&mut self, standing: &Standing, trouble: &Trouble) -> Trouble {
        self.until_they_are_back(OutOfCalls::Refused, standing.now, trouble.to_string())
    }

    /// Waits within the sync's patience, and ends behind it.
    fn until_they_are_back(&mut self, why: OutOfCalls, now: Timestamp, words: String) -> Trouble {
        let Some(after) = look_again(now, self.give_up_at) else {
            return Trouble::Spent { why, words };
        };
        let until = now.checked_add(after).unwrap_or(now);
        let reason = match why {
            OutOfCalls::Share => WaitReason::DailyAllowance,
            OutOfCalls::Refused => WaitReason::RequestLimit,
        };
        self.wait(now, until, reason, words, after / 4)
    }
}

/// When to look again whether the day's requests have come back; `None`: not within the sync's patience.
fn look_again(now: Timestamp, give_up_at: Option<Timestamp>) -> Option<Duration> {
    let [shortest, longest] = LOOK_AGAIN;
    let Some(end) = give_up_at else {
        return Some(longest);
    };
    let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    let after = (left / 4).clamp(shortest, longest);
    (after < left).then_some(after)
}

fn age_of_day(standing: &Standing) -> Option<Duration> {
    let seen = standing.day?.seen_at;
    Some(standing.now.duration_since(seen).unsigned_abs())
}

fn told(standing: &Standing, short: Shortfall, settings: &PolitenessSettings) -> String {
    let day = standing
        .day
        .map_or(DayUse { used: 0, allowed: 0 }, |seen| seen.day);
    match short {
        Shortfall::Day => format!(
            "about {} of the org's {} daily API requests are used, and the last {} % are left alone \
             (politeness.day_left_percent)",
            day.used, day.allowed, settings.day_left_percent
        ),
        Shortfall::Night => format!(
            "the night's {} calls are the {} % of the org's {} daily API requests that a night may take \
             (politeness.night_percent)",
            standing.by_themselves, settings.night_percent, day.allowed
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn looks_come_closer_as_the_patience_ends_and_never_after_it() {
        let (mut now, end, mut looks) = (0, at(9 * 3_600), 0);
        while let Some(after) = look_again(at(now), Some(end)) {
            assert!(after >= LOOK_AGAIN[0] && after <= LOOK_AGAIN[1]);
            now += after.as_secs().cast_signed();
            looks += 1;
            assert!(at(now) < end);
        }
        assert!(looks < 30, "{looks}");
        assert!(look_again(at(0), Some(at(50))).is_none());
    }
}
