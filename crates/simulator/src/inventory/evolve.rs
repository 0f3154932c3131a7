//! What a night does to a generated org: some components come, some change, some go.
//!
//! Which ones depends on the seed, the night and the share, so that a test can foretell them; the list of changes is
//! what a dictionary must show afterwards. A deleted object takes its children with it. Files whose names are
//! Salesforce's own only change, and files that are nothing but their children are left to those.

use super::{
    Change, ChangeKind, MemberId,
    generated::{GeneratedOrg, Mark},
    plan::{Life, PLAN, planned},
};
use crate::{mix::mix, types::TypeId};

/// Of a hundred components that the night touches: how many go, and how many new ones come instead of a change.
const GO: u64 = 15;
const COME: u64 = 15;

impl GeneratedOrg {
    /// The org after one more night in which about `share` (0 to 1) of the components were touched.
    pub(crate) fn evolve(&self, share: f64) -> (Self, Vec<Change>) {
        let mut next = self.clone();
        next.generation += 1;
        let bound = (share.clamp(0.0, 1.0) * 1_000_000.0) as u64;
        let night = mix(self.seed, u64::from(next.generation) << 32);
        let mut changes = Vec::new();
        let kinds = PLAN.iter().filter_map(|planned| TypeId::named(planned.name));
        for kind in kinds.filter(|kind| self.base.contains_key(kind)) {
            for slot in 0..self.slots(kind) {
                let member = MemberId { kind, slot };
                let lot = mix(night, self.number(member));
                if lot % 1_000_000 < bound && next.alive(member) {
                    next.touch(member, (lot >> 32) % 100, &mut changes);
                }
            }
        }
        if changes.is_empty()
            && bound > 0
            && let Some(first) = TypeId::named("ApexClass").map(|kind| MemberId { kind, slot: 0 })
            && next.alive(first)
        {
            next.touch(first, 99, &mut changes);
        }
        changes.sort();
        (next, changes)
    }

    fn touch(&mut self, member: MemberId, lot: u64, changes: &mut Vec<Change>) {
        let Some(planned) = planned(member.kind) else {
            return;
        };
        let standard = planned.name == "CustomObject" && member.slot < self.names().standard_objects();
        match planned.life {
            Life::Hollow => {}
            Life::Free if lot < GO && !standard => self.remove(member, changes),
            Life::Free if lot < GO + COME && !standard => self.come(member.kind, changes),
            Life::Free | Life::Fixed => {
                self.marks.insert(member, Mark::Touched(self.generation));
                changes.push(self.change(member, ChangeKind::Changed));
            }
        }
    }

    fn remove(&mut self, member: MemberId, changes: &mut Vec<Change>) {
        for child in self.children_of(member) {
            changes.push(self.change(child, ChangeKind::Deleted));
            self.marks.insert(child, Mark::Deleted);
        }
        changes.push(self.change(member, ChangeKind::Deleted));
        self.marks.insert(member, Mark::Deleted);
    }

    fn come(&mut self, kind: TypeId, changes: &mut Vec<Change>) {
        let member = MemberId {
            kind,
            slot: self.slots(kind),
        };
        *self.added.entry(kind).or_default() += 1;
        let orphan = super::Inventory::parent(self, member).is_some_and(|parent| !self.alive(parent));
        if orphan {
            // Its parent is gone: the number is used up and nobody has it.
            self.marks.insert(member, Mark::Deleted);
        } else {
            self.marks.insert(member, Mark::Touched(self.generation));
            changes.push(self.change(member, ChangeKind::Added));
        }
    }

