//! Every row of the registry beside an example: where a file of the type lies and what it must be called.
//!
//! Paths, folders, parents and elements of `examples.tsv` were made from the researched table of types, not from the
//! registry. How files lie (bundle, body beside a `-meta.xml`), companions, dates and what is left out were taken from the
//! registry: they pin it against a slip of the hand, and prove nothing about Salesforce.

use std::collections::BTreeSet;

use nightshift_domain::ComponentKey;
use nightshift_metadata::{
    Dated, Described, ListingContext, RawListing, Retrieved, Role, TypeKind, correct_listing, folder_of,
    name_of, parse_file, path_of, registry, request_type,
};

struct Example {
    type_name: &'static str,
    path: &'static str,
    full_name: &'static str,
    role: &'static str,
    files: Option<u32>,
    folder: &'static str,
    parent: &'static str,
    element: &'static str,
    companions: Vec<&'static str>,
    dated: &'static str,
    retrieved: &'static str,
}

fn examples() -> Vec<Example> {
    let lines = include_str!("examples.tsv").lines().skip(1);
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            assert_eq!(fields.len(), 11, "{line}");
            Example {
                type_name: fields[0],
                path: fields[1],
                full_name: fields[2],
                role: fields[3],
                files: fields[4].parse().ok(),
                folder: fields[5],
                parent: fields[6],
                element: fields[7],
                companions: fields[8].split(',').filter(|name| !name.is_empty()).collect(),
                dated: fields[9],
                retrieved: fields[10],
            }
        })
        .collect()
}

#[test]
fn each_row_has_an_example_and_each_example_a_row() {
    let rows: BTreeSet<&str> = registry().types().iter().map(|info| info.name).collect();
    let named: BTreeSet<&str> = examples().iter().map(|example| example.type_name).collect();
    assert_eq!(rows, named);
    assert!(
        rows.len() >= 500,
        "the table holds all known types, not {}",
        rows.len()
    );
}

#[test]
fn each_path_names_its_member_and_says_what_the_file_is() {
    for example in examples().iter().filter(|example| example.role != "child") {
        let wanted = match example.role {
            "whole" => Role::Whole,
            "content" => Role::Content,
            "meta" => Role::Meta,
            "bundle" => Role::Bundle,
            "folder" | "alias" => Role::Folder,
            other => panic!("{other} is no role"),
        };
        let real = registry().by_name(example.type_name).unwrap().name;
        for path in [example.path.to_owned(), format!("unpackaged/{}", example.path)] {
            let named = name_of(&path, &Described::default());
            assert_eq!(named.key, ComponentKey::new(real, example.full_name), "{path}");
            assert_eq!(named.full_name, example.full_name, "{path}");
            assert_eq!(named.role, wanted, "{path}");
            assert_eq!(named.files, example.files, "{path}");
        }
    }
}

#[test]
fn the_derived_path_of_a_member_leads_back_to_it() {
    for example in examples() {
        let info = registry().by_name(example.type_name).unwrap();
        let Some(path) = path_of(info, example.full_name) else {
            let told_by_files_only = matches!(
                info.kind,
                TypeKind::Bundle | TypeKind::DeepBundle | TypeKind::Child | TypeKind::ChildAlone
            );
            assert!(told_by_files_only, "{} has no path", info.name);
            continue;
        };
        let named = name_of(&path, &Described::default());
        assert_eq!(
            named.key,
            ComponentKey::new(info.name, example.full_name),
            "{path}"
        );
        // Territory2Model lies in a directory of its own, which the listing's file name says.
        if matches!(example.role, "whole" | "content" | "folder") && example.type_name != "Territory2Model" {
            assert_eq!(path, example.path);
        }
    }
}

#[test]
fn a_listing_that_names_nothing_but_the_name_gives_the_same_component() {
    let described = Described::default();
    for example in examples() {
        let raw = RawListing {
            full_name: Some(example.full_name.to_owned()),
            ..RawListing::default()
        };
        let context = ListingContext {
            asked: &[example.type_name],
            described: &described,
            own_namespace: None,
        };
        let entry = correct_listing(&raw, &context).unwrap();
        let info = registry().by_name(example.type_name).unwrap();
        assert_eq!(entry.key, ComponentKey::new(info.name, example.full_name));
        assert!(!entry.file_name.is_empty(), "{}", info.name);
        if !info.is_child() {
            assert_eq!(entry.parent, None, "{}", info.name);
        }
    }
}

