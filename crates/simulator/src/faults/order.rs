//! An ordered fault: what, for which calls, and when.
//!
//! A fault lets `after` calls pass, hits `times` of the following, is in force between `from_millis` and `for_millis`
//! after it was ordered, and hits a call with `chance`, drawn from the simulator's seed: the same calls in the same
//! order meet the same faults on every run.

use std::time::Duration;

use serde::Deserialize;

use super::FaultKind;
use crate::{
    calls::Call,
    error::SimulatorError,
    mix::{Numbers, mix},
};

/// An ordered fault.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(rename = "fault")]
    pub kind: FaultKind,
    /// Which calls it concerns; empty for all that it can.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// How many such calls pass first.
    #[serde(default)]
    pub after: u32,
    /// How many it hits; none for ever.
    pub times: Option<u32>,
    #[serde(rename = "type")]
    pub metadata_type: Option<String>,
    pub name: Option<String>,
    pub files: Option<usize>,
    pub code: Option<String>,
    pub text: Option<String>,
    pub millis: Option<u64>,
    pub bytes: Option<u64>,
    /// HTTP status of an error over REST.
    pub status: Option<u16>,
    /// In force from so long after the order, by the simulator's clock.
    pub from_millis: Option<u64>,
    /// In force for so long from then on; none for ever.
    pub for_millis: Option<u64>,
    /// With which probability it hits a call that it concerns; none for every one.
    pub chance: Option<f64>,
}

impl Fault {
    /// A fault that hits every call it can, for ever.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            calls: Vec::new(),
            after: 0,
            times: None,
            metadata_type: None,
            name: None,
            files: None,
            code: None,
            text: None,
            millis: None,
            bytes: None,
            status: None,
            from_millis: None,
            for_millis: None,
            chance: None,
        }
    }

    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    #[must_use]
    pub fn after(mut self, after: u32) -> Self {
        self.after = after;
        self
    }

    #[must_use]
    pub fn on(mut self, calls: &[Call]) -> Self {
        self.calls = calls.to_vec();
        self
    }

    /// Concerns a metadata type.
    #[must_use]
    pub fn of_type(mut self, metadata_type: &str) -> Self {
        self.metadata_type = Some(metadata_type.to_owned());
        self
    }

    /// Concerns one component of its type.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    #[must_use]
    pub fn over_files(mut self, files: usize) -> Self {
        self.files = Some(files);
        self
    }

    #[must_use]
    pub fn saying(mut self, code: &str, text: &str) -> Self {
        self.code = Some(code.to_owned());
        self.text = Some(text.to_owned());
        self
    }

    /// Hits with this probability (0 to 1) each call that it concerns.
    #[must_use]
    pub fn with_chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }

    /// In force for so long, from its order on.
    #[must_use]
    pub fn lasting(mut self, time: Duration) -> Self {
        self.for_millis = Some(time.as_millis() as u64);
        self
    }

    /// Refuses orders that could never hit or would not know what to say.
    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        use FaultKind as K;
        if self.chance.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err(SimulatorError::Fault(
                "`chance` is a probability from 0 to 1".to_owned(),
            ));
        }
        let missing = match self.kind {
            K::TypeMayNotBeListed
            | K::NilTypeListed
            | K::InsufficientAccess
            | K::PoisonousComponent
            | K::LoadFromDbFailed
            | K::LeftOut
            | K::WrongCaseMessage
                if self.metadata_type.is_none() =>
            {
                "type"
            }
            K::PoisonousComponent | K::LoadFromDbFailed | K::WrongCaseMessage if self.name.is_none() => {
                "name"
            }
            K::Error | K::SeveralErrors | K::OauthError | K::ApprovalError | K::RetrieveFails
                if self.code.is_none() =>
            {
                "code"
            }
            K::LeftOut if self.text.is_none() => "text",
            K::Slow | K::SlowDrip | K::LongPending | K::LongInProgress if self.millis.is_none() => "millis",
            K::LimitExceeded if self.files.is_none() => "files",
            _ => return Ok(()),
        };
        Err(SimulatorError::Fault(format!(
            "{:?} needs `{missing}`",
            self.kind
        )))
    }
}

/// An order and what is left of it.
#[derive(Debug)]
struct Standing {
    fault: Fault,
    ordered: Duration,
    lots: Numbers,
}

impl Standing {
    fn in_force(&self, now: Duration) -> bool {
        let from = self.ordered + Duration::from_millis(self.fault.from_millis.unwrap_or(0));
        let to = self
            .fault
            .for_millis
            .map(|millis| from + Duration::from_millis(millis));
        now >= from && to.is_none_or(|to| now < to) && self.fault.times != Some(0)
    }

