//! An org made from a seed and a size.
//!
//! Nothing of it is held but how many components each type has and what the nights have done to single ones; names
//! and files are worked out when somebody asks. So an org of a hundred thousand components costs a few kilobytes
//! until its first night, and the same seed gives the same bytes everywhere.

use std::collections::{BTreeMap, HashMap};

use super::{
    Inventory, Listed, MemberId, Part, SourceFile, content, date_of, is_custom_name, names::Names,
    place::file_name, plan::spread,
};
use crate::{
    error::SimulatorError,
    ids::id18,
    mix::{mix, mix_text},
    spec::Cloud,
    types::{Dates, Shape, TypeId},
};

/// What the nights have done to a component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// Added or changed in that night.
    Touched(u32),
    Deleted,
}

/// A generated org at one night.
#[derive(Clone)]
pub(crate) struct GeneratedOrg {
    pub(super) seed: u64,
    /// Bytes of a member's main file, at least.
    pub(super) weight: usize,
    pub(super) base: BTreeMap<TypeId, u32>,
    pub(super) added: BTreeMap<TypeId, u32>,
    pub(super) marks: HashMap<MemberId, Mark>,
    /// Night of the latest change; 0 before the first.
    pub(super) generation: u32,
}

impl GeneratedOrg {
    pub(crate) fn weighing(seed: u64, size: u64, weight: usize, clouds: &[Cloud]) -> Self {
        let base = spread(size, clouds).into_iter().collect();
        Self {
            seed,
            weight,
            base,
            added: BTreeMap::new(),
            marks: HashMap::new(),
            generation: 0,
        }
    }

    pub(super) fn names(&self) -> Names<'_> {
        Names {
            seed: self.seed,
            base: &self.base,
        }
    }

    /// Numbers that were ever given within a type.
    pub(super) fn slots(&self, kind: TypeId) -> u32 {
        self.base.get(&kind).copied().unwrap_or(0) + self.added.get(&kind).copied().unwrap_or(0)
    }

    pub(super) fn alive(&self, member: MemberId) -> bool {
        member.slot < self.slots(member.kind) && self.marks.get(&member) != Some(&Mark::Deleted)
    }

    /// The night in which a component got the content it has.
    pub(super) fn generation_of(&self, member: MemberId) -> u32 {
        match self.marks.get(&member) {
            Some(Mark::Touched(generation)) => *generation,
            Some(Mark::Deleted) | None => 0,
        }
    }

    /// A number that is this component's for ever.
    pub(super) fn number(&self, member: MemberId) -> u64 {
        mix(mix_text(self.seed, member.kind.name()), u64::from(member.slot))
    }

    /// The children of a member that stand in its file, type by type.
    pub(super) fn children_of(&self, parent: MemberId) -> Vec<MemberId> {
        let parents = self.base.get(&parent.kind).copied().unwrap_or(0);
        if parent.slot >= parents {
            return Vec::new();
        }
        parent
            .kind
            .children()
            .iter()
            .flat_map(|&kind| {
                (parent.slot..self.slots(kind))
                    .step_by(parents as usize)
                    .map(move |slot| MemberId { kind, slot })
            })
            .filter(|child| self.alive(*child))
            .collect()
    }
}

impl Inventory for GeneratedOrg {
    fn kinds(&self) -> Vec<TypeId> {
        self.base.keys().copied().collect()
    }

    fn list(&self, kind: TypeId, folder: Option<&str>) -> Vec<MemberId> {
        let foldered = kind.row().folder_type.is_some();
        let names = self.names();
        (0..self.slots(kind))
            .map(|slot| MemberId { kind, slot })
            .filter(|member| self.alive(*member))
            .filter(|member| {
                !foldered || folder.is_some_and(|folder| names.folder(kind, member.slot) == folder)
            })
            .collect()
    }

    fn find(&self, kind: TypeId, full_name: &str) -> Option<MemberId> {
        self.names()
            .slot(kind, full_name)
            .map(|slot| MemberId { kind, slot })
            .filter(|member| self.alive(*member))
    }

