//! How a simulator behaves as a whole, as plain values that a command line or a test fills in.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use crate::latency::Latency;

/// Settings of a simulator; `Default` is quick and honest.
#[derive(Clone, Debug)]
pub struct SimulatorSettings {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The URL that clients are told, where something stands before the simulator (a proxy that counts, say).
    pub public_url: Option<String>,
    /// Speaks TLS, as clients that know Salesforce by https alone need.
    pub tls: Option<TlsFiles>,
    /// From which ids and tokens are made.
    pub seed: u64,
    /// Greatest API version that `/services/data` offers, in tenths (670 is 67.0).
    pub greatest_version: u32,
    pub pace: RetrievePace,
    /// How long calls take; where drawn, retrieves and Bulk jobs too, in the place of `pace`.
    pub latency: Latency,
    /// How long an access token lives unless it is used up by a fault.
    pub access_token_lifetime: Duration,
    /// Most files that one retrieve may ask for.
    pub most_files: usize,
    pub compression: Compressing,
}

/// A certificate with its chain, and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// How long a retrieve stays in each state.
#[derive(Clone, Copy, Debug)]
pub struct RetrievePace {
    pub pending: Duration,
    pub in_progress: Duration,
    /// Further time in progress for each file.
    pub per_file: Duration,
}

/// Whether answers are compressed for clients that ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compressing {
    WhenAsked,
    Never,
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            public_url: None,
            tls: None,
            seed: 1,
            greatest_version: 670,
            pace: RetrievePace::default(),
            latency: Latency::None,
            access_token_lifetime: Duration::from_hours(2),
            most_files: 10_000,
            compression: Compressing::WhenAsked,
        }
    }
}

impl Default for RetrievePace {
    fn default() -> Self {
        Self {
            pending: Duration::from_millis(50),
            in_progress: Duration::from_millis(100),
            per_file: Duration::from_micros(20),
        }
    }
}
