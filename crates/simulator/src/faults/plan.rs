//! A fault plan: many orders in one TOML file, each for one org, for those whose names begin alike, or for all.
//!
//! ```toml
//! [[fault]]
//! org = "org-1*"            # all orgs when absent
//! fault = "stays_pending"   # a kind, or a name of `named`
//! calls = ["retrieve"]
//! after = 2
//! times = 1
//! chance = 0.05
//! for_millis = 600000
//! ```

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::Fault;
use crate::error::SimulatorError;

/// Orders for the orgs of a simulator.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultPlan(pub Vec<PlannedFault>);

/// One order, and for which orgs.
#[derive(Clone, PartialEq, Debug)]
pub struct PlannedFault {
    /// A name, or the beginning of names followed by `*`; none for all.
    pub org: Option<String>,
    pub fault: Fault,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    fault: Vec<Value>,
}

impl FaultPlan {
    /// Reads a plan from a file. Refuses what the control door would refuse too, with the number of the order.
    pub fn read(path: &Path) -> Result<Self, SimulatorError> {
        let text = std::fs::read_to_string(path).map_err(|source| SimulatorError::PlanFile {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, SimulatorError> {
        let file: File = toml::from_str(text).map_err(|error| SimulatorError::Fault(error.to_string()))?;
        let orders = file.fault.into_iter().enumerate();
        orders
            .map(|(at, order)| {
                PlannedFault::read(order)
                    .map_err(|error| SimulatorError::Fault(format!("order {} of the plan: {error}", at + 1)))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl PlannedFault {
    /// Reads an order with its `org`; a name stands for what `named` says, and what the order says itself goes before.
    pub(crate) fn read(mut order: Value) -> Result<Self, SimulatorError> {
        let org = order.as_object_mut().and_then(|order| order.remove("org"));
        let fault = Fault::read(order)?;
        fault.check()?;
        Ok(Self {
            org: org.as_ref().and_then(Value::as_str).map(str::to_owned),
            fault,
        })
    }

    /// Whether it is for the org of that name.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        match self.org.as_deref() {
            None => true,
            Some(org) => match org.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == org,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calls::Call, faults::FaultKind};

    #[test]
    fn a_plan_names_orgs_faults_and_times() {
        let plan = FaultPlan::parse(
            "[[fault]]\norg = \"org-1*\"\nfault = \"html_503\"\ncalls = [\"retrieve\"]\nafter = 2\ntimes = 1\nchance = 0.5\nfor_millis = 9\n\
             [[fault]]\nfault = \"inactive_user\"\ntimes = 3\n",
        )
        .unwrap();
        let [one, two] = &plan.0[..] else {
            panic!("{plan:?}")
        };
        assert!(one.is_for("org-1") && one.is_for("org-12") && !one.is_for("org-2") && two.is_for("org-2"));
        assert_eq!(
            (
                one.fault.kind,
                &one.fault.calls[..],
                one.fault.chance,
                one.fault.for_millis
            ),
            (FaultKind::Html503, &[Call::Retrieve][..], Some(0.5), Some(9))
        );
        assert_eq!(
            (two.fault.kind, two.fault.text.as_deref(), two.fault.times),
            (FaultKind::OauthError, Some("inactive user"), Some(3))
        );
    }

    #[test]
    fn a_plan_that_is_wrong_says_where() {
        for (text, reason) in [
            (
                "[[fault]]\nfault = \"reset\"\n[[fault]]\nfault = \"slow\"",
                "order 2 of the plan",
            ),
            ("[[fault]]\nfault = \"reset\"\nchance = 2.0", "from 0 to 1"),
            ("[[faults]]\nfault = \"reset\"", "unknown field"),
            ("[[fault]]\nfault = \"nonsense\"", "nonsense"),
        ] {
            let error = FaultPlan::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
