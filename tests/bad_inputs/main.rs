//! Bad input of every kind: each gets a code or an error of its own, soon and in little memory, and harms nobody else.
//!
//! `table.tsv` is the table: kind, name, what must come of it, words that its text must hold. A file for each kind makes
//! the inputs and gives them to the doors of production; `measure.rs` runs each in a process of its own, so that time
//! and memory are its own too. What a door says to bad bytes in general is asked of the fuzzers' corpus (`replay.rs`).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where something is not as it should be; figures are shown with --nocapture"
)]

mod answers;
mod archives;
mod bounded;
mod calls;
mod configurations;
mod files;
mod measure;
mod messages;
mod replay;
mod retrieves;
mod table;
mod web;
#[path = "../../crates/archive/tests/zips/writer.rs"]
#[allow(dead_code, reason = "the zip reader's own tests use all of it")]
mod writer;

use std::collections::BTreeMap;

use nightshift_domain::failure;

use crate::table::{Kind, Row, rows};

/// What came of one bad input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// The failure code, or the name of the error.
    pub code: String,
    /// What people read.
    pub text: String,
    /// What became of those beside it; empty when nothing happened to them.
    pub harm: String,
}

/// Of a failure with a code: its words, and what the catalogue tells people to do first.
fn judged(code: String, words: &str, harm: String) -> Judged {
    let remedy = failure::catalogue()
        .iter()
        .find(|entry| entry.code.as_str() == code);
    let remedy = remedy.map_or("(no remedy)", |entry| entry.first_step());
    Judged {
        text: format!("{words} -- {remedy}"),
        code,
        harm,
    }
}

/// An input that is made, and waits to be given to its door.
pub type Prepared = Box<dyn FnOnce() -> Judged>;

fn prepare(row: &Row) -> Prepared {
    match row.kind {
        Kind::Zip => archives::prepare(&row.name),
        Kind::Xml => files::prepare(&row.name),
        Kind::Http => answers::prepare(&row.name),
        Kind::Message => messages::prepare(&row.name),
        Kind::Configuration => configurations::prepare(&row.name),
    }
}

/// Longest time of one input, in seconds of processors.
const SECONDS: f64 = 2.0;
/// The same by the clock on the wall: a net under a machine that does much else, not a measure.
const WALL_SECONDS: f64 = 20.0;
/// Most memory of one input beyond what its process had before, in MiB.
const MIB: f64 = 64.0;

#[test]
fn each_bad_input_is_refused_by_name_soon_and_in_little_memory() {
    let rows = rows();
    let measured = measure::all(&rows);
    let mut wrong = Vec::new();
    for (row, outcome) in &measured {
        let seen = match outcome {
            Ok(seen) => seen,
            Err(words) => {
                wrong.push(format!("{}: no answer at all: {words}", row.name));
                continue;
            }
        };
        println!(
            "{:14} {:44} {:26} {:6.3} s ({:4.2} busy) {:6.1} MiB  {}",
            row.kind.word(),
            row.name,
            seen.judged.code,
            seen.seconds,
            seen.busy,
            seen.mib,
            seen.judged.text
        );
        if seen.judged.code != row.code {
            wrong.push(format!(
                "{}: {} and not {}: {}",
                row.name, seen.judged.code, row.code, seen.judged.text
            ));
        }
        for words in row
            .says
            .iter()
            .filter(|words| !seen.judged.text.contains(words.as_str()))
        {
            wrong.push(format!(
                "{}: does not say {words:?}: {}",
                row.name, seen.judged.text
            ));
        }
        if !seen.judged.harm.is_empty() {
            wrong.push(format!("{}: harmed others: {}", row.name, seen.judged.harm));
        }
        if seen.busy > SECONDS || seen.seconds > WALL_SECONDS || seen.mib > MIB {
            wrong.push(format!(
                "{}: {:.3} s, {:.1} MiB",
                row.name, seen.seconds, seen.mib
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the table promises in number.
#[test]
fn the_table_holds_as_many_of_each_kind_as_was_promised() {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows() {
        assert!(!row.says.is_empty(), "{} says nothing", row.name);
        *found.entry(row.kind.word()).or_default() += 1;
    }
    for (kind, least) in [
        ("zip", 20),
        ("xml", 20),
        ("http", 20),
        ("message", 10),
        ("configuration", 10),
    ] {
        assert!(found[kind] >= least, "{found:?}");
    }
}
