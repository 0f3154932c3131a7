//! Who may import whom: the design's table of allowed edges, and the crates that stand for one outside world each.

use std::collections::BTreeSet;

use crate::sources::{manifests, rust_files_but_house, without_comment};

/// Crate and what of ours it may import (DESIGN, section 2). The binary may import all; see `MAY_HELP` for tests.
const EDGES: [(&str, &[&str]); 14] = [
    ("domain", &[]),
    ("archive", &[]),
    ("metadata", &["domain"]),
    ("salesforce", &["domain"]),
    ("store", &["domain"]),
    ("queue", &["domain"]),
    ("jobs", &["domain", "store", "queue"]),
    ("connections", &["domain", "store", "salesforce"]),
    (
        "sync",
        &[
            "domain",
            "archive",
            "metadata",
            "store",
            "salesforce",
            "connections",
            "jobs",
        ],
    ),
    ("scheduler", &["domain", "store", "queue", "jobs"]),
    (
        "worker",
        &[
            "domain",
            "store",
            "queue",
            "jobs",
            "salesforce",
            "connections",
            "sync",
        ],
    ),
    ("telemetry", &[]),
    ("simulator", &[]),
    (
        "testkit",
        &[
            "domain",
            "store",
            "queue",
            "jobs",
            "salesforce",
            "connections",
            "sync",
            "metadata",
            "simulator",
        ],
    ),
];

/// What tests of any crate may import besides.
const MAY_HELP: [&str; 2] = ["testkit", "simulator"];

/// Crates of others that stand for one thing, and the crates of ours that may name them.
const ONE_DOOR: [(&str, &[&str]); 11] = [
    ("sqlx", &["store", "testkit"]),
    ("lapin", &["queue"]),
    ("backoff", &["jobs"]),
    ("quick-xml", &["metadata", "salesforce", "simulator"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry-otlp", &["telemetry"]),
    ("prometheus-client", &["telemetry"]),
    ("config", &["nightshift"]),
    // no door at all: errors are enums with facts, the standard library has the rest
    ("anyhow", &[]),
    ("lazy_static", &[]),
    ("once_cell", &[]),
];

fn names(manifest: &toml::Table, section: &str) -> Vec<String> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|table| table.keys().cloned())
        .collect()
}

fn ours(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    names(manifest, section)
        .iter()
        .filter_map(|name| name.strip_prefix("nightshift-").map(str::to_owned))
        .collect()
}

#[test]
fn no_crate_imports_what_the_design_does_not_allow() {
    for (folder, manifest) in manifests() {
        if folder == "nightshift" {
            continue;
        }
        let (_, allowed) = EDGES.iter().find(|(name, _)| *name == folder).unwrap_or_else(|| {
            panic!("crates/{folder} has no line in the table of edges; give it one, and DESIGN too")
        });
        for imported in ours(&manifest, "dependencies") {
            assert!(
                allowed.contains(&imported.as_str()),
                "{folder} imports {imported}; allowed are {allowed:?}"
            );
        }
        for imported in ours(&manifest, "dev-dependencies") {
            let helps = allowed.contains(&imported.as_str())
                || MAY_HELP.contains(&imported.as_str())
                || imported == folder;
            assert!(
                helps,
                "tests of {folder} import {imported}; allowed are {allowed:?} and {MAY_HELP:?}"
            );
        }
        let built = ours(&manifest, "build-dependencies");
        assert!(built.is_empty(), "{folder} builds with {built:?}");
    }
}

#[test]
fn the_helpers_of_tests_are_in_no_program() {
    for (folder, manifest) in manifests() {
        assert!(
            !ours(&manifest, "dependencies").contains("testkit"),
            "{folder} imports testkit outside of tests"
        );
        if folder != "nightshift" && folder != "testkit" {
            assert!(
                !ours(&manifest, "dependencies").contains("simulator"),
                "{folder} imports the simulator"
            );
        }
    }
}

#[test]
fn each_line_of_the_table_of_edges_has_its_crate() {
    let folders: Vec<_> = manifests().into_iter().map(|(folder, _)| folder).collect();
    for (name, _) in EDGES {
        assert!(
            folders.iter().any(|folder| folder == name),
            "the table of edges names {name}, which is no crate"
        );
    }
}

/// Crates whose benches hold the work of others beside ours.
const MEASURED: [(&str, &str); 3] = [("sync", "quick-xml"), ("jobs", "sqlx"), ("jobs", "lapin")];
/// Where they hold it.
const BARE_LOOP: &str = "crates/jobs/benches/";

#[test]
fn each_outside_world_has_one_door() {
    for (folder, manifest) in manifests() {
        for section in ["dependencies", "dev-dependencies"] {
            for name in names(&manifest, section) {
                // a bench that shows a part alone may hold the part
                if section == "dev-dependencies" && MEASURED.contains(&(folder.as_str(), name.as_str())) {
                    continue;
                }
                if let Some((_, doors)) = ONE_DOOR.iter().find(|(foreign, _)| *foreign == name) {
                    assert!(
                        doors.contains(&folder.as_str()),
                        "crates/{folder} has {name} in [{section}]; its doors: {doors:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn sql_lapin_and_backoff_are_spoken_in_their_own_rooms() {
    let rooms: [(&str, &[&str]); 3] = [
        ("sqlx::", &["crates/store/", "crates/testkit/", BARE_LOOP]),
        ("lapin::", &["crates/queue/", BARE_LOOP]),
        ("backoff::", &["crates/jobs/src/backoff.rs"]),
    ];
    for file in rust_files_but_house() {
        for (number, line) in file.text.lines().enumerate() {
            let code = without_comment(line);
            for (word, allowed) in rooms {
                // a path of a longer name, such as `crate::backoff::`, is another thing
                let spoken = code.match_indices(word).any(|(at, _)| {
                    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                        && (!code[..at].ends_with("::") || code[..at].ends_with(" ::"))
                });
                let at_home = allowed.iter().any(|room| file.path.starts_with(room));
                let own_module = word == "backoff::" && file.path.starts_with("crates/jobs/");
                assert!(
                    !spoken || at_home || own_module,
                    "{}:{} says {word} outside of {allowed:?}",
                    file.path,
                    number + 1
                );
            }
        }
    }
}

#[test]
fn each_crate_takes_the_lints_of_the_workspace_and_its_name_from_its_folder() {
    for (folder, manifest) in manifests() {
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        assert_eq!(
            lints,
            Some(true),
            "crates/{folder}/Cargo.toml lacks [lints] workspace = true"
        );
        let wanted = if folder == "nightshift" {
            folder.clone()
        } else {
            format!("nightshift-{folder}")
        };
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(wanted.as_str()),
            "crates/{folder}"
        );
    }
}
