//! Counts the components of a tree in Metadata API format, and names what differs between two: the check by hand of
//! this crate against trees whose counts and changes are known from elsewhere.
//!
//! `cargo run -p nightshift-metadata --example inventory -- DIR [DIR2]`: one `count` line a type and tree, then one
//! `diff` line (type, full name, change) a change.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use nightshift_metadata::{Assembled, Assembler, Described};

type Components = BTreeMap<(String, String), [u8; 32]>;

fn main() -> Result<(), Box<dyn Error>> {
    let trees: Vec<Components> = std::env::args()
        .skip(1)
        .map(|dir| inventory(Path::new(&dir)))
        .collect::<Result<_, _>>()?;
    for (at, tree) in trees.iter().enumerate() {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (type_name, _) in tree.keys() {
            *counts.entry(type_name).or_default() += 1;
        }
        for (type_name, count) in counts {
            println!("count\t{}\t{type_name}\t{count}", at + 1);
        }
        println!("count\t{}\tall\t{}", at + 1, tree.len());
    }
    if let [one, other] = &trees[..] {
        for (key, hash) in other {
            match one.get(key) {
                None => println!("diff\t{}\t{}\tadded", key.0, key.1),
                Some(old) if old != hash => println!("diff\t{}\t{}\tchanged", key.0, key.1),
                Some(_) => {}
            }
        }
        for key in one.keys().filter(|key| !other.contains_key(key)) {
            println!("diff\t{}\t{}\tdeleted", key.0, key.1);
        }
    }
    Ok(())
}

fn inventory(root: &Path) -> Result<Components, Box<dyn Error>> {
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let mut assembled = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            assembled.extend(assembler.file(&name, &fs::read(&path)?).assembled);
        }
    }
    assembled.extend(assembler.finish());
    let mut components = Components::new();
    for one in assembled {
        match one {
            Assembled::Unreadable(lost) => return Err(format!("{}: {}", lost.path, lost.error).into()),
            Assembled::Member(member) => {
                for component in std::iter::once(member.component).chain(member.children) {
                    let key = (component.key.type_name, component.full_name);
                    components.insert(key, component.content_hash);
                }
            }
        }
    }
    Ok(components)
}
