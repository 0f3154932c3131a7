//! What a command fails with, as people read it.

use std::{error::Error, process::ExitCode};

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration: wrong usage.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Something needed is not configured.
    #[error("{key} is not set; put it into nightshift.toml or set {variable}")]
    Missing {
        /// The key.
        key: &'static str,
        /// Its variable.
        variable: &'static str,
    },
    /// What was typed cannot be used: wrong usage.
    #[error("{0}")]
    Usage(String),
    /// A rule says no.
    #[error("{0}")]
    Refused(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] nightshift_store::StoreError),
    /// The keys.
    #[error(transparent)]
    Keyring(#[from] nightshift_store::KeyringError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] nightshift_queue::QueueError),
    /// The machinery.
    #[error(transparent)]
    Jobs(#[from] nightshift_jobs::JobsError),
    /// Connecting an org.
    #[error(transparent)]
    Connect(#[from] nightshift_connections::ConnectError),
    /// The client.
    #[error(transparent)]
    Salesforce(#[from] nightshift_salesforce::SalesforceError),
    /// Telemetry.
    #[error(transparent)]
    Telemetry(#[from] nightshift_telemetry::TelemetryError),
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] nightshift_simulator::SimulatorError),
    /// The private cluster.
    #[error(transparent)]
    Embedded(#[from] crate::embedded::postgres::EmbeddedError),
    /// A file.
    #[error("{place}: {source}")]
    Io {
        /// Which.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// The runtime.
    #[error("the runtime could not be started: {0}")]
    Runtime(std::io::Error),
    /// Nothing answered within the patience of a start.
    #[error("{thing} could not be reached within {seconds} s; {hint}")]
    GaveUp {
        /// Database or broker.
        thing: &'static str,
        /// How long.
        seconds: u64,
        /// What to look at.
        hint: &'static str,
    },
}

impl CommandError {
    /// 2 for what the caller wrote wrongly, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Missing { .. } | Self::Usage(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }

    /// The error and its causes, on one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let words = cause.to_string();
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            source = cause.source();
        }
        text
    }
}
