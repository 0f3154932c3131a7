//! Which differences of a file are changes: properties over generated XML, and hostile XML.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{collections::BTreeMap, fs, path::Path};

use nightshift_metadata::{
    Assembled, Assembler, Described, Rules, XmlLimits, canonical_form, parse_file, registry,
};
use proptest::prelude::*;

fn form(xml: &str, type_name: &str) -> Vec<u8> {
    let info = registry().by_name(type_name).unwrap();
    canonical_form(xml.as_bytes(), Rules::of(info), XmlLimits::DEFAULT).unwrap()
}

fn values(order: &[usize]) -> String {
    let values = order
        .iter()
        .map(|n| format!("<customValue><fullName>V{n}</fullName><label>L{n}</label></customValue>\n"));
    format!("<GlobalValueSet>{}</GlobalValueSet>", values.collect::<String>())
}

proptest! {
    #[test]
    fn each_permutation_of_keyed_elements_is_no_change(order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle()) {
        let sorted: Vec<usize> = (0..8).collect();
        prop_assert_eq!(form(&values(&order), "GlobalValueSet"), form(&values(&sorted), "GlobalValueSet"));
    }

    #[test]
    fn each_swap_of_two_different_unkeyed_elements_is_a_change(texts in prop::collection::vec("[a-z]{1,6}", 2..8), a in 0..8_usize, b in 0..8_usize) {
        let (a, b) = (a % texts.len(), b % texts.len());
        let xml = |texts: &[String]| {
            let steps = texts.iter().map(|text| format!("<steps>{text}</steps>"));
            format!("<ApprovalProcess>{}</ApprovalProcess>", steps.collect::<String>())
        };
        let mut swapped = texts.clone();
        swapped.swap(a, b);
        let same = form(&xml(&texts), "ApprovalProcess") == form(&xml(&swapped), "ApprovalProcess");
        prop_assert_eq!(same, texts == swapped);
    }

    #[test]
    fn white_space_and_comments_between_elements_are_no_change(gap in "[ \n\t]{0,5}") {
        let tight = "<Flow><a>1</a><b>2</b></Flow>";
        let loose = format!("<?xml version=\"1.0\"?>\n<Flow>{gap}<a>1</a>{gap}<!-- by hand -->{gap}<b>2</b>{gap}</Flow>\n");
        prop_assert_eq!(form(tight, "Flow"), form(&loose, "Flow"));
    }
}

#[test]
fn people_see_the_order_of_a_report() {
    let columns = |names: [&str; 2]| {
        let [a, b] = names.map(|name| format!("<columns><field>{name}</field></columns>"));
        format!("<Report>{a}{b}</Report>")
    };
    assert_ne!(
        form(&columns(["A", "B"]), "Report"),
        form(&columns(["B", "A"]), "Report")
    );
}

#[test]
fn hostile_xml_is_a_named_failure() {
    let deep = format!(
        "<CustomObject>{}{}</CustomObject>",
        "<a>".repeat(10_000),
        "</a>".repeat(10_000)
    );
    let bomb =
        "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><CustomObject><l>&b;</l></CustomObject>";
    let hostile = [
        deep.as_str(),
        bomb,
        "<CustomObject><l>&unknown;</l></CustomObject>",
        "<CustomObject><l>",
        "<html>",
    ];
    let info = registry().by_name("CustomObject").unwrap();
    for xml in hostile {
        let error = parse_file(info, "Account", xml.as_bytes())
            .map(|_| ())
            .unwrap_err();
        assert!(error.code().starts_with("xml_"), "{error}");
    }
}

type Components = BTreeMap<(String, String), [u8; 32]>;

fn tree(root: &Path) -> Components {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let (mut found, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.extend(assembler.file(&name, &fs::read(&path).unwrap()).assembled);
            }
        }
    }
    found.extend(assembler.finish());
    let mut components = Components::new();
    for one in found {
        let Assembled::Member(member) = one else {
            panic!("{one:?}")
        };
        for component in std::iter::once(member.component).chain(member.children) {
            components.insert(
                (component.key.type_name, component.full_name),
                component.content_hash,
            );
        }
    }
    components
}

#[test]
fn the_small_org_of_two_nights_changes_as_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/small-org");
    let (one, two) = (tree(&root.join("night-1")), tree(&root.join("night-2")));
    assert_eq!((one.len(), two.len()), (114, 126));
    let mut changes = Vec::new();
    for (key, hash) in &two {
        match one.get(key) {
            None => changes.push(format!("{}\t{}\tadded", key.0, key.1)),
            Some(old) if old != hash => changes.push(format!("{}\t{}\tchanged", key.0, key.1)),
            Some(_) => {}
        }
    }
    let gone = one.keys().filter(|key| !two.contains_key(key));
    changes.extend(gone.map(|key| format!("{}\t{}\tdeleted", key.0, key.1)));
    changes.sort();
    let expected = fs::read_to_string(root.join("expected-changes.tsv")).unwrap();
    let mut expected: Vec<&str> = expected
        .lines()
        .filter(|line| line.split('\t').count() == 3)
        .collect();
    expected.retain(|line| !line.starts_with('#') && !line.starts_with("type\t"));
    expected.sort_unstable();
    assert_eq!(changes, expected);
}

#[test]
fn every_row_of_the_registry_can_be_named_and_found_again() {
    let described = Described::default();
    for info in registry().types() {
        assert!(registry().by_name(info.name).is_some(), "{}", info.name);
        for child in &info.children {
            assert!(
                !child.element.is_empty() && !child.key_element.is_empty(),
                "{} {}",
                info.name,
                child.type_name
            );
        }
        for companion in &info.companions {
            assert!(
                registry().by_name(companion).is_some(),
                "{}: companion {companion}",
                info.name
            );
        }
        let Some(path) = nightshift_metadata::path_of(info, "Sample__c") else {
            continue;
        };
        let named = name_of_path(&path, &described);
        assert!(
            named == "Sample__c" || info.folder_type.is_some() || info.is_child(),
            "{}: {path} is {named}",
            info.name
        );
    }
}

fn name_of_path(path: &str, described: &Described) -> String {
    nightshift_metadata::name_of(path, described).full_name
}