    fn change(&self, member: MemberId, change: ChangeKind) -> Change {
        let full_name = self.names().name(member.kind, member.slot);
        Change {
            kind: member.kind.name().to_owned(),
            full_name,
            change,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        inventory::{Inventory, Part, slices::cut},
        types::Shape,
    };

    type Shown = BTreeMap<(String, String), (u64, Option<jiff::Timestamp>)>;

    /// Every component by type and name with a number for its content (children left out) and its date.
    fn everything(org: &GeneratedOrg) -> Shown {
        let mut all = BTreeMap::new();
        for kind in org.kinds() {
            for slot in 0..org.slots(kind) {
                let member = MemberId { kind, slot };
                if !org.alive(member) {
                    continue;
                }
                let listed = org.describe(member);
                let number = match kind.row().shape {
                    Shape::Child => {
                        let parent = org.parent(member).unwrap();
                        let files = org.files(parent, &Part::Children(vec![member])).unwrap();
                        crate::mix::mix_bytes(1, &files[0].bytes)
                    }
                    _ if kind.children().is_empty() => org
                        .files(member, &Part::Whole)
                        .unwrap()
                        .iter()
                        .fold(0, |n, file| mix(n, crate::mix::mix_bytes(1, &file.bytes))),
                    _ => {
                        let file = org.files(member, &Part::Whole).unwrap().remove(0);
                        let text = String::from_utf8(file.bytes).unwrap();
                        cut(&text, kind).unwrap().rest_number(&text)
                    }
                };
                all.insert(
                    (listed.kind.into_owned(), listed.full_name),
                    (number, listed.modified),
                );
            }
        }
        all
    }

    fn compare(before: &Shown, after: &Shown) -> BTreeSet<Change> {
        let change = |(kind, full_name): &(String, String), change| Change {
            kind: kind.clone(),
            full_name: full_name.clone(),
            change,
        };
        let mut changes = BTreeSet::new();
        for (name, (number, _)) in after {
            match before.get(name) {
                None => changes.insert(change(name, ChangeKind::Added)),
                Some((old, _)) => old != number && changes.insert(change(name, ChangeKind::Changed)),
            };
        }
        let gone = before.keys().filter(|name| !after.contains_key(*name));
        changes.extend(gone.map(|name| change(name, ChangeKind::Deleted)));
        changes
    }

    #[test]
    fn the_list_of_changes_is_what_a_comparison_of_all_files_finds() {
        let mut org = GeneratedOrg::weighing(11, 1_500, 0, &[]);
        for _ in 0..3 {
            let before = everything(&org);
            let (next, changes) = org.evolve(0.1);
            let after = everything(&next);
            assert!(changes.len() > 50, "{}", changes.len());
            assert_eq!(
                changes.iter().cloned().collect::<BTreeSet<_>>(),
                compare(&before, &after)
            );
            assert_eq!(after.len() as u64, next.counts().values().sum::<u64>());
            org = next;
        }
    }

    #[test]
    fn a_change_moves_the_date_of_its_component_and_of_no_other() {
        let org = GeneratedOrg::weighing(11, 1_500, 0, &[]);
        let before = everything(&org);
        let (next, changes) = org.evolve(0.2);
        let touched: BTreeSet<(String, String)> = changes
            .into_iter()
            .map(|change| (change.kind, change.full_name))
            .collect();
        for (name, (_, date)) in everything(&next) {
            let Some((_, old)) = before.get(&name) else {
                continue;
            };
            if let (Some(date), Some(old)) = (date, old) {
                assert_eq!(date > *old, touched.contains(&name), "{name:?}");
            }
        }
    }

    #[test]
    fn the_same_seed_and_share_give_the_same_night() {
        let one = GeneratedOrg::weighing(4, 800, 0, &[]).evolve(0.05).1;
        assert_eq!(one, GeneratedOrg::weighing(4, 800, 0, &[]).evolve(0.05).1);
        assert_ne!(one, GeneratedOrg::weighing(5, 800, 0, &[]).evolve(0.05).1);
    }

    #[test]
    fn a_night_touches_the_share_that_it_is_asked_for() {
        let org = GeneratedOrg::weighing(4, 200_000, 0, &[]);
        for share in [0.001, 0.01] {
            // Children that go with their parents come on top; hollow files are never touched.
            let touched = org.evolve(share).1.len() as f64 / 200_000.0;
            assert!(
                (0.85..1.3).contains(&(touched / share)),
                "{touched} instead of {share}"
            );
        }
    }
}
