//! From tonight's listing, read beside the last good one, to batches and their jobs.
//!
//! The listing is read in order, page by page, and cut into batches as it comes. Types with companions (profiles,
//! permission sets, translations) wait until the end, because a change among their companions calls for them too.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ComponentKey, Mode, NewJob, SyncId};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_metadata::{Dated, Described, registry, standard_value_sets};
use nightshift_store::{
    dictionary::DeltaRow,
    staging::{Member, Role},
};

use super::STANDARD_VALUE_SET;
use crate::{
    context::SyncContext,
    payload::{BatchPart, UnknownType},
    plan::batches::{BatchCutter, BatchLimits, Planned},
    retrieve::retrieve_job,
    trouble::Trouble,
};

/// What a member without a history is taken to weigh, in bytes.
const BYTES_GUESSED: u64 = 8 << 10;

/// What came of planning.
pub(super) struct Plan {
    /// Distinct members and folders that will be asked for.
    pub asked: i64,
    /// A retrieve for each batch.
    pub jobs: Vec<NewJob>,
}

/// Plans the retrieves of this sync.
pub(super) async fn plan(
    cx: &mut StepCx<'_, SyncContext>,
    sync: SyncId,
    mode: Mode,
    api_version: &str,
    described: &Described,
) -> Result<Plan, Trouble> {
    let mut planner = Planner::new(cx, api_version, described);
    let mut waiting = Vec::new();
    let mut changed_types = lost_types(cx, sync).await?;
    let mut after: Option<ComponentKey> = None;
    loop {
        let page = cx
            .context
            .store
            .dictionary()
            .delta(cx.org, sync, after.as_ref())
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.entry.key.clone());
        for row in page {
            let why = why(&row, mode);
            if matches!(why, Some(Why::Changed)) {
                changed_types.insert(row.entry.key.type_name.clone());
            }
            if has_companions(&row.entry.key.type_name) {
                waiting.push((row, why));
            } else if why.is_some() {
                planner.ask(cx, planned(&row, described)).await?;
            }
        }
    }
    planner.close_batch(cx).await?;
    let with_companions = called_for(waiting, &changed_types);
    if !with_companions.is_empty() {
        let companions = companions(cx, sync, &with_companions, described).await?;
        for row in &with_companions {
            planner.ask(cx, planned(row, described)).await?;
        }
        planner.close_batch_with(cx, companions).await?;
    }
    for name in value_sets(cx, mode, described).await? {
        let key = ComponentKey::new(STANDARD_VALUE_SET, &name);
        let member = Member {
            key,
            full_name: name,
            role: Role::Asked,
            files: 1,
            bytes: BYTES_GUESSED as i64,
        };
        planner.ask(cx, weighed(member)).await?;
    }
    planner.close_batch(cx).await?;
    Ok(Plan {
        asked: planner.asked,
        jobs: planner.jobs,
    })
}

/// Why a member is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// It, or a child of it, is new or differs.
    Changed,
    /// It is a gap, has no trustworthy date, or everything is wanted.
    Always,
}

/// Decides for one member. Dates are compared for inequality with the stored ones, never with a clock.
fn why(row: &DeltaRow, mode: Mode) -> Option<Why> {
    if !row.known || row.differs || row.children_differ {
        return Some(Why::Changed);
    }
    let dated = registry()
        .by_name(&row.entry.key.type_name)
        .map_or(Dated::Trusted, |info| info.dated);
    let undated = match dated {
        Dated::Never => true,
        Dated::Trusted => row.entry.last_modified.is_none(),
        Dated::ByChildren => false,
    };
    (mode == Mode::Full || row.gap || undated).then_some(Why::Always)
}

fn has_companions(type_name: &str) -> bool {
    registry()
        .by_name(type_name)
        .is_some_and(|info| !info.companions.is_empty())
}

/// Those with companions that are asked for themselves, or of whose companions one came, changed or went.
fn called_for(waiting: Vec<(DeltaRow, Option<Why>)>, changed_types: &BTreeSet<String>) -> Vec<DeltaRow> {
    let companion_changed = |type_name: &str| {
        let companions = registry().by_name(type_name).map(|info| &info.companions);
        companions.is_some_and(|companions| companions.iter().any(|name| changed_types.contains(*name)))
    };
    waiting
        .into_iter()
        .filter(|(row, why)| why.is_some() || companion_changed(&row.entry.key.type_name))
        .map(|(row, _)| row)
        .collect()
}

/// Types of which something is gone tonight.
async fn lost_types(cx: &StepCx<'_, SyncContext>, sync: SyncId) -> Result<BTreeSet<String>, Trouble> {
    let deletions = cx.context.store.dictionary().deletions(cx.org, sync).await?;
    Ok(deletions
        .by_type
        .into_iter()
        .filter(|(_, count)| count.deleted > 0)
        .map(|(name, _)| name)
        .collect())
}

