//! The metrics of a process: a fixed table of names, and the series under them.
//!
//! The table is data (`metrics.tsv`), so that a name exists once, with its labels and its meaning, and the page in
//! `docs/` is printed from it. A value with a name or a label that the table does not have is dropped and counted. The
//! values of a label are bounded twice, in length and in number: a label that takes an org's name by mistake would
//! otherwise grow until Prometheus dies of it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Most series (combinations of label values) of one metric; further ones are counted under `other`.
pub const SERIES_MAX: usize = 500;

/// Longest value of a label, in characters; the rest is cut off.
const LABEL_VALUE_MAX: usize = 64;

/// Upper bounds of the buckets of every histogram, in seconds: from one statement to a whole night's sync.
const BUCKETS: [f64; 16] = [
    0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 10800.0,
];

/// Counts what the table does not know.
pub(crate) const DROPPED: &str = "nightshift_telemetry_dropped_total";

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    /// As in Prometheus; a counter ends in `_total`.
    pub name: &'static str,
    /// What its values mean.
    pub shape: Shape,
    /// Names of its labels, in the order of the table.
    pub labels: Vec<&'static str>,
    /// What it counts.
    pub help: &'static str,
}

/// What the values of a metric mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Only grows.
    Counter,
    /// The value of this moment.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

static TABLE: LazyLock<Vec<Metric>> = LazyLock::new(|| {
    include_str!("metrics.tsv")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| parse_line(line).expect("the test `every_line_of_the_table_is_a_metric` reads each line"))
        .collect()
});

fn parse_line(line: &'static str) -> Option<Metric> {
    let mut columns = line.split('\t');
    let metric = Metric {
        name: columns.next().filter(|name| name.starts_with("nightshift_"))?,
        shape: match columns.next()? {
            "counter" => Shape::Counter,
            "gauge" => Shape::Gauge,
            "histogram" => Shape::Histogram,
            _ => return None,
        },
        labels: columns
            .next()?
            .split(',')
            .filter(|label| !label.is_empty())
            .collect(),
        help: columns.next().filter(|help| !help.is_empty())?,
    };
    let named_well = (metric.shape == Shape::Counter) == metric.name.ends_with("_total");
    (named_well && columns.next().is_none()).then_some(metric)
}

/// The table of all metrics.
pub fn table() -> &'static [Metric] {
    &TABLE
}

/// The table as a page of the documentation.
pub fn table_as_markdown() -> String {
    let mut page = String::from("| metric | shape | labels | what |\n| --- | --- | --- | --- |\n");
    for Metric {
        name,
        shape,
        labels,
        help,
    } in table()
    {
        let shape = format!("{shape:?}").to_lowercase();
        let labels = labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect::<Vec<_>>()
            .join(", ");
        writeln!(page, "| `{name}` | {shape} | {labels} | {help} |").expect("a string takes what is written");
    }
    page
}

type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;

enum Instrument {
    Counter(Family<Labels, Counter>),
    Gauge(Family<Labels, FloatGauge>),
    Histogram(Family<Labels, Histogram>),
}

struct Series {
    metric: &'static Metric,
    instrument: Instrument,
    /// The combinations seen, so that there are never more than `SERIES_MAX`.
    seen: Mutex<std::collections::HashSet<Labels>>,
}

/// The metrics of this process. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    series: HashMap<&'static str, Series>,
}

/// What a value does to its series.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value {
    /// Adds to a counter.
    Add(u64),
    /// Becomes the gauge's value.
    Set(f64),
    /// Falls into a bucket.
    Observe(f64),
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let mut series = HashMap::new();
        for metric in table() {
            let instrument = match metric.shape {
                Shape::Counter => {
                    let family = Family::default();
                    // the encoder appends the suffix by itself
                    let name = metric.name.trim_end_matches("_total");
                    registry.register(name, metric.help, family.clone());
                    Instrument::Counter(family)
                }
                Shape::Gauge => {
                    let family = Family::default();
                    registry.register(metric.name, metric.help, family.clone());
                    Instrument::Gauge(family)
                }
                Shape::Histogram => {
                    let family: Family<Labels, Histogram> =
                        Family::new_with_constructor(|| Histogram::new(BUCKETS));
                    registry.register(metric.name, metric.help, family.clone());
                    Instrument::Histogram(family)
                }
            };
            series.insert(
                metric.name,
                Series {
                    metric,
                    instrument,
                    seen: Mutex::default(),
                },
            );
        }
        Self(Arc::new(Inner { registry, series }))
    }
}

impl Metrics {
    /// Adds `value` to a counter.
    pub fn count(&self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.record(name, labels, Value::Add(value));
    }

