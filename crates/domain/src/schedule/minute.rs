//! A minute of the local day, and how an org gets its own.

use std::{fmt, str::FromStr};

use jiff::civil::Time;

/// Minutes since local midnight, 0 to 1,439.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LocalMinute(u16);

/// No minute of a day.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time of day; write it like 23:40")]
pub struct MinuteError(pub String);

impl LocalMinute {
    /// Minutes in a day.
    pub const DAY: u16 = 24 * 60;

    /// The minute that lies `minutes` after midnight, counted around the day.
    pub const fn after_midnight(minutes: u16) -> Self {
        Self(minutes % Self::DAY)
    }

    /// Minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }

    /// As a time of day.
    pub fn time(self) -> Time {
        Time::constant((self.0 / 60) as i8, (self.0 % 60) as i8, 0, 0)
    }

    /// The minute `minutes` later, around the day.
    #[must_use]
    pub const fn plus(self, minutes: u16) -> Self {
        Self::after_midnight(self.0 + minutes % Self::DAY)
    }

    /// How many minutes later than `earlier` this is, around the day (0 to 1,439).
    pub const fn since(self, earlier: Self) -> u16 {
        (self.0 + Self::DAY - earlier.0) % Self::DAY
    }
}

impl fmt::Display for LocalMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for LocalMinute {
    type Err = MinuteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            if minute.len() != 2 || !(1..=2).contains(&hour.len()) {
                return None;
            }
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(Self(hour * 60 + minute))
        };
        read().ok_or_else(|| MinuteError(text.to_owned()))
    }
}

/// The less loaded of two drawn minutes, so that the fleet's load stays flat.
///
/// `draws` are two minutes of the window; `load` says how many orgs have their slot at the same instant of the day.
pub fn draw_slot(draws: [LocalMinute; 2], load: impl Fn(LocalMinute) -> u64) -> LocalMinute {
    let [first, second] = draws;
    if load(second) < load(first) { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_written_as_people_write_it() {
        for minutes in 0..LocalMinute::DAY {
            let minute = LocalMinute::after_midnight(minutes);
            assert_eq!(minute.to_string().parse(), Ok(minute));
        }
        for bad in ["24:00", "12:60", "1200", "12:5", "-1:00", "noon", ""] {
            assert_eq!(bad.parse::<LocalMinute>(), Err(MinuteError(bad.into())));
        }
    }

    #[test]
    fn of_two_draws_the_less_loaded_minute_wins() {
        let [a, b] = [LocalMinute::after_midnight(1), LocalMinute::after_midnight(2)];
        assert_eq!(draw_slot([a, b], |m| if m == a { 5 } else { 4 }), b);
        assert_eq!(draw_slot([a, b], |_| 0), a);
    }
}
