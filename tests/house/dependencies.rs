//! The crates of others: one TLS stack, one time crate, known licences, no doubles that nobody gave a reason for.
//!
//! The rules stand in `deny.toml`, which cargo-deny reads too; here they are kept without a tool that takes minutes to
//! install, and without a network: what is really built comes from `cargo tree`, offline, from `Cargo.lock`. New
//! advisories are found by whoever has the network; those that are known and accepted are listed with reason and date.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::LazyLock;

use crate::sources::{read, root};

struct Package {
    name: String,
    version: String,
    licence: String,
}

/// Every package that is built on this machine for programs, build scripts and tests.
static BUILT: LazyLock<Vec<Package>> = LazyLock::new(|| tree("normal,build,dev"));

fn tree(edges: &str) -> Vec<Package> {
    let arguments = [
        "tree",
        "--workspace",
        "--offline",
        "--locked",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
        "--edges",
        edges,
    ];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo can be called again");
    assert!(
        output.status.success(),
        "cargo tree: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let lines: BTreeSet<&str> = text
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .filter(|line| !line.is_empty())
        .collect();
    let packages: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let (package, licence) = line.rsplit_once('|').expect("the format has one bar");
            let mut words = package.split(' ');
            let name = words.next().expect("a package has a name").to_owned();
            let version = words
                .next()
                .expect("and a version")
                .trim_start_matches('v')
                .to_owned();
            Package {
                name,
                version,
                licence: licence.to_owned(),
            }
        })
        .collect();
    assert!(
        packages.len() > 200,
        "cargo tree named {} packages only",
        packages.len()
    );
    packages
}

fn rules() -> toml::Table {
    read("deny.toml").parse().expect("deny.toml is TOML")
}

/// The entries of a list in `deny.toml`: key and reason, each with one.
fn list(section: &str, name: &str, key: &str) -> BTreeMap<String, String> {
    let rules = rules();
    let entries = rules[section][name]
        .as_array()
        .unwrap_or_else(|| panic!("deny.toml lacks {section}.{name}"))
        .clone();
    entries
        .iter()
        .map(|entry| {
            let what = entry
                .get(key)
                .and_then(toml::Value::as_str)
                .unwrap_or_else(|| panic!("{section}.{name}: {entry} lacks {key}"));
            let reason = entry
                .get("reason")
                .and_then(toml::Value::as_str)
                .unwrap_or_default();
            assert!(
                reason.len() > 10,
                "deny.toml: {section}.{name}: {what} has no reason"
            );
            (what.to_owned(), reason.to_owned())
        })
        .collect()
}

#[test]
fn nothing_that_was_replaced_comes_back() {
    let denied = list("bans", "deny", "crate");
    let back: Vec<_> = BUILT
        .iter()
        .filter_map(|package| Some((&package.name, denied.get(&package.name)?)))
        .collect();
    assert!(back.is_empty(), "denied by deny.toml: {back:#?}");
}

#[test]
fn there_is_one_tls_stack_and_one_time_crate() {
    let versions = |name: &str| {
        BUILT
            .iter()
            .filter(|package| package.name == name)
            .map(|package| &package.version)
            .collect::<BTreeSet<_>>()
    };
    for only in ["rustls", "aws-lc-rs", "jiff", "tokio", "hyper", "reqwest"] {
        assert_eq!(versions(only).len(), 1, "{only}: {:?}", versions(only));
    }
    let denied = list("bans", "deny", "crate");
    for other in [
        "openssl",
        "openssl-sys",
        "native-tls",
        "ring",
        "chrono",
        "jiff-sqlx",
    ] {
        assert!(denied.contains_key(other), "deny.toml must deny {other}");
    }
}

#[test]
fn every_double_has_the_crate_that_forces_it_for_a_reason() {
    let skipped = list("bans", "skip", "crate");
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in BUILT.iter() {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    let mut used = BTreeSet::new();
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let unexplained: Vec<_> = versions
            .iter()
            .filter(|version| {
                let entry = skipped.keys().find(|entry| {
                    entry
                        .split_once('@')
                        .is_some_and(|(n, v)| n == *name && version.starts_with(v))
                });
                used.extend(entry);
                entry.is_none()
            })
            .collect();
        assert!(
            unexplained.len() <= 1,
            "{name} is there as {versions:?}; get rid of one, or say in deny.toml [bans] skip who forces it"
        );
    }
    let stale: Vec<_> = skipped.keys().filter(|entry| !used.contains(entry)).collect();
    assert!(
        stale.is_empty(),
        "deny.toml skips doubles that are none any more: {stale:?}"
    );
}

