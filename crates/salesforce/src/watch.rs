//! What a step's calls tell beside their answers: whether anybody was there, and what is left of the org's day.
//!
//! Looked at where the head of an answer comes in, and where its body breaks off, for all calls of a step together; what follows from it (the circuit
//! of the instance, the org's allowance) is `sync`'s. It also keeps the number of calls that a step may still make.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::{
    error::{Broken, SalesforceError, Waited},
    rest::ApiUsage,
};

/// Shared by the clones of a counter.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Calls that may still be made.
    left: AtomicI64,
    answered: AtomicU64,
    unavailable: AtomicU64,
    /// Used and allowed; -1 until an answer said so.
    usage: [AtomicI64; 2],
}

/// How calls went.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sightings {
    /// Answered, be it with an error.
    pub answered: u64,
    /// Nobody was there.
    pub unavailable: u64,
}

/// Whose fault an error is, as far as it concerns others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// The instance's: it is down or overloaded, for all its orgs.
    Instance,
    /// The org's, the request's, or our own: says nothing about other orgs.
    Nobody,
}

impl Watch {
    pub(crate) fn limited(left: i64) -> Self {
        Self {
            left: AtomicI64::new(left),
            answered: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
            usage: [AtomicI64::new(-1), AtomicI64::new(-1)],
        }
    }

    /// Takes one of the calls that are left.
    pub(crate) fn take(&self) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                (left > 0).then_some(left.saturating_sub(1))
            })
            .is_ok()
    }

    /// It was not made.
    pub(crate) fn give_back(&self) {
        let _ = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left.saturating_add(1))
            });
    }

    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: &SalesforceError) {
        match error.blame() {
            Blame::Instance => self.unavailable.fetch_add(1, Ordering::Relaxed),
            Blame::Nobody if error.is_answer() => self.answered.fetch_add(1, Ordering::Relaxed),
            Blame::Nobody => 0,
        };
    }

    /// The body of an answer that had begun well; who is not there to end it was not there.
    pub(crate) fn broke_off(&self, error: &SalesforceError) {
        if error.blame() == Blame::Nobody {
            return;
        }
        self.unavailable.fetch_add(1, Ordering::Relaxed);
        let _ = self
            .answered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |answered| {
                answered.checked_sub(1)
            });
    }

    pub(crate) fn said(&self, usage: ApiUsage) {
        self.usage[0].store(usage.used, Ordering::Relaxed);
        self.usage[1].store(usage.allowed, Ordering::Relaxed);
    }

    pub(crate) fn usage(&self) -> Option<ApiUsage> {
        let [used, allowed] = &self.usage;
        let usage = ApiUsage {
            used: used.load(Ordering::Relaxed),
            allowed: allowed.load(Ordering::Relaxed),
        };
        (usage.allowed >= 0).then_some(usage)
    }

    pub(crate) fn sightings(&self) -> Sightings {
        Sightings {
            answered: self.answered.load(Ordering::Relaxed),
            unavailable: self.unavailable.load(Ordering::Relaxed),
        }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::limited(i64::MAX)
    }
}

impl SalesforceError {
    /// Whether other orgs of the instance must expect the same.
    pub fn blame(&self) -> Blame {
        let is_down = |status: u16| matches!(status, 502..=504);
        let blamed = match self {
            // a slow body may be its size; a name that is not known is the org's domain
            Self::Timeout { waited, .. } => matches!(waited, Waited::Connect | Waited::FirstByte),
            Self::Transport { broken, .. } => matches!(broken, Broken::Connect | Broken::Cut),
            Self::Page { status, .. } | Self::Unexpected { status, .. } => is_down(*status),
            Self::Refused(refusal) => is_down(refusal.status) || refusal.code == "SERVER_UNAVAILABLE",
            _ => false,
        };
        if blamed { Blame::Instance } else { Blame::Nobody }
    }

    /// Whether Salesforce said something.
    fn is_answer(&self) -> bool {
        self.refusal().is_some() || matches!(self, Self::Page { .. } | Self::Unexpected { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        CallKind,
        error::{Refusal, Speaker},
    };

    fn refused(status: u16, code: &str) -> SalesforceError {
        let refusal = Refusal::new(CallKind::List, Speaker::Soap, status, code, "words");
        SalesforceError::Refused(Box::new(refusal))
    }

    #[test]
    fn what_every_org_of_an_instance_would_meet_is_told_from_an_orgs_own_trouble() {
        let (call, limit) = (CallKind::List, Duration::from_secs(30));
        let timeout = |waited| SalesforceError::Timeout { call, waited, limit };
        let transport = |broken| SalesforceError::Transport {
            call,
            broken,
            detail: String::new(),
        };
        let page = |status| SalesforceError::Page {
            call,
            status,
            text: String::new(),
        };
        for error in [
            timeout(Waited::Connect),
            timeout(Waited::FirstByte),
            transport(Broken::Connect),
            transport(Broken::Cut),
            page(503),
            refused(500, "SERVER_UNAVAILABLE"),
            refused(503, ""),
        ] {
            assert_eq!(error.blame(), Blame::Instance, "{error}");
        }
        for error in [
            timeout(Waited::Whole),
            transport(Broken::Dns),
            page(200),
            page(420),
            refused(500, "UNKNOWN_EXCEPTION"),
            refused(403, "REQUEST_LIMIT_EXCEEDED"),
            refused(401, "INVALID_SESSION_ID"),
            SalesforceError::JwtToken,
        ] {
            assert_eq!(error.blame(), Blame::Nobody, "{error}");
        }
    }

    #[test]
    fn no_more_calls_are_taken_than_are_left() {
        let watch = Watch::limited(2);
        assert!(watch.take() && watch.take() && !watch.take());
        watch.give_back();
        assert!(watch.take() && !watch.take());
    }
}
