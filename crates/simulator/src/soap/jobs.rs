//! A retrieve under way: what was planned, and how far it is at a time.
//!
//! The time is the simulator's own clock and comes as an argument. A retrieve keeps the inventory it began with, so a
//! night that passes in the middle does not tear it. Its plan is dropped once the zip was handed over.

use std::{sync::Arc, time::Duration};

use super::request::Plan;
use crate::{faults::FaultKind, inventory::layers::Snapshot, settings::RetrievePace};

/// Why a retrieve fails as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failed {
    pub code: String,
    pub text: String,
}

/// What a retrieve will give.
#[derive(Clone)]
pub(crate) struct Load {
    pub plan: Arc<Plan>,
    pub snapshot: Snapshot,
    pub version: String,
    pub single_package: bool,
    /// Profiles without what is about objects and fields, by a fault.
    pub sparse_profiles: bool,
}

pub(crate) struct Retrieve {
    pub started: Duration,
    pub pace: RetrievePace,
    pub files: usize,
    /// Held in this state by a fault.
    pub stuck: Option<FaultKind>,
    /// Nothing to load once the zip was handed over.
    pub outcome: Result<Option<Load>, Failed>,
    /// Whether a poll has found it beyond Pending.
    pub seen_working: bool,
}

/// The state of a retrieve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Pending,
    InProgress,
    Done,
}

impl Retrieve {
    pub(crate) fn state(&self, now: Duration) -> State {
        let age = now.saturating_sub(self.started);
        let work = self.pace.in_progress + self.pace.per_file * self.files as u32;
        let by_age = if age < self.pace.pending {
            State::Pending
        } else if age < self.pace.pending + work {
            State::InProgress
        } else {
            State::Done
        };
        match self.stuck {
            Some(FaultKind::StaysPending) => State::Pending,
            Some(_) if by_age == State::Done => State::InProgress,
            _ => by_age,
        }
    }

    /// Frees it from a fault of that kind, or from any.
    pub(crate) fn free(&mut self, kind: Option<FaultKind>) {
        if kind.is_none() || kind == self.stuck {
            self.stuck = None;
        }
    }
}
