//! The `messages` of a retrieve that succeeded all the same: which component is missing, and why.
//!
//! Salesforce tells it in sentences. The patterns stand in `messages.tsv`, the first that fits wins; a sentence that
//! none fits is kept as it is by the caller. Names in them are spelled in a case of their own, so they are found by
//! folding.

use std::{collections::BTreeMap, sync::LazyLock};

use nightshift_domain::{ComponentKey, LeftOut, LeftOutReason};

use crate::{described::Described, error::MetadataError, naming::name_of};

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The type, if the message or its file name tells it.
    pub type_name: Option<String>,
    /// The component's readable name, likewise; `None` when a whole type is meant.
    pub name: Option<String>,
    /// Why it is missing.
    pub reason: LeftOutReason,
    /// Salesforce's words, at most 1,000 characters.
    pub detail: String,
}

struct Pattern {
    text: &'static str,
    reason: LeftOutReason,
}

/// Reads one message: its `problem` and its `fileName`.
pub fn read_message(problem: &str, file_name: Option<&str>, described: &Described) -> Option<Told> {
    static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
        patterns().expect("messages.tsv is part of the build and read by this crate's tests")
    });
    let (pattern, found) = PATTERNS
        .iter()
        .find_map(|pattern| Some((pattern, captures(pattern.text, problem)?)))?;
    // Where the sentence does not name the component, the file that it is about may.
    let told_by_file = || {
        let file = file_name.filter(|file| file.contains('/') && !file.ends_with("package.xml"))?;
        Some(name_of(file, described).key)
    };
    let (type_name, name) = match (found.get("type"), found.get("name")) {
        (None, None) => told_by_file().map_or((None, None), |key| (Some(key.type_name), Some(key.name))),
        (type_name, name) => {
            let key = ComponentKey::new("", name.copied().unwrap_or_default());
            (type_name.map(|text| (*text).to_owned()), name.map(|_| key.name))
        }
    };
    Some(Told {
        type_name,
        name,
        reason: pattern.reason,
        detail: problem.chars().take(1000).collect(),
    })
}

fn patterns() -> Result<Vec<Pattern>, MetadataError> {
    let lines = include_str!("messages.tsv").lines().enumerate().skip(1);
    lines
        .map(|(line, text)| {
            let wrong = |why| MetadataError::Table {
                table: "messages.tsv",
                line: line + 1,
                why,
            };
            let (text, reason) = text
                .split_once('\t')
                .ok_or_else(|| wrong("a line has 2 fields"))?;
            let reason = reason.parse().map_err(|_| wrong("the reason is unknown"))?;
            Ok(Pattern { text, reason })
        })
        .collect()
}

/// What stands in the places of `{type}` and `{name}`, if `pattern` stands anywhere in `text`.
fn captures<'p, 't>(pattern: &'p str, text: &'t str) -> Option<BTreeMap<&'p str, &'t str>> {
    let mut found = BTreeMap::new();
    let (first, mut pattern) = pattern.split_once('{').unwrap_or((pattern, ""));
    let mut text = text.split_once(first)?.1;
    while !pattern.is_empty() {
        let (place, rest) = pattern.split_once('}')?;
        let (literal, next) = rest.split_once('{').unwrap_or((rest, ""));
        // The last literal ends the sentence: a name may hold the same characters (a dot).
        let end = match (literal, next) {
            ("", "") => text.len(),
            (_, "") => last_of(text, literal)?,
            _ => text.find(literal)?,
        };
        found.insert(place, text[..end].trim());
        text = &text[end + literal.len()..];
        pattern = next;
    }
    Some(found)
}

/// Where a sentence's last literal begins. A lone full stop must be the end: anywhere else it is part of a name.
fn last_of(text: &str, literal: &str) -> Option<usize> {
    let text = text.trim_end();
    match text.strip_suffix(literal) {
        Some(before) => Some(before.len()),
        None if literal.len() > 1 => text.rfind(literal),
        None => None,
    }
}

/// Many components left out for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOutGroup {
    /// Their type.
    pub type_name: String,
    /// Why.
    pub reason: LeftOutReason,
    /// How many.
    pub count: usize,
    /// The first names, at most three.
    pub first_names: Vec<String>,
}

