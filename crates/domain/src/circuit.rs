//! The circuit breaker of one Salesforce instance, and its budget of retries: what follows from what.
//!
//! An instance that is down is down for all its orgs. Calls that found nobody there (no answer, 503, SERVER_UNAVAILABLE;
//! not an org's own faults) open its circuit for all workers; when its time is over one job may probe, and what the probe
//! meets closes the circuit or opens it for twice as long. All pure: `store` keeps the row and changes it by
//! compare-and-set, `sync` asks before its calls and tells afterwards.

use std::time::Duration;

use jiff::Timestamp;

/// The numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CircuitRules {
    /// So many calls of a window must find nobody there before the circuit opens.
    pub failures: u64,
    /// And so large a share of the window's calls, in percent.
    pub percent: u64,
    /// How long calls are counted together.
    pub window: Duration,
    /// How long it is open the first time.
    pub open: Duration,
    /// How long at most.
    pub open_max: Duration,
    /// After so long a probe that told nothing counts as lost.
    pub probe: Duration,
    /// Retries of a window, in percent of its calls.
    pub retries_percent: u64,
    /// Retries of a window that are always allowed.
    pub retries_min: u64,
}

/// Whether an instance is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Circuit {
    /// By all.
    Closed,
    /// By nobody, until then.
    Open {
        /// Then one may probe.
        until: Timestamp,
        /// How often in a row it opened.
        times: u32,
    },
    /// By one.
    Probing {
        /// Then the probe counts as lost.
        until: Timestamp,
        /// As above.
        times: u32,
    },
}

/// Calls of the current window, as far as they were reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// When the window began.
    pub began: Timestamp,
    /// Calls that an instance answered, be it with an error.
    pub answered: u64,
    /// Calls that found nobody there.
    pub unavailable: u64,
    /// Retries that were granted.
    pub retries: u64,
}

/// All that is known of an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstanceHealth {
    /// Whether it is called.
    pub circuit: Circuit,
    /// How calls went.
    pub traffic: Traffic,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sighting {
    /// Calls of a step, and those of others that went well since the last report.
    Calls {
        /// Answered.
        answered: u64,
        /// Nobody there.
        unavailable: u64,
    },
    /// The probe was answered.
    ProbeAnswered,
    /// The probe found nobody there.
    ProbeFailed,
    /// The probe made no call.
    ProbeToldNothing,
}

/// The answer to whoever wants to call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permit {
    /// Call.
    Go,
    /// Call, as the only one, and tell what came of it.
    Probe,
    /// Ask again then.
    Later(Timestamp),
}

/// The answer to whoever wants to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RetryPermit {
    /// One of the window's retries is yours.
    Granted,
    /// They are used up; a new window begins then.
    Later(Timestamp),
}

impl InstanceHealth {
    /// Of an instance that nobody knows.
    pub fn unknown(now: Timestamp) -> Self {
        Self {
            circuit: Circuit::Closed,
            traffic: Traffic::fresh(now),
        }
    }

    /// Somebody wants to call.
    pub fn asks(self, now: Timestamp, rules: &CircuitRules) -> (Permit, Self) {
        match self.circuit {
            Circuit::Closed => (Permit::Go, self),
            Circuit::Open { until, .. } if now < until => (Permit::Later(until), self),
            Circuit::Probing { until, .. } if now < until => {
                (Permit::Later(until.min(later(now, rules.open))), self)
            }
            Circuit::Open { times, .. } | Circuit::Probing { times, .. } => {
                let until = later(now, rules.probe);
                (Permit::Probe, self.with(Circuit::Probing { until, times }))
            }
        }
    }

    /// After a sighting. Answers to calls that began before the circuit opened change it no more.
    #[must_use]
    pub fn after(self, sighting: Sighting, now: Timestamp, rules: &CircuitRules) -> Self {
        match (sighting, self.circuit) {
            (
                Sighting::Calls {
                    answered,
                    unavailable,
                },
                Circuit::Closed,
            ) => {
                let mut traffic = self.traffic.at(now, rules);
                traffic.answered += answered;
                traffic.unavailable += unavailable;
                Self { traffic, ..self }.judged(now, rules)
            }
            (Sighting::ProbeAnswered, Circuit::Probing { .. }) => Self::unknown(now),
            (Sighting::ProbeFailed, Circuit::Probing { times, .. }) => {
                let until = later(now, rules.open_for(times));
                self.with(Circuit::Open {
                    until,
                    times: times.saturating_add(1),
                })
            }
            (Sighting::ProbeToldNothing, Circuit::Probing { times, .. }) => {
                self.with(Circuit::Open { until: now, times })
            }
            _ => self,
        }
    }

    /// Somebody wants to try again what failed.
    pub fn asks_retry(self, now: Timestamp, rules: &CircuitRules) -> (RetryPermit, Self) {
        let mut traffic = self.traffic.at(now, rules);
        let calls = traffic.answered + traffic.unavailable;
        if traffic.retries >= allowed(calls, rules.retries_percent, rules.retries_min) {
            let permit = RetryPermit::Later(later(traffic.began, rules.window));
            return (permit, Self { traffic, ..self });
        }
        traffic.retries += 1;
        (RetryPermit::Granted, Self { traffic, ..self })
    }

    fn with(self, circuit: Circuit) -> Self {
        Self { circuit, ..self }
    }

    /// Opens, if the window's calls say so.
    fn judged(self, now: Timestamp, rules: &CircuitRules) -> Self {
        let Traffic {
            answered,
            unavailable,
            ..
        } = self.traffic;
        let many = unavailable >= rules.failures.max(1);
        if many && unavailable * 100 >= (answered + unavailable) * rules.percent {
            let until = later(now, rules.open_for(0));
            return self.with(Circuit::Open { until, times: 1 });
        }
        self
    }
}

/// Retries that so many first tries allow.
pub fn allowed(tries: u64, percent: u64, least: u64) -> u64 {
    (tries.saturating_mul(percent) / 100).max(least)
}

impl Traffic {
    fn fresh(now: Timestamp) -> Self {
        Self {
            began: now,
            answered: 0,
            unavailable: 0,
            retries: 0,
        }
    }

    /// The window that `now` lies in.
    fn at(self, now: Timestamp, rules: &CircuitRules) -> Self {
        if now >= later(self.began, rules.window) {
            Self::fresh(now)
        } else {
            self
        }
    }
}

impl CircuitRules {
    /// Twice as long each time, bounded.
    fn open_for(&self, times: u32) -> Duration {
        let factor = 1_u32 << times.min(16);
        self.open.saturating_mul(factor).min(self.open_max.max(self.open))
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "circuit_tests.rs"]
mod tests;