    fn parent(&self, child: MemberId) -> Option<MemberId> {
        let row = child.kind.row();
        let slot = self.names().parent_slot(child.kind, child.slot);
        row.parent
            .filter(|_| row.shape == Shape::Child)
            .map(|kind| MemberId { kind, slot })
    }

    fn describe(&self, member: MemberId) -> Listed {
        let row = member.kind.row();
        let names = self.names();
        let full_name = names.name(member.kind, member.slot);
        let number = self.number(member);
        let standard = row.name == "CustomObject" && !is_custom_name(&full_name);
        let dated = row.dates == Dates::Own && !standard;
        let file_name = match self.parent(member) {
            Some(parent) => file_name(parent.kind, &names.name(parent.kind, parent.slot)),
            None => file_name(member.kind, &full_name),
        };
        let born = if member.slot < self.base.get(&member.kind).copied().unwrap_or(0) {
            0
        } else {
            self.generation_of(member)
        };
        Listed {
            kind: row.name.into(),
            file_name,
            full_name,
            id: id18(row.prefix, number),
            created: dated.then(|| date_of(born, number)),
            modified: dated.then(|| date_of(self.generation_of(member), number)),
            namespace: None,
            manageable_state: "unmanaged",
        }
    }

    fn file_count(&self, member: MemberId) -> usize {
        content::file_count(member.kind)
    }

    fn files(&self, member: MemberId, part: &Part) -> Result<Vec<SourceFile>, SimulatorError> {
        Ok(content::files(self, member, part))
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for kind in self.kinds() {
            counts.insert(kind.name(), u64::from(self.slots(kind)));
        }
        for (member, mark) in &self.marks {
            if *mark == Mark::Deleted
                && let Some(count) = counts.get_mut(member.kind.name())
            {
                *count -= 1;
            }
        }
        counts.retain(|_, count| *count > 0);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_the_size_and_the_listings_agree() {
        let org = GeneratedOrg::weighing(3, 2_000, 0, &[]);
        assert_eq!(org.counts().values().sum::<u64>(), 2_000);
        for (name, count) in org.counts() {
            let kind = TypeId::named(name).unwrap();
            let listed = match kind.row().folder_type {
                None => org.list(kind, None).len(),
                Some(folders) => {
                    let folders = org.list(folders, None);
                    folders
                        .iter()
                        .map(|f| org.list(kind, Some(&org.describe(*f).full_name)).len())
                        .sum()
                }
            };
            assert_eq!(listed as u64, count, "{name}");
        }
    }

    #[test]
    fn every_child_stands_in_the_file_of_its_parent_once() {
        let org = GeneratedOrg::weighing(3, 2_000, 0, &[]);
        let object = TypeId::named("CustomObject").unwrap();
        let below: usize = org
            .list(object, None)
            .iter()
            .map(|parent| org.children_of(*parent).len())
            .sum();
        let children: u64 = object
            .children()
            .iter()
            .filter_map(|kind| org.counts().get(kind.name()).copied())
            .sum();
        assert_eq!(below as u64, children);
    }

    #[test]
    fn every_member_has_as_many_files_as_it_says() {
        let org = GeneratedOrg::weighing(3, 800, 0, &Cloud::ALL);
        for kind in org
            .kinds()
            .into_iter()
            .filter(|kind| kind.row().shape != Shape::Child)
        {
            let member = MemberId { kind, slot: 0 };
            let files = org.files(member, &Part::Whole).unwrap();
            assert_eq!(files.len(), org.file_count(member), "{}", kind.name());
            for file in files {
                let placed = super::super::place::place(&file.path, &|path| !path.ends_with("-meta.xml"));
                let folder = kind.row().shape == Shape::Folder;
                assert!(
                    folder || placed.is_some_and(|placed| placed.kind == kind),
                    "{}",
                    file.path
                );
            }
        }
    }
}
