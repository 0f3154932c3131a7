//! A quiet night beside a full one: the same org, the same fleet, one run; how a quiet night grows with the org; and what a
//! huge org costs small ones beside it.
//! Prints figures and ratios, asserts nothing on time. `make bench`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

mod beside;
mod cost;
#[path = "../../../../tests/fleet/harness.rs"]
#[allow(dead_code, reason = "the fleet's tests use the rest")]
mod harness;
#[path = "../../../../tests/outages/load.rs"]
#[allow(dead_code, reason = "the outages' tests use the rest")]
mod load;
#[path = "../../../sync/benches/measure/mod.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod measure;
mod night;
mod wire;

use std::time::Duration;

use beside::beside;
use cost::cost;
use measure::{Figures, ROUNDS};
use night::{Kind, Night, Site};
use nightshift_simulator::OrgSpec;

/// Files as long as the simulator makes them by itself, and of about 60 KB.
const SHORT: usize = 0;
const LONG: usize = 85_000;

/// What the tree is, as the dictionary has it.
const FILES: &str = "SELECT count(*) FROM file_version";
const UNPACKED: &str = "SELECT sum(size)::bigint FROM file_version";

/// One figure of some nights.
fn figures(nights: &[Night], figure: impl Fn(&Night) -> f64) -> Figures {
    let mut figures = Figures::default();
    for night in nights {
        figures.add(figure(night));
    }
    figures
}

fn calls(night: &Night) -> String {
    let kinds: Vec<String> = night
        .calls
        .iter()
        .map(|(kind, calls)| format!("{calls} {kind}"))
        .collect();
    kinds.join(", ")
}

fn print(what: &str, nights: &[Night]) {
    let of = |figure: fn(&Night) -> f64| figures(nights, figure);
    println!(
        "  {what}: {:.1} s, {:.3} MB on the wire, {:.2} s of CPU, worker's peak {:.0} MB; asked {}, rows {:?}; calls: {}",
        of(|night| night.seconds),
        of(|night| night.bytes as f64 / 1e6),
        of(|night| night.cpu),
        of(|night| night.peak),
        nights.last().unwrap().asked,
        nights.iter().map(|night| night.rows).collect::<Vec<_>>(),
        calls(nights.last().unwrap()),
    );
}

/// The first night fills the dictionary; then full and quiet ones in turn.
async fn compare(size: u64, weight: usize, rounds: usize) {
    let mut site = Site::with(OrgSpec::weighing("org", 11, size, weight)).await;
    let first = site.night(Kind::Incremental).await;
    let files = site.fleet.database.count(FILES).await;
    let unpacked = site.fleet.database.count(UNPACKED).await as f64;
    let (mut full, mut quiet) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        quiet.push(site.night(Kind::Incremental).await);
        full.push(site.night(Kind::Full).await);
    }
    println!(
        "{size} components, {files} files of {:.1} KB on average ({:.0} MB unpacked)",
        unpacked / 1e3 / files as f64,
        unpacked / 1e6,
    );
    print("first night", &[first]);
    print("full night", &full);
    print("quiet night", &quiet);
    let percent = |figure: fn(&Night) -> f64| {
        100.0 * figures(&quiet, figure).median() / figures(&full, figure).median()
    };
    let bar = if weight == LONG {
        " (must 2 % of bytes and CPU)"
    } else {
        ""
    };
    println!(
        "  quiet beside full: {:.2} % of bytes, {:.2} % of CPU{bar}; {:.1} % of seconds",
        percent(|night| night.bytes as f64),
        percent(|night| night.cpu),
        percent(|night| night.seconds),
    );
    println!(
        "  quiet night: {:.1} bytes a component on the wire, {:.1} of them the inventory (must 60), {} component and body rows (must 0)",
        figures(&quiet, |night| night.bytes as f64).median() / size as f64,
        figures(&quiet, |night| night.inventory as f64).median() / size as f64,
        quiet.iter().map(|night| night.rows).sum::<i64>(),
    );
}

/// How a quiet night alone grows.
async fn grow(size: u64) {
    let mut site = Site::with(OrgSpec::generated("org", 11, size)).await;
    site.night(Kind::Incremental).await;
    let mut quiet = Vec::new();
    for _ in 0..ROUNDS {
        quiet.push(site.night(Kind::Incremental).await);
    }
    print(&format!("quiet night of {size} components"), &quiet);
    println!(
        "    {:.1} bytes ({:.1} of them the inventory, must 60), {:.1} us and {:.1} us of CPU a component",
        figures(&quiet, |night| night.bytes as f64).median() / size as f64,
        figures(&quiet, |night| night.inventory as f64).median() / size as f64,
        figures(&quiet, |night| night.seconds * 1e6).median() / size as f64,
        figures(&quiet, |night| night.cpu * 1e6).median() / size as f64,
    );
}

/// The parts of a whole run; `cargo bench --bench nights -- cost growth` runs those two alone, `-- small` a small tree of each.
const PARTS: [&str; 5] = ["short", "long", "cost", "growth", "beside"];

#[tokio::main]
async fn main() {
    let asked = |part: &str| std::env::args().any(|argument| argument == part);
    let alone = PARTS.iter().any(|part| asked(part));
    println!(
        "nights, {ROUNDS} rounds in turn, gzip on; one scheduler, one worker, simulator and servers on the same cores"
    );
    if asked("small") {
        if !alone {
            compare(5_000, SHORT, ROUNDS).await;
            compare(2_000, LONG, ROUNDS).await;
            grow(1_000).await;
            cost(2_000).await;
        }
        beside(50, 20_000, Duration::from_secs(50)).await;
        return;
    }
    if !alone || asked("short") {
        compare(100_000, SHORT, ROUNDS).await;
    }
    if !alone || asked("long") {
        compare(100_000, LONG, ROUNDS).await;
    }
    if !alone || asked("cost") {
        println!("cost");
        for size in [2_000, 20_000, 100_000] {
            cost(size).await;
        }
    }
    if !alone || asked("growth") {
        println!("growth");
        for size in [10_000, 100_000, 200_000] {
            grow(size).await;
        }
    }
    if !alone || asked("beside") {
        beside(500, 200_000, Duration::from_secs(100)).await;
    }
}
