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
