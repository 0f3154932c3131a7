//! From `tracing` events to metrics.
//!
//! The crates below the binary must not import telemetry; they raise an event with the target [`METRIC_TARGET`] and a
//! field `counter`, `gauge` or `histogram` that names the metric. The value stands in `value` (or `seconds`), a counter
//! without one grows by 1, every other field is a label. Such events are values, not sentences: the log leaves them out.

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::metrics::{Metrics, Value};

/// Target of the events that carry a metric.
pub const METRIC_TARGET: &str = "nightshift::metric";

/// Counts what events carry.
pub struct MetricLayer(Metrics);

impl MetricLayer {
    /// A layer that counts into `metrics`.
    pub fn new(metrics: Metrics) -> Self {
        Self(metrics)
    }
}

impl<S: Subscriber> Layer<S> for MetricLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != METRIC_TARGET {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        match fields.name_and_value() {
            Some((name, value)) => {
                let labels: Vec<_> = fields
                    .labels
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                self.0.record(name, &labels, value);
            }
            None => self.0.dropped("bad_event"),
        }
    }
}

#[derive(Default)]
struct Fields {
    counter: Option<String>,
    gauge: Option<String>,
    histogram: Option<String>,
    number: Option<f64>,
    labels: Vec<(&'static str, String)>,
}

impl Fields {
    fn name_and_value(&self) -> Option<(&str, Value)> {
        match (&self.counter, &self.gauge, &self.histogram) {
            (Some(name), None, None) => {
                let value = self.number.unwrap_or(1.0);
                (value >= 0.0).then_some((name, Value::Add(value as u64)))
            }
            (None, Some(name), None) => Some((name, Value::Set(self.number?))),
            (None, None, Some(name)) => Some((name, Value::Observe(self.number?))),
            _ => None,
        }
    }

    fn text(&mut self, field: &Field, value: String) {
        match field.name() {
            "counter" => self.counter = Some(value),
            "gauge" => self.gauge = Some(value),
            "histogram" => self.histogram = Some(value),
            "message" => {}
            name => self.labels.push((name, value)),
        }
    }

    fn number(&mut self, field: &Field, value: f64) {
        match field.name() {
            "value" | "seconds" => self.number = Some(value),
            name => self.labels.push((name, value.to_string())),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value as f64);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value as f64);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn rendered(raise: impl FnOnce()) -> String {
        let metrics = Metrics::default();
        let subscriber = tracing_subscriber::registry().with(MetricLayer::new(metrics.clone()));
        tracing::subscriber::with_default(subscriber, raise);
        metrics.render()
    }

    #[test]
    fn an_event_of_each_shape_becomes_its_metric() {
        let text = rendered(|| {
            tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_total", kind = "poll", value = 2_u64);
            tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_total", kind = %"poll");
            tracing::info!(target: "nightshift::metric", gauge = "nightshift_jobs", class = "poll", state = "due", value = 4_i64);
            tracing::info!(target: "nightshift::metric", histogram = "nightshift_step_seconds", kind = "poll", outcome = "wait", seconds = 0.1_f64);
        });
        assert!(
            text.contains("nightshift_claims_total{kind=\"poll\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_jobs{class=\"poll\",state=\"due\"} 4"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_step_seconds_count{kind=\"poll\",outcome=\"wait\"} 1"),
            "{text}"
        );
    }

    #[test]
    fn an_event_without_a_usable_name_or_value_is_counted_as_dropped() {
        let text = rendered(|| {
            tracing::info!(target: "nightshift::metric", kind = "poll");
            tracing::info!(target: "nightshift::metric", gauge = "nightshift_outbox");
            tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_total", gauge = "nightshift_jobs");
            tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_total", value = -1_i64);
        });
        assert!(
            text.contains("nightshift_telemetry_dropped_total{reason=\"bad_event\"} 4"),
            "{text}"
        );
    }

    #[test]
    fn an_ordinary_event_counts_nothing() {
        let text =
            rendered(|| tracing::info!(counter = "nightshift_claims_total", kind = "poll", "a sentence"));
        assert!(!text.contains("poll"), "{text}");
    }
}
