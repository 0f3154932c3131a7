//! From a schedule and a night to instants.
//!
//! A skipped local time moves on by what was skipped (02:30 becomes 03:30); of a time that comes twice the first is
//! meant. The window of a night is the hull of the instants of its minutes, so that a slot lies inside its window
//! also in a night whose clocks change: a minute that moved on takes the window's end with it.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

use super::{days::Days, minute::LocalMinute, window::Window, zone::Zone};

/// When an org is synced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    zone: Zone,
    window: Window,
    slot: LocalMinute,
    days: Days,
}

/// Why a schedule cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The fixed time is not in the window.
    #[error("the slot {slot} lies outside the window {window}; choose a time inside it, or another window")]
    SlotOutside {
        /// As given.
        slot: LocalMinute,
        /// As given.
        window: Window,
    },
    /// Only at the ends of the calendar.
    #[error("no such date in the calendar")]
    Calendar(#[from] jiff::Error),
}

/// One night of one org, in instants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NightRun {
    /// The local date on which the window opens.
    pub night: Date,
    /// No minute of the window comes before.
    pub opens: Timestamp,
    /// The org's own minute.
    pub slot: Timestamp,
    /// Every minute of the window is over.
    pub closes: Timestamp,
}

/// The local night around an instant, from noon to noon: where what has no slot belongs. A zone that the bundled data
/// does not have is taken for UTC.
pub fn night_around(instant: Timestamp, zone: &str) -> Date {
    let zone = zone
        .parse::<Zone>()
        .map_or(TimeZone::UTC, |zone| zone.time_zone().clone());
    let local = zone.to_datetime(instant);
    if local.hour() < 12 {
        local.date().yesterday().unwrap_or(local.date())
    } else {
        local.date()
    }
}

impl Schedule {
    /// The slot must lie inside the window.
    pub fn new(zone: Zone, window: Window, slot: LocalMinute, days: Days) -> Result<Self, ScheduleError> {
        if window.contains(slot) {
            Ok(Self {
                zone,
                window,
                slot,
                days,
            })
        } else {
            Err(ScheduleError::SlotOutside { slot, window })
        }
    }

    /// Its zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Its window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Its local minute.
    pub fn slot(&self) -> LocalMinute {
        self.slot
    }

    /// Its days.
    pub fn days(&self) -> Days {
        self.days
    }

    /// The instants of one night.
    pub fn night(&self, night: Date) -> Result<NightRun, ScheduleError> {
        let slot = self.instant(night, self.slot)?;
        let opens = self.instant(night, self.window.opens())?;
        let last = self.instant(night, self.window.minute(self.window.length() - 1))?;
        let (opens, last) = self.hull(night, opens, last)?;
        Ok(NightRun {
            night,
            opens,
            slot,
            closes: last.checked_add(Span::new().minutes(1))?,
        })
    }

    /// The first night after `last_done` (or any) whose slot lies strictly after `floor`.
    ///
    /// `last_done` is the last night that was fired or recorded as missed; `floor` is the instant of the connection
    /// or of the last resume: what lies before it is never caught up. An edit is computed with both unchanged, and
    /// never from the present, so that no save loses or doubles tonight's run.
    pub fn next_run(&self, last_done: Option<Date>, floor: Timestamp) -> Result<NightRun, ScheduleError> {
        let about = self
            .zone
            .time_zone()
            .to_datetime(floor)
            .date()
            .checked_sub(Span::new().days(2))?;
        let mut night = match last_done {
            Some(done) => about.max(done.tomorrow()?),
            None => about,
        };
        loop {
            if self.days.contains(night.weekday()) && self.instant(night, self.slot)? > floor {
                return self.night(night);
            }
            night = night.tomorrow()?;
        }
    }

    /// When `minute` of a night comes.
    fn instant(&self, night: Date, minute: LocalMinute) -> Result<Timestamp, jiff::Error> {
        let date = if minute < self.window.opens() {
            night.tomorrow()?
        } else {
            night
        };
        self.zone
            .time_zone()
            .to_ambiguous_timestamp(date.to_datetime(minute.time()))
            .compatible()
    }

    /// The least and the greatest instant of the window's minutes.
    ///
    /// The instants of successive minutes rise by a minute, but for the breaks that a clock change makes; so the
    /// ends of the window and the minutes at the breaks are all that can be extreme.
    fn hull(
        &self,
        night: Date,
        first: Timestamp,
        last: Timestamp,
    ) -> Result<(Timestamp, Timestamp), jiff::Error> {
        let margin = Span::new().hours(26);
        let until = last.checked_add(margin)?;
        let mut hull = (first.min(last), first.max(last));
        let near = self.zone.time_zone().following(first.checked_sub(margin)?);
        for change in near.take_while(|change| change.timestamp() <= until) {
            let at = change.timestamp();
            let before = at.checked_sub(Span::new().seconds(1))?;
            for offset in [self.zone.time_zone().to_offset(before), change.offset()] {
                let wall = offset.to_datetime(at).time();
                let edge = wall.hour() as u16 * 60 + wall.minute() as u16;
                for minute in [edge, edge + LocalMinute::DAY - 1].map(LocalMinute::after_midnight) {
                    if self.window.contains(minute) {
                        let instant = self.instant(night, minute)?;
                        hull = (hull.0.min(instant), hull.1.max(instant));
                    }
                }
            }
        }
        Ok(hull)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_lasts_from_noon_to_noon_where_the_org_is() {
        let around = |instant: &str| night_around(instant.parse().unwrap(), "Europe/Berlin").to_string();
        assert_eq!(around("2026-07-01T09:59:59Z"), "2026-06-30");
        assert_eq!(around("2026-07-01T10:00:00Z"), "2026-07-01");
        assert_eq!(around("2026-07-02T03:00:00Z"), "2026-07-01");
    }
}
