//! An org that is read from a folder in Metadata API format, or from a project in source format (`tree`).
//!
//! Members are told by their files (`place`), children by the elements of the files (`slices`); only names, places
//! and one number for the content of each are kept, the bytes are read when they are sent. The tree of the night
//! after is read the same way: whoever has another number than before gets the new night's date, whoever is gone
//! leaves no trace, and the date of a parent does not feel what happens to its children.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{
    Change, ChangeKind, Inventory, Listed, MemberId, Part, SourceFile, date_of, is_custom_name,
    place::{file_name, place},
    slices::{Cut, cut},
    tree::Tree,
};
use crate::{
    error::SimulatorError,
    ids::id18,
    mix::{mix, mix_bytes, mix_text},
    types::{Dates, Shape, TypeId},
};

/// One night's tree.
pub(crate) struct FolderOrg {
    root: PathBuf,
    tree: Tree,
    entries: BTreeMap<TypeId, Vec<Entry>>,
    index: HashMap<(TypeId, String), u32>,
    /// Files that belong to no type of the table, package.xml and texts aside.
    unplaced: Vec<String>,
}

struct Entry {
    full_name: String,
    /// Relative to the root; of a child, those of its parent.
    files: Vec<String>,
    parent: Option<MemberId>,
    /// A number for its content; a parent's leaves its children out.
    content: u64,
    /// The night in which it got that content.
    generation: u32,
}

impl FolderOrg {
    /// Reads a tree. `before` is the night before, whose dates are kept where nothing changed.
    pub(crate) fn read(
        root: &Path,
        before: Option<&FolderOrg>,
        generation: u32,
    ) -> Result<Self, SimulatorError> {
        let tree = Tree::read(root)?;
        let mut members: BTreeMap<(TypeId, String), Vec<String>> = BTreeMap::new();
        let mut unplaced = tree.strangers.clone();
        for file in tree.paths() {
            match place(file, &|path| tree.has(path)) {
                Some(placed) => members
                    .entry((placed.kind, placed.full_name))
                    .or_default()
                    .push(file.clone()),
                None if file.contains('/') => unplaced.push(file.clone()),
                None => {}
            }
        }
        if members.is_empty() {
            return Err(SimulatorError::EmptyFolder(root.to_owned()));
        }
        let mut org = Self {
            root: root.to_owned(),
            tree,
            entries: BTreeMap::new(),
            index: HashMap::new(),
            unplaced,
        };
        for ((kind, full_name), files) in members {
            org.add_member(kind, full_name, files)?;
        }
        for (&kind, entries) in &mut org.entries {
            for entry in entries {
                entry.generation = match before.and_then(|before| before.entry_named(kind, &entry.full_name))
                {
                    Some(old) if old.content == entry.content => old.generation,
                    _ => generation,
                };
            }
        }
        Ok(org)
    }

    fn add_member(
        &mut self,
        kind: TypeId,
        full_name: String,
        files: Vec<String>,
    ) -> Result<(), SimulatorError> {
        let mut content = 0;
        let mut cut_file = None;
        for file in &files {
            let bytes = self.bytes(file)?;
            if kind.children().is_empty() || kind.row().shape != Shape::File {
                content = mix(content, mix_text(mix_bytes(1, &bytes), file));
            } else {
                let (text, cut) = self.cut(kind, file, bytes)?;
                content = mix(content, cut.rest_number(&text));
                cut_file = Some((text, cut));
            }
        }
        let parent = self.push(
            kind,
            Entry {
                full_name,
                files,
                parent: None,
                content,
                generation: 0,
            },
        );
        if let Some((text, cut)) = cut_file {
            let (parent_name, files) = {
                let entry = self.entry(parent);
                (entry.full_name.clone(), entry.files.clone())
            };
            for slice in cut.slices {
                let content = mix_bytes(1, text[slice.range].as_bytes());
                let full_name = child_name(slice.kind, &parent_name, &slice.key);
                let child = Entry {
                    full_name,
                    files: files.clone(),
                    parent: Some(parent),
                    content,
                    generation: 0,
                };
                self.push(slice.kind, child);
            }
        }
        Ok(())
    }

    fn push(&mut self, kind: TypeId, entry: Entry) -> MemberId {
        let entries = self.entries.entry(kind).or_default();
        let slot = entries.len() as u32;
        self.index.insert((kind, entry.full_name.clone()), slot);
        entries.push(entry);
        MemberId { kind, slot }
    }

    fn entry(&self, member: MemberId) -> &Entry {
        &self.entries[&member.kind][member.slot as usize]
    }

    fn entry_named(&self, kind: TypeId, full_name: &str) -> Option<&Entry> {
        self.find(kind, full_name).map(|member| self.entry(member))
    }

    fn bytes(&self, file: &str) -> Result<Vec<u8>, SimulatorError> {
        self.tree.bytes(file)
    }