/// Groups what was left out by type and reason, the largest first, so that hundreds alike do not hide the one that
/// matters.
pub fn grouped(left_out: &[LeftOut]) -> Vec<LeftOutGroup> {
    let mut groups: BTreeMap<(&str, LeftOutReason), Vec<&str>> = BTreeMap::new();
    for one in left_out {
        groups
            .entry((&one.type_name, one.reason))
            .or_default()
            .push(&one.name);
    }
    let mut groups: Vec<_> = groups
        .into_iter()
        .map(|((type_name, reason), mut names)| {
            names.sort_unstable();
            LeftOutGroup {
                type_name: type_name.to_owned(),
                reason,
                count: names.len(),
                first_names: names.into_iter().take(3).map(str::to_owned).collect(),
            }
        })
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(problem: &str) -> Option<(Option<String>, Option<String>, LeftOutReason)> {
        let told = read_message(problem, Some("unpackaged/package.xml"), &Described::default())?;
        assert_eq!(told.detail, problem);
        Some((told.type_name, told.name, told.reason))
    }

    #[test]
    fn each_line_of_the_table_reads_its_own_sentence() {
        let patterns = patterns().unwrap();
        assert!(patterns.len() >= 8);
        for pattern in &patterns {
            let sentence = pattern
                .text
                .replace("{type}", "Layout")
                .replace("{name}", "Account-My%2EOwn");
            for said in [
                sentence.clone(),
                format!("Metadata API received improper input. {sentence}"),
            ] {
                let (type_name, name, reason) = read(&said).unwrap_or_else(|| panic!("not read: {said}"));
                let told_type = pattern.text.contains("{type}").then(|| "Layout".to_owned());
                let told_name = pattern
                    .text
                    .contains("{name}")
                    .then(|| "Account-My.Own".to_owned());
                assert_eq!(
                    (type_name, name, reason),
                    (told_type, told_name, pattern.reason),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn b21_a_component_that_salesforce_could_not_load_is_named_with_and_without_a_full_stop() {
        let begin = "Load of metadata from db failed for metadata of type:";
        for (end, type_name, name) in [
            (
                "InstalledPackage and file name:Test2",
                "InstalledPackage",
                "Test2",
            ),
            ("AppMenu and file name:AppSwitcher.", "AppMenu", "AppSwitcher"),
            (
                "CustomField and file name:Account.A__c",
                "CustomField",
                "Account.A__c",
            ),
            (
                "CustomField and file name:Account.A__c.",
                "CustomField",
                "Account.A__c",
            ),
        ] {
            let told = read(&format!("{begin}{end}"));
            let wanted = (
                Some(type_name.to_owned()),
                Some(name.to_owned()),
                LeftOutReason::CannotBeLoaded,
            );
            assert_eq!(told, Some(wanted), "{end}");
        }
    }

    #[test]
    fn a_quote_in_a_name_is_part_of_it() {
        let told = read("Entity of type 'Layout' named 'A-Bob's' cannot be found");
        let wanted = (
            Some("Layout".to_owned()),
            Some("A-Bob's".to_owned()),
            LeftOutReason::CannotBeFound,
        );
        assert_eq!(told, Some(wanted));
    }

    #[test]
    fn the_file_names_the_component_where_the_sentence_does_not() {
        let problem =
            "Cannot retrieve documents in a user's private folder; move the document to a named folder";
        let told = read_message(
            problem,
            Some("unpackaged/documents/Mine/a.png"),
            &Described::default(),
        )
        .unwrap();
        assert_eq!(told.type_name.as_deref(), Some("Document"));
        assert_eq!(told.name.as_deref(), Some("Mine/a.png"));
        assert_eq!(read(problem), Some((None, None, LeftOutReason::NoAccess)));
    }

    #[test]
    fn an_unknown_sentence_is_not_read_and_a_long_one_is_cut() {
        assert_eq!(read("Something new went wrong"), None);
        let long = format!("Entity type: 'X' is unknown{}", "!".repeat(5000));
        let told = read_message(&long, None, &Described::default()).unwrap();
        assert_eq!(told.detail.chars().count(), 1000);
        assert_eq!((told.type_name.as_deref(), told.name), (Some("X"), None));
    }

    #[test]
    fn b23_hundreds_of_one_kind_do_not_hide_the_one_that_matters() {
        let left_out = |type_name: &str, name: String, reason| LeftOut {
            type_name: type_name.to_owned(),
            name,
            reason,
            detail: String::new(),
        };
        let mut all: Vec<LeftOut> = (0..201)
            .rev()
            .map(|at| left_out("Layout", format!("L{at:03}"), LeftOutReason::CannotBeFound))
            .collect();
        all.insert(
            100,
            left_out("ApexClass", "A".to_owned(), LeftOutReason::CannotBeLoaded),
        );
        all.push(left_out("Layout", "M".to_owned(), LeftOutReason::NoAccess));
        let groups = grouped(&all);
        let counts: Vec<usize> = groups.iter().map(|group| group.count).collect();
        assert_eq!(counts, [201, 1, 1]);
        assert_eq!(groups[0].first_names, ["L000", "L001", "L002"]);
        assert!(
            groups
                .iter()
                .any(|group| group.type_name == "ApexClass" && group.first_names == ["A"])
        );
        assert_eq!(grouped(&[]), []);
    }
}
