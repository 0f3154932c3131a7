//! Promises that name their tests: the invariants of ARCHITECTURE.md, the bug reports that this code must not repeat.

use std::collections::BTreeSet;

use crate::sources::{read, rust_files};

/// Ids of `bug-reports.md` whose subject is built: inventory, retrieve, polling, zip, names and XML, incremental, tokens.
const BUG_REPORTS: std::ops::RangeInclusive<u32> = 1..=77;

/// Names of all functions that stand below a `#[test]`, `#[tokio::test]` or in a `proptest!`.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in rust_files() {
        let mut marked = false;
        for line in file.text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                marked = true;
            }
            let signature = line.trim_start_matches("pub ").trim_start_matches("async ");
            if let Some(rest) = signature.strip_prefix("fn ") {
                if marked {
                    found.insert(
                        rest.chars()
                            .take_while(|c| c.is_alphanumeric() || *c == '_')
                            .collect(),
                    );
                }
                marked = false;
            }
        }
    }
    assert!(found.len() > 50, "the search found {} tests only", found.len());
    found
}

/// The tests that the last cells of a table name; the table begins behind `heading`. Each must exist.
fn named_below(path: &str, heading: &str) -> usize {
    let page = read(path);
    let (_, after) = page
        .split_once(heading)
        .unwrap_or_else(|| panic!("{path} has no part {heading:?}"));
    let tests = tests();
    let rows = after
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    let mut named = 0;
    for row in rows.skip(2) {
        let last = row
            .trim_end_matches(['|', ' '])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let names: Vec<_> = last
            .split('`')
            .skip(1)
            .step_by(2)
            .map(|name| name.rsplit("::").next().unwrap_or(name))
            .collect();
        assert!(!names.is_empty(), "{path}: no test guards this: {row}");
        for name in names {
            assert!(
                tests.contains(name),
                "{path} names the test {name}, which does not exist"
            );
            named += 1;
        }
    }
    named
}

#[test]
fn each_invariant_names_a_test_that_exists() {
    let named = named_below("ARCHITECTURE.md", "Invariants");
    assert!(named >= 10, "ARCHITECTURE.md names {named} tests only");
}

#[test]
fn each_promise_of_reliability_names_a_test_that_exists() {
    let named = named_below("docs/reliability.md", "## What is promised");
    assert!(named >= 10, "docs/reliability.md names {named} tests only");
    let page = read("docs/reliability.md");
    let (_, restore) = page.split_once("Restore:").expect("it says how to restore");
    assert!(restore.contains("a_message_without_a_row_is_acknowledged_and_does_nothing"));
}

#[test]
fn each_bug_report_on_what_is_built_has_its_test() {
    let tests = tests();
    let missing: Vec<_> = BUG_REPORTS
        .step_by(2)
        .map(|id| format!("b{id:02}"))
        .filter(|id| {
            !tests
                .iter()
                .any(|name| name.starts_with(&format!("{id}_")) || name.ends_with(&format!("_{id}")))
        })
        .collect();
    assert!(
        missing.is_empty(),
        "no test begins or ends with the id of these bug reports: {missing:?}"
    );
}

/// What the sources call their points, up to where a name is put in.
fn points_of_the_sources() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in rust_files().iter().filter(|file| file.path.contains("/src/")) {
        for after in file.text.split("fail_point!(").skip(1) {
            let name = after.split('"').nth(1).unwrap_or_default();
            let fixed = name.split('{').next().unwrap_or_default();
            found.insert(fixed.trim_end_matches(['-', ':']).to_owned());
        }
    }
    found
}

#[test]
fn each_point_at_which_a_process_can_be_killed_is_one_at_which_it_is_killed() {
    let list = read("tests/fleet/crash_points.tsv");
    let rows = list.lines().filter(|line| !line.starts_with('#'));
    let names = rows.filter_map(|row| row.split(['\t', ':']).next());
    let listed: BTreeSet<String> = names.map(str::to_owned).collect();
    assert_eq!(listed, points_of_the_sources());
}
