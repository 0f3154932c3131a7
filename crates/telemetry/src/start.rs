//! Puts logs, metrics and traces of a process together, and ends them.
//!
//! Each layer has a filter of its own: the log's level is the operator's, metrics are counted at every level, spans are
//! recorded from `info` on, without those of the libraries that carry them to the collector (they would record
//! themselves sending themselves).

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, FilterFn, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::metrics::Metrics;
use crate::named::{Attach, Detach};
use crate::trace;
use crate::{LogFormat, METRIC_TARGET, MetricLayer, TelemetryError, TelemetrySettings};

/// The exporter of spans has a line for each message that it could not send; ours, one a minute, says as much. Whoever
/// wants to see it names it in `telemetry.log`.
const QUIET: &str = "opentelemetry_sdk=off,";

/// Who this process is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// `scheduler`, `worker`, `up`, ...
    pub role: &'static str,
    /// Of the program.
    pub version: &'static str,
    /// Tells processes of one role apart.
    pub instance: String,
}

/// The running telemetry of this process.
#[must_use = "dropping it without `shutdown` may lose the last traces"]
pub struct Telemetry {
    metrics: Metrics,
    provider: Option<SdkTracerProvider>,
}

/// Starts logging to stderr, counting, and (when an endpoint is set) sending traces. Once in a process.
pub fn start(settings: &TelemetrySettings, service: &Service) -> Result<Telemetry, TelemetryError> {
    let (subscriber, telemetry) = assemble(settings, service, std::io::stderr)?;
    subscriber.try_init().map_err(|_| TelemetryError::Twice)?;
    Ok(telemetry)
}

fn assemble<W>(
    settings: &TelemetrySettings,
    service: &Service,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + 'static, Telemetry), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    if !(0.0..=1.0).contains(&settings.sample_ratio) {
        return Err(TelemetryError::Ratio(settings.sample_ratio));
    }
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(format!("{QUIET}{}", settings.log))
        .map_err(|source| TelemetryError::Filter {
            text: settings.log.clone(),
            source,
        })?;
    let metrics = Metrics::default();
    metrics.set("nightshift_build_info", &[("version", service.version)], 1.0);
    let provider = match settings.otlp_endpoint.as_str() {
        "" => None,
        _ => Some(trace::exporting_provider(settings, service, metrics.clone())?),
    };
    let spans = provider.as_ref().map(|provider| {
        Attach
            .and_then(tracing_opentelemetry::layer().with_tracer(trace::tracer(provider)))
            .and_then(Detach)
            .with_filter(recorded())
    });
    let subscriber = tracing_subscriber::registry()
        .with(spans)
        .with(
            MetricLayer::new(metrics.clone())
                .with_filter(Targets::new().with_target(METRIC_TARGET, LevelFilter::TRACE)),
        )
        .with(lines(settings.log_format, writer).with_filter(filter.and(sentences())));
    Ok((subscriber, Telemetry { metrics, provider }))
}

/// What is recorded as spans.
fn recorded() -> Targets {
    let quiet = [
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower",
        "opentelemetry",
        "opentelemetry_sdk",
        "opentelemetry_otlp",
    ];
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target(METRIC_TARGET, LevelFilter::OFF)
        .with_targets(quiet.map(|target| (target, LevelFilter::OFF)))
}

/// Metrics are no lines of the log.
fn sentences() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| metadata.target() != METRIC_TARGET)
}

fn lines<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => layer
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
    }
}

