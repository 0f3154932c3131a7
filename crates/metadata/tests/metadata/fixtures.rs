//! A fixture for each row of the registry: adding a type is one row there and one section in `fixtures`.
//!
//! A section is the files of one member, as they lie in the zip. Each is read the way an ingest reads it, and must be one
//! member of its type with one component for each kind of child that the registry gives it, found by its key.

use std::collections::{BTreeMap, BTreeSet};

use nightshift_domain::ComponentKey;
use nightshift_metadata::{
    Assembled, Assembler, Described, Member, TypeInfo, TypeKind, parse_file, registry,
};

const SECTIONS: [&str; 2] = [
    include_str!("fixtures/common.txt"),
    include_str!("fixtures/rest.txt"),
];

/// Path and text of each file of one member.
type Files = Vec<(String, String)>;

/// How each child of a fixture is called there.
const OWN: &str = "Own";

fn fixtures() -> BTreeMap<&'static str, Files> {
    let mut found = BTreeMap::new();
    for section in SECTIONS.iter().flat_map(|text| text.split("\n== ").skip(1)) {
        let (type_name, rest) = section.split_once('\n').unwrap();
        let files: Files = format!("\n{rest}\n")
            .split("\n-- ")
            .skip(1)
            .map(|file| file.split_once('\n').unwrap())
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        assert!(!files.is_empty(), "{type_name} has no file");
        assert!(
            found.insert(type_name, files).is_none(),
            "{type_name} has two sections"
        );
    }
    found
}

/// Rows with files of their own: children live in their parent's, an alias is another's name.
fn with_files(info: &TypeInfo) -> bool {
    !info.is_child() && info.kind != TypeKind::Alias
}

fn assembled(files: &Files) -> Vec<Assembled> {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let mut all: Vec<Assembled> = files
        .iter()
        .filter_map(|(path, text)| {
            assembler
                .file(&format!("unpackaged/{path}"), text.as_bytes())
                .assembled
        })
        .collect();
    all.extend(assembler.finish());
    all
}

fn member(type_name: &str, files: &Files) -> Box<Member> {
    let mut all = assembled(files);
    let Some(Assembled::Member(member)) = all.pop() else {
        panic!("{type_name} is no member: {all:?}")
    };
    assert!(all.is_empty(), "{type_name} is more than one member: {all:?}");
    member
}

#[test]
fn each_row_has_a_fixture_and_each_fixture_a_row() {
    let rows: BTreeSet<&str> = registry()
        .types()
        .iter()
        .filter(|info| with_files(info))
        .map(|info| info.name)
        .collect();
    let fixtures: BTreeSet<&str> = fixtures().into_keys().collect();
    assert_eq!(rows, fixtures, "left: rows, right: fixtures");
}

#[test]
fn each_fixture_is_one_member_of_its_type() {
    for (type_name, files) in fixtures() {
        let member = member(type_name, &files);
        assert_eq!(member.component.key.type_name, type_name);
        assert!(!member.opaque, "{type_name} was not parsed");
        assert!(!member.component.key.name.is_empty(), "{type_name}");
        let paths: BTreeSet<&str> = member.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            files.iter().map(|(path, _)| path.as_str()).collect(),
            "{type_name}"
        );
    }
}

#[test]
fn each_child_of_the_registry_is_found_in_its_parents_fixture_by_its_key() {
    let fixtures = fixtures();
    let mut found = BTreeSet::new();
    for info in registry().types().iter().filter(|info| !info.children.is_empty()) {
        let (path, text) = fixtures[info.name]
            .iter()
            .find(|(_, text)| text.contains(&format!("<{}>", info.children[0].element)))
            .unwrap();
        let parsed = parse_file(info, "Parent", text.as_bytes()).unwrap();
        for child in &info.children {
            let key = ComponentKey::new(child.type_name, &child.full_name("Parent", OWN));
            let one = parsed.children.iter().find(|one| one.key == key);
            let (from, to) = one
                .unwrap_or_else(|| panic!("{path} has no {key}: {:?}", parsed.children))
                .slice;
            let slice = &text[from as usize..to as usize];
            assert!(slice.starts_with(&format!("<{}>", child.element)), "{slice}");
            assert!(
                slice.contains(&format!("<{}>{OWN}</{0}>", child.key_element)),
                "{slice}"
            );
            found.insert(child.type_name);
        }
    }
    let rows: BTreeSet<&str> = registry()
        .types()
        .iter()
        .filter(|info| info.is_child())
        .map(|info| info.name)
        .collect();
    assert_eq!(found, rows);
}

#[test]
fn a_member_read_from_its_fixture_carries_its_children() {
    let fixtures = fixtures();
    // a bundle's files are kept as they are: its children are those of its listing
    let owners = registry()
        .types()
        .iter()
        .filter(|info| !info.children.is_empty() && info.is_xml());
    let mut counted = 0;
    for info in owners {
        let member = member(info.name, &fixtures[info.name]);
        let kinds: BTreeSet<&str> = member
            .children
            .iter()
            .map(|child| child.key.type_name.as_str())
            .collect();
        assert_eq!(
            kinds,
            info.children.iter().map(|child| child.type_name).collect(),
            "{}",
            info.name
        );
        for child in &member.children {
            assert_eq!(child.parent.as_ref(), Some(&member.component.key));
        }
        counted += kinds.len();
    }
    assert!(counted > 30, "{counted} kinds of children only");
}

#[test]
fn each_fixture_with_another_leaf_is_a_change_and_without_its_end_is_unreadable() {
    for (type_name, files) in fixtures() {
        let whole = member(type_name, &files);
        for (at, (path, text)) in files
            .iter()
            .enumerate()
            .filter(|(_, (_, text))| text.starts_with("<?xml"))
        {
            let Some((leaf, _)) = text.match_indices("</").next() else {
                panic!("{path} has no leaf")
            };
            let mut other = files.clone();
            other[at].1.insert(leaf, 'X');
            let other = member(type_name, &other);
            let file = |member: &Member| {
                member
                    .files
                    .iter()
                    .find(|file| file.path == *path)
                    .map(|file| file.canonical_hash)
            };
            assert_ne!(file(&whole), file(&other), "{path}");
            let mut cut = files.clone();
            cut[at].1.truncate(text.trim_end().len() - 1);
            let lost = assembled(&cut).iter().any(
                |one| matches!(one, Assembled::Unreadable(lost) if lost.error.code() == "xml_truncated"),
            );
            let info = registry().by_name(type_name).unwrap();
            // of a bundle that file alone is XML to us that says what the bundle is
            let is_bundle = matches!(info.kind, TypeKind::Bundle | TypeKind::DeepBundle);
            let is_read = !is_bundle || path.ends_with("-meta.xml");
            assert_eq!(lost, is_read, "{path} without its end");
        }
    }
}
