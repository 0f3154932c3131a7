//! What of the telemetry can be set: `[telemetry]` of the configuration.
//!
//! Reading files and variables is the binary's business.

use serde::{Deserialize, Serialize};

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySettings {
    /// A filter such as `info` or `info,nightshift_jobs=debug`.
    pub log: String,
    /// `json` or `text`.
    pub log_format: LogFormat,
    /// Where spans are sent (OTLP over gRPC, `http://host:4317` or `https://...`); empty = nowhere.
    pub otlp_endpoint: String,
    /// Share of traces that are kept, 0 to 1; decided by the trace's id, so alike in every process.
    pub sample_ratio: f64,
}

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            log: "info".into(),
            log_format: LogFormat::Json,
            otlp_endpoint: String::new(),
            sample_ratio: 1.0,
        }
    }
}