impl Telemetry {
    /// The metrics of this process, for `/metrics` and for what is counted by hand.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends what is left of the traces, for at most `deadline`. Without a collector there is nothing to wait for.
    pub async fn shutdown(self, deadline: Duration) -> Result<(), TelemetryError> {
        let Some(provider) = self.provider else {
            return Ok(());
        };
        // the provider joins its thread: not on one of the runtime's
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(deadline));
        match tokio::time::timeout(deadline, ended).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(TelemetryError::Shutdown(error.to_string())),
            Ok(Err(error)) => Err(TelemetryError::Shutdown(error.to_string())),
            Err(_) => Err(TelemetryError::Shutdown(format!("no answer within {deadline:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn lines(&self) -> Vec<serde_json::Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
    }

    fn service() -> Service {
        Service {
            role: "worker",
            version: "1.2.3",
            instance: "w-1".into(),
        }
    }

    fn logged(log: &str, raise: impl FnOnce()) -> (Vec<serde_json::Value>, Metrics) {
        let paper = Paper::default();
        let settings = TelemetrySettings {
            log: log.into(),
            ..TelemetrySettings::default()
        };
        let pen = paper.clone();
        let (subscriber, telemetry) = assemble(&settings, &service(), move || pen.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, raise);
        (paper.lines(), telemetry.metrics())
    }

    #[test]
    fn a_line_is_one_json_object_with_its_fields_and_its_span() {
        let (lines, _) = logged("info", || {
            tracing::info_span!("step", job.id = "j-1").in_scope(|| {
                tracing::info!(job.outcome = "done", "poll of job j-1: done\nnot a second line");
            });
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["message"], "poll of job j-1: done\nnot a second line");
        assert_eq!(lines[0]["job.outcome"], "done");
        assert_eq!(lines[0]["span"]["job.id"], "j-1");
        assert!(lines[0]["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn metrics_are_counted_at_every_level_and_are_no_lines() {
        let (lines, metrics) = logged("error", || {
            tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_total", kind = "poll");
            tracing::warn!("a sentence below the level");
            tracing::error!("a sentence");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            metrics
                .render()
                .contains("nightshift_claims_total{kind=\"poll\"} 1")
        );
        assert!(
            metrics
                .render()
                .contains("nightshift_build_info{version=\"1.2.3\"} 1")
        );
    }

    #[test]
    fn levels_can_differ_by_crate() {
        let (lines, _) = logged("warn,nightshift_jobs=debug", || {
            tracing::debug!(target: "nightshift_jobs", "seen");
            tracing::info!(target: "nightshift_store", "unseen");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn bad_settings_are_refused_with_their_key() {
        let refused = |settings: TelemetrySettings| {
            assemble(&settings, &service(), std::io::sink)
                .err()
                .unwrap()
                .to_string()
        };
        let bad_filter = TelemetrySettings {
            log: "jobs=louder".into(),
            ..TelemetrySettings::default()
        };
        assert!(refused(bad_filter).contains("telemetry.log"));
        let bad_ratio = TelemetrySettings {
            sample_ratio: 1.5,
            ..TelemetrySettings::default()
        };
        assert!(refused(bad_ratio).contains("telemetry.sample_ratio"));
        let no_runtime = TelemetrySettings {
            otlp_endpoint: "http://127.0.0.1:1".into(),
            ..TelemetrySettings::default()
        };
        assert!(refused(no_runtime).contains("tokio runtime"));
    }

    #[tokio::test]
    async fn a_collector_that_is_away_delays_the_end_by_no_more_than_the_deadline_b137() {
        let settings = TelemetrySettings {
            otlp_endpoint: "http://127.0.0.1:1".into(),
            ..TelemetrySettings::default()
        };
        let (subscriber, telemetry) = assemble(&settings, &service(), std::io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::info_span!("step").in_scope(|| {}));
        let begun = std::time::Instant::now();
        let _ = telemetry.shutdown(Duration::from_secs(2)).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_that_a_collector_fails_to_take_or_that_find_no_room_are_counted_and_told_once_a_minute_b135()
     {
        let refusing = axum::Router::new().fallback(|| async { axum::http::StatusCode::BAD_REQUEST });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = TelemetrySettings {
            otlp_endpoint: format!("http://{}", listener.local_addr().unwrap()),
            ..TelemetrySettings::default()
        };
        let serving = tokio::spawn(async move { axum::serve(listener, refusing).await });
        let paper = Paper::default();
        let pen = paper.clone();
        let (subscriber, telemetry) = assemble(&settings, &service(), move || pen.clone()).unwrap();
        let metrics = telemetry.metrics();
        // more than may wait, as fast as they come
        let spans = 20_000;
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..spans {
                tracing::info_span!("step").in_scope(|| {});
            }
        });
        let _ = telemetry.shutdown(Duration::from_secs(10)).await;
        serving.abort();
        let text = metrics.render();
        let dropped = |reason: &str| {
            let series = format!("nightshift_spans_dropped_total{{reason=\"{reason}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&series));
            line.map_or(0, |count| count.parse::<u64>().unwrap())
        };
        let (full, failed) = (dropped("queue_full"), dropped("export_failed"));
        assert!(full > 0 && failed > 0, "{full} and {failed}");
        assert_eq!(full + failed, spans, "each is counted once");
        let lines = paper.lines();
        assert!(lines.len() <= 1, "{lines:?}");
    }

    #[tokio::test]
    async fn spans_reach_the_collector_with_the_services_name_b137() {
        use axum::body::Bytes;
        use axum::extract::State;
        let got: Arc<Mutex<Vec<u8>>> = Arc::default();
        let collector = axum::Router::new()
            .route(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                axum::routing::post(|State(got): State<Arc<Mutex<Vec<u8>>>>, body: Bytes| async move {
                    got.lock().unwrap().extend_from_slice(&body);
                    // an empty answer message, uncompressed
                    (
                        [("content-type", "application/grpc"), ("grpc-status", "0")],
                        Bytes::from_static(&[0; 5]),
                    )
                }),
            )
            .with_state(got.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = TelemetrySettings {
            otlp_endpoint: format!("http://{}", listener.local_addr().unwrap()),
            ..TelemetrySettings::default()
        };
        let serving = tokio::spawn(async move { axum::serve(listener, collector).await });
        let (subscriber, telemetry) = assemble(&settings, &service(), std::io::sink).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let remote = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            tracing::info_span!("ingest-step", traceparent = remote).in_scope(|| {});
            tracing::debug_span!("too-fine").in_scope(|| {});
        });
        let metrics = telemetry.metrics();
        let _ = telemetry.shutdown(Duration::from_secs(5)).await;
        serving.abort();
        assert!(!metrics.render().contains("nightshift_spans_dropped_total{"));
        let body = got.lock().unwrap().clone();
        let holds = |needle: &[u8]| body.windows(needle.len()).any(|window| window == needle);
        assert!(holds(b"ingest-step") && holds(b"nightshift-worker") && holds(b"w-1"));
        assert!(
            holds(&[0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6]),
            "the trace's id"
        );
        assert!(!holds(b"too-fine"));
    }
}
