//! Promises that name their tests: the invariants of jobs and syncs, those of ARCHITECTURE.md, the bug reports that this
//! code must not repeat.

use std::collections::BTreeSet;

use crate::sources::{read, rust_files};

/// Ids of `bug-reports.md`, of which every second one is ours.
const BUG_REPORTS: std::ops::RangeInclusive<u32> = 1..=137;

/// Those about parts that do not exist yet. Whoever builds the part takes them from here.
const NOT_BUILT: [(u32, &str); 7] = [
    (
        79,
        "counts of records are population's, which is not built: no pages of records are added up",
    ),
    (81, "no dependencies of components are kept yet"),
    (83, "no population of fields is counted yet"),
    (85, "no aggregate query is made yet"),
    (127, "there are no sinks yet: a case is no ticket of a tracker"),
    (
        129,
        "there are no sinks yet: nothing is stored for replay but events, once each",
    ),
    (131, "there are no sinks yet: no tracker is searched"),
];

/// The sentences that must always hold; each is the name of a test.
const INVARIANTS: [&str; 25] = [
    "a_job_is_claimed_by_at_most_one_live_lease_at_any_instant",
    "every_claim_raises_the_fence_by_exactly_one",
    "an_effect_is_written_only_under_the_newest_fence",
    "a_settled_job_never_runs_or_changes_again",
    "a_sweep_never_takes_a_job_whose_lease_still_holds",
    "a_job_whose_worker_died_runs_again_within_the_promised_time",
    "a_full_page_of_unsweepable_rows_hides_no_later_row",
    "effects_settle_and_following_jobs_commit_together_or_not_at_all",
    "an_unknown_commit_is_resolved_before_anything_else_happens",
    "an_error_swallowed_inside_a_transaction_never_counts_as_committed",
    "no_connection_returns_to_the_pool_inside_a_transaction",
    "a_job_row_exists_before_its_message",
    "a_due_row_without_a_message_is_published_again",
    "a_message_without_a_row_is_acknowledged_and_does_nothing",
    "a_duplicate_delivery_writes_nothing",
    "an_unroutable_publish_is_never_taken_for_a_success",
    "attempts_count_failures_and_deaths_count_lost_leases_and_neither_counts_a_drain",
    "two_requests_for_one_org_start_one_sync",
    "an_org_never_has_two_running_syncs",
    "an_org_fires_exactly_once_per_local_night_in_every_zone",
    "a_missed_night_is_caught_up_once_or_recorded_as_skipped",
    "a_reader_sees_exactly_one_whole_revision",
    "a_failed_sync_leaves_the_last_good_revision_untouched",
    "every_failed_sync_has_exactly_one_open_case_of_its_code_and_a_success_resolves_it",
    "a_draining_worker_takes_nothing_new_and_leaves_no_running_row",
];

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
fn each_invariant_is_the_name_of_a_test_and_stands_in_the_architecture() {
    let (tests, page) = (tests(), read("ARCHITECTURE.md"));
    for name in INVARIANTS {
        assert!(tests.contains(name), "no test is called {name}");
        assert!(
            page.contains(&format!("`{name}`")),
            "ARCHITECTURE.md does not name {name}"
        );
    }
}

#[test]
fn each_bug_report_has_its_test_or_the_reason_why_not() {
    let tests = tests();
    let is_tested = |id: u32| {
        let id = format!("b{id:02}");
        let (begins, ends) = (format!("{id}_"), format!("_{id}"));
        tests
            .iter()
            .any(|name| name.starts_with(&begins) || name.ends_with(&ends))
    };
    for id in BUG_REPORTS.step_by(2) {
        match NOT_BUILT.iter().find(|(not_built, _)| *not_built == id) {
            None => assert!(is_tested(id), "no test begins or ends with b{id:02}"),
            Some((_, why)) => assert!(!is_tested(id), "B{id} has a test although {why:?}"),
        }
    }
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
