//! `start`: who answers, which version is spoken, what is left of the day's requests.
//!
//! A sandbox that was refreshed answers under a new organization id: then nothing is written and the sync fails with a
//! code of its own, for a person to decide.

use std::time::Duration;

use domain::{
    Class, Effect, FailureCode, Kind, OrgFacts, Outcome, StepError,
    allowance::{DayUse, NightShare, calls_left},
};
use nightshift_domain as domain;
use nightshift_jobs::{Step, StepCx};
use nightshift_salesforce::{ApiVersion, CallCounter, CallKind, SalesforceError};

use crate::{
    context::SyncContext,
    inventory::Inventory,
    payload::{InventoryJob, StartJob},
    polite::Polite,
    trouble::Trouble,
};

/// The step.
pub struct Start;

impl Step<SyncContext> for Start {
    type Payload = StartJob;
    const KIND: Kind = Kind::new(crate::context::FIRST_STEP);
    const CLASS: Class = Class::Control;
    const LIMIT: Duration = Duration::from_secs(300);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, _: StartJob) -> Result<Outcome, StepError> {
        let (context, org) = (cx.context, cx.org);
        Ok(Polite::of(cx)?.call(|calls| start(context, org, calls)).await?)
    }
}

async fn start(context: &SyncContext, org: domain::OrgId, calls: CallCounter) -> Result<Outcome, Trouble> {
    let client = context.client(org, &calls, ApiVersion::NEWEST_TESTED);
    let version = client.choose_version().await?;
    let client = client.at(version);
    let organization = client.organization().await?;
    let connected = context.store.orgs().show(org).await?.organization_id;
    if organization.id != connected {
        let message = format!(
            "organization {} answers, the org was connected to {connected}; nothing was written",
            organization.id
        );
        return Err(Trouble::permanent(FailureCode::OtherOrg, message));
    }
    let day = client.limits().await?.daily_api_requests().map(|limit| DayUse {
        used: limit.max - limit.remaining,
        allowed: limit.max,
    });
    // the night's share is looked at before each step, as far as it binds this sync
    let left = |day| calls_left(&context.politeness.allowance(), day, NightShare::Unbounded);
    if day.is_some_and(|day| left(day).is_err()) {
        return Err(SalesforceError::AllowanceReached {
            call: CallKind::Limits,
        }
        .into());
    }
    let facts = OrgFacts {
        organization_id: organization.id,
        instance_name: organization.instance_name,
        edition: organization.organization_type,
        is_sandbox: organization.is_sandbox,
        api_version: version.to_string(),
    };
    let next = <Inventory as Step<SyncContext>>::job(&InventoryJob {
        api_version: version.to_string(),
    });
    Ok(Outcome::done(vec![Effect::OrgFacts(facts)], vec![next]))
}
