//! When an org is synced: zones, windows, slots and nights, as pure functions of an instant.
//!
//! A *night* is named by the local date on which its window opens. Each night has one *slot*, a local time inside
//! the window. What was fired and what was missed is the database's knowledge (`store::nights`); here is only what
//! follows from it.

mod days;
mod firing;
mod minute;
mod night;
mod window;
mod zone;

pub use days::{Days, DaysError};
pub use firing::{Firing, Missed, plan_firing};
pub use minute::{LocalMinute, MinuteError, draw_slot};
pub use night::{NightRun, Schedule, ScheduleError, night_around};
pub use window::{Window, WindowError};
pub use zone::{Zone, ZoneError, zone_names};
