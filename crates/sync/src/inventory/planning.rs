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

use super::{STANDARD_VALUE_SET, companions::Companions, digests::Digests};
use crate::{
    context::SyncContext,
    payload::{BatchPart, UnknownType},
    plan::batches::{BatchCutter, BatchLimits, Planned},
    retrieve::retrieve_job,
    trouble::Trouble,
};

/// What a member without a history is taken to weigh, in bytes.
pub(super) const BYTES_GUESSED: u64 = 8 << 10;

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
    mut digests: Digests<'_>,
) -> Result<Plan, Trouble> {
    let mut planner = Planner::new(cx, api_version, described);
    let mut waiting = Vec::new();
    let mut changed_types = lost_types(cx, sync).await?;
    let mut after: Option<ComponentKey> = None;
    loop {
        let mut page = cx
            .context
            .store
            .dictionary()
            .delta(cx.org, sync, after.as_ref())
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.entry.key.clone());
        digests.add(cx, &mut page).await?;
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
    Companions::of(&with_companions)
        .ask(cx, sync, &mut planner, &with_companions)
        .await?;
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
        Dated::ByReading => row.entry.digest.is_none() || row.entry.digest != row.digest,
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

pub(super) fn planned(row: &DeltaRow, described: &Described) -> Planned<Member> {
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
pub(super) struct Planner<'a> {
    limits: BatchLimits,
    cutter: BatchCutter<Member>,
    api_version: &'a str,
    described: &'a Described,
    pub(super) asked: i64,
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
            limits,
            cutter: BatchCutter::new(limits),
            api_version,
            described,
            asked: 0,
            jobs: Vec::new(),
        }
    }

    pub(super) fn limits(&self) -> BatchLimits {
        self.limits
    }

    pub(super) fn described(&self) -> &'a Described {
        self.described
    }

    async fn ask(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        planned: Planned<Member>,
    ) -> Result<(), Trouble> {
        self.asked += 1;
        match self.cutter.push(planned) {
            Some(full) => self.batch(cx, full).await,
            None => Ok(()),
        }
    }

    async fn close_batch(&mut self, cx: &mut StepCx<'_, SyncContext>) -> Result<(), Trouble> {
        match self.cutter.take() {
            Some(rest) => self.batch(cx, rest).await,
            None => Ok(()),
        }
    }

    async fn batch(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        asked: Vec<Planned<Member>>,
    ) -> Result<(), Trouble> {
        let asked: Vec<Member> = asked.into_iter().map(|planned| planned.member).collect();
        self.batch_beside(cx, &asked, &[], 1).await
    }

    /// One batch: members, what must be asked for beside them, and in how many batches they are asked for in all.
    pub(super) async fn batch_beside(
        &mut self,
        cx: &mut StepCx<'_, SyncContext>,
        asked: &[Member],
        companions: &[Member],
        parts: u32,
    ) -> Result<(), Trouble> {
        let n = self.jobs.len() as i32;
        cx.staging.batch(n, &[asked, companions].concat()).await?;
        let part = BatchPart {
            api_version: self.api_version.to_owned(),
            batch: n,
            from: 0,
            to: asked.len() as u32,
            broken: 0,
            lost_here: 0,
            late: 0,
            asked_again: false,
            parts,
            unknown_types: self.unknown_types(asked),
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
