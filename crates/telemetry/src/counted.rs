//! Counts the spans that no collector will ever have.
//!
//! The library drops spans in two places and tells neither: where its queue is full, and where an export fails. So what
//! may wait is counted before its queue ([`CountedQueue`], which lets in no more than the queue holds), and what leaves
//! it at the exporter ([`CountedExporter`]). A collector that is away is no line for each of its failures: one a minute
//! says how many were lost.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::metrics::Metrics;

/// Counts spans that were dropped.
pub(crate) const SPANS_DROPPED: &str = "nightshift_spans_dropped_total";
/// At least so far apart are two lines about dropped spans.
const A_LINE_EVERY: Duration = Duration::from_secs(60);

/// Why a span is dropped.
#[derive(Clone, Copy, Debug)]
enum Why<'a> {
    /// More end than are sent.
    QueueFull,
    /// The collector did not take it.
    ExportFailed(&'a OTelSdkError),
}

impl Why<'_> {
    fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ExportFailed(_) => "export_failed",
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => f.write_str("more of them end than the collector takes"),
            Self::ExportFailed(error) => write!(f, "the collector did not take them: {error}"),
        }
    }
}

/// What queue and exporter count together. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Counts(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    /// Spans that ended and are not yet with the exporter.
    waiting: AtomicUsize,
    most: usize,
    told: Mutex<Told>,
}

struct Told {
    last: Option<Instant>,
    since: u64,
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counts").field(&self.0.waiting).finish()
    }
}

impl Counts {
    /// At most `most` spans may wait.
    pub(crate) fn new(metrics: Metrics, most: usize) -> Self {
        Self(Arc::new(Inner {
            metrics,
            waiting: AtomicUsize::new(0),
            most,
            told: Mutex::new(Told { last: None, since: 0 }),
        }))
    }

    /// Whether one more may wait; then it does.
    fn let_in(&self) -> bool {
        let one_more = |waiting| (waiting < self.0.most).then_some(waiting + 1);
        let let_in = self
            .0
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        let_in.is_ok()
    }

    fn leave(&self, spans: usize) {
        let fewer = |waiting: usize| Some(waiting.saturating_sub(spans));
        let _ = self
            .0
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
    }

    fn dropped(&self, why: Why<'_>, spans: u64) {
        self.0
            .metrics
            .count(SPANS_DROPPED, &[("reason", why.as_str())], spans);
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.since += spans;
        if told.last.is_some_and(|last| last.elapsed() < A_LINE_EVERY) {
            return;
        }
        let since = std::mem::take(&mut told.since);
        told.last = Some(Instant::now());
        drop(told);
        tracing::warn!(
            spans = since,
            "spans are dropped ({since} since the last such line): {why}"
        );
    }
}

/// In front of the library's queue.
#[derive(Debug)]
pub(crate) struct CountedQueue<P> {
    pub(crate) queue: P,
    pub(crate) counts: Counts,
}

impl<P: SpanProcessor> SpanProcessor for CountedQueue<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.queue.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.counts.let_in() {
            self.queue.on_end(span);
        } else {
            self.counts.dropped(Why::QueueFull, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.queue.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.queue.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.queue.set_resource(resource);
    }
}

/// Behind it.
#[derive(Debug)]
pub(crate) struct CountedExporter<E> {
    pub(crate) exporter: E,
    pub(crate) counts: Counts,
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.counts.leave(spans);
        let sent = self.exporter.export(batch).await;
        if let Err(error) = &sent {
            self.counts.dropped(Why::ExportFailed(error), spans as u64);
        }
        sent
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
