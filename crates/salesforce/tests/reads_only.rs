//! The crate can only read: what it can call stands in one list, and nothing in its sources goes around that list.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose setting cannot be built must fail"
)]

use std::{fs, path::Path};

use nightshift_salesforce::operations;

fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs")
            && !path.to_string_lossy().ends_with("_tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            found.push((path.display().to_string(), code));
        }
    }
}

#[test]
fn no_operation_and_no_path_writes_to_an_org() {
    let writing = [
        "create",
        "update",
        "upsert",
        "delete",
        "deploy",
        "cancel",
        "rename",
        "undelete",
        "merge",
        "convert",
        "sobjects",
        "composite",
        "executeAnonymous",
        "apexrest",
        "revoke",
    ];
    let names = operations::ALL.map(operations::Operation::as_str);
    for name in names.into_iter().chain(operations::PATHS) {
        let name = name.to_lowercase();
        assert!(
            !writing.iter().any(|word| name.contains(&word.to_lowercase())),
            "{name}"
        );
    }
}

#[test]
fn the_one_call_that_changes_anything_gives_a_token_of_ours_back() {
    assert_eq!(operations::GIVES_BACK, ["/services/oauth2/revoke"]);
}

#[test]
fn no_source_names_a_path_or_sends_a_method_outside_the_list() {
    let mut found = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    assert!(found.len() > 10);
    for (path, code) in found {
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect();
        for method in [".put(", ".patch(", ".delete(", "Method::", ".request("] {
            // `slot.put` keeps an error; it sends nothing.
            let code = code.replace("slot.put(", "");
            assert!(!code.contains(method), "{path} has {method}");
        }
        let allowed = if path.ends_with("operations.rs") {
            operations::PATHS.len() + operations::GIVES_BACK.len()
        } else {
            0
        };
        assert_eq!(code.matches("\"/services/").count(), allowed, "{path}");
    }
}
