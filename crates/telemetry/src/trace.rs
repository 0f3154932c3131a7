//! Traces: continued across processes by the W3C's `traceparent`, sent to a collector when one is set.
//!
//! A span that has a field `traceparent` becomes a child of the span which that text names; one that has a field
//! `own_traceparent` is that span (`named.rs`). So the crates that run jobs need to know nothing but the names of two
//! fields.
//!
//! Sampling goes by the trace's id, also under a remote parent that is flagged as sampled: whoever asked for the sync
//! made the id and flagged it, and cannot know which share this fleet keeps.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context as OtelContext, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanProcessor,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::counted::{CountedExporter, CountedQueue, Counts};
use crate::named::Numbers;
use crate::start::Service;
use crate::{Metrics, TelemetryError, TelemetrySettings};

/// Finished spans that wait to be sent, at most; more are dropped and counted, for a collector that is away must cost no
/// memory.
const QUEUE: usize = 4096;
/// Spans of one message to the collector.
const BATCH: usize = 512;
/// How long the collector may take to answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a text cannot become the parent of a span.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceparentError {
    /// Not what the W3C describes.
    #[error(
        "no traceparent: expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, neither id all zero"
    )]
    Malformed,
    /// The span has begun, or nobody records spans.
    #[error("the span takes no parent any more, or no traces are recorded")]
    TooLate,
}

/// The `traceparent` that names the span we are in; `None` where no traces are recorded.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    if !context.span().span_context().is_valid() {
        return None;
    }
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove("traceparent")
}

/// Makes the span that `traceparent` names the parent of `span`, which must not have been entered yet.
pub fn set_parent(span: &Span, traceparent: &str) -> Result<(), TraceparentError> {
    let context = parse(traceparent).ok_or(TraceparentError::Malformed)?;
    span.set_parent(context).map_err(|_| TraceparentError::TooLate)
}

/// The library's reader takes ids of any length, so the form is looked at first.
pub(crate) fn parse(traceparent: &str) -> Option<OtelContext> {
    let lengths = traceparent.split('-').map(str::len).take(4);
    if !lengths.eq([2, 32, 16, 2]) {
        return None;
    }
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&OtelContext::new(), &carrier);
    let valid = context.span().span_context().is_valid();
    valid.then_some(context)
}

/// Spans go to the collector in batches, from a thread of their own.
pub(crate) fn exporting_provider(
    settings: &TelemetrySettings,
    service: &Service,
    metrics: Metrics,
) -> Result<SdkTracerProvider, TelemetryError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(TelemetryError::NoRuntime);
    }
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(&settings.otlp_endpoint)
        .with_timeout(EXPORT_TIMEOUT);
    if settings.otlp_endpoint.starts_with("https://") {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let counts = Counts::new(metrics, QUEUE);
    let exporter = CountedExporter {
        exporter: exporter.build()?,
        counts: counts.clone(),
    };
    let queue = BatchSpanProcessor::builder(exporter)
        .with_batch_config(
            BatchConfigBuilder::default()
                .with_max_queue_size(QUEUE)
                .with_max_export_batch_size(BATCH)
                .build(),
        )
        .build();
    let counted = CountedQueue { queue, counts };
    Ok(provider(counted, settings.sample_ratio, service))
}

pub(crate) fn provider(
    processor: impl SpanProcessor + 'static,
    sample_ratio: f64,
    service: &Service,
) -> SdkTracerProvider {
    let ratio = Sampler::TraceIdRatioBased(sample_ratio);
    SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_id_generator(Numbers::default())
        .with_sampler(Sampler::parent_based(ratio.clone()).with_remote_parent_sampled(ratio))
        .with_resource(
            Resource::builder()
                .with_service_name(format!("nightshift-{}", service.role))
                .with_attribute(KeyValue::new("service.version", service.version))
                .with_attribute(KeyValue::new("service.instance.id", service.instance.clone()))
                .build(),
        )
        .build()
}

