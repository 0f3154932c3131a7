//! The read path of a large retrieve answer (base64, zip, XML, canonical form, hashes) beside its parts alone, and its
//! peak memory in a process of its own. One core, both trees. Prints figures and ratios, asserts nothing on time.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]
#![allow(dead_code, reason = "other benches use the rest of what is shared")]

mod answer;
mod measure;
mod parts;

use std::{hint::black_box, path::Path, process::Command};

use answer::{Answer, SIZES, write_answer, zip_text};
use measure::{ROUNDS, in_turn, line_of, peak_megabytes, pin};
use parts::{Inflated, Packed, read_path, unzip};

/// In a process of its own: the text comes from a file as from a network and is never whole in memory.
fn child(arguments: &[String]) {
    let text = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
    let members = read_path(zip_text(Path::new(&arguments[0]), text));
    println!("{members} {}", peak_megabytes(std::process::id()));
}

fn memory(answer: &Answer) -> f64 {
    let (at, length) = answer.text;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .arg("--child")
        .arg(&answer.path)
        .args([at.to_string(), length.to_string()]);
    let line = line_of(&mut child);
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn speeds(answer: &Answer) {
    let packed = Packed::read(answer);
    let inflated = Inflated::of(&packed);
    let mut members = 0;
    let figures = in_turn(
        ROUNDS,
        &mut [
            &mut || packed.decode(),
            &mut || packed.inflate(),
            &mut || inflated.check(),
            &mut || {
                black_box(inflated.tokens());
            },
            &mut || {
                black_box(inflated.brackets());
            },
            &mut || inflated.canonical(),
            &mut || inflated.raw_hashes(),
            &mut || {
                black_box(unzip(packed.text.as_slice()));
            },
            &mut || members = read_path(packed.text.as_slice()),
        ],
    );
    let [
        base64,
        inflate,
        check,
        tokens,
        brackets,
        canonical,
        hashes,
        zip,
        path,
    ] = figures.as_slice()
    else {
        unreachable!("nine works give nine figures");
    };
    let name = answer.size.name;
    println!(
        "{name} tree: {} files, {:.1} MB unpacked, {:.1} MB zip ({:.1}), {members} members",
        answer.files,
        answer.unpacked as f64 / 1e6,
        answer.zip as f64 / 1e6,
        answer.unpacked as f64 / answer.zip as f64,
    );
    println!(
        "{name} parts, s of CPU: base64 {base64:.3}, inflate {inflate:.3}, checksums {check:.3}, tokens {tokens:.3}, \
         canonical form and its hashes {canonical:.3}, hashes of the raw files {hashes:.3}; \
         base64 and zip as the path has them {zip:.3}; path {path:.3}, {:.0} MB/s",
        answer.unpacked as f64 / 1e6 / path.median(),
    );
    let limit = base64.median() + inflate.median() + tokens.median();
    println!(
        "{name} read path beside base64 + inflate + tokens: {limit:.3} s of {:.3} s: {:.0} % (must 45)",
        path.median(),
        100.0 * limit / path.median(),
    );
    let sum: f64 = [base64, inflate, check, canonical, hashes]
        .iter()
        .map(|stage| stage.median())
        .sum();
    println!(
        "{name} read path beside the sum of its stages: {sum:.3} s of {:.3} s: {:.0} % (must 75)",
        path.median(),
        100.0 * sum / path.median(),
    );
    println!(
        "{name} tokeniser beside memchr2 over < and >: {brackets:.3} s of {tokens:.3} s: {:.0} % (reported)",
        100.0 * brackets.median() / tokens.median(),
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        child(&arguments[at + 1..]);
        return;
    }
    let pinned = pin(std::process::id(), "0");
    println!(
        "read path, {ROUNDS} rounds in turn, one thread, processor time, {}",
        if pinned { "one core" } else { "not bound to a core" }
    );
    let peaks = SIZES.map(|size| {
        let answer = write_answer(size);
        speeds(&answer);
        memory(&answer)
    });
    let [small, big] = peaks;
    println!(
        "read path, peak memory: small {small:.1} MB, big {big:.1} MB: {:.2} times (must 64 MB both; aim 1.5 times)",
        big / small,
    );
}
