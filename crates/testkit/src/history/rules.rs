//! The rules that a history can show, each a small machine over the events of one job or of one org.
//!
//! A machine accuses only by what it has seen: of a list that begins in the middle it believes the first word. So any
//! part of a history that a machine still accuses is a story that breaks the rule, and the shortest such part is the
//! one to print (`check.rs`). The sentences are those
//! of the tests that provoke a breach.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use uuid::Uuid;

use super::event::{Event, Happened as H};

/// One rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// No claim, while another's lease is good.
    OneLease,
    /// The fence counts claims.
    FenceByOne,
    /// What is written carries the last claim's fence, and the claim still stands.
    NewestFence,
    /// A row that went stays away.
    SettledStays,
    /// The queue is told of no job whose lease is good.
    SweepLeaves,
    /// A claim counts a death when it found a lease that had run out, and nothing else does.
    DeathsAreLeases,
    /// At most one sync of an org is open.
    OneSync,
    /// Readers see a revision from the transaction on in which its sync succeeds.
    WholeRevision,
    /// Revisions rise by one.
    RevisionByOne,
    /// A failed sync leaves one open case of its code; a success leaves none but its own.
    OneCase,
    /// A local night is recorded once.
    OneNight,
}

impl Rule {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::OneLease,
        Self::FenceByOne,
        Self::NewestFence,
        Self::SettledStays,
        Self::SweepLeaves,
        Self::DeathsAreLeases,
        Self::OneSync,
        Self::WholeRevision,
        Self::RevisionByOne,
        Self::OneCase,
        Self::OneNight,
    ];

    /// Whether it is about one job; else about an org.
    pub(super) fn is_of_job(self) -> bool {
        matches!(
            self,
            Self::OneLease
                | Self::FenceByOne
                | Self::NewestFence
                | Self::SettledStays
                | Self::SweepLeaves
                | Self::DeathsAreLeases
        )
    }

    /// The place of the first event that breaks it, in the events of one job or org.
    pub(super) fn broken_at(self, events: &[&Event]) -> Option<usize> {
        match self {
            Self::OneLease => one_lease(events, |happened| matches!(happened, H::Claimed { .. })),
            Self::SweepLeaves => one_lease(events, |happened| matches!(happened, H::Announced)),
            Self::FenceByOne => fence_by_one(events),
            Self::NewestFence => newest_fence(events),
            Self::SettledStays => settled_stays(events),
            Self::DeathsAreLeases => deaths_are_leases(events),
            Self::OneSync => one_sync(events),
            Self::WholeRevision => whole_revision(events),
            Self::RevisionByOne => revision_by_one(events),
            Self::OneCase => one_case(events),
            Self::OneNight => one_night(events),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneLease => "a job is claimed by at most one live lease at any instant",
            Self::FenceByOne => "every claim raises the fence by exactly one",
            Self::NewestFence => "an effect is written only under the newest fence",
            Self::SettledStays => "a settled job never runs or changes again",
            Self::SweepLeaves => "a sweep never takes a job whose lease still holds",
            Self::DeathsAreLeases => "deaths count lost leases and nothing else",
            Self::OneSync => "an org never has two running syncs",
            Self::WholeRevision => {
                "a reader sees exactly one whole revision: that of a sync which succeeds with it"
            }
            Self::RevisionByOne => "revisions rise by one",
            Self::OneCase => {
                "every failed sync has exactly one open case of its code and a success resolves it"
            }
            Self::OneNight => "an org fires exactly once per local night",
        })
    }
}

/// Nobody takes the job while a lease holds. A lease is good to its last instant.
fn one_lease(events: &[&Event], takes: impl Fn(&H) -> bool) -> Option<usize> {
    let mut lease = None;
    for (place, event) in events.iter().enumerate() {
        if takes(&event.happened) && lease.is_some_and(|until| until >= event.at) {
            return Some(place);
        }
        match event.happened {
            H::Claimed { lease: until, .. } | H::Kept { lease: until, .. } => lease = Some(until),
            H::Freed | H::Settled | H::Buried | H::Dropped => lease = None,
            _ => {}
        }
    }
    None
}

fn fence_by_one(events: &[&Event]) -> Option<usize> {
    let mut last = None;
    events.iter().position(|event| match event.happened {
        H::Added { .. } => {
            last = Some(0);
            false
        }
        H::Claimed { fence, .. } => last.replace(fence).is_some_and(|last| fence != last + 1),
        _ => false,
    })
}

