//! The jobs of one org as they should be: a map, a clock in seconds, and whoever believes to hold a claim.
//!
//! Time passes in steps of 20 seconds and every term ends in the middle of one, so that the milliseconds which the
//! database needs decide nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use proptest::{prelude::*, sample::select};
use proptest_state_machine::ReferenceStateMachine;

pub const STEP: u64 = 20;
pub const LEASE: u64 = 30;
pub const WAIT: u64 = 50;
pub const REANNOUNCE: u64 = 70;

/// A job's number, and of a claim its fence too.
pub type Job = u32;
pub type Held = (Job, i64);

/// One thing that somebody does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A request: it opens a sync or joins the open one.
    Admit,
    /// A message, which may be the second or come after the end.
    Claim(Job),
    Beat(Held),
    Stage(Held),
    Settle(Held, How),
    /// A worker dies and tells nobody.
    Crash(Held),
    Sweep,
    Pass(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// So many jobs follow, or the last one when no other is left.
    Done(u32),
    Split,
    Again,
    Wait,
    Retry,
    Release,
    Fail,
}

/// Whether the settlement marks what follows as announced: that of each second job does.
pub fn marks((job, _): Held) -> bool {
    job % 2 == 0
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub sync: u32,
    /// Until when it is somebody's; else it is due.
    pub lease: Option<u64>,
    pub not_before: u64,
    pub announced: Option<u64>,
    pub fence: i64,
    pub attempts: i32,
    pub deaths: i32,
    pub waits: i32,
}

#[derive(Clone, Default, Debug)]
pub struct Model {
    pub now: u64,
    pub jobs: BTreeMap<Job, Row>,
    /// The number of the next job, of those that settled too.
    pub next: Job,
    pub syncs: u32,
    pub open: bool,
    pub held: BTreeSet<Held>,
    pub answer: Answer,
}

/// What the deed that came last should be answered.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Answer {
    #[default]
    Done,
    /// Refused, or `lease_lost`.
    No,
    /// The sync had ended.
    Ended,
    Announced(BTreeSet<Job>),
}

impl Model {
    pub fn add(&mut self, deaths: i32) {
        let row = Row {
            sync: self.syncs,
            lease: None,
            not_before: self.now,
            announced: None,
            fence: 0,
            attempts: 0,
            deaths,
            waits: 0,
        };
        self.jobs.insert(self.next, row);
        self.next += 1;
    }

    /// The row, as long as the claim is the newest and stands.
    fn owned(&mut self, (job, fence): Held) -> Option<&mut Row> {
        self.jobs
            .get_mut(&job)
            .filter(|row| row.fence == fence && row.lease.is_some())
    }

    fn claim(&mut self, job: Job) -> Answer {
        let now = self.now;
        let free = |row: &&mut Row| row.not_before <= now && row.lease.is_none_or(|until| until < now);
        let Some(row) = self.jobs.get_mut(&job).filter(free) else {
            // a due job that was refused would be announced again at once; here only room could refuse it
            return Answer::No;
        };
        row.fence += 1;
        row.deaths += i32::from(row.lease.is_some());
        row.lease = Some(now + LEASE);
        self.held.insert((job, row.fence));
        Answer::Done
    }

    fn extend(&mut self, held: Held) -> Answer {
        let until = self.now + LEASE;
        match self.owned(held) {
            Some(row) => {
                row.lease = Some(until);
                Answer::Done
            }
            None => Answer::No,
        }
    }

    fn settle(&mut self, held: Held, how: How) -> Answer {
        self.held.remove(&held);
        let (now, open, syncs) = (self.now, self.open, self.syncs);
        let Some(row) = self.owned(held) else {
            return Answer::No;
        };
        if !(open && row.sync == syncs) {
            self.jobs.remove(&held.0);
            return Answer::Ended;
        }
        (row.lease, row.announced) = (None, None);
        match how {
            How::Wait => (row.waits, row.not_before) = (row.waits + 1, now + WAIT),
            How::Retry => (row.attempts, row.not_before) = (row.attempts + 1, now + WAIT),
            How::Release => row.not_before = now,
            How::Done(_) | How::Split | How::Again | How::Fail => {
                let deaths = row.deaths;
                self.jobs.remove(&held.0);
                let first = self.next;
                self.follow(how, deaths);
                if marks(held) && self.next > first {
                    return self.mark(first..self.next);
                }
            }
        }
        Answer::Done
    }

