//! The protocol of jobs on one page, and every state that it can come into.
//!
//! Two workers, a sweep, two jobs whose end brings one `finish`, a queue that loses and doubles messages, leases that
//! run out whenever they like, workers that die or sleep at any moment, commits whose answer is lost. What PostgreSQL
//! does in one transaction is one action here; everything else may happen in between. The model checker walks through
//! all of it, up to three claims of a job. Each guard is left out once, to see that the walk finds what it is for.

use std::fmt::Write;

use stateright::{Checker, HasDiscoveries, Model, Property};

const JOBS: usize = 2;
const WORKERS: usize = 2;
const CLAIMS_MAX: u8 = 3;
const COPIES_MAX: u8 = 2;
/// All that there are within these bounds.
const STATES: usize = 144_513;

const LEASE: &str = "a job has at most one live lease";
const STAGED: &str = "what is staged is the newest claim's";
const EFFECTS: &str = "effects are written once";
const FINISH: &str = "one finish follows the last job";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Without {
    Nothing,
    /// A claim takes a job whose lease holds.
    LeaseAtClaim,
    /// A claim gives the number that the last one had.
    RaisedFence,
    /// A claim leaves what older ones staged.
    CleanStart,
    /// A chunk is written without a look at the fence.
    FenceAtChunk,
    /// A settlement is written without a look at the fence.
    FenceAtSettle,
    /// A commit without an answer is done again unasked.
    QuestionAfterCommit,
    /// A settlement looks for other jobs without the sync's lock: what settles at the same time is not seen.
    LockOfSync,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Row {
    Due,
    Claimed { lapsed: bool },
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Job {
    row: Row,
    fence: u8,
    /// Under which fence rows are staged.
    staged: Option<u8>,
    /// How often its effects were written.
    effects: u8,
    /// Messages in the queue.
    copies: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Work {
    job: usize,
    fence: u8,
    /// Whether its lease has not run out.
    live: bool,
    /// It sent COMMIT and heard nothing.
    unsure: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    jobs: [Job; JOBS],
    workers: [Option<Work>; WORKERS],
    /// How often the job that follows the last one was inserted.
    finishes: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Action {
    /// Of any job at any time: a claim decides.
    Announce(usize),
    Lose(usize),
    Double(usize),
    Deliver(usize, usize),
    LeaseEnds(usize),
    Beat(usize),
    Stage(usize),
    Settle(usize),
    /// The answer to COMMIT is lost; it was written, or not.
    SettleUnheard(usize, bool),
    Ask(usize),
    Release(usize),
    Die(usize),
    /// Both workers settle, and neither sees what the other does: the sync's lock lets nobody do this.
    SettleTogether,
}

impl Job {
    fn write(&mut self) {
        self.row = Row::Gone;
        self.staged = None;
        self.effects += 1;
    }
}

impl State {
    /// `UPDATE ... WHERE fence = mine AND state = 'claimed'`.
    fn owns(&self, work: Work) -> bool {
        let job = &self.jobs[work.job];
        job.fence == work.fence && matches!(job.row, Row::Claimed { .. })
    }

    fn settle_together(&mut self) {
        for work in self.workers.into_iter().flatten() {
            if self.owns(work) {
                self.jobs[work.job].write();
            }
        }
        self.workers = [None; WORKERS];
    }
}

impl Without {
    fn claim(self, state: &mut State, n: usize, worker: usize) {
        let job = &mut state.jobs[n];
        job.copies -= 1;
        let free = match job.row {
            Row::Due => true,
            Row::Claimed { lapsed } => lapsed || self == Self::LeaseAtClaim,
            Row::Gone => false,
        };
        if !free {
            return; // acknowledged, and nothing else
        }
        job.row = Row::Claimed { lapsed: false };
        job.fence += u8::from(self != Self::RaisedFence || job.fence == 0);
        if self != Self::CleanStart {
            job.staged = None;
        }
        state.workers[worker] = Some(Work {
            job: n,
            fence: job.fence,
            live: true,
            unsure: false,
        });
    }

    /// One transaction: the row goes, its effects come, and what follows when no other row is left.
    fn settle(self, state: &mut State, work: Work) {
        let stands = state.owns(work) || self == Self::FenceAtSettle;
        let unasked = work.unsure && self == Self::QuestionAfterCommit;
        if !stands && !unasked {
            return; // lease_lost
        }
        state.jobs[work.job].write();
        let last = state.jobs.iter().all(|job| job.row == Row::Gone);
        state.finishes += u8::from(last);
    }

    fn unheard(self, state: &mut State, worker: usize, work: Work, written: bool) {
        if written {
            self.settle(state, work);
        }
        state.workers[worker] = Some(Work { unsure: true, ..work });
    }

    /// Asks for the row: still ours means that it was not done.
    fn ask(self, state: &mut State, worker: usize, work: Work) {
        if self == Self::QuestionAfterCommit {
            self.settle(state, work);
        }
        let again = Work {
            unsure: false,
            ..work
        };
        state.workers[worker] = Some(again).filter(|_| state.owns(work));
    }

    fn work(self, state: &mut State, action: Action, worker: usize, work: Work) {
        match action {
            Action::Beat(_) if state.owns(work) => {
                state.jobs[work.job].row = Row::Claimed { lapsed: false };
                state.workers[worker] = Some(Work { live: true, ..work });
            }
            Action::Stage(_) if state.owns(work) || self == Self::FenceAtChunk => {
                state.jobs[work.job].staged = Some(work.fence);
            }
            Action::Settle(_) => {
                self.settle(state, work);
                state.workers[worker] = None;
            }
            Action::SettleUnheard(_, written) => self.unheard(state, worker, work, written),
            Action::Ask(_) => self.ask(state, worker, work),
            Action::Release(_) if state.owns(work) => {
                state.jobs[work.job].row = Row::Due;
                state.jobs[work.job].staged = None;
                state.workers[worker] = None;
            }
            // told that the lease is lost, or dead
            _ => state.workers[worker] = None,
        }
    }
}

impl Model for Without {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let job = Job {
            row: Row::Due,
            fence: 0,
            staged: None,
            effects: 0,
            copies: 0,
        };
        vec![State {
            jobs: [job; JOBS],
            workers: [None; WORKERS],
            finishes: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (n, job) in state.jobs.iter().enumerate() {
            if job.copies > 0 {
                actions.extend([Action::Lose(n), Action::Double(n)]);
                let idle = (0..WORKERS).filter(|worker| state.workers[*worker].is_none());
                actions.extend(idle.map(|worker| Action::Deliver(n, worker)));
            }
            if job.row != Row::Gone {
                actions.push(Action::Announce(n));
            }
            if job.row == (Row::Claimed { lapsed: false }) {
                actions.push(Action::LeaseEnds(n));
            }
        }
        let together = state
            .workers
            .iter()
            .all(|work| work.is_some_and(|work| !work.unsure));
        if together && *self == Self::LockOfSync {
            actions.push(Action::SettleTogether);
        }
        for (worker, work) in state.workers.iter().enumerate() {
            match work {
                Some(work) if work.unsure => actions.extend([Action::Ask(worker), Action::Die(worker)]),
                Some(_) => actions.extend([
                    Action::Beat(worker),
                    Action::Stage(worker),
                    Action::Settle(worker),
                    Action::SettleUnheard(worker, true),
                    Action::SettleUnheard(worker, false),
                    Action::Release(worker),
                    Action::Die(worker),
                ]),
                None => {}
            }
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = *before;
        match action {
            Action::Announce(n) | Action::Double(n) => state.jobs[n].copies += 1,
            Action::Lose(n) => state.jobs[n].copies -= 1,
            Action::SettleTogether => state.settle_together(),
            Action::Deliver(n, worker) => self.claim(&mut state, n, worker),
            Action::LeaseEnds(n) => {
                state.jobs[n].row = Row::Claimed { lapsed: true };
                let fence = state.jobs[n].fence;
                for work in state.workers.iter_mut().flatten() {
                    work.live &= !(work.job == n && work.fence == fence);
                }
            }
            Action::Beat(worker)
            | Action::Stage(worker)
            | Action::Settle(worker)
            | Action::SettleUnheard(worker, _)
            | Action::Ask(worker)
            | Action::Release(worker)
            | Action::Die(worker) => {
                let work = state.workers[worker]?;
                self.work(&mut state, action, worker, work);
            }
        }
        (state != *before).then_some(state)
    }

    fn within_boundary(&self, state: &State) -> bool {
        state
            .jobs
            .iter()
            .all(|job| job.fence <= CLAIMS_MAX && job.copies <= COPIES_MAX)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(LEASE, |_, state: &State| {
                (0..JOBS).all(|n| {
                    let holders = state.workers.iter().flatten();
                    holders.filter(|work| work.job == n && work.live).count() <= 1
                })
            }),
            Property::always(STAGED, |_, state: &State| {
                state.jobs.iter().all(|job| {
                    job.staged
                        .is_none_or(|fence| fence == job.fence && job.row != Row::Gone)
                })
            }),
            Property::always(EFFECTS, |_, state: &State| {
                state.jobs.iter().all(|job| job.effects <= 1)
            }),
            Property::always(FINISH, |_, state: &State| {
                let all = state.jobs.iter().all(|job| job.row == Row::Gone);
                state.finishes == u8::from(all)
            }),
            Property::sometimes("all is done by last claims", |_, state: &State| {
                state
                    .jobs
                    .iter()
                    .all(|job| job.row == Row::Gone && job.fence == CLAIMS_MAX)
            }),
        ]
    }
}

#[test]
fn no_order_of_events_breaks_the_protocol() {
    let walk = Without::Nothing.checker().threads(2).spawn_bfs().join();
    walk.assert_properties();
    assert_eq!(
        walk.unique_state_count(),
        STATES,
        "the protocol has changed; so must this page"
    );
}

/// Whether these deeds, as far as they are possible one after the other, end where the property is broken.
fn breaks(model: Without, broken: &'static str, deeds: &[Action]) -> bool {
    let (mut state, mut possible) = (model.init_states()[0], Vec::new());
    for deed in deeds {
        possible.clear();
        model.actions(&state, &mut possible);
        if !possible.contains(deed) {
            return false;
        }
        let Some(next) = model.next_state(&state, *deed) else {
            return false;
        };
        state = next;
    }
    !(model.property(broken).condition)(&model, &state)
}

fn shortest(model: Without, broken: &'static str, mut deeds: Vec<Action>) -> Vec<Action> {
    let mut place = 0;
    while place < deeds.len() {
        let mut fewer = deeds.clone();
        fewer.remove(place);
        if breaks(model, broken, &fewer) {
            (deeds, place) = (fewer, 0);
        } else {
            place += 1;
        }
    }
    deeds
}

#[test]
fn each_guard_that_is_left_out_is_missed() {
    let guards = [
        (Without::LeaseAtClaim, LEASE),
        (Without::RaisedFence, LEASE),
        (Without::CleanStart, STAGED),
        (Without::FenceAtChunk, STAGED),
        (Without::FenceAtSettle, EFFECTS),
        (Without::QuestionAfterCommit, EFFECTS),
        (Without::LockOfSync, FINISH),
    ];
    let mut stories = String::new();
    for (guard, broken) in guards {
        let enough = HasDiscoveries::AnyOf([broken].into());
        let walk = guard.checker().finish_when(enough).spawn_bfs().join();
        let story = walk.discovery(broken);
        let story = story.unwrap_or_else(|| panic!("without {guard:?} it still holds that {broken}"));
        let deeds = shortest(guard, broken, story.into_actions());
        writeln!(
            stories,
            "without {guard:?} it is not true that {broken}: {deeds:?}"
        )
        .expect("it is a string");
    }
    insta::assert_snapshot!(stories);
}
