//! From a schedule and a night to instants.
//!
//! A skipped local time moves on by what was skipped (02:30 becomes 03:30); of a time that comes twice the first is
//! meant. The window of a night is the hull of the instants of its minutes, so that a slot lies inside its window
//! also in a night whose clocks change: a minute that moved on takes the window's end with it.

use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};

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

/// A clock that changes so long before a window or after it may move its minutes: a whole day was left out once.
const ABOUT: SignedDuration = SignedDuration::from_hours(26);

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
        self.night_of_slot(night, self.instant(night, self.slot)?)
    }

    /// The same, when the slot's instant is known.
    fn night_of_slot(&self, night: Date, slot: Timestamp) -> Result<NightRun, ScheduleError> {
        match self.night_of_still_clocks(night, slot)? {
            Some(run) => Ok(run),
            None => self.night_of_all_minutes(night, slot),
        }
    }

    /// The same in whatever night.
    fn night_of_all_minutes(&self, night: Date, slot: Timestamp) -> Result<NightRun, ScheduleError> {
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
        let next = last_done.map(Date::tomorrow).transpose()?;
        // mostly it is the night after the last one: what lies after the floor is not far before it either
        if let Some(night) = next
            && let Some(slot) = self.slot_after(floor, night)?
        {
            return self.night_of_slot(night, slot);
        }
        let local = self.zone.time_zone().to_datetime(floor).date();
        let about = local.checked_sub(Span::new().days(2))?;
        let mut night = next.map_or(about, |next| next.max(about));
        loop {
            if let Some(slot) = self.slot_after(floor, night)? {
                return self.night_of_slot(night, slot);
            }
            night = night.tomorrow()?;
        }
    }

    /// The slot of a night that has one, if it lies after `floor`.
    fn slot_after(&self, floor: Timestamp, night: Date) -> Result<Option<Timestamp>, ScheduleError> {
        if !self.days.contains(night.weekday()) {
            return Ok(None);
        }
        let slot = self.instant(night, self.slot)?;
        Ok((slot > floor).then_some(slot))
    }

    /// The same where no clock changes about the night, as it is in most: one instant tells the others. A scheduler asks
    /// for the runs of a million orgs, and each look into a zone costs as much as all the rest.
    fn night_of_still_clocks(&self, night: Date, slot: Timestamp) -> Result<Option<NightRun>, ScheduleError> {
        let minutes = |minutes: u16| SignedDuration::from_mins(i64::from(minutes));
        let opens = slot.checked_sub(minutes(self.slot.since(self.window.opens())))?;
        let closes = opens.checked_add(minutes(self.window.length()))?;
        let mut changes = self.zone.time_zone().following(opens.checked_sub(ABOUT)?);
        let until = closes.checked_add(ABOUT)?;
        let still = changes.next().is_none_or(|change| change.timestamp() > until);
        Ok(still.then_some(NightRun {
            night,
            opens,
            slot,
            closes,
        }))
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
        let until = last.checked_add(ABOUT)?;
        let mut hull = (first.min(last), first.max(last));
        let near = self.zone.time_zone().following(first.checked_sub(ABOUT)?);
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
    use jiff::civil::date;

    use super::*;
    use crate::schedule::zone_names;

    #[test]
    fn where_clocks_stand_still_one_instant_tells_what_all_minutes_tell() {
        let (mut told, mut changing) = (0, 0);
        for name in zone_names() {
            for (n, slot) in (0..40).zip(["21:00", "05:59", "00:00", "23:17"].into_iter().cycle()) {
                let (zone, slot) = (name.parse().unwrap(), slot.parse().unwrap());
                let schedule = Schedule::new(zone, Window::NIGHT, slot, Days::ALL).unwrap();
                let night = date(2011, 12, 26) + Span::new().days(n * 135 % 3_000);
                let slot = schedule.instant(night, slot).unwrap();
                let whole = schedule.night_of_all_minutes(night, slot).unwrap();
                match schedule.night_of_still_clocks(night, slot).unwrap() {
                    Some(run) => {
                        assert_eq!(run, whole, "{name} {night}");
                        told += 1;
                    }
                    None => changing += 1,
                }
            }
        }
        assert!(told > 10_000 && changing > 10, "{told} {changing}");
    }

    #[test]
    fn a_night_lasts_from_noon_to_noon_where_the_org_is() {
        let around = |instant: &str| night_around(instant.parse().unwrap(), "Europe/Berlin").to_string();
        assert_eq!(around("2026-07-01T09:59:59Z"), "2026-06-30");
        assert_eq!(around("2026-07-01T10:00:00Z"), "2026-07-01");
        assert_eq!(around("2026-07-02T03:00:00Z"), "2026-07-01");
    }
}