#[test]
fn every_licence_is_one_that_we_accept() {
    let rules = rules();
    let accepted: Vec<&str> = rules["licenses"]["allow"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let refused: Vec<_> = BUILT
        .iter()
        .filter(|package| !satisfied(&package.licence, &accepted))
        .map(|package| format!("{} {}: {}", package.name, package.version, package.licence))
        .collect();
    assert!(refused.is_empty(), "licences outside of deny.toml: {refused:#?}");
}

#[test]
fn accepted_advisories_have_a_date_and_a_crate_that_is_still_there() {
    let accepted = list("advisories", "ignore", "id");
    for (id, reason) in &accepted {
        assert!(id.starts_with("RUSTSEC-"), "{id}");
        let (date, rest) = reason
            .split_once(": ")
            .unwrap_or_else(|| panic!("{id}: the reason begins with date and colon"));
        assert!(
            date.parse::<jiff::civil::Date>().is_ok(),
            "{id}: {date:?} is no date"
        );
        let name = rest.split(' ').next().unwrap_or_default();
        assert!(
            BUILT.iter().any(|package| package.name == name),
            "{id} is about {name}, which is gone: take the line away"
        );
    }
    for (unmaintained, id) in [("backoff", "RUSTSEC-2025-0012"), ("instant", "RUSTSEC-2024-0384")] {
        let there = BUILT.iter().any(|package| package.name == unmaintained);
        assert!(
            !there || accepted.contains_key(id),
            "{unmaintained} needs its line for {id}"
        );
    }
}

#[test]
fn crates_come_from_crates_io_alone() {
    let lock: toml::Table = read("Cargo.lock").parse().expect("cargo wrote it");
    for package in lock["package"].as_array().expect("a list") {
        let source = package
            .get("source")
            .and_then(toml::Value::as_str)
            .unwrap_or("registry+https://github.com/rust-lang/crates.io-index");
        assert_eq!(
            source, "registry+https://github.com/rust-lang/crates.io-index",
            "{}",
            package["name"]
        );
    }
}

/// Which crates each of ours uses that the fuzz targets may link, tests' own left out: a dependency's tests are not built.
fn used_by_ours(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = read(lock).parse().expect("cargo wrote it");
    let packages = lock["package"].as_array().expect("a list");
    let named = |package: &toml::Value| package["name"].as_str().unwrap_or_default().to_owned();
    let uses = |package: &toml::Value| {
        let list = package.get("dependencies").and_then(toml::Value::as_array);
        let names = list.into_iter().flatten().filter_map(toml::Value::as_str);
        names
            .filter_map(|text| text.split(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let ours = packages
        .iter()
        .filter(|package| named(package).starts_with("nightshift-"));
    ours.map(|package| (named(package), uses(package))).collect()
}

#[test]
fn the_fuzz_targets_are_locked_to_what_our_crates_use() {
    let fuzz = used_by_ours("tests/fuzz/Cargo.lock");
    for (name, uses) in fuzz
        .iter()
        .filter(|(name, _)| !name.starts_with("nightshift-fuzz"))
    {
        let manifest: toml::Table = read(&format!("crates/{}/Cargo.toml", &name["nightshift-".len()..]))
            .parse()
            .expect("a manifest");
        let wanted: BTreeSet<String> = manifest["dependencies"]
            .as_table()
            .expect("a table")
            .keys()
            .cloned()
            .collect();
        assert_eq!(
            uses, &wanted,
            "tests/fuzz/Cargo.lock is of another time: (cd tests/fuzz && cargo generate-lockfile --offline); {name}"
        );
    }
    assert!(fuzz.len() >= 5, "{fuzz:?}");
}

/// Whether an SPDX expression can be met with the accepted licences; `/` is the old way to write OR.
fn satisfied(expression: &str, accepted: &[&str]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace(" WITH ", "-WITH-");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&tokens, &mut at, accepted);
    met && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, accepted: &[&str]) -> bool {
    let mut met = all_of(tokens, at, accepted);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(tokens, at, accepted);
    }
    met
}

fn all_of(tokens: &[&str], at: &mut usize, accepted: &[&str]) -> bool {
    let mut met = one(tokens, at, accepted);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(tokens, at, accepted);
    }
    met
}

fn one(tokens: &[&str], at: &mut usize, accepted: &[&str]) -> bool {
    let Some(token) = tokens.get(*at) else {
        return false;
    };
    *at += 1;
    if *token != "(" {
        return accepted
            .iter()
            .any(|licence| licence.replace(" WITH ", "-WITH-") == **token);
    }
    let met = any_of(tokens, at, accepted);
    let closed = tokens.get(*at) == Some(&")");
    *at += 1;
    met && closed
}

#[test]
fn a_licence_expression_is_read_as_spdx_means_it() {
    let accepted = ["MIT", "Apache-2.0", "ISC"];
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "(MIT OR GPL-3.0) AND ISC",
        "ISC AND (Apache-2.0 OR ISC) AND MIT",
    ] {
        assert!(satisfied(good, &accepted), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "GPL-3.0 OR (MIT AND LGPL-3.0)",
        "(MIT",
        "MIT) OR ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(!satisfied(bad, &accepted), "{bad}");
    }
}