pub(crate) fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    provider.tracer("nightshift")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::SpanId;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SimpleSpanProcessor, SpanData, SpanExporter as Exporter};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::named::{Attach, Detach};

    const REMOTE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[derive(Clone, Default, Debug)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl Exporter for Kept {
        fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
            self.0.lock().unwrap().extend(batch);
            std::future::ready(Ok(()))
        }
    }

    fn spans(sample_ratio: f64, run: impl FnOnce()) -> Vec<SpanData> {
        let kept = Kept::default();
        let service = Service {
            role: "worker",
            version: "1.2.3",
            instance: "w-1".into(),
        };
        let provider = provider(SimpleSpanProcessor::new(kept.clone()), sample_ratio, &service);
        let subscriber = tracing_subscriber::registry()
            .with(Attach)
            .with(tracing_opentelemetry::layer().with_tracer(tracer(&provider)))
            .with(Detach);
        tracing::subscriber::with_default(subscriber, run);
        provider.shutdown().unwrap();
        let spans = kept.0.lock().unwrap();
        spans.clone()
    }

    #[test]
    fn a_span_with_a_traceparent_continues_the_trace_it_names() {
        let spans = spans(1.0, || {
            let outer = tracing::info_span!("consume").entered();
            tracing::info_span!("step", traceparent = REMOTE).in_scope(|| {
                assert!(
                    current_traceparent()
                        .unwrap()
                        .starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-")
                );
                tracing::info_span!("call").in_scope(|| {});
            });
            drop(outer);
            tracing::info_span!("after").in_scope(|| {});
        });
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let step = named("step");
        assert_eq!(
            step.span_context.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert_eq!(step.parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(named("call").parent_span_id, step.span_context.span_id());
        assert_ne!(
            named("after").span_context.trace_id(),
            step.span_context.trace_id()
        );
        assert_ne!(
            named("consume").span_context.trace_id(),
            step.span_context.trace_id()
        );
    }

    #[test]
    fn a_span_has_the_numbers_it_was_given_in_the_trace_of_its_parent() {
        let own = "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01";
        let spans = spans(1.0, || {
            tracing::info_span!("outer").in_scope(|| {
                tracing::info_span!("announce", traceparent = REMOTE, own_traceparent = own).in_scope(|| {});
                let fire = tracing::info_span!(parent: None, "fire", own_traceparent = REMOTE);
                fire.in_scope(|| tracing::info_span!("call").in_scope(|| {}));
            });
        });
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        let numbers = |name: &str| {
            let context = &named(name).span_context;
            format!("{}-{}", context.trace_id(), context.span_id())
        };
        assert_eq!(
            numbers("announce"),
            "4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab"
        );
        assert_eq!(named("announce").parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(
            numbers("fire"),
            "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
        );
        assert_eq!(named("fire").parent_span_id, SpanId::INVALID);
        assert_eq!(named("call").parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_ne!(
            named("call").span_context.span_id(),
            named("fire").span_context.span_id()
        );
        assert_ne!(
            named("outer").span_context.trace_id(),
            named("fire").span_context.trace_id()
        );
    }

    #[test]
    fn a_malformed_traceparent_starts_a_trace_of_its_own() {
        for text in [
            "",
            "rubbish",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf9-00f0-01",
        ] {
            let spans = spans(1.0, || {
                tracing::info_span!("step", traceparent = text).in_scope(|| {});
                let late = tracing::info_span!("late");
                assert_eq!(set_parent(&late, text), Err(TraceparentError::Malformed));
            });
            let step = spans.iter().find(|span| span.name == "step").unwrap();
            assert_eq!(step.parent_span_id.to_string(), "0000000000000000", "{text:?}");
        }
    }

    #[test]
    fn a_parent_can_be_set_by_hand_and_passed_on() {
        let spans = spans(1.0, || {
            let span = tracing::info_span!("request");
            set_parent(&span, REMOTE).unwrap();
            let passed_on = span.in_scope(|| current_traceparent().unwrap());
            tracing::info_span!("next", traceparent = %passed_on).in_scope(|| {});
        });
        let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
        assert_eq!(named("request").parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(
            named("next").parent_span_id,
            named("request").span_context.span_id()
        );
    }

    #[test]
    fn what_is_kept_goes_by_the_traces_id_also_under_a_sampled_parent() {
        assert_eq!(
            spans(0.0, || tracing::info_span!("step", traceparent = REMOTE)
                .in_scope(|| {}))
            .len(),
            0
        );
        assert_eq!(
            spans(1.0, || tracing::info_span!("step", traceparent = REMOTE)
                .in_scope(|| {}))
            .len(),
            1
        );
        let unsampled = REMOTE.replace("-01", "-00");
        assert_eq!(
            spans(1.0, || tracing::info_span!("step", traceparent = %unsampled)
                .in_scope(|| {}))
            .len(),
            0
        );
    }

    #[test]
    fn without_a_recorder_there_is_no_traceparent() {
        let span = tracing::info_span!("alone");
        assert_eq!(span.in_scope(current_traceparent), None);
        assert_eq!(set_parent(&span, REMOTE), Err(TraceparentError::TooLate));
    }
}
