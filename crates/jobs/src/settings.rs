//! The numbers by which jobs are claimed, tried again and announced.

use std::time::Duration;

use nightshift_store::jobs::AnnounceLimits;
use serde::{Deserialize, Serialize};

/// `[jobs]` of the configuration. Each has a default that fits a fleet of 100,000 orgs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsSettings {
    /// How long a claim is good without a heartbeat, in seconds. A dead worker's job runs again after it.
    pub lease_seconds: u64,
    /// How often a step may return an error before its sync fails.
    pub max_attempts: u32,
    /// How many leases of one job may run out before it is called poison.
    pub max_deaths: u32,
    /// The first backoff, in seconds; each further one is twice as long, drawn with full jitter.
    pub backoff_initial_seconds: u64,
    /// The longest backoff, in seconds.
    pub backoff_max_seconds: u64,
    /// How many jobs of one class may be announced and unclaimed at a time.
    pub announced_per_class: u32,
    /// How many jobs of one org may be announced and unclaimed at a time in a class.
    pub announced_per_org: u32,
    /// How many retrieves of one org may be open at Salesforce at a time.
    pub open_retrieves_per_org: u32,
    /// How many calls of one org may be under way at a time in the whole fleet: so many jobs of it run at once, each of
    /// which makes one call after the other (`inventory`, beside which no other runs, several at a time).
    pub calls_per_org: u32,
    /// For how many days the ledger of calls is kept.
    pub ledger_days: u32,
    /// After how many seconds an announced job that nobody claimed is announced again.
    pub reannounce_seconds: u64,
    /// How often the sweep looks for due and lost jobs, in milliseconds.
    pub sweep_millis: u64,
}

impl Default for JobsSettings {
    fn default() -> Self {
        Self {
            lease_seconds: 60,
            max_attempts: 5,
            max_deaths: 3,
            backoff_initial_seconds: 2,
            backoff_max_seconds: 300,
            announced_per_class: 2_000,
            announced_per_org: 4,
            open_retrieves_per_org: 3,
            calls_per_org: 5,
            ledger_days: 35,
            reannounce_seconds: 60,
            sweep_millis: 500,
        }
    }
}

impl JobsSettings {
    /// The lease of a claim.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    /// The limits of announcing, as `store` wants them.
    pub fn announcing(&self) -> AnnounceLimits {
        AnnounceLimits {
            per_class: self.announced_per_class,
            per_org: self.announced_per_org,
            open_per_org: self.open_retrieves_per_org,
            running_per_org: self.calls_per_org,
            reannounce: Duration::from_secs(self.reannounce_seconds),
        }
    }

    /// Until a job that has died asks again for its place.
    pub fn breath(&self) -> Duration {
        self.lease() / 30
    }

    /// Between two sweeps.
    pub fn sweep_every(&self) -> Duration {
        Duration::from_millis(self.sweep_millis)
    }
}
