//! `merge`: puts together the files that came in parts, before `finish`.
//!
//! What Salesforce sends of a profile depends on what is asked for beside it. Where the companions pass one retrieve the
//! planner asks for the profile with each part of them; `ingest` stages what came as parts, and this step merges each
//! member's parts and stages it like any other. A part that did not come has made the member a gap already.

use std::{collections::HashSet, time::Duration};

use domain::{Class, ComponentKey, Kind, NewJob, Outcome, StepError};
use nightshift_domain as domain;
use nightshift_jobs::{Step, StepCx};
use nightshift_metadata::{Assembled, Assembler, Described, MetadataError, Rules, XmlLimits, registry};
use nightshift_store::{dictionary::Parted, staging::compress};

use crate::{
    context::{SyncContext, sync_of},
    finish::merged_job,
    ingest::{Item, stage},
    payload::MergeJob,
    trouble::Trouble,
};

/// The step.
pub struct Merge;

impl Step<SyncContext> for Merge {
    type Payload = MergeJob;
    const KIND: Kind = Kind::new("merge");
    const CLASS: Class = Class::Ingest;
    const LIMIT: Duration = Duration::from_secs(1_800);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, _: MergeJob) -> Result<Outcome, StepError> {
        merge_all(cx).await?;
        Ok(Outcome::done(vec![], vec![merged_job()]))
    }
}

/// The job that comes before `finish` when something came in parts.
pub(crate) fn merge_job() -> NewJob {
    <Merge as Step<SyncContext>>::job(&MergeJob::default())
}

async fn merge_all(cx: &mut StepCx<'_, SyncContext>) -> Result<(), Trouble> {
    let sync = sync_of(cx)?;
    let (mut after, mut merged): (Option<ComponentKey>, _) = (None, HashSet::new());
    loop {
        let page = cx
            .context
            .store
            .dictionary()
            .parted(cx.org, sync, after.as_ref())
            .await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for parted in page.into_iter().filter(Parted::is_whole) {
            for item in merge_one(cx, parted).await? {
                stage(&mut cx.staging, item, &mut merged).await?;
            }
        }
    }
    cx.staging.flush().await?;
    Ok(())
}

async fn merge_one(cx: &StepCx<'_, SyncContext>, parted: Parted) -> Result<Vec<Item>, Trouble> {
    let mut parts = Vec::with_capacity(parted.blobs.len());
    for hash in &parted.blobs {
        parts.push(cx.context.store.dictionary().blob(cx.org, hash).await?);
    }
    tokio::task::spawn_blocking(move || assembled(&parted, &parts))
        .await
        .map_err(|_| Trouble::internal("the thread that merges a file ended in a panic"))?
        .map_err(|error| {
            Trouble::internal(&format!(
                "a file that was readable in parts cannot be merged: {error}"
            ))
        })
}

fn assembled(parted: &Parted, parts: &[Vec<u8>]) -> Result<Vec<Item>, MetadataError> {
    let rules = registry()
        .by_name(&parted.key.type_name)
        .map_or(Rules::PLAIN, Rules::of);
    let Some(bytes) = nightshift_metadata::merge(parts, rules, XmlLimits::DEFAULT)? else {
        return Ok(Vec::new());
    };
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    let taken = assembler.file(&parted.path, &bytes);
    let blob = taken.blob.map(|hash| Item::Blob {
        hash,
        body: compress(&bytes),
        size: bytes.len() as u64,
    });
    let assembled = taken
        .assembled
        .into_iter()
        .chain(assembler.finish())
        .map(in_its_name(parted));
    Ok(blob.into_iter().chain(assembled.map(Item::Assembled)).collect())
}

/// Salesforce's spelling of the full name is that of the parts.
fn in_its_name(parted: &Parted) -> impl Fn(Assembled) -> Assembled {
    |assembled| match assembled {
        Assembled::Member(mut member) => {
            member.component.full_name.clone_from(&parted.full_name);
            Assembled::Member(member)
        }
        lost @ Assembled::Unreadable(_) => lost,
    }
}
