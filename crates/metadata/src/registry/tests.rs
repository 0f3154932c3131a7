//! What the table of types refuses: each wrong row by its reason. Its rows themselves are checked beside
//! `tests/metadata/examples.tsv`.

use super::*;

const GOOD: &str = "A\tas\ta\tsingle\t\t\t\t\ttrusted\tyes\tkeyed\t\t\t\t1\t\tPlatform";

/// What `Registry::parse` says to the good row with one field replaced.
fn refusal(field: usize, value: &str) -> Option<&'static str> {
    let mut fields: Vec<&str> = GOOD.split('\t').collect();
    fields[field] = value;
    parsed(&fields.join("\t"))
}

fn parsed(rows: &str) -> Option<&'static str> {
    let table: &'static str = Box::leak(format!("head\n{rows}").into_boxed_str());
    match Registry::parse(table).err()? {
        MetadataError::Table { why, line, .. } => {
            assert!(line >= 2);
            Some(why)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrong_row_is_refused_with_its_reason() {
    assert_eq!(parsed(GOOD), None);
    assert_eq!(parsed("A\tas"), Some("a line has 17 fields"));
    assert_eq!(refusal(3, "double"), Some("the kind is unknown"));
    assert_eq!(
        refusal(8, "maybe"),
        Some("dated is trusted, never, by_reading or by_children")
    );
    assert_eq!(
        refusal(9, "no"),
        Some("retrieved is yes, may_hold_secrets or daily_budget")
    );
    assert_eq!(refusal(10, "any"), Some("order is keyed or kept"));
    assert_eq!(refusal(11, "e"), Some("keys are element=child+child;..."));
    assert_eq!(refusal(14, "many"), Some("files is a number"));
}

#[test]
fn two_rows_never_claim_one_name_or_one_path() {
    assert_eq!(
        parsed(&format!("{GOOD}\n{GOOD}")),
        Some("this name stands in the table twice")
    );
    let renamed = GOOD.replacen('A', "B", 1);
    let same_path = Some("this directory and suffix stand in the table twice");
    assert_eq!(parsed(&format!("{GOOD}\n{renamed}")), same_path);
}

#[test]
fn a_child_needs_a_parent_in_the_table() {
    let child = "C\tcs\tc\tchild\t\tNobody\tcs\tfullName\ttrusted\tyes\tkeyed\t\t\t\t0\t\tPlatform";
    assert_eq!(parsed(child), Some("the parent is not in the table"));
    let known = child.replace("Nobody", "A");
    assert_eq!(parsed(&format!("{GOOD}\n{known}")), None);
}

#[test]
fn an_alias_gives_the_real_type() {
    let real = registry().by_name("EmailTemplateFolder").map(|info| info.name);
    assert_eq!(real, Some("EmailFolder"));
    assert!(registry().by_name("emailfolder").is_none());
}
