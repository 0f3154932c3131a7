//! Tables of the documentation that are data: they are printed from the data, and compared with it here.
//!
//! A page holds `<!-- table: NAME -->`, the table, `<!-- end -->`. When the data has moved, run
//! `NIGHTSHIFT_UPDATE_DOCS=1 cargo test -p nightshift --test house` and read the difference before committing it.

use std::collections::BTreeMap;
use std::process::Command;

use nightshift_domain::{Heals, failure};

use crate::sources::{read, root};

/// Compares the table `name` of the page with `wanted`; writes it when asked to.
pub fn table_of_page(path: &str, name: &str, wanted: &str) {
    let page = read(path);
    let begin = format!("<!-- table: {name} -->\n");
    let start = page
        .find(&begin)
        .unwrap_or_else(|| panic!("{path} lacks {begin}"))
        + begin.len();
    let end = start
        + page[start..]
            .find("<!-- end -->")
            .unwrap_or_else(|| panic!("{path}: table {name} has no <!-- end -->"));
    if page[start..end] == *wanted {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the one switch of a test that writes")]
    let update = std::env::var("NIGHTSHIFT_UPDATE_DOCS").is_ok();
    assert!(
        update,
        "{path}: the table {name} differs from the data; see the head of tests/house/pages.rs\n--- data\n{wanted}"
    );
    let whole = [&page[..start], wanted, &page[end..]].concat();
    std::fs::write(root().join(path), whole).expect("the page can be written");
}

#[test]
fn the_page_of_metrics_is_the_table_of_metrics() {
    table_of_page(
        "docs/metrics.md",
        "metrics",
        &nightshift_telemetry::table_as_markdown(),
    );
}

#[test]
fn the_page_of_failures_is_the_catalogue() {
    use std::fmt::Write as _;
    let mut wanted = String::from(
        "| code | what happened | heals | who acts | first step |\n| --- | --- | --- | --- | --- |\n",
    );
    for entry in failure::catalogue() {
        let cells = [
            format!("`{}`", entry.code.as_str()),
            entry.title.clone(),
            match entry.heals {
                Heals::ByItself => "by itself",
                Heals::Never => "never",
            }
            .to_owned(),
            entry.who_acts.as_str().to_owned(),
            entry.first_step().to_owned(),
        ];
        writeln!(
            wanted,
            "| {} |",
            cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
        )
        .expect("a string takes it");
    }
    table_of_page("docs/failures.md", "failures", &wanted);
}

#[test]
fn the_page_of_requests_is_the_list_of_the_client() {
    use nightshift_salesforce::operations::{self, Endpoint, Nature};
    use std::fmt::Write as _;
    let mut wanted = String::from("| method | path | what it does to the org |\n| --- | --- | --- |\n");
    for endpoint in Endpoint::ALL {
        let (method, path, nature) = endpoint.row();
        // in the order of the paths; a person's browser alone goes to the first
        let names = [
            "{authorize}",
            "{revoke}",
            "{token}",
            "{userinfo}",
            "{data}",
            "{metadata}",
        ];
        assert_eq!(names.len(), operations::PATHS.len());
        let path = names
            .into_iter()
            .zip(operations::PATHS)
            .fold(path.to_owned(), |path, (name, filled)| path.replace(name, filled));
        assert!(path.starts_with("/services/"), "{path}");
        let nature = match nature {
            Nature::Reads => "reads",
            Nature::Asks => "reads: the question is too long for a GET",
            Nature::Session => "gives a session",
            Nature::GivesBack => "gives a token of ours back",
            Nature::OwnQueryJob => "a query job of our own: made, ended, cleared away",
        };
        writeln!(wanted, "| {method} | `{path}` | {nature} |").expect("a string takes it");
    }
    table_of_page("docs/requests.md", "requests", &wanted);
    let mut wanted = String::from("| operation |\n| --- |\n");
    for operation in operations::ALL {
        writeln!(wanted, "| `{}` |", operation.as_str()).expect("a string takes it");
    }
    table_of_page("docs/requests.md", "operations", &wanted);
}

/// Key and default of each setting, as the program itself says; no file, no variables.
fn defaults() -> BTreeMap<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_nightshift"))
        .args(["config", "show", "--json"])
        .env_clear()
        .current_dir(std::env::temp_dir())
        .output()
        .expect("the program was built");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one JSON document on stdout");
    let mut found = BTreeMap::new();
    for (section, keys) in tree.as_object().expect("sections") {
        for (key, value) in keys.as_object().expect("keys") {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(items) => items
                    .iter()
                    .filter_map(|item| item.as_str())
                    .collect::<Vec<_>>()
                    .join(","),
                other => other.to_string(),
            };
            found.insert(format!("{section}.{key}"), text);
        }
    }
    found
}

#[test]
fn the_table_of_settings_names_each_setting_with_its_default() {
    let mut written = BTreeMap::new();
    for line in read("docs/settings.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
    {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [key, default, meaning] = cells.as_slice() else {
            panic!("docs/settings.md: three cells, not {line}")
        };
        assert!(meaning.len() > 10, "docs/settings.md says nothing about {key}");
        written.insert(
            key.trim_matches('`').to_owned(),
            default.trim_matches('`').to_owned(),
        );
    }
    assert_eq!(written, defaults(), "left: docs/settings.md, right: the program");
}

/// A file of columns as a table of a page.
fn table_of_columns(path: &str, shown: &[usize]) -> String {
    let text = read(path);
    let mut lines = text.lines().map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let cells: Vec<String> = shown.iter().map(|&at| columns[at].replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    });
    let head = lines.next().unwrap_or_default();
    let rule = format!("|{}\n", " --- |".repeat(shown.len()));
    [head, rule].into_iter().chain(lines).collect()
}

#[test]
fn the_page_of_the_simulator_is_its_data() {
    use std::fmt::Write as _;
    let page = "docs/simulator.md";
    let mut faults =
        String::from("| name | row | seen by | status | answer |\n| --- | --- | --- | --- | --- |\n");
    for named in nightshift_simulator::NamedFault::all() {
        let status = match named.seen.status {
            0 => "no whole answer".to_owned(),
            status => status.to_string(),
        };
        let says = named.seen.says.replace('|', "\\|");
        let says = if says.is_empty() {
            says
        } else {
            format!("`{says}`")
        };
        let (name, row, by) = (&named.name, &named.row, &named.seen.by);
        let _ = writeln!(faults, "| `{name}` | {row} | {by} | {status} | {says} |");
    }
    table_of_page(page, "faults", &faults);
    let misbehaviours = "crates/simulator/tests/simulator/misbehaviours.tsv";
    table_of_page(
        page,
        "misbehaviours",
        &table_of_columns(misbehaviours, &[0, 1, 2, 4]),
    );
    let latencies = "crates/simulator/src/latencies.tsv";
    table_of_page(page, "latencies", &table_of_columns(latencies, &[0, 1, 2, 3]));
}
