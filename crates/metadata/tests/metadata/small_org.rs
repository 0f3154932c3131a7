//! A small real org on two nights: every count and every change as an independent program computed them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use nightshift_metadata::{Assembled, Assembler, Described, KEY_ELEMENTS, name_of, standard_value_sets};

type Files = BTreeMap<String, Vec<u8>>;
type Components = BTreeMap<(String, String), [u8; 32]>;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/small-org")
}

fn files(night: &str) -> Files {
    let root = fixture().join(night);
    let mut files = Files::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

fn components<'f>(files: impl Iterator<Item = (&'f String, &'f Vec<u8>)>) -> Components {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let mut assembled: Vec<Assembled> = files
        .filter_map(|(path, bytes)| assembler.file(&format!("unpackaged/{path}"), bytes).assembled)
        .collect();
    assembled.extend(assembler.finish());
    let mut found = Components::new();
    for one in assembled {
        let Assembled::Member(member) = one else {
            panic!("{one:?}")
        };
        assert!(!member.opaque, "{}", member.component.key);
        for component in std::iter::once(member.component).chain(member.children) {
            let key = (component.key.type_name, component.full_name);
            let twice = found.insert(key.clone(), component.content_hash);
            assert_eq!(twice, None, "{key:?}");
        }
    }
    found
}

fn night(name: &str) -> Components {
    components(files(name).iter())
}

fn changes(one: &Components, other: &Components) -> BTreeSet<String> {
    let line = |key: &(String, String), change: &str| format!("{}\t{}\t{change}", key.0, key.1);
    let added_or_changed = other.iter().filter_map(|(key, hash)| match one.get(key) {
        None => Some(line(key, "added")),
        Some(old) if old != hash => Some(line(key, "changed")),
        Some(_) => None,
    });
    let deleted = one
        .keys()
        .filter(|key| !other.contains_key(key))
        .map(|key| line(key, "deleted"));
    added_or_changed.chain(deleted).collect()
}

fn table(name: &str) -> Vec<String> {
    let text = fs::read_to_string(fixture().join(name)).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn every_count_comes_out() {
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for (at, night) in [night("night-1"), night("night-2")].iter().enumerate() {
        for (type_name, _) in night.keys() {
            counts.entry(type_name.clone()).or_default()[at] += 1;
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(type_name, [one, two])| format!("{type_name}\t{one}\t{two}"))
        .collect();
    assert_eq!(counts, table("expected-counts.tsv"));
}

#[test]
fn b55_every_change_comes_out_the_deleted_field_among_them() {
    let expected: BTreeSet<String> = table("expected-changes.tsv").into_iter().collect();
    assert!(expected.contains("CustomField\tEngagement_Plan__c.Case__c\tdeleted"));
    assert_eq!(changes(&night("night-1"), &night("night-2")), expected);
}

#[test]
fn files_that_come_in_another_order_make_the_same_org() {
    let files = files("night-2");
    assert_eq!(components(files.iter()), components(files.iter().rev()));
}

#[test]
fn keyed_root_children_in_reverse_are_no_change() {
    let files = files("night-2");
    let mut moved = 0;
    let reversed: Files = files
        .iter()
        .map(|(path, bytes)| {
            let reversed = reversed(path, bytes);
            moved += usize::from(&reversed != bytes);
            (path.clone(), reversed)
        })
        .collect();
    assert!(moved >= 20, "only {moved} files could be turned round");
    assert_eq!(
        changes(&components(files.iter()), &components(reversed.iter())),
        BTreeSet::new()
    );
}

/// The root's children backwards, those of one name only where each has a key of its own. Works on lines: these files
/// are indented by four spaces a level.
fn reversed(path: &str, bytes: &[u8]) -> Vec<u8> {
    let kept = [".report", ".dashboard", ".flexipage"]
        .iter()
        .any(|suffix| path.ends_with(suffix));
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with("<?xml") && path != "package.xml" && !kept => text,
        _ => return bytes.to_owned(),
    };
    let mut head = Vec::new();
    let mut tail = Vec::new();
    let mut blocks: Vec<(String, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let child = line.strip_prefix("    <").filter(|rest| !rest.starts_with('/'));
        match (child, open) {
            (Some(rest), false) => {
                let name = rest.split(['>', ' ', '/']).next().unwrap().to_owned();
                open = !(line.ends_with(&format!("</{name}>")) || line.ends_with("/>"));
                blocks.push((name, vec![line]));
            }
            (None, false) if blocks.is_empty() => head.push(line),
            (None, false) => tail.push(line),
            (_, true) => {
                let (name, lines) = blocks.last_mut().unwrap();
                lines.push(line);
                // A text of several lines ends where its element does.
                open = line.starts_with("        ") || !line.ends_with(&format!("</{name}>"));
            }
        }
    }
    let key = |lines: &[&str]| {
        KEY_ELEMENTS.iter().find_map(|key| {
            let begin = format!("        <{key}>");
            lines
                .iter()
                .find_map(|line| line.strip_prefix(&begin))
                .map(|rest| (*key, rest.to_owned()))
        })
    };
    let mut groups: BTreeMap<&str, Vec<&Vec<&str>>> = BTreeMap::new();
    for (name, lines) in &blocks {
        groups.entry(name).or_default().push(lines);
    }
    for group in groups.values_mut() {
        let keys: Option<BTreeSet<_>> = group.iter().map(|lines| key(lines)).collect();
        if keys.is_some_and(|keys| keys.len() == group.len()) {
            group.reverse();
        }
    }
    let body = groups
        .values()
        .rev()
        .flatten()
        .flat_map(|lines| lines.iter().copied());
    let lines: Vec<&str> = head
        .iter()
        .copied()
        .chain(body)
        .chain(tail.iter().copied())
        .collect();
    (lines.join("\n") + "\n").into_bytes()
}

#[test]
fn its_standard_value_sets_are_known_by_name() {
    let named: Vec<String> = files("night-2")
        .keys()
        .map(|path| name_of(path, &Described::default()).key)
        .filter(|key| key.type_name == "StandardValueSet")
        .map(|key| key.name)
        .collect();
    assert!(!named.is_empty());
    assert!(
        named.iter().all(|name| standard_value_sets().contains(&&**name)),
        "{named:?}"
    );
}