#[test]
fn members_of_foldered_types_lie_in_folders_of_their_listing_type() {
    for example in examples() {
        let info = registry().by_name(example.type_name).unwrap();
        let folder_type = match info.kind {
            TypeKind::Folder => Some(info.name),
            _ => info.folder_type,
        };
        let wanted = folder_type
            .filter(|_| !example.folder.is_empty())
            .map(|name| ComponentKey::new(name, example.folder));
        assert_eq!(
            folder_of(example.type_name, example.full_name),
            wanted,
            "{}",
            example.path
        );
        assert_eq!(
            info.folder_type.is_some(),
            example.role != "folder" && !example.folder.is_empty(),
            "{}",
            example.path
        );
        if example.role == "folder" {
            assert_eq!(request_type(example.type_name), example.parent);
            let content = registry().by_name(example.parent).unwrap();
            assert_eq!(content.folder_type, Some(info.name));
            assert_eq!(
                Described::default().folder_type(content.name).as_deref(),
                Some(info.name)
            );
        }
    }
}

#[test]
fn each_child_is_found_in_its_parents_file_and_listed_below_it() {
    let described = Described::default();
    for example in examples().iter().filter(|example| example.role == "child") {
        let parent = registry().by_name(example.parent).unwrap();
        let parent_name = match example.full_name.split_once('.') {
            Some((parent, _)) => parent,
            None => "CustomLabels",
        };
        let (element, key) = example.element.split_once('/').unwrap();
        let xml = format!(
            "<{0}><{element}><{key}>Own</{key}></{element}></{0}>",
            parent.name
        );
        let parsed = parse_file(parent, parent_name, xml.as_bytes()).unwrap();
        let names: Vec<_> = parsed
            .children
            .iter()
            .map(|child| (&*child.key.type_name, &*child.full_name))
            .collect();
        assert_eq!(names, [(example.type_name, example.full_name)]);
        let (from, to) = parsed.children[0].slice;
        assert_eq!(
            &xml[from as usize..to as usize],
            format!("<{element}><{key}>Own</{key}></{element}>")
        );

        let raw = RawListing {
            type_name: Some(example.type_name.to_owned()),
            full_name: Some(example.full_name.to_owned()),
            file_name: Some(format!("unpackaged/{}", example.path)),
            ..RawListing::default()
        };
        let context = ListingContext {
            asked: &["CustomTab", example.type_name],
            described: &described,
            own_namespace: None,
        };
        let entry = correct_listing(&raw, &context).unwrap();
        assert_eq!(
            entry.parent,
            Some(ComponentKey::new(parent.name, parent_name)),
            "{}",
            example.type_name
        );
        assert_eq!(entry.file_name, example.path);
    }
    let with_children = registry().types().iter().flat_map(|info| &info.children).count();
    assert_eq!(
        with_children,
        examples()
            .iter()
            .filter(|example| example.role == "child")
            .count()
    );
}

#[test]
fn companions_are_those_of_the_example_and_known_types() {
    let mut dependent = 0;
    for example in examples().iter().filter(|example| example.role != "alias") {
        let info = registry().by_name(example.type_name).unwrap();
        assert_eq!(info.companions, example.companions, "{}", info.name);
        for companion in &info.companions {
            let known = registry().by_name(companion);
            assert!(
                known.is_some(),
                "{} is a companion of {} and unknown",
                companion,
                info.name
            );
            assert_ne!(*companion, info.name);
        }
        dependent += usize::from(!info.companions.is_empty());
    }
    assert!(
        dependent >= 5,
        "profiles, permission sets and three kinds of translations at least"
    );
}

#[test]
fn dates_and_what_is_left_out_are_those_of_the_example() {
    for example in examples().iter().filter(|example| example.role != "alias") {
        let info = registry().by_name(example.type_name).unwrap();
        let dated = match info.dated {
            Dated::Trusted => "trusted",
            Dated::Never => "never",
            Dated::ByReading => "by_reading",
            Dated::ByChildren => "by_children",
        };
        let retrieved = match info.retrieved {
            Retrieved::Yes => "yes",
            Retrieved::MayHoldSecrets => "may_hold_secrets",
            Retrieved::DailyBudget => "daily_budget",
        };
        assert_eq!(
            (dated, retrieved),
            (example.dated, example.retrieved),
            "{}",
            info.name
        );
        assert!(
            info.dated != Dated::ByChildren || !info.children.is_empty(),
            "{} has no children",
            info.name
        );
        let files = u32::from(!info.is_child());
        assert!(info.files_expected >= files, "{}", info.name);
        assert_eq!(
            Described::default().files_expected(info.name),
            info.files_expected
        );
    }
}
