//! What went well and was not worth a write.
//!
//! While an instance is well nobody writes its row. Whoever meets a failure reports it together with the answers that this
//! process got within the window, so that the share of failures is one of all calls and not of the failed ones.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// Answers by instance, of one process.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<HashMap<String, (Timestamp, u64)>>);

impl Tally {
    /// Adds answers; a window that is over begins anew.
    pub(crate) fn add(&self, instance: &str, answered: u64, now: Timestamp, window: Duration) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.retain(|_, (began, _)| began.checked_add(window).is_ok_and(|end| now < end));
        tally.entry(instance.to_owned()).or_insert((now, 0)).1 += answered;
    }

    /// One of them was none in the end.
    pub(crate) fn take_back(&self, instance: &str) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answered)) = tally.get_mut(instance) {
            *answered = answered.saturating_sub(1);
        }
    }

    /// Takes what the window has, for a report.
    pub(crate) fn take(&self, instance: &str, now: Timestamp, window: Duration) -> u64 {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally
            .remove(instance)
            .filter(|(began, _)| began.checked_add(window).is_ok_and(|end| now < end))
            .map_or(0, |(_, answered)| answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn answers_of_a_window_are_reported_once_and_older_ones_never() {
        let tally = Tally::default();
        tally.add("EU42", 3, at(0), WINDOW);
        tally.add("EU42", 4, at(59), WINDOW);
        tally.add("NA1", 9, at(59), WINDOW);
        tally.add("EU42", 1, at(59), WINDOW);
        tally.take_back("EU42");
        assert_eq!(tally.take("EU42", at(59), WINDOW), 7);
        tally.take_back("EU42");
        assert_eq!(tally.take("EU42", at(59), WINDOW), 0);
        assert_eq!(tally.take("NA1", at(119), WINDOW), 0);
    }
}
