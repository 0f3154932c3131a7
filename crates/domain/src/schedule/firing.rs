//! What to do with an org whose next run may have come.
//!
//! Facts in, decision out: the scheduler reads the row, asks here, and writes the answer in one transaction.

use jiff::{Timestamp, civil::Date};

use super::night::{NightRun, Schedule, ScheduleError};

/// The decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Firing {
    /// The slot lies ahead.
    NotYet {
        /// The stored next run, put right if it was not what the schedule says.
        next: NightRun,
    },
    /// Fire this night now; afterwards the next run is `next`.
    Fire {
        /// The night that is due: its slot has come, its window is open.
        run: NightRun,
        /// Nights before it that can no longer be made up.
        missed: Vec<Missed>,
        /// What comes then.
        next: NightRun,
    },
    /// Its window is over (perhaps of several nights): record them, go on with `next`.
    Missed {
        /// In order.
        missed: Vec<Missed>,
        /// The first run whose slot lies ahead.
        next: NightRun,
    },
}

/// A night that nobody fired while its window was open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missed {
    /// Which.
    pub run: NightRun,
}

/// At most so many missed nights are recorded one by one; an older gap is one outage and needs no more lines.
const MISSED_MAX: usize = 31;

/// Decides. `now` is the instant of the scheduler's clock (the database's, or a virtual one in a simulation).
pub fn plan_firing(
    schedule: &Schedule,
    last_done: Option<Date>,
    floor: Timestamp,
    now: Timestamp,
) -> Result<Firing, ScheduleError> {
    let mut run = schedule.next_run(last_done, floor)?;
    let mut missed = Vec::new();
    while run.closes <= now {
        missed.push(Missed { run });
        run = schedule.next_run(Some(run.night), floor)?;
    }
    let too_many = missed.len().saturating_sub(MISSED_MAX);
    missed.drain(..too_many);
    if run.slot <= now {
        let next = schedule.next_run(Some(run.night), floor)?;
        return Ok(Firing::Fire { run, missed, next });
    }
    Ok(if missed.is_empty() {
        Firing::NotYet { next: run }
    } else {
        Firing::Missed { missed, next: run }
    })
}
