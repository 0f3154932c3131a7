//! Names that are data and code at once: a metric raised somewhere must stand in the table.

use nightshift_telemetry::{Metric, Shape, table};

use crate::sources::rust_files_but_house;

/// The events that carry a metric: everything between `target: "nightshift::metric",` and the end of the call.
fn raised() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in rust_files_but_house() {
        if file.path.starts_with("crates/telemetry/") {
            continue;
        }
        let marker = "target: \"nightshift::metric\",";
        for (at, _) in file.text.match_indices(marker) {
            let rest = &file.text[at + marker.len()..];
            let end = rest
                .find(");")
                .unwrap_or_else(|| panic!("{}: a metric event without an end", file.path));
            found.push((file.path.clone(), rest[..end].to_owned()));
        }
    }
    found
}

/// `name = value` pairs and bare names of an event, split at the commas that stand in no bracket.
fn fields(event: &str) -> Vec<(String, Option<String>)> {
    let mut depth = 0_i32;
    let mut parts = vec![String::new()];
    for c in event.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("it begins with one").push(c);
        }
    }
    let parts = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(value.trim().to_owned())),
            None => (part.trim_start_matches(['%', '?']).to_owned(), None),
        })
        .collect()
}

fn check(event: &str) -> Result<(), String> {
    let fields = fields(event);
    let shapes = [
        ("counter", Shape::Counter),
        ("gauge", Shape::Gauge),
        ("histogram", Shape::Histogram),
    ];
    let named: Vec<_> = fields
        .iter()
        .filter_map(|(field, value)| Some((shapes.iter().find(|(word, _)| word == field)?.1, value.clone()?)))
        .collect();
    let [(shape, name)] = named.as_slice() else {
        return Err(format!("names {} metrics, not one", named.len()));
    };
    let name = name.trim_matches('"');
    let metric: &Metric = table()
        .iter()
        .find(|metric| metric.name == name)
        .ok_or_else(|| format!("{name} is not in crates/telemetry/src/metrics.tsv"))?;
    if metric.shape != *shape {
        return Err(format!("{name} is a {:?} in the table", metric.shape));
    }
    for (field, _) in &fields {
        let word = ["counter", "gauge", "histogram", "value", "seconds"].contains(&field.as_str());
        if !word && !metric.labels.contains(&field.as_str()) {
            return Err(format!(
                "{name} has no label {field}; the table gives it {:?}",
                metric.labels
            ));
        }
    }
    for label in &metric.labels {
        if !fields.iter().any(|(field, _)| field == label) {
            return Err(format!("{name} is raised without its label {label}"));
        }
    }
    Ok(())
}

#[test]
fn every_metric_that_is_raised_stands_in_the_table_with_its_labels() {
    let events = raised();
    assert!(events.len() > 5, "the search found {} events only", events.len());
    let wrong: Vec<_> = events
        .iter()
        .filter_map(|(path, event)| check(event).err().map(|why| format!("{path}: {why}")))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Set by the telemetry itself, without an event.
const BY_TELEMETRY: [&str; 3] = [
    "nightshift_build_info",
    "nightshift_telemetry_dropped_total",
    "nightshift_spans_dropped_total",
];

#[test]
fn every_metric_of_the_table_is_raised() {
    let events = raised();
    let silent: Vec<&str> = table()
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !BY_TELEMETRY.contains(name))
        .filter(|name| {
            !events
                .iter()
                .any(|(_, event)| event.contains(&format!("\"{name}\"")))
        })
        .collect();
    assert!(silent.is_empty(), "nobody raises {silent:?}");
}

#[test]
fn the_check_of_metrics_sees_each_kind_of_slip() {
    let refused = |event: &str, with: &str| {
        let why = check(event).unwrap_err();
        assert!(why.contains(with), "{event}: {why}");
    };
    check("counter = \"nightshift_claims_total\", kind = f(a, b), value = 1_u64").unwrap();
    check("histogram = \"nightshift_step_seconds\", kind, outcome, seconds = took(1, 2)").unwrap();
    refused("counter = \"nightshift_claim_total\", kind", "not in");
    refused("gauge = \"nightshift_claims_total\", kind", "is a Counter");
    refused(
        "counter = \"nightshift_claims_total\", kind, org = %org",
        "no label org",
    );
    refused("counter = \"nightshift_claims_total\"", "without its label kind");
    refused("kind = \"poll\"", "names 0 metrics");
}
