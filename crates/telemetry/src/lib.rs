//! Logs, traces, metrics and health of one process.
//!
//! The other crates raise `tracing` events and spans and import nothing of this: an event with the target
//! [`METRIC_TARGET`] becomes a counter, gauge or histogram (`layer.rs`, table in `metrics.tsv`), every other one a log
//! line on stderr; a span with a field `traceparent` continues the trace that the text names (`trace.rs`, `named.rs`), so
//! that the steps of one sync, run by many processes, are one trace. `http.rs` shows metrics and health.
//!
//! What is logged, and how often, stays with whoever raises it; where the collector is stays with the settings.

mod counted;
mod http;
mod layer;
mod metrics;
mod named;
mod settings;
mod start;
mod trace;

pub use http::{HttpServer, Readiness, ReadyAnswer, ask_ready, serve};
pub use layer::{METRIC_TARGET, MetricLayer};
pub use metrics::{Metric, Metrics, SERIES_MAX, Shape, table, table_as_markdown};
pub use settings::{LogFormat, TelemetrySettings};
pub use start::{Service, Telemetry, start};
pub use trace::{TraceparentError, current_traceparent, set_parent};

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of the log is no filter.
    #[error(
        "telemetry.log {text:?} is no log filter: {source}; write for example \"info,nightshift_jobs=debug\""
    )]
    Filter {
        /// As set.
        text: String,
        /// What was not understood.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The share of kept traces is no share.
    #[error("telemetry.sample_ratio must lie between 0 and 1, not {0}")]
    Ratio(f64),
    /// Traces cannot be sent.
    #[error("telemetry.otlp_endpoint cannot be used: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Called outside of tokio, where the exporter's connection cannot live.
    #[error("the exporter of traces needs a tokio runtime; start telemetry inside of one")]
    NoRuntime,
    /// Logs go elsewhere already.
    #[error("logging was already set up in this process")]
    Twice,
    /// The address for health and metrics cannot be had.
    #[error(
        "http.listen {address:?} cannot be opened: {source}; choose a free address:port, or leave it empty"
    )]
    Listen {
        /// As set.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// What was left of the traces could not be sent.
    #[error("the last traces were not sent: {0}")]
    Shutdown(String),
}