    fn cut(&self, kind: TypeId, file: &str, bytes: Vec<u8>) -> Result<(String, Cut), SimulatorError> {
        let bad = |reason: String| SimulatorError::Xml {
            path: self.root.join(file),
            reason,
        };
        let text = String::from_utf8(bytes).map_err(|error| bad(error.to_string()))?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let cut = cut(&text, kind).map_err(|error| bad(error.to_string()))?;
        Ok((text, cut))
    }

    /// Files that belong to no type of the table.
    pub(crate) fn unplaced(&self) -> &[String] {
        &self.unplaced
    }

    /// What differs from an earlier night.
    pub(crate) fn changes_since(&self, before: &FolderOrg) -> Vec<Change> {
        let change = |kind: TypeId, entry: &Entry, change: ChangeKind| Change {
            kind: kind.name().to_owned(),
            full_name: entry.full_name.clone(),
            change,
        };
        let mut changes = Vec::new();
        for (&kind, entries) in &self.entries {
            for entry in entries {
                match before.entry_named(kind, &entry.full_name) {
                    None => changes.push(change(kind, entry, ChangeKind::Added)),
                    Some(old) if old.content != entry.content => {
                        changes.push(change(kind, entry, ChangeKind::Changed));
                    }
                    Some(_) => {}
                }
            }
        }
        for (&kind, entries) in &before.entries {
            let gone = entries
                .iter()
                .filter(|entry| self.find(kind, &entry.full_name).is_none());
            changes.extend(gone.map(|entry| change(kind, entry, ChangeKind::Deleted)));
        }
        changes.sort();
        changes
    }
}

/// A child's full name; a label stands for itself.
pub(crate) fn child_name(kind: TypeId, parent: &str, key: &str) -> String {
    if kind.name() == "CustomLabel" {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

impl Inventory for FolderOrg {
    fn kinds(&self) -> Vec<TypeId> {
        self.entries.keys().copied().collect()
    }

    fn list(&self, kind: TypeId, folder: Option<&str>) -> Vec<MemberId> {
        let foldered = kind.row().folder_type.is_some();
        let entries = self.entries.get(&kind).map_or(&[][..], Vec::as_slice);
        let within = |entry: &Entry| {
            !foldered
                || entry.full_name.rsplit_once('/').map(|(folder, _)| folder)
                    == folder.filter(|f| !f.is_empty())
        };
        entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| within(entry))
            .map(|(slot, _)| MemberId {
                kind,
                slot: slot as u32,
            })
            .collect()
    }

    fn find(&self, kind: TypeId, full_name: &str) -> Option<MemberId> {
        self.index
            .get(&(kind, full_name.to_owned()))
            .map(|&slot| MemberId { kind, slot })
    }

    fn parent(&self, child: MemberId) -> Option<MemberId> {
        self.entry(child).parent
    }

    fn describe(&self, member: MemberId) -> Listed {
        let entry = self.entry(member);
        let row = member.kind.row();
        let number = mix_text(mix_text(3, row.name), &entry.full_name);
        let standard = row.name == "CustomObject" && !is_custom_name(&entry.full_name);
        let dated = row.dates == Dates::Own && !standard;
        let file_name = match entry.parent {
            Some(parent) => file_name(parent.kind, &self.entry(parent).full_name),
            None => file_name(member.kind, &entry.full_name),
        };
        Listed {
            kind: row.name.into(),
            full_name: entry.full_name.clone(),
            file_name,
            id: id18(row.prefix, number),
            created: dated.then(|| date_of(0, number)),
            modified: dated.then(|| date_of(entry.generation, number)),
            namespace: None,
            manageable_state: "unmanaged",
        }
    }

    fn file_count(&self, member: MemberId) -> usize {
        self.entry(member).files.len()
    }

    fn files(&self, member: MemberId, part: &Part) -> Result<Vec<SourceFile>, SimulatorError> {
        let entry = self.entry(member);
        let mut files = Vec::with_capacity(entry.files.len());
        for file in &entry.files {
            let bytes = self.bytes(file)?;
            let bytes = match part {
                Part::Whole => bytes,
                Part::Children(children) => {
                    let (text, cut) = self.cut(member.kind, file, bytes)?;
                    let wanted: HashSet<(TypeId, &str)> = children
                        .iter()
                        .map(|&child| (child.kind, self.entry(child).full_name.as_str()))
                        .collect();
                    let only = cut.only(&text, |slice| {
                        wanted.contains(&(slice.kind, &*child_name(slice.kind, &entry.full_name, &slice.key)))
                    });
                    only.into_bytes()
                }
            };
            files.push(SourceFile {
                path: file.clone(),
                bytes,
            });
        }
        Ok(files)
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.entries
            .iter()
            .map(|(kind, entries)| (kind.name(), entries.len() as u64))
            .collect()
    }
}