    fn mark(&mut self, jobs: Range<Job>) -> Answer {
        let now = self.now;
        for (_, row) in self.jobs.range_mut(jobs.clone()) {
            row.announced = Some(now);
        }
        Answer::Announced(jobs.collect())
    }

    fn follow(&mut self, how: How, deaths: i32) {
        match how {
            How::Done(0) if self.jobs.values().any(|row| row.sync == self.syncs) => {}
            How::Done(n) => (0..n.max(1)).for_each(|_| self.add(0)),
            How::Split => (0..2).for_each(|_| self.add(0)),
            How::Again => self.add(deaths),
            _ => {
                let failed = self.syncs;
                self.open = false;
                self.jobs
                    .retain(|_, row| row.sync != failed || row.lease.is_some());
            }
        }
    }

    fn sweep(&mut self) -> Answer {
        let now = self.now;
        // as long after it as the job had waited before it, in whole measures
        let lost = |row: &Row| {
            row.announced.is_none_or(|at| {
                let waited = at.saturating_sub(row.not_before.max(row.lease.unwrap_or_default()));
                at + REANNOUNCE * (waited / REANNOUNCE).clamp(1, 10) <= now
            })
        };
        let mut announced = BTreeSet::new();
        for (job, row) in &mut self.jobs {
            let wanted = row.not_before <= now
                && match row.lease {
                    None => lost(row),
                    Some(until) => until < now && (lost(row) || row.announced <= Some(until)),
                };
            if wanted {
                row.announced = Some(now);
                announced.insert(*job);
            }
        }
        Answer::Announced(announced)
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Deed;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Deed> {
        let how = prop_oneof![
            3 => (0_u32..3).prop_map(How::Done),
            1 => Just(How::Split),
            1 => Just(How::Again),
            2 => Just(How::Wait),
            2 => Just(How::Retry),
            2 => Just(How::Release),
            1 => Just(How::Fail),
        ];
        let time = (1_u64..4).prop_map(|steps| Deed::Pass(steps * STEP));
        let jobs = 0..state.next.max(1);
        let always = prop_oneof![
            if state.open { 1 } else { 6 } => Just(Deed::Admit),
            8 => jobs.prop_map(Deed::Claim),
            2 => Just(Deed::Sweep),
            4 => time,
        ];
        if state.held.is_empty() {
            return always.boxed();
        }
        let held = select(state.held.iter().copied().collect::<Vec<_>>());
        prop_oneof![
            3 => always,
            1 => held.clone().prop_map(Deed::Beat),
            1 => held.clone().prop_map(Deed::Stage),
            1 => held.clone().prop_map(Deed::Crash),
            3 => (held, how).prop_map(|(held, how)| Deed::Settle(held, how)),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, deed: &Deed) -> bool {
        match deed {
            Deed::Claim(job) => *job < state.next,
            Deed::Beat(held) | Deed::Stage(held) | Deed::Crash(held) | Deed::Settle(held, _) => {
                state.held.contains(held)
            }
            _ => true,
        }
    }

    fn apply(mut state: Self, deed: &Deed) -> Self {
        state.answer = match deed {
            Deed::Admit => {
                if !state.open {
                    state.syncs += 1;
                    state.open = true;
                    state.add(0);
                }
                Answer::Done
            }
            Deed::Claim(job) => state.claim(*job),
            Deed::Beat(held) | Deed::Stage(held) => state.extend(*held),
            Deed::Settle(held, how) => state.settle(*held, *how),
            Deed::Crash(held) => {
                state.held.remove(held);
                Answer::Done
            }
            Deed::Sweep => state.sweep(),
            Deed::Pass(seconds) => {
                state.now += seconds;
                Answer::Done
            }
        };
        state
    }
}
