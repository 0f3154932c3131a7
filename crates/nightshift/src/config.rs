//! The configuration: defaults, `nightshift.toml`, `NIGHTSHIFT__*`, flags; later ones win.
//!
//! The `Settings` of each crate live with the crate; here they are put together and read. A key that nobody knows is
//! refused with its source, because a misspelt limit that is silently ignored shows up at 3 AM. Only the binary reads
//! files and variables.

pub mod limits;
mod load;
mod show;

pub use load::{ConfigError, FileText, Sources, load, load_texts};
pub use show::{rows, show};

use nightshift_jobs::JobsSettings;
use nightshift_sync::{PolitenessSettings, SyncSettings};
use nightshift_telemetry::TelemetrySettings;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// RabbitMQ.
    pub broker: BrokerSettings,
    /// Health and metrics of a process.
    pub http: HttpSettings,
    /// Keys for what is encrypted at rest.
    pub secrets: SecretsSettings,
    /// How Salesforce is talked to.
    pub salesforce: SalesforceSettings,
    /// How jobs are claimed and tried again.
    pub jobs: JobsSettings,
    /// How a sync plans and polls.
    pub sync: SyncSettings,
    /// How much of Salesforce may be taken.
    pub politeness: PolitenessSettings,
    /// What a worker takes.
    pub worker: WorkerSettings,
    /// How a scheduler fires.
    pub scheduler: SchedulerSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
}

/// `[database]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSettings {
    /// `postgres://user:password@host:port/name`. Secret.
    #[serde(skip_serializing)]
    pub url: Option<SecretString>,
    /// Connections of one process, at most.
    pub max_connections: u32,
    /// How long a process waits at its start for database and broker, in seconds, before it gives up.
    pub start_patience_seconds: u64,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: None,
            max_connections: 10,
            start_patience_seconds: 60,
        }
    }
}

/// `[broker]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerSettings {
    /// `amqp://user:password@host:port/vhost?heartbeat=10`. Secret.
    #[serde(skip_serializing)]
    pub url: Option<SecretString>,
    /// With which the names of exchanges and queues begin; fleets that share a broker need different ones.
    pub prefix: String,
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: None,
            prefix: "nightshift".into(),
        }
    }
}

/// `[http]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// `address:port` for `/metrics`, `/healthz`, `/readyz`; empty = none.
    pub listen: String,
}

/// `[secrets]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsSettings {
    /// `id:base64` of 32 bytes; more, comma-separated, are old keys that may still be needed to read. Secret.
    #[serde(skip_serializing)]
    pub key: Option<SecretString>,
}

/// `[salesforce]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SalesforceSettings {
    /// Hosts outside Salesforce's domains that may be contacted, also by plain http. For simulators.
    pub allowed_hosts: Vec<String>,
    /// `http://user:password@host:port` of the proxy to Salesforce; not set = as `HTTPS_PROXY` and `NO_PROXY` say;
    /// `none` = no proxy whatever they say. Secret.
    #[serde(skip_serializing)]
    pub proxy: Option<SecretString>,
    /// Hosts, domains and networks that are reached without `proxy`.
    pub no_proxy: Vec<String>,
    /// PEM file of authorities that are trusted besides the machine's own; empty = none.
    pub ca_file: String,
}

/// `[worker]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSettings {
    /// Classes this worker consumes: control, poll, ingest.
    pub classes: Vec<String>,
    /// Steps of class control at a time.
    pub control_concurrency: u16,
    /// Steps of class poll at a time.
    pub poll_concurrency: u16,
    /// Steps of class ingest at a time.
    pub ingest_concurrency: u16,
    /// How long running steps may go on after SIGTERM, in seconds; then their jobs are released.
    pub drain_seconds: u64,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            classes: ["control", "poll", "ingest"].map(str::to_owned).to_vec(),
            control_concurrency: 8,
            poll_concurrency: 16,
            ingest_concurrency: 2,
            drain_seconds: 15,
        }
    }
}

/// `[scheduler]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchedulerSettings {
    /// Orgs fired in one transaction.
    pub fire_batch: u32,
    /// How often due orgs are looked for, in milliseconds.
    pub tick_millis: u64,
    /// Most syncs that catching up after an outage starts a minute.
    pub catch_up_per_minute: u32,
}

impl Default for SchedulerSettings {
    fn default() -> Self {
        Self {
            fire_batch: 200,
            tick_millis: 1_000,
            catch_up_per_minute: 600,
        }
    }
}
