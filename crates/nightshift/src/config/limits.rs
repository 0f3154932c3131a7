//! What a configuration may be: its size, and the range of every number by the unit in its name.
//!
//! The unit stands in the key (`_seconds`, `_millis`), so a duration that somebody adds is bounded without a line
//! here; what else is bounded is a row of [`RANGES`].

use std::ops::RangeInclusive;

use serde_json::Value as Json;

use super::{ConfigError, Settings};

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most items of a list.
pub const LIST_MAX: usize = 1_000;
/// Longest duration, in seconds: 30 days.
pub const DURATION_SECONDS_MAX: u64 = 30 * 24 * 3_600;

/// Numbers that are no durations, and what they may be. At 0 of these a process would stand still without a word.
const RANGES: [(&str, RangeInclusive<f64>); 25] = [
    ("database.max_connections", 2.0..=10_000.0),
    ("jobs.calls_per_org", 1.0..=1_000.0),
    ("jobs.ledger_days", 1.0..=10_000.0),
    ("jobs.max_attempts", 1.0..=1_000.0),
    ("jobs.max_deaths", 1.0..=1_000.0),
    ("jobs.announced_per_class", 1.0..=1_000_000.0),
    ("jobs.announced_per_org", 1.0..=1_000_000.0),
    ("jobs.open_retrieves_per_org", 1.0..=1_000.0),
    ("politeness.circuit_failures", 1.0..=1_000_000.0),
    ("politeness.circuit_percent", 1.0..=100.0),
    ("politeness.day_left_percent", 0.0..=100.0),
    ("politeness.night_percent", 1.0..=100.0),
    ("politeness.retries_min", 1.0..=1_000_000.0),
    ("politeness.retry_percent", 0.0..=100.0),
    ("scheduler.catch_up_per_minute", 1.0..=1_000_000.0),
    ("scheduler.fire_batch", 1.0..=100_000.0),
    ("sync.batch_bytes", 1.0..=4_294_967_296.0),
    ("sync.batch_files", 1.0..=10_000.0),
    ("sync.concurrent_lists", 1.0..=100.0),
    ("sync.full_every_nights", 0.0..=100_000.0),
    ("sync.held_percent", 0.0..=100.0),
    ("telemetry.sample_ratio", 0.0..=1.0),
    ("worker.control_concurrency", 1.0..=1_000.0),
    ("worker.ingest_concurrency", 1.0..=1_000.0),
    ("worker.poll_concurrency", 1.0..=1_000.0),
];

/// Refuses numbers out of range and lists that are too long.
pub(super) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let tree = serde_json::to_value(settings).expect("settings are plain data");
    let sections = tree.as_object().into_iter().flatten();
    for (section, keys) in sections {
        for (key, value) in keys.as_object().into_iter().flatten() {
            let key = format!("{section}.{key}");
            match value {
                Json::Number(number) => in_range(&key, number)?,
                // JSON has no word for what is no number
                Json::Null => return Err(refused(&key, "what is no number", "a number")),
                Json::Array(items) if items.len() > LIST_MAX => {
                    return Err(refused(
                        &key,
                        &format!("{} items", items.len()),
                        &format!("at most {LIST_MAX}"),
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn in_range(key: &str, number: &serde_json::Number) -> Result<(), ConfigError> {
    let value = number.as_f64().unwrap_or(f64::NAN);
    let duration = |most: u64, unit: &str| {
        if (1.0..=most as f64).contains(&value) {
            return Ok(());
        }
        Err(refused(
            key,
            &number.to_string(),
            &format!("1 to {most} {unit} (30 days)"),
        ))
    };
    if key.ends_with("_seconds") {
        return duration(DURATION_SECONDS_MAX, "seconds");
    }
    if key.ends_with("_millis") {
        return duration(1_000 * DURATION_SECONDS_MAX, "milliseconds");
    }
    match RANGES.iter().find(|(name, _)| *name == key) {
        Some((_, range)) if !range.contains(&value) => {
            let accepted = format!("{} to {}", range.start(), range.end());
            Err(refused(key, &number.to_string(), &accepted))
        }
        _ => Ok(()),
    }
}

fn refused(key: &str, found: &str, accepted: &str) -> ConfigError {
    ConfigError::BadValue {
        key: key.to_owned(),
        reason: format!("{found} is out of range; accepted: {accepted}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_range_names_a_number_of_the_settings_and_takes_its_default() {
        let tree = serde_json::to_value(Settings::default()).unwrap();
        for (key, range) in RANGES {
            let (section, name) = key.split_once('.').unwrap();
            let default = tree[section][name].as_f64().unwrap();
            assert!(range.contains(&default), "{key}: {default}");
        }
        let names: BTreeSet<_> = RANGES.iter().map(|(key, _)| key).collect();
        assert_eq!(names.len(), RANGES.len());
        assert!(check(&Settings::default()).is_ok());
    }
}
