//! Our paths beside those of peers on the same trees: the Salesforce CLI's `project convert mdapi` (reads a tree, writes
//! one file a component; we read an answer and write rows) and Python's lxml (parses and hashes, nothing more). Whole
//! processes in turn; prints figures and ratios, asserts nothing on time. What is measured around a process is left to
//! `peers/run`, which also installs the peers.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(dead_code, reason = "other benches use the rest of what is shared")]

mod answer;
mod measure;
mod parts;
mod whole;

use std::{path::Path, process::Command};

use answer::{Answer, SIZES, write_answer, zip_text};
use measure::{Figures, ROUNDS, line_of};
use nightshift_testkit::TestDb;
use parts::read_path;
use serde_json::Value;
use tokio::runtime::Runtime;
use whole::{empty, run, serve};

/// Runs and measures a peer; installs them all.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/run");

/// Whole processes of one kind.
#[derive(Default)]
struct Processes {
    seconds: Figures,
    cpu: Figures,
    peak: Figures,
    /// Exit code and files of each run.
    ends: Vec<(i64, u64)>,
}

impl Processes {
    fn add(&mut self, arguments: &[&str]) {
        let line = line_of(Command::new(SCRIPT).args(arguments));
        let said: Value = serde_json::from_str(&line).unwrap();
        let figure = |name: &str| said[name].as_f64().unwrap();
        self.seconds.add(figure("seconds"));
        self.cpu.add(figure("cpu"));
        self.peak.add(figure("peak"));
        self.ends
            .push((said["code"].as_i64().unwrap(), said["files"].as_u64().unwrap()));
    }
}

fn compare(runtime: &Runtime, answer: &Answer) {
    let database = runtime.block_on(TestDb::fresh());
    let address = serve(&answer.path);
    let folder = tempfile::tempdir().unwrap();
    let (path, folder) = (answer.path.to_str().unwrap(), folder.path().to_str().unwrap());
    let [at, length] = [answer.text.0, answer.text.1].map(|number| number.to_string());
    let me = std::env::current_exe().unwrap();
    line_of(Command::new(SCRIPT).args(["unpack", path, &at, &length, folder]));

    let [mut ours, mut lxml, mut cli] = <[Processes; 3]>::default();
    let mut ingest = Processes::default();
    for round in 0..ROUNDS as u32 {
        ours.add(&["read", me.to_str().unwrap(), path, &at, &length]);
        lxml.add(&["lxml", path, &at, &length]);
        runtime.block_on(empty(&database));
        let whole = run(&database, &address, round, "0-1");
        ingest.seconds.add(whole.seconds);
        ingest.cpu.add(whole.cpu);
        ingest.peak.add(whole.peak);
        cli.add(&["convert", folder]);
    }
    let name = answer.size.name;
    println!(
        "{name} tree: {:.1} MB unpacked, {} files",
        answer.unpacked as f64 / 1e6,
        answer.files
    );
    for (what, of) in [
        ("our read path", &ours),
        ("lxml", &lxml),
        ("our whole ingest", &ingest),
        ("sf project convert mdapi", &cli),
    ] {
        println!(
            "  {what}: {} s, {} s of CPU, peak {:.0} MB",
            of.seconds, of.cpu, of.peak
        );
    }
    println!("  the CLI's exit code and files, each round: {:?}", cli.ends);
    let times = |one: &Figures, other: &Figures| other.median() / one.median();
    println!(
        "  read path beside lxml: {:.1} times as fast (must 2), {:.1} by CPU",
        times(&ours.seconds, &lxml.seconds),
        times(&ours.cpu, &lxml.cpu),
    );
    println!(
        "  whole ingest beside the CLI: {:.1} times as fast (must {}), 1/{:.0} of its memory (must 1/{})",
        times(&ingest.seconds, &cli.seconds),
        if name == "small" { 12 } else { 8 },
        times(&ingest.peak, &cli.peak),
        if name == "small" { 5 } else { 16 },
    );
}

/// Our read path in a process of its own, for `peers/run read`; or a whole ingest, for `whole::run`.
fn child(arguments: &[String]) {
    match arguments {
        [path, at, length] if Path::new(path).exists() => {
            let text = (at.parse().unwrap(), length.parse().unwrap());
            println!("{}", read_path(zip_text(Path::new(path), text)));
        }
        _ => whole::child(arguments),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        child(&arguments[at + 1..]);
        return;
    }
    line_of(Command::new(SCRIPT).arg("install"));
    println!("peers, {ROUNDS} rounds in turn, whole processes, both cores");
    let runtime = Runtime::new().unwrap();
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let one = SIZES.iter().any(|size| named(size.name));
    for size in SIZES.into_iter().filter(|size| !one || named(size.name)) {
        compare(&runtime, &write_answer(size));
    }
}