    /// Draws whether this call is hit.
    fn lot_falls(&mut self) -> bool {
        let Some(chance) = self.fault.chance else {
            return true;
        };
        ((self.lots.next() >> 11) as f64) < chance * (1_u64 << 53) as f64
    }
}

/// The faults of one org, in the order in which they were given.
#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    given: u64,
    orders: Vec<Standing>,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            given: 0,
            orders: Vec::new(),
        }
    }

    pub(crate) fn order(&mut self, fault: Fault, now: Duration) {
        self.given += 1;
        self.orders.push(Standing {
            fault,
            ordered: now,
            lots: Numbers::new(mix(self.seed, self.given)),
        });
    }

    /// Forgets all faults, or those of one kind.
    pub(crate) fn clear(&mut self, kind: Option<FaultKind>) {
        self.orders
            .retain(|order| kind.is_some_and(|kind| order.fault.kind != kind));
    }

    /// The first fault of a kind that is in force, uncounted.
    pub(crate) fn standing(&self, kind: FaultKind, now: Duration) -> Option<Fault> {
        let mut orders = self.orders.iter();
        orders
            .find(|order| order.fault.kind == kind && order.in_force(now))
            .map(|order| order.fault.clone())
    }

    /// The first fault that hits this call among those that `concerns` accepts. Counts it.
    pub(crate) fn take(
        &mut self,
        call: Call,
        now: Duration,
        concerns: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        for order in &mut self.orders {
            let called = order.fault.calls.is_empty() || order.fault.calls.contains(&call);
            if !called || !order.in_force(now) || !concerns(&order.fault) || !order.lot_falls() {
                continue;
            }
            if order.fault.after > 0 {
                order.fault.after -= 1;
                continue;
            }
            if let Some(times) = &mut order.fault.times {
                *times -= 1;
            }
            return Some(order.fault.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lets_pass_hits_and_ends() {
        let mut faults = Faults::new(1);
        faults.order(
            Fault::new(FaultKind::Html503).after(1).times(2).on(&[Call::List]),
            Duration::ZERO,
        );
        let mut hit = |call| {
            faults
                .take(call, Duration::ZERO, |fault| fault.kind == FaultKind::Html503)
                .is_some()
        };
        let hits = [
            hit(Call::List),
            hit(Call::Retrieve),
            hit(Call::List),
            hit(Call::List),
            hit(Call::List),
        ];
        assert_eq!(hits, [false, false, true, true, false]);
    }

    /// Which of a thousand calls meet a fault.
    fn hits(seed: u64, fault: &Fault) -> Vec<u64> {
        let mut faults = Faults::new(seed);
        faults.order(fault.clone(), Duration::ZERO);
        (0..1_000)
            .filter(|&second| {
                faults
                    .take(Call::List, Duration::from_secs(second), |_| true)
                    .is_some()
            })
            .collect()
    }

    #[test]
    fn chance_is_drawn_from_the_seed_and_comes_near_its_probability() {
        let fault = Fault::new(FaultKind::Reset).with_chance(0.3);
        let one = hits(1, &fault);
        assert!((250..350).contains(&one.len()), "{}", one.len());
        assert_eq!(one, hits(1, &fault));
        assert_ne!(one, hits(2, &fault));
        assert!(hits(1, &fault.with_chance(0.0)).is_empty());
    }

    #[test]
    fn a_fault_is_in_force_for_its_time_alone() {
        let mut fault = Fault::new(FaultKind::Reset).lasting(Duration::from_secs(5));
        fault.from_millis = Some(10_000);
        assert_eq!(hits(1, &fault), [10, 11, 12, 13, 14]);
        let mut faults = Faults::new(1);
        faults.order(fault, Duration::ZERO);
        let standing = |second| {
            faults
                .standing(FaultKind::Reset, Duration::from_secs(second))
                .is_some()
        };
        assert_eq!([standing(9), standing(10), standing(15)], [false, true, false]);
    }

    #[test]
    fn an_order_is_read_from_json_and_refused_with_a_reason() {
        let read = |text: &str| serde_json::from_str::<Fault>(text);
        let fault =
            read(r#"{"fault":"poisonous_component","type":"ApexClass","name":"A","times":1}"#).unwrap();
        assert!(fault.check().is_ok());
        assert!(read(r#"{"fault":"html_503"}"#).is_ok() && read(r#"{"fault":"xml_10000_levels"}"#).is_ok());
        assert!(read(r#"{"fault":"nonsense"}"#).is_err());
        let missing = read(r#"{"fault":"poisonous_component","type":"ApexClass"}"#).unwrap();
        assert_eq!(
            missing.check().unwrap_err().to_string(),
            "fault is not understood: PoisonousComponent needs `name`"
        );
    }
}
