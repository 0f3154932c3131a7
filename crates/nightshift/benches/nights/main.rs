//! A quiet night beside a full one: the same org, the same fleet, one run. Prints figures and ratios, asserts nothing
//! about time. `make bench`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../../../../tests/fleet/harness.rs"]
#[allow(dead_code, reason = "the fleet's tests use the rest")]
mod harness;

use harness::Fleet;
use nightshift_simulator::OrgSpec;
use serde_json::Value;

const ROWS: &str = "SELECT (SELECT count(*) FROM version) + (SELECT count(*) FROM file_version) + (SELECT count(*) FROM blob)";

fn calls(sync: &Value) -> u64 {
    sync["api_calls"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, calls)| calls.as_u64())
        .sum()
}

async fn nights(size: u64) {
    let fleet = Fleet::running(&[]).await;
    fleet.connect(OrgSpec::generated("org", 11, size)).await;
    let full = fleet.sync("org").await;
    let after_full = fleet.database.count(ROWS).await;
    let mut quiet = Vec::new();
    for _ in 0..3 {
        quiet.push(fleet.sync("org").await);
    }
    let written = fleet.database.count(ROWS).await - after_full;
    let mut seconds: Vec<f64> = quiet.iter().filter_map(|sync| sync["seconds"].as_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let full_seconds = full["seconds"].as_f64().unwrap();
    println!(
        "{size} components: full {full_seconds:.1} s, {} calls, {after_full} rows; quiet {:.1} s ({:.1} to {:.1}), {} calls, {written} rows, asked {} of {}; \
         quiet/full {:.0} % of seconds, {:.0} % of calls",
        calls(&full),
        seconds[1],
        seconds[0],
        seconds[2],
        calls(&quiet[0]),
        quiet[0]["asked"],
        full["asked"],
        100.0 * seconds[1] / full_seconds,
        100.0 * calls(&quiet[0]) as f64 / calls(&full) as f64,
    );
}

#[tokio::main]
async fn main() {
    for size in [2_000, 20_000] {
        nights(size).await;
    }
}