/// A settlement moves the row first and writes its effects in the same transaction.
fn newest_fence(events: &[&Event]) -> Option<usize> {
    let (mut newest, mut settled_in) = (None, None);
    events.iter().position(|event| match &event.happened {
        H::Added { .. } => {
            (newest, settled_in) = (Some(0), None);
            false
        }
        H::Claimed { fence, .. } => {
            (newest, settled_in) = (Some(*fence), None);
            false
        }
        H::Freed | H::Settled | H::Buried => {
            settled_in = Some(event.tx);
            false
        }
        H::Kept { fence, .. } | H::Staged { fence, .. } => {
            newest.is_some_and(|newest| newest != *fence) || settled_in.is_some()
        }
        H::Effects { fence, .. } => {
            newest.is_some_and(|newest| newest != *fence) || settled_in.is_some_and(|tx| tx != event.tx)
        }
        _ => false,
    })
}

fn settled_stays(events: &[&Event]) -> Option<usize> {
    let mut gone = None;
    events.iter().position(|event| {
        let own_effects = matches!(event.happened, H::Effects { .. }) && gone == Some(event.tx);
        if gone.is_some() && !own_effects {
            return true;
        }
        if matches!(event.happened, H::Settled | H::Dropped) {
            gone = Some(event.tx);
        }
        false
    })
}

fn deaths_are_leases(events: &[&Event]) -> Option<usize> {
    // whether a claim stands, and the deaths so far
    let mut known: Option<(bool, i64)> = None;
    events.iter().position(|event| match event.happened {
        H::Added { deaths } => {
            known = Some((false, deaths));
            false
        }
        H::Claimed { deaths, .. } => known
            .replace((true, deaths))
            .is_some_and(|(stood, before)| deaths != before + i64::from(stood)),
        H::Freed | H::Buried => {
            known = known.map(|(_, deaths)| (false, deaths));
            false
        }
        _ => false,
    })
}

fn one_sync(events: &[&Event]) -> Option<usize> {
    let mut open = BTreeSet::new();
    events.iter().position(|event| {
        let Some(sync) = event.sync else { return false };
        match event.happened {
            H::SyncOpen => {
                open.insert(sync);
            }
            H::SyncSucceeded { .. } | H::SyncFailed { .. } | H::SyncAside => {
                open.remove(&sync);
            }
            _ => {}
        }
        open.len() > 1
    })
}

/// Where each transaction has its last event: there its rules must hold.
fn ends(events: &[&Event]) -> BTreeMap<i64, usize> {
    let places = events.iter().enumerate();
    places.map(|(place, event)| (event.tx, place)).collect()
}

fn whole_revision(events: &[&Event]) -> Option<usize> {
    events.iter().position(|event| {
        let H::Revision(revision) = event.happened else {
            return false;
        };
        !events.iter().any(|other| {
            other.tx == event.tx
                && matches!(other.happened, H::SyncSucceeded { revision: r } if r == revision)
        })
    })
}

fn revision_by_one(events: &[&Event]) -> Option<usize> {
    let mut last = None;
    events.iter().position(|event| match event.happened {
        H::Revision(revision) => last.replace(revision).is_some_and(|last| revision != last + 1),
        _ => false,
    })
}

fn one_case(events: &[&Event]) -> Option<usize> {
    let ends = ends(events);
    // code, and the transaction that touched the case last
    let mut open: BTreeMap<&str, i64> = BTreeMap::new();
    let mut failed: Vec<(i64, &str)> = Vec::new();
    let mut succeeded: Vec<i64> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match &event.happened {
            H::CaseOpened(code) if open.insert(code, event.tx).is_some() => return Some(place),
            H::CaseAgain(code) => {
                open.insert(code, event.tx);
            }
            H::CaseResolved(code) => {
                open.remove(code.as_str());
            }
            H::SyncFailed { code } => failed.push((event.tx, code)),
            H::SyncSucceeded { .. } => succeeded.push(event.tx),
            _ => {}
        }
        if ends[&event.tx] == place {
            let lacks = failed
                .iter()
                .any(|(tx, code)| *tx == event.tx && open.get(code) != Some(tx));
            let leaves = succeeded.contains(&event.tx) && open.values().any(|tx| *tx != event.tx);
            if lacks || leaves {
                return Some(place);
            }
        }
    }
    None
}

fn one_night(events: &[&Event]) -> Option<usize> {
    let mut nights = BTreeSet::new();
    events.iter().position(|event| match &event.happened {
        H::Night(night) => !nights.insert(night),
        _ => false,
    })
}

/// The job or org that an event is about, for a rule.
pub(super) fn subject(rule: Rule, event: &Event) -> Option<Uuid> {
    if rule.is_of_job() {
        event.job
    } else {
        Some(event.org)
    }
}
