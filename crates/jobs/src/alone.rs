//! One place in each process for jobs that have died before.
//!
//! A job that kills its worker gives a death to each job that runs beside it. Were they all claimed together again, it
//! would take them with it until they are at their limit too. So what has died runs beside fresh jobs, but beside no other
//! that has died: a fresh job can lose one lease to a poisonous neighbour, and finds the place to itself the next time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The place. One for each worker process.
#[derive(Debug)]
pub struct Alone(Semaphore);

impl Default for Alone {
    fn default() -> Self {
        Self(Semaphore::const_new(1))
    }
}

/// Whether a job may run now. It is kept as long as the job runs.
#[must_use = "the place is free again as soon as this is dropped"]
pub(crate) enum Entry<'a> {
    /// It has never died: it may run beside any other.
    Free,
    /// It has the place.
    Alone(#[expect(dead_code, reason = "held, not read")] SemaphorePermit<'a>),
    /// Another one has it.
    Taken,
}

impl Alone {
    /// Whether a job that has died need not be claimed now: a claim that only waits may die too, with whom it waits for.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.available_permits() == 0
    }

    /// Asks for a job with so many deaths.
    pub(crate) fn enter(&self, deaths: u32) -> Entry<'_> {
        if deaths == 0 {
            return Entry::Free;
        }
        self.0.try_acquire().map_or(Entry::Taken, Entry::Alone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_have_died_one_runs_at_a_time_and_fresh_ones_always_do() {
        let alone = Alone::default();
        assert!(!alone.is_taken());
        let first = alone.enter(1);
        assert!(matches!(first, Entry::Alone(_)) && alone.is_taken());
        assert!(matches!(alone.enter(2), Entry::Taken));
        assert!(matches!(alone.enter(0), Entry::Free));
        drop(first);
        assert!(matches!(alone.enter(2), Entry::Alone(_)));
    }
}
