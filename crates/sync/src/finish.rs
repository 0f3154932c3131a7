//! `finish`: the one step that changes what readers see.
//!
//! It decides with figures alone whether the revision may be switched or must be held for a person; the switch itself
//! is set-based SQL in the settling transaction.

use std::time::Duration;

use domain::{Class, Effect, Kind, NewJob, Outcome, StepError, Switch};
use nightshift_domain as domain;
use nightshift_jobs::{Step, StepCx};
use nightshift_metadata::registry;

use crate::{
    context::{SyncContext, sync_of},
    merge::merge_job,
    payload::FinishJob,
    plan::held::hold,
    trouble::Trouble,
};

/// The step.
pub struct Finish;

impl Step<SyncContext> for Finish {
    type Payload = FinishJob;
    const KIND: Kind = Kind::new("finish");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(600);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, job: FinishJob) -> Result<Outcome, StepError> {
        Ok(finish(cx, &job).await?)
    }
}

/// The job that follows the last batch.
pub fn finish_job() -> NewJob {
    <Finish as Step<SyncContext>>::job(&FinishJob::default())
}

/// The job that follows `merge`.
pub(crate) fn merged_job() -> NewJob {
    <Finish as Step<SyncContext>>::job(&FinishJob {
        merged: true,
        ..FinishJob::default()
    })
}

/// The job that follows a person's yes.
pub fn accepted_job() -> NewJob {
    <Finish as Step<SyncContext>>::job(&FinishJob {
        accepted: true,
        merged: true,
    })
}

async fn finish(cx: &StepCx<'_, SyncContext>, job: &FinishJob) -> Result<Outcome, Trouble> {
    let sync = sync_of(cx)?;
    let dictionary = cx.context.store.dictionary();
    if !job.merged && dictionary.has_parts(cx.org, sync).await? {
        return Ok(Outcome::done(vec![], vec![merge_job()]));
    }
    if !job.accepted {
        let deletions = dictionary.deletions(cx.org, sync).await?;
        if let Some(reason) = hold(&deletions, &cx.context.settings) {
            return Ok(Outcome::done(vec![Effect::Hold(reason)], vec![]));
        }
    }
    let gaps = dictionary.gaps(cx.org, sync).await?;
    let switch = Switch {
        gaps,
        says_about: says_about(),
    };
    Ok(Outcome::done(vec![Effect::Switch(switch)], vec![]))
}

/// Each type that is asked for beside others, with these.
fn says_about() -> Vec<(&'static str, &'static str)> {
    let types = registry().types().iter();
    types
        .flat_map(|info| info.companions.iter().map(|companion| (info.name, *companion)))
        .collect()
}
