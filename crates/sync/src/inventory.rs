//! `inventory`: what the org has tonight, and the plan of what to ask for.
//!
//! Types are listed three to a call; a call that fails is asked again one by one, so that one bad type costs only
//! itself (B01). A type whose listing fails is a gap and deletes nothing. The entries are staged while they come, then
//! read back in order beside the last good listing, and whatever differs is planned into batches. Where dates say
//! nothing, digests of what readMetadata answers may say it (`digests`).

mod companions;
mod digests;
mod list;
mod planning;

use std::time::Duration;

use domain::{Class, Effect, Kind, LeftOut, LeftOutReason, Outcome, StepError};
use nightshift_domain as domain;
use nightshift_jobs::{Step, StepCx};
use nightshift_metadata::{Described, DescribedType, Retrieved, registry};
use nightshift_salesforce::CallCounter;

use crate::{
    context::{SyncContext, sync_of},
    finish::finish_job,
    payload::InventoryJob,
    polite::Polite,
    trouble::Trouble,
};

/// The step.
pub struct Inventory;

impl Step<SyncContext> for Inventory {
    type Payload = InventoryJob;
    const KIND: Kind = Kind::new("inventory");
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(1_800);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, job: InventoryJob) -> Result<Outcome, StepError> {
        let polite = Polite::of(cx)?;
        Ok(polite.call(|calls| inventory(cx, job, calls)).await?)
    }
}

/// Never listed: its names are a fixed list.
pub(crate) const STANDARD_VALUE_SET: &str = "StandardValueSet";

async fn inventory(
    cx: &mut StepCx<'_, SyncContext>,
    job: InventoryJob,
    calls: CallCounter,
) -> Result<Outcome, Trouble> {
    let sync = sync_of(cx)?;
    let version = job
        .api_version
        .parse()
        .map_err(|_| Trouble::internal("the job's API version cannot be read"))?;
    let client = cx.context.client(cx.org, &calls, version);
    let answer = client.describe_metadata().await?;
    let described = Described::new(answer.types.iter().map(described_type).collect());
    let wanted = leave_out_by_rule(cx, &described).await?;
    let listed_at = cx.now;
    let effects = list::list_all(cx, &client, &described, answer.namespace.as_deref(), &wanted).await?;
    note_vanished_types(cx, &described).await?;
    cx.staging.flush().await?;
    let mode = cx.context.store.syncs().show(sync).await?.mode;
    let digests = digests::Digests::new(&client);
    let plan = planning::plan(cx, sync, mode, &job.api_version, &described, digests).await?;
    cx.staging.flush().await?;
    let mut effects = effects;
    effects.push(Effect::Planned {
        asked: plan.asked,
        listed_at,
    });
    Ok(Outcome::Done {
        effects,
        next: plan.jobs,
        last: Some(finish_job()),
    })
}

fn described_type(sent: &nightshift_salesforce::DescribedType) -> DescribedType {
    DescribedType {
        name: sent.name.clone(),
        directory: sent.directory.clone(),
        suffix: sent.suffix.clone(),
        in_folder: sent.in_folder,
        meta_file: sent.meta_file,
        children: sent.children.clone(),
    }
}

/// The described types that are retrieved; the others are left out by rule, and said so.
async fn leave_out_by_rule(
    cx: &mut StepCx<'_, SyncContext>,
    described: &Described,
) -> Result<Vec<String>, Trouble> {
    let mut wanted = Vec::new();
    for described in described.types() {
        let rule = registry()
            .by_name(&described.name)
            .map_or(Retrieved::Yes, |info| info.retrieved);
        let reason = match rule {
            Retrieved::Yes => {
                wanted.push(described.name.clone());
                continue;
            }
            Retrieved::MayHoldSecrets => LeftOutReason::MayHoldSecrets,
            Retrieved::DailyBudget => LeftOutReason::DailyBudget,
        };
        let left_out = LeftOut {
            type_name: described.name.clone(),
            name: String::new(),
            reason,
            detail: "left out by rule".to_owned(),
        };
        cx.staging.left_out(&left_out).await?;
    }
    Ok(wanted)
}

/// A type that we hold and that describe no longer names is unknown: kept, and a gap.
async fn note_vanished_types(cx: &mut StepCx<'_, SyncContext>, described: &Described) -> Result<(), Trouble> {
    let held = cx.context.store.dictionary().held_types(cx.org).await?;
    for type_name in held {
        let of_content = nightshift_metadata::request_type(&type_name);
        if described.by_name(&type_name).is_none() && described.by_name(of_content).is_none() {
            let left_out = LeftOut {
                type_name,
                name: String::new(),
                reason: LeftOutReason::TypeNotDescribed,
                detail: "the org no longer describes this type; what is held of it stays".to_owned(),
            };
            cx.staging.left_out(&left_out).await?;
        }
    }
    Ok(())
}