    /// Sets a gauge.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.record(name, labels, Value::Set(value));
    }

    /// Puts an observation into a histogram; seconds.
    pub fn observe(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.record(name, labels, Value::Observe(value));
    }

    pub(crate) fn record(&self, name: &str, labels: &[(&str, &str)], value: Value) {
        let Some(series) = self.0.series.get(name) else {
            return self.dropped("unknown_metric");
        };
        if labels
            .iter()
            .any(|(label, _)| !series.metric.labels.contains(label))
        {
            self.dropped("unknown_label");
        }
        let labels = series.bounded(labels);
        match (&series.instrument, value) {
            (Instrument::Counter(family), Value::Add(value)) => {
                family.get_or_create(&labels).inc_by(value);
            }
            (Instrument::Gauge(family), Value::Set(value)) if value.is_finite() => {
                family.get_or_create(&labels).set(value);
            }
            (Instrument::Histogram(family), Value::Observe(value)) if value.is_finite() => {
                family.get_or_create(&labels).observe(value);
            }
            _ => self.dropped("bad_value"),
        }
    }

    pub(crate) fn dropped(&self, reason: &str) {
        self.record(DROPPED, &[("reason", reason)], Value::Add(1));
    }

    /// All series as OpenMetrics text, which Prometheus reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("a string takes what is written");
        text
    }
}

impl Series {
    /// The labels of the table, in its order, with bounded values; a missing one is empty.
    fn bounded(&self, given: &[(&str, &str)]) -> Labels {
        let value_of = |name: &str| {
            let value = given
                .iter()
                .find(|(label, _)| *label == name)
                .map_or("", |(_, value)| value);
            value.chars().take(LABEL_VALUE_MAX).collect::<String>()
        };
        let labels: Labels = self
            .metric
            .labels
            .iter()
            .map(|name| (*name, value_of(name)))
            .collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&labels) || (seen.len() < SERIES_MAX && seen.insert(labels.clone())) {
            return labels;
        }
        labels
            .into_iter()
            .map(|(name, _)| (name, "other".to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_metric() {
        let lines = include_str!("metrics.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'));
        let mut names = std::collections::HashSet::new();
        for line in lines {
            let metric = parse_line(line).unwrap_or_else(|| panic!("no metric: {line}"));
            assert!(names.insert(metric.name), "{} stands there twice", metric.name);
        }
        assert!(names.contains(DROPPED));
        assert_eq!(table().len(), names.len());
    }

    #[test]
    fn a_line_that_breaks_the_habit_of_names_is_refused() {
        for line in [
            "nightshift_claims\tcounter\tkind\tjobs claimed",
            "nightshift_jobs_total\tgauge\t\tjobs",
            "jobs\tgauge\t\tjobs",
            "nightshift_jobs\tsummary\t\tjobs",
            "nightshift_jobs\tgauge\t\t",
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }

    #[test]
    fn values_are_shown_with_their_labels() {
        let metrics = Metrics::default();
        metrics.count("nightshift_claims_total", &[("kind", "poll")], 2);
        metrics.count("nightshift_claims_total", &[("kind", "poll")], 3);
        metrics.set("nightshift_jobs", &[("state", "due"), ("class", "ingest")], 7.0);
        metrics.observe(
            "nightshift_step_seconds",
            &[("kind", "poll"), ("outcome", "done")],
            0.3,
        );
        let text = metrics.render();
        assert!(
            text.contains("nightshift_claims_total{kind=\"poll\"} 5"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_jobs{class=\"ingest\",state=\"due\"} 7"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_step_seconds_bucket{le=\"0.5\",kind=\"poll\",outcome=\"done\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_step_seconds_bucket{le=\"0.25\",kind=\"poll\",outcome=\"done\"} 0"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn what_the_table_does_not_know_is_dropped_and_counted() {
        let metrics = Metrics::default();
        metrics.count("nightshift_unknown_total", &[], 1);
        metrics.count("nightshift_claims_total", &[("kind", "poll"), ("org", "acme")], 1);
        metrics.set("nightshift_claims_total", &[("kind", "poll")], 1.0);
        metrics.set("nightshift_outbox", &[], f64::NAN);
        let text = metrics.render();
        assert!(
            text.contains("nightshift_telemetry_dropped_total{reason=\"unknown_metric\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_telemetry_dropped_total{reason=\"unknown_label\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_telemetry_dropped_total{reason=\"bad_value\"} 2"),
            "{text}"
        );
        assert!(
            text.contains("nightshift_claims_total{kind=\"poll\"} 1"),
            "{text}"
        );
        assert!(!text.contains("acme"), "{text}");
    }

    #[test]
    fn a_label_that_takes_everything_stops_growing() {
        let metrics = Metrics::default();
        for n in 0..SERIES_MAX + 50 {
            metrics.count("nightshift_failures_total", &[("code", &format!("code_{n}"))], 1);
        }
        let text = metrics.render();
        assert!(
            text.contains("nightshift_failures_total{code=\"other\"} 50"),
            "{text}"
        );
        assert_eq!(
            text.lines()
                .filter(|line| line.starts_with("nightshift_failures_total{"))
                .count(),
            SERIES_MAX + 1
        );
    }

    #[test]
    fn a_value_cannot_break_out_of_its_line() {
        let metrics = Metrics::default();
        metrics.count("nightshift_failures_total", &[("code", "a\"} 9\nevil 1\n")], 1);
        let text = metrics.render();
        assert!(!text.lines().any(|line| line.starts_with("evil")), "{text}");
    }
}
