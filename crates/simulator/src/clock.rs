//! The simulator's clock: real time, and whatever a test has added.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    added: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            added: Mutex::default(),
        }
    }

    /// Time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed() + *self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.added.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}
