//! Histories as the rules would have them: a small world in which everybody keeps to them.

use nightshift_testkit::history::{Event, Happened as H};
use proptest::prelude::*;
use uuid::Uuid;

const LEASE: i64 = 30_000_000;

/// What somebody tries; the world refuses what the rules forbid.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    Pass(i64),
    Announce(usize),
    Claim(usize),
    Keep(usize),
    Stage(usize),
    GiveBack(usize),
    Finish(usize),
    Fail,
    Succeed,
    Admit,
}

pub fn acts() -> impl Strategy<Value = Vec<Act>> {
    let job = || 0_usize..3;
    let act = prop_oneof![
        (0_i64..40_000_000).prop_map(Act::Pass),
        job().prop_map(Act::Announce),
        job().prop_map(Act::Claim),
        job().prop_map(Act::Claim),
        job().prop_map(Act::Keep),
        job().prop_map(Act::Stage),
        job().prop_map(Act::GiveBack),
        job().prop_map(Act::Finish),
        Just(Act::Fail),
        Just(Act::Succeed),
        Just(Act::Admit),
    ];
    prop::collection::vec(act, 0..60)
}

#[derive(Clone, Copy, Default)]
struct Job {
    id: u128,
    fence: i64,
    deaths: i64,
    lease: Option<i64>,
    gone: bool,
}

#[derive(Default)]
struct World {
    now: i64,
    tx: i64,
    sync: u128,
    open: bool,
    case: bool,
    revision: i64,
    jobs: [Job; 3],
    told: Vec<Event>,
}

pub fn history(acts: &[Act]) -> Vec<Event> {
    let mut world = World::default();
    for act in acts {
        world.tx += 1;
        world.now += 1;
        world.act(*act);
    }
    world.told
}

impl World {
    fn act(&mut self, act: Act) {
        match act {
            Act::Pass(micros) => self.now += micros,
            Act::Admit if !self.open => self.admit(),
            Act::Fail if self.open => self.fail(),
            Act::Succeed if self.open => self.succeed(),
            Act::Announce(n) | Act::Claim(n) if self.may_take(n) => {
                if matches!(act, Act::Announce(_)) {
                    self.tell_job(n, H::Announced);
                } else {
                    self.claim(n);
                }
            }
            Act::Keep(n) | Act::Stage(n) | Act::GiveBack(n) | Act::Finish(n) if self.is_claimed(n) => {
                self.work(act, n);
            }
            _ => {}
        }
    }

    fn tell(&mut self, happened: H, job: Option<u128>) {
        self.told.push(Event {
            at: self.now,
            tx: self.tx,
            org: Uuid::from_u128(1),
            sync: Some(Uuid::from_u128(self.sync)),
            job: job.map(Uuid::from_u128),
            happened,
        });
    }

    fn tell_job(&mut self, n: usize, happened: H) {
        self.tell(happened, Some(self.jobs[n].id));
    }

    fn may_take(&self, n: usize) -> bool {
        let job = self.jobs[n];
        job.id > 0 && !job.gone && job.lease.is_none_or(|until| until < self.now)
    }

    fn is_claimed(&self, n: usize) -> bool {
        let job = self.jobs[n];
        job.id > 0 && !job.gone && job.lease.is_some()
    }

    fn claim(&mut self, n: usize) {
        let job = &mut self.jobs[n];
        job.fence += 1;
        job.deaths += i64::from(job.lease.is_some());
        job.lease = Some(self.now + LEASE);
        let (fence, lease, deaths) = (job.fence, self.now + LEASE, job.deaths);
        self.tell_job(n, H::Claimed { fence, lease, deaths });
    }

    fn work(&mut self, act: Act, n: usize) {
        let fence = self.jobs[n].fence;
        match act {
            Act::Keep(_) => {
                let lease = self.now + LEASE;
                self.jobs[n].lease = Some(lease);
                self.tell_job(n, H::Kept { fence, lease });
            }
            Act::Stage(_) => {
                let (rows, table) = (9, "staged_file".to_owned());
                self.tell_job(n, H::Staged { fence, rows, table });
            }
            _ => {
                let done = matches!(act, Act::Finish(_));
                self.jobs[n].lease = None;
                self.jobs[n].gone = done;
                self.tell_job(n, if done { H::Settled } else { H::Freed });
                let outcome = "settled".to_owned();
                self.tell_job(n, H::Effects { fence, outcome });
            }
        }
    }

    fn admit(&mut self) {
        self.sync += 1;
        self.open = true;
        self.tell(H::SyncOpen, None);
        self.tell(H::Night(format!("night {}", self.sync)), None);
        for n in 0..3 {
            self.jobs[n] = Job {
                id: self.sync * 10 + n as u128,
                ..Job::default()
            };
            self.tell_job(n, H::Added { deaths: 0 });
        }
    }

    /// The sync ends: jobs that wait go with it, claimed ones at their settlement.
    fn end(&mut self) {
        self.open = false;
        for n in 0..3 {
            if self.jobs[n].id > 0 && !self.jobs[n].gone && self.jobs[n].lease.is_none() {
                self.jobs[n].gone = true;
                self.tell_job(n, H::Dropped);
            }
        }
    }

    fn fail(&mut self) {
        let code = || "internal".to_owned();
        self.tell(H::SyncFailed { code: code() }, None);
        self.end();
        let again = std::mem::replace(&mut self.case, true);
        let happened = if again {
            H::CaseAgain(code())
        } else {
            H::CaseOpened(code())
        };
        self.tell(happened, None);
    }

    fn succeed(&mut self) {
        self.revision += 1;
        let revision = self.revision;
        self.tell(H::SyncSucceeded { revision }, None);
        self.tell(H::Revision(revision), None);
        self.end();
        if std::mem::take(&mut self.case) {
            self.tell(H::CaseResolved("internal".to_owned()), None);
        }
    }
}
