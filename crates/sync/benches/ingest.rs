//! A whole ingest, from an HTTP answer to staged rows in PostgreSQL, beside the sum of its stages: read path, zstd, and
//! a COPY of the same rows into the same tables. Prints figures and ratios, asserts nothing on time.
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

use std::collections::HashSet;

use answer::{Answer, SIZES, write_answer};
use measure::{Figures, ROUNDS, cpu_seconds, seconds};
use nightshift_testkit::TestDb;
use parts::{Packed, read_path};
use tokio::runtime::Runtime;
use whole::{TABLES, empty, run, serve};

/// The rows of an ingest, as COPY takes them.
struct Rows(Vec<(&'static str, Vec<u8>)>);

impl Rows {
    async fn taken_from(database: &TestDb) -> Self {
        let mut rows = Vec::new();
        for table in TABLES {
            rows.push((table, database.copy_out(table).await));
        }
        Self(rows)
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, rows)| rows.len()).sum()
    }

    async fn copy(&self, database: &TestDb) {
        for (table, rows) in &self.0 {
            database.copy_in(table, rows).await;
        }
    }
}

/// Each distinct file once, with one context for all.
fn compress(files: &[&[u8]]) {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    for file in files {
        std::hint::black_box(compressor.compress(file).unwrap());
    }
}

fn bench(runtime: &Runtime, answer: &Answer) {
    let database = runtime.block_on(TestDb::fresh());
    let address = serve(&answer.path);
    let packed = Packed::read(answer);
    let mut seen = HashSet::new();
    let distinct: Vec<&[u8]> = packed
        .bodies()
        .filter(|body| seen.insert(blake3::hash(body)))
        .collect();
    run(&database, &address, 0, "0-1");
    let rows = runtime.block_on(Rows::taken_from(&database));
    let counts = runtime.block_on(async {
        [
            database.count("SELECT count(*) FROM staged_component").await,
            database.count("SELECT count(*) FROM staged_file").await,
            database.count("SELECT count(*) FROM blob").await,
        ]
    });

    let [mut free, mut bound, mut cpu, mut peak] = <[Figures; 4]>::default();
    let [mut path, mut zstd, mut copy, mut stages_cpu] = <[Figures; 4]>::default();
    let mut members = 0;
    for round in 0..ROUNDS as u32 {
        runtime.block_on(empty(&database));
        let before = cpu_seconds(std::process::id());
        path.add(seconds(|| {
            std::hint::black_box(read_path(packed.text.as_slice()));
        }));
        zstd.add(seconds(|| compress(&distinct)));
        copy.add(seconds(|| runtime.block_on(rows.copy(&database))));
        stages_cpu.add(cpu_seconds(std::process::id()) - before);
        for (cores, figures) in [("0-1", &mut free), ("0", &mut bound)] {
            runtime.block_on(empty(&database));
            let org = 1 + 2 * round + u32::from(cores == "0");
            let run = run(&database, &address, org, cores);
            figures.add(run.seconds);
            cpu.add(run.cpu);
            peak.add(run.peak);
            members = run.members;
        }
    }
    let name = answer.size.name;
    println!(
        "{name} tree: {:.1} MB unpacked, {members} members; rows: {} components, {} files, {} bodies, {:.1} MB",
        answer.unpacked as f64 / 1e6,
        counts[0],
        counts[1],
        counts[2],
        rows.bytes() as f64 / 1e6,
    );
    let sum = path.median() + zstd.median() + copy.median();
    println!("{name} stages, s: read path {path}, zstd {zstd}, COPY {copy}; sum {sum:.2}");
    for (cores, figures) in [("both cores", &free), ("client on one core", &bound)] {
        println!(
            "{name} whole ingest beside the sum of its stages, {cores}: {sum:.2} s of {figures} s: {:.0} % (must 75); {:.0} MB/s",
            100.0 * sum / figures.median(),
            answer.unpacked as f64 / 1e6 / figures.median(),
        );
    }
    println!(
        "{name} client's CPU: stages {stages_cpu} s, whole ingest {cpu} s: {:.0} %; peak memory {peak:.1} MB (must 64)",
        100.0 * stages_cpu.median() / cpu.median(),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        whole::child(&arguments[at + 1..]);
        return;
    }
    println!("whole ingest, {ROUNDS} rounds in turn, a process for each run, PostgreSQL on the same cores");
    let runtime = Runtime::new().unwrap();
    // `cargo bench --bench ingest -- big` measures one tree alone.
    let named = |name: &str| arguments.iter().any(|argument| argument == name);
    let one = SIZES.iter().any(|size| named(size.name));
    for size in SIZES.into_iter().filter(|size| !one || named(size.name)) {
        bench(&runtime, &write_answer(size));
    }
}
