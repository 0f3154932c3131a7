//! What an org allows its clients: requests in a day, long requests at once, how long a session lives.
//!
//! Requests are counted by the hour and forgotten after a day, as Salesforce's rolling count of 24 hours does; one that
//! is refused for a limit costs nothing. A request is long once it has run for `long_after`; while `long_requests` of
//! them run, nobody else is let in. Files of a retrieve, queries of a listing and rows of a page are bounded where they
//! are made (`soap`, `rest`).

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

const HOUR: Duration = Duration::from_hours(1);
const HOURS_COUNTED: u64 = 24;

/// The limits of one org; `POST /_control/limits` sets them while it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrgLimits {
    /// Requests of a day; OAuth's own do not count.
    pub daily_requests: u64,
    /// How many long requests may run at once.
    pub long_requests: usize,
    /// From when on a request is long, in milliseconds.
    pub long_after_millis: u64,
    /// Bytes of a retrieve's zip, before base64.
    pub zip_bytes: u64,
    /// Bytes of what is in it.
    pub unpacked_bytes: u64,
    /// Members of a retrieve, of each type that has a budget.
    pub budgeted_members: usize,
    /// Retrieves of a day that may name such a type, for each of them.
    pub budgeted_retrieves: u64,
    /// A session ends so many seconds after its last use; none takes the simulator's own.
    pub session_seconds: Option<u64>,
}

impl Default for OrgLimits {
    fn default() -> Self {
        Self {
            daily_requests: 15_000,
            long_requests: 25,
            long_after_millis: 20_000,
            // 50 MB as base64
            zip_bytes: 39_321_600,
            unpacked_bytes: 629_145_600,
            budgeted_members: 100,
            budgeted_retrieves: 200,
            session_seconds: None,
        }
    }
}

/// Requests of the last 24 hours, by the hour.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    hours: VecDeque<(u64, u64)>,
}

impl Usage {
    /// Requests that count now.
    pub(crate) fn used(&mut self, now: Duration) -> u64 {
        let hour = now.as_secs() / HOUR.as_secs();
        while self
            .hours
            .front()
            .is_some_and(|(of, _)| of + HOURS_COUNTED <= hour)
        {
            self.hours.pop_front();
        }
        self.hours.iter().map(|(_, count)| count).sum()
    }

    /// Counts one more; false when the allowance is used up.
    pub(crate) fn spend(&mut self, now: Duration, allowance: u64) -> bool {
        if self.used(now) >= allowance {
            return false;
        }
        let hour = now.as_secs() / HOUR.as_secs();
        match self.hours.back_mut() {
            Some((of, count)) if *of == hour => *count += 1,
            _ => self.hours.push_back((hour, 1)),
        }
        true
    }
}

/// The requests that an org is answering, by when they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Began>>);

#[derive(Debug, Default)]
struct Began {
    next: u64,
    at: HashMap<u64, Duration>,
    /// Most that ever ran at once.
    most: usize,
}

/// A request that is being answered; dropped when its answer has left.
#[derive(Debug)]
pub(crate) struct Place {
    running: Running,
    number: u64,
}

impl Running {
    fn began(&self) -> MutexGuard<'_, Began> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a request; none while too many long ones run.
    pub(crate) fn enter(&self, now: Duration, limits: &OrgLimits) -> Option<Place> {
        let long = Duration::from_millis(limits.long_after_millis);
        let mut began = self.began();
        let running = began
            .at
            .values()
            .filter(|&&at| now.saturating_sub(at) >= long)
            .count();
        if running >= limits.long_requests {
            return None;
        }
        began.next += 1;
        let number = began.next;
        began.at.insert(number, now);
        began.most = began.most.max(began.at.len());
        Some(Place {
            running: self.clone(),
            number,
        })
    }
}

impl Running {
    /// Most that ran at once since they were last forgotten.
    pub(crate) fn most(&self) -> usize {
        self.began().most
    }

    /// From now on only those that run now count.
    pub(crate) fn forget(&self) {
        let mut began = self.began();
        began.most = began.at.len();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.began().at.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_ran_at_once_is_remembered_until_it_is_forgotten() {
        let (running, limits) = (Running::default(), OrgLimits::default());
        let first = running.enter(Duration::ZERO, &limits);
        drop(running.enter(Duration::ZERO, &limits));
        drop(running.enter(Duration::ZERO, &limits));
        assert_eq!(running.most(), 2);
        running.forget();
        assert_eq!(running.most(), 1);
        drop(first);
        running.forget();
        assert_eq!(running.most(), 0);
    }

    #[test]
    fn an_allowance_is_used_up_and_comes_back_after_a_day() {
        let mut usage = Usage::default();
        assert!(usage.spend(Duration::ZERO, 2) && usage.spend(HOUR, 2));
        assert!(!usage.spend(HOUR * 2, 2));
        assert_eq!(usage.used(HOUR * 23), 2);
        assert_eq!(usage.used(HOUR * 24), 1);
        assert!(usage.spend(HOUR * 24, 2));
        assert_eq!(usage.used(HOUR * 100), 0);
    }

    #[test]
    fn long_requests_keep_others_out_until_they_end() {
        let limits = OrgLimits {
            long_requests: 2,
            long_after_millis: 20_000,
            ..OrgLimits::default()
        };
        let running = Running::default();
        let first = running.enter(Duration::ZERO, &limits).unwrap();
        let second = running.enter(Duration::from_secs(1), &limits).unwrap();
        assert!(
            running.enter(Duration::from_secs(20), &limits).is_some(),
            "one is long, the other not yet"
        );
        assert!(running.enter(Duration::from_secs(21), &limits).is_none());
        drop(second);
        assert!(running.enter(Duration::from_secs(21), &limits).is_some());
        drop(first);
    }
}
