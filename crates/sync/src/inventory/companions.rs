//! Plans what must be asked for beside others: a profile holds what it says about the objects of the same retrieve.
//!
//! Members with companions are cut into batches of half the size, and what is left of each is for companions. Where all
//! companions have room there, the members are whole. Else they are asked for once with each part of the companions,
//! and `merge` puts the files together. Companions are read in pages: memory holds one batch.

use std::collections::BTreeSet;

use domain::{ComponentKey, SyncId};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_metadata::registry;
use nightshift_store::{
    dictionary::{DeltaRow, ListedMember},
    staging::{Member, Role},
};

use super::planning::{BYTES_GUESSED, Planner, planned};
use crate::{
    context::SyncContext,
    plan::batches::{BatchCutter, BatchLimits, Planned},
    trouble::Trouble,
};

/// The companion types of some members.
pub(super) struct Companions {
    types: Vec<&'static str>,
    /// Files that one companion brings, at most.
    files: u32,
}

impl Companions {
    pub(super) fn of(rows: &[DeltaRow]) -> Self {
        let types: BTreeSet<&'static str> = rows
            .iter()
            .filter_map(|row| registry().by_name(&row.entry.key.type_name))
            .flat_map(|info| info.companions.iter().copied())
            .collect();
        let files = types
            .iter()
            .filter_map(|name| registry().by_name(name))
            .map(|info| info.files_expected)
            .max();
        Self {
            types: types.into_iter().collect(),
            files: files.unwrap_or(1).max(1),
        }
    }

    /// Asks for the rows, each beside all of the companions.
    pub(super) async fn ask(
        &self,
        cx: &mut StepCx<'_, SyncContext>,
        sync: SyncId,
        planner: &mut Planner<'_>,
        rows: &[DeltaRow],
    ) -> Result<(), Trouble> {
        if rows.is_empty() {
            return Ok(());
        }
        let all = cx
            .context
            .store
            .dictionary()
            .count_listed(cx.org, sync, &self.types)
            .await?;
        let asked: BTreeSet<&ComponentKey> = rows.iter().map(|row| &row.entry.key).collect();
        for batch in cut(
            planner.limits(),
            rows.iter().map(|row| planned(row, planner.described())),
        ) {
            let parts = Parts::new(planner.limits(), &batch, self.files, all);
            let members: Vec<Member> = batch.into_iter().map(|planned| planned.member).collect();
            let mut last: Option<ListedMember> = None;
            let mut object: Option<ListedMember> = None;
            for _ in 0..parts.count {
                let mut page = cx
                    .context
                    .store
                    .dictionary()
                    .listed_members(cx.org, sync, &self.types, last.as_ref(), parts.members)
                    .await?;
                last = page.last().cloned().or(last);
                bring_object(&mut page, &mut object);
                let beside: Vec<Member> = page
                    .into_iter()
                    .filter(|member| !asked.contains(&member.key))
                    .map(|member| self.companion(member))
                    .collect();
                planner.batch_beside(cx, &members, &beside, parts.count).await?;
            }
            planner.asked += members.len() as i64;
        }
        Ok(())
    }

    fn companion(&self, member: ListedMember) -> Member {
        Member {
            key: member.key,
            full_name: member.full_name,
            role: Role::Companion,
            files: i64::from(self.files),
            bytes: BYTES_GUESSED as i64,
        }
    }
}

/// Which layout a record type has is said only where the layout comes with its object: where a page begins amid an
/// object's layouts, the object comes once more. `object` is the last one of the pages before, and then of this.
fn bring_object(page: &mut Vec<ListedMember>, object: &mut Option<ListedMember>) {
    let newest = page
        .iter()
        .rfind(|member| member.key.type_name == "CustomObject")
        .cloned();
    let missing = page
        .first()
        .filter(|first| first.key.type_name == "Layout")
        .and_then(|first| object.take_if(|object| object.object == first.object));
    if let Some(missing) = missing {
        *object = Some(missing.clone());
        page.insert(0, missing);
    }
    *object = newest.or_else(|| object.take());
}

/// Batches of half the size.
fn cut(limits: BatchLimits, members: impl Iterator<Item = Planned<Member>>) -> Vec<Vec<Planned<Member>>> {
    let mut cutter = BatchCutter::new(BatchLimits {
        files: (limits.files / 2).max(1),
        bytes: limits.bytes / 2,
    });
    let mut batches: Vec<_> = members.filter_map(|member| cutter.push(member)).collect();
    batches.extend(cutter.take());
    batches
}

/// How the companions of one batch are dealt out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Parts {
    /// In how many retrieves.
    count: u32,
    /// Companions in each.
    members: i64,
}

impl Parts {
    fn new<M>(limits: BatchLimits, batch: &[Planned<M>], files_each: u32, companions: i64) -> Self {
        let taken: u32 = batch.iter().map(|planned| planned.files).sum();
        let room = limits.files.saturating_sub(taken).max(limits.files / 2);
        // one place is for an object that comes once more
        let members = i64::from((room / files_each).max(2) - 1);
        let count = (companions + members - 1) / members;
        Self {
            count: u32::try_from(count.max(1)).unwrap_or(u32::MAX),
            members,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        files: 100,
        bytes: 1 << 20,
    };

    fn batch(files: &[u32]) -> Vec<Planned<()>> {
        files
            .iter()
            .map(|files| Planned {
                member: (),
                files: *files,
                bytes: 1,
            })
            .collect()
    }

    #[test]
    fn companions_that_have_room_beside_their_members_need_one_retrieve() {
        let parts = Parts::new(LIMITS, &batch(&[1; 20]), 2, 39);
        assert_eq!((parts.count, parts.members), (1, 39));
        assert_eq!(Parts::new(LIMITS, &batch(&[1; 20]), 2, 40).count, 2);
        assert_eq!(Parts::new(LIMITS, &batch(&[1]), 2, 0).count, 1);
    }

    #[test]
    fn layouts_behind_a_page_break_bring_their_object() {
        let member = |type_name: &str, name: &str, object: &str| ListedMember {
            key: ComponentKey::new(type_name, name),
            full_name: name.to_owned(),
            object: object.to_owned(),
        };
        let (account, layout) = (
            member("CustomObject", "Account", "Account"),
            member("Layout", "Account-A", "Account"),
        );
        let mut object = None;
        let mut first = vec![account.clone()];
        bring_object(&mut first, &mut object);
        for _ in 0..2 {
            let mut page = vec![layout.clone()];
            bring_object(&mut page, &mut object);
            assert_eq!(page, [account.clone(), layout.clone()]);
        }
        let mut page = vec![member("Layout", "Case-A", "Case")];
        bring_object(&mut page, &mut object);
        assert_eq!(page.len(), 1);
    }

    proptest! {
        #[test]
        fn every_companion_is_in_a_part_and_no_part_is_too_large(
            files in proptest::collection::vec(1_u32..3, 1..25), each in 1_u32..4, companions in 0_i64..2_000,
        ) {
            let batch = batch(&files);
            let parts = Parts::new(LIMITS, &batch, each, companions);
            prop_assert!(i64::from(parts.count) * parts.members >= companions);
            let taken: u32 = files.iter().sum();
            prop_assert!(i64::from(taken) + (parts.members + 1) * i64::from(each) <= i64::from(LIMITS.files));
        }
    }
}
