//! `retrieve`: asks Salesforce to prepare the members of one part of a batch.
//!
//! The id it answers with is stored by the settlement, before the first poll. An id that is lost with a dying worker
//! costs one more retrieve and nothing else.

use std::{collections::BTreeMap, time::Duration};

use domain::{Class, ComponentKey, Kind, Lane, NewJob, Outcome, StepError};
use nightshift_domain as domain;
use nightshift_jobs::{Step, StepCx};
use nightshift_metadata::request_type;
use nightshift_salesforce::{ApiVersion, CallCounter, RetrieveRequest, RetrieveTypes, Ruled};
use nightshift_store::staging::Member;

use crate::{
    context::{SyncContext, sync_of},
    payload::{BatchPart, PollJob, RetrieveJob},
    plan::polls::first_poll,
    polite::Polite,
    poll::{Poll, halves_or_gap},
    trouble::Trouble,
    unfinished::unfinished,
};

/// The step.
pub struct Retrieve;

impl Step<SyncContext> for Retrieve {
    type Payload = RetrieveJob;
    const KIND: Kind = Kind::new("retrieve");
    const CLASS: Class = Class::Poll;
    const LIMIT: Duration = Duration::from_secs(600);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, job: RetrieveJob) -> Result<Outcome, StepError> {
        let members = members(cx, &job.part).await?;
        if members
            .iter()
            .all(|member| member.role == nightshift_store::staging::Role::Companion)
        {
            return Ok(halves_or_gap(cx, job.part, None).await?);
        }
        let request = request(&members);
        let (context, org) = (cx.context, cx.org);
        let version = version(&job.part)?;
        let asked = Polite::of(cx)?
            .call(|calls: CallCounter| async move {
                Ok(context.client(org, &calls, version).retrieve(&request).await?)
            })
            .await;
        match asked {
            Ok(id) => {
                let poll = PollJob {
                    part: job.part,
                    async_id: id.as_str().to_owned(),
                    asked_at: cx.now,
                    in_progress_since: None,
                    unknown_since: None,
                    pending_at: None,
                };
                let queue = context.store.instances().pending(org).await;
                let queue = queue.map_err(Trouble::from)?.unwrap_or_default();
                let first = cx
                    .now
                    .checked_add(first_poll(&cx.context.settings, queue, &mut cx.rng))
                    .unwrap_or(cx.now);
                let next = <Poll as Step<SyncContext>>::job(&poll)
                    .in_lane(Lane::Holds)
                    .not_before(first);
                Ok(Outcome::done(vec![], vec![next]))
            }
            Err(Trouble::Salesforce(error)) if error.ruling().ruled == Ruled::Split => {
                Ok(halves_or_gap(cx, job.part, Some(&error)).await?)
            }
            Err(Trouble::Spent { why, words }) => Ok(unfinished(cx, &job.part, why, &words).await?),
            Err(error) => Err(error.into()),
        }
    }
}

/// A retrieve of a part.
pub(crate) fn retrieve_job(part: BatchPart) -> NewJob {
    <Retrieve as Step<SyncContext>>::job(&RetrieveJob { part }).in_lane(Lane::Opens)
}

/// The version that a part speaks.
pub(crate) fn version(part: &BatchPart) -> Result<ApiVersion, Trouble> {
    part.api_version
        .parse()
        .map_err(|_| Trouble::internal("the job's API version cannot be read"))
}

/// Members and companions of a part, without those that a message named as culprits.
pub(crate) async fn members(cx: &StepCx<'_, SyncContext>, part: &BatchPart) -> Result<Vec<Member>, Trouble> {
    let sync = sync_of(cx)?;
    let mut members = cx
        .context
        .store
        .dictionary()
        .batch(cx.org, sync, part.batch, part.from..part.to)
        .await?;
    members.retain(|member| !part.culprits.iter().any(|culprit| is(culprit, &member.key)));
    Ok(members)
}

fn is(culprit: &crate::payload::Culprit, key: &ComponentKey) -> bool {
    culprit.type_name == key.type_name && culprit.name == key.name
}

/// By type, as a package.xml names them: a folder is a member of its content's type.
fn request(members: &[Member]) -> RetrieveRequest {
    let mut types: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for member in members {
        types
            .entry(request_type(&member.key.type_name))
            .or_default()
            .push(member.full_name.clone());
    }
    let types = types.into_iter().map(|(type_name, members)| RetrieveTypes {
        type_name: type_name.to_owned(),
        members,
    });
    RetrieveRequest {
        types: types.collect(),
    }
}
