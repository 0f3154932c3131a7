//! How a file looks: it opens with its subject, tells one story, and leaves nothing half done.

use crate::sources::{rust_files, rust_files_but_house};

/// Longest file, in lines. Aim at 150; over 400 a file needs a reason; over this it tells two stories.
const LINES_MAX: usize = 600;

#[test]
fn every_file_opens_with_its_subject() {
    let mut silent = Vec::new();
    for file in rust_files() {
        let first = file.text.lines().next().unwrap_or_default();
        if !first.starts_with("//! ") {
            silent.push(file.path);
        }
    }
    assert!(
        silent.is_empty(),
        "these files do not open with a `//!` paragraph that says what they are: {silent:#?}"
    );
}

#[test]
fn no_file_tells_two_stories() {
    let mut lengths: Vec<(usize, String)> = rust_files()
        .into_iter()
        .map(|file| (file.text.lines().count(), file.path))
        .collect();
    lengths.sort();
    let long: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > LINES_MAX).collect();
    assert!(
        long.is_empty(),
        "over {LINES_MAX} lines; cut them where the second story begins: {long:#?}"
    );
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["TODO", "FIXME", "XXX:", "todo!(", "unimplemented!(", "#[ignore"];
    let mut left = Vec::new();
    for file in rust_files_but_house() {
        for (number, line) in file.text.lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark)) {
                left.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    assert!(left.is_empty(), "do it, or write an issue: {left:#?}");
}

#[test]
fn a_files_name_says_what_is_inside() {
    let empty_words = [
        "utils", "util", "common", "helpers", "misc", "manager", "v2", "imp", "types2", "new",
    ];
    for file in rust_files() {
        for part in file.path.trim_end_matches(".rs").split('/') {
            assert!(
                !empty_words.contains(&part),
                "{}: \"{part}\" says nothing; name the thing",
                file.path
            );
        }
    }
}

#[test]
fn exceptions_are_expected_and_carry_their_reason() {
    let mut silent = Vec::new();
    for file in rust_files_but_house() {
        let text = file.text.replace('\n', " ");
        for kind in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (at, _) in text.match_indices(kind) {
                let end = text[at..].find(']').map_or(text.len(), |end| at + end);
                if !text[at..end].contains("reason") {
                    silent.push(format!("{}: {}", file.path, &text[at..end.min(at + 80)]));
                }
            }
        }
    }
    assert!(
        silent.is_empty(),
        "an exception from a lint gives its reason = \"...\": {silent:#?}"
    );
}
