//! How much of Salesforce a fleet may take.

use std::time::Duration;

use domain::{allowance::AllowanceRules, circuit::CircuitRules};
use nightshift_domain as domain;
use serde::{Deserialize, Serialize};

/// After so long a probe of an instance counts as lost: longer than all but the largest calls.
const PROBE: Duration = Duration::from_secs(300);

/// `[politeness]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolitenessSettings {
    /// Of an org's daily requests so many percent are never touched.
    pub day_left_percent: u32,
    /// Of an org's daily requests a night takes at most so many percent.
    pub night_percent: u32,
    /// Retries in percent of first tries: of an org's night, and of an instance within a window.
    pub retry_percent: u32,
    /// Retries that an org's night, and an instance's window, may have however few their tries are.
    pub retries_min: u32,
    /// So many calls of a window must find an instance down before its circuit opens.
    pub circuit_failures: u32,
    /// And so large a share of the window's calls, in percent.
    pub circuit_percent: u32,
    /// How long an instance's calls are counted together, in seconds.
    pub circuit_window_seconds: u64,
    /// How long nobody calls an instance whose circuit has opened, in seconds; twice as long after each failed probe.
    pub circuit_open_seconds: u64,
    /// The longest time between two probes, in seconds.
    pub circuit_open_max_seconds: u64,
}

impl Default for PolitenessSettings {
    fn default() -> Self {
        Self {
            day_left_percent: 20,
            night_percent: 5,
            retry_percent: 20,
            retries_min: 10,
            circuit_failures: 5,
            circuit_percent: 50,
            circuit_window_seconds: 60,
            circuit_open_seconds: 30,
            circuit_open_max_seconds: 600,
        }
    }
}

impl PolitenessSettings {
    /// For the circuits of instances.
    pub(crate) fn circuit(&self) -> CircuitRules {
        CircuitRules {
            failures: u64::from(self.circuit_failures),
            percent: u64::from(self.circuit_percent),
            window: Duration::from_secs(self.circuit_window_seconds),
            open: Duration::from_secs(self.circuit_open_seconds),
            open_max: Duration::from_secs(self.circuit_open_max_seconds),
            probe: PROBE,
            retries_percent: u64::from(self.retry_percent),
            retries_min: u64::from(self.retries_min),
        }
    }

    /// For the requests of orgs.
    pub(crate) fn allowance(&self) -> AllowanceRules {
        AllowanceRules {
            left_percent: self.day_left_percent,
            night_percent: self.night_percent,
        }
    }
}