/// Tonight's members of all companion types, as far as one retrieve has room beside what is asked for.
async fn companions(
    cx: &StepCx<'_, SyncContext>,
    sync: SyncId,
    rows: &[DeltaRow],
    described: &Described,
) -> Result<Vec<Member>, Trouble> {
    let asked: BTreeSet<&ComponentKey> = rows.iter().map(|row| &row.entry.key).collect();
    let types: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| registry().by_name(&row.entry.key.type_name))
        .flat_map(|info| info.companions.iter().copied())
        .collect();
    let types: Vec<&str> = types.into_iter().collect();
    let room = i64::from(cx.context.settings.batch_files);
    let members = cx
        .context
        .store
        .dictionary()
        .listed_members(cx.org, sync, &types, room)
        .await?;
    let member = |(key, full_name): (ComponentKey, String)| {
        let files = i64::from(described.files_expected(&key.type_name));
        Member {
            key,
            full_name,
            role: Role::Companion,
            files,
            bytes: BYTES_GUESSED as i64,
        }
    };
    Ok(members
        .into_iter()
        .filter(|(key, _)| !asked.contains(key))
        .map(member)
        .collect())
}

/// A full sync asks for the whole fixed list, any other for those that are held.
async fn value_sets(
    cx: &StepCx<'_, SyncContext>,
    mode: Mode,
    described: &Described,
) -> Result<Vec<String>, Trouble> {
    if described.by_name(STANDARD_VALUE_SET).is_none() {
        return Ok(Vec::new());
    }
    let held = cx
        .context
        .store
        .dictionary()
        .held_names(cx.org, STANDARD_VALUE_SET)
        .await?;
    let first = cx.context.store.orgs().show(cx.org).await?.revision.is_none();
    if mode == Mode::Full || first {
        let mut names: BTreeSet<String> = standard_value_sets()
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        names.extend(held);
        return Ok(names.into_iter().collect());
    }
    Ok(held)
}

fn planned(row: &DeltaRow, described: &Described) -> Planned<Member> {
    let files = row
        .files
        .unwrap_or_else(|| i64::from(described.files_expected(&row.entry.key.type_name)));
    weighed(Member {
        key: row.entry.key.clone(),
        full_name: row.entry.full_name.clone(),
        role: Role::Asked,
        files,
        bytes: row.bytes.unwrap_or(BYTES_GUESSED as i64),
    })
}

fn weighed(member: Member) -> Planned<Member> {
    let (files, bytes) = (member.files.clamp(1, 1 << 20) as u32, member.bytes.unsigned_abs());
    Planned { member, files, bytes }
}

/// Numbers batches, stages their members, and makes their jobs.
struct Planner<'a> {
    cutter: BatchCutter<Member>,
    api_version: &'a str,
    described: &'a Described,
    asked: i64,
    jobs: Vec<NewJob>,
}

impl<'a> Planner<'a> {
    fn new(cx: &StepCx<'_, SyncContext>, api_version: &'a str, described: &'a Described) -> Self {
        let settings = &cx.context.settings;
        let limits = BatchLimits {
            files: settings.batch_files,
            bytes: settings.batch_bytes,
        };
        Self {
            cutter: BatchCutter::new(limits),
            api_version,
            described,
            asked: 0,
            jobs: Vec::new(),
        }
    }

    async fn ask(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        planned: Planned<Member>,
    ) -> Result<(), Trouble> {
        self.asked += 1;
        match self.cutter.push(planned) {
            Some(full) => self.batch(cx, full, Vec::new()).await,
            None => Ok(()),
        }
    }

    async fn close_batch(&mut self, cx: &mut StepCx<'_, SyncContext>) -> Result<(), Trouble> {
        self.close_batch_with(cx, Vec::new()).await
    }

    async fn close_batch_with(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        companions: Vec<Member>,
    ) -> Result<(), Trouble> {
        match self.cutter.take() {
            Some(rest) => self.batch(cx, rest, companions).await,
            None => Ok(()),
        }
    }

    async fn batch(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        asked: Vec<Planned<Member>>,
        companions: Vec<Member>,
    ) -> Result<(), Trouble> {
        let n = self.jobs.len() as i32;
        let to = asked.len() as u32;
        let mut members: Vec<Member> = asked.into_iter().map(|planned| planned.member).collect();
        let unknown_types = self.unknown_types(&members);
        members.extend(companions);
        cx.staging.batch(n, &members).await?;
        let part = BatchPart {
            api_version: self.api_version.to_owned(),
            batch: n,
            from: 0,
            to,
            broken: 0,
            late: 0,
            asked_again: false,
            unknown_types,
            culprits: Vec::new(),
        };
        self.jobs.push(retrieve_job(part));
        Ok(())
    }

    fn unknown_types(&self, members: &[Member]) -> Vec<UnknownType> {
        let mut unknown = BTreeMap::new();
        for member in members
            .iter()
            .filter(|member| registry().by_name(&member.key.type_name).is_none())
        {
            if let Some(described) = self.described.by_name(&member.key.type_name) {
                unknown.insert(
                    described.name.clone(),
                    UnknownType {
                        name: described.name.clone(),
                        directory: described.directory.clone(),
                        suffix: described.suffix.clone(),
                        in_folder: described.in_folder,
                        meta_file: described.meta_file,
                    },
                );
            }
        }
        unknown.into_values().collect()
    }
}
