//! `poll`: asks once how far a retrieve is; never waits.
//!
//! *Pending* late is Salesforce's queue: wait. *InProgress* late may be the size: halve once, if other batches came
//! through. *Failed* says why: halve, leave the culprit out, or ask once more. An error of the poll itself ends nothing,
//! but an id that stays unknown is a retrieve lost: it is asked for anew.

use std::time::Duration;

use domain::{
    Actor, Class, FailureCode, Kind, Lane, LeftOutReason, Outcome, StepError, Verdict, WaitReason, fold,
};
use nightshift_domain as domain;
use nightshift_jobs::{Step, StepCx};
use nightshift_salesforce::{AsyncId, CallCounter, RetrieveFailure, RetrieveStatus, Ruled, SalesforceError};

use crate::{
    context::{SyncContext, sync_of},
    ingest::{Ingest, again},
    payload::{BatchPart, Culprit, IngestJob, PollJob},
    plan::polls::next_poll,
    polite::Polite,
    retrieve::{members, retrieve_job, version},
    trouble::Trouble,
    unfinished::{end_part, unfinished},
};

/// More culprits than this do not fit a job's row; then the batch is halved instead.
const CULPRITS_MAX: usize = 20;

/// The step.
pub struct Poll;

impl Step<SyncContext> for Poll {
    type Payload = PollJob;
    const KIND: Kind = Kind::new("poll");
    const CLASS: Class = Class::Poll;
    const LIMIT: Duration = Duration::from_secs(120);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, job: PollJob) -> Result<Outcome, StepError> {
        let id = async_id(&job.async_id)?;
        let version = version(&job.part)?;
        let (context, org) = (cx.context, cx.org);
        let status = Polite::of(cx)?
            .call(|calls: CallCounter| async move {
                Ok(context.client(org, &calls, version).retrieve_status(&id).await?)
            })
            .await;
        if !matches!(status, Err(_) | Ok(RetrieveStatus::Pending)) {
            left_the_queue(cx, &job).await;
        }
        match status {
            Ok(RetrieveStatus::Succeeded { .. }) => {
                let ingest = IngestJob {
                    part: job.part,
                    async_id: job.async_id,
                    zip_lost: false,
                };
                let next = <Ingest as Step<SyncContext>>::job(&ingest).in_lane(Lane::Holds);
                Ok(Outcome::done(vec![], vec![next]))
            }
            Ok(RetrieveStatus::Failed(failure)) => Ok(after_failure(cx, job.part, failure).await?),
            Ok(RetrieveStatus::Pending) => {
                let job = PollJob {
                    pending_at: Some(cx.now),
                    unknown_since: None,
                    ..job
                };
                Ok(wait(cx, WaitReason::SalesforcePending, Some(&job)))
            }
            Ok(RetrieveStatus::InProgress) => Ok(in_progress(cx, job).await?),
            Err(Trouble::Salesforce(error)) if error.knows_no_such_retrieve() => unknown(cx, job, &error),
            Err(Trouble::Salesforce(error)) => not_answered(cx, &error),
            Err(Trouble::Spent { why, words }) => Ok(unfinished(cx, &job.part, why, &words).await?),
            Err(error) => Err(error.into()),
        }
    }
}

/// The instance's queue is behind this retrieve, seen for the first time: how long it took, at least, is remembered.
async fn left_the_queue(cx: &StepCx<'_, SyncContext>, job: &PollJob) {
    if job.in_progress_since.is_some() {
        return;
    }
    let last = job.pending_at.unwrap_or(job.asked_at);
    let pending = Duration::try_from(last.duration_since(job.asked_at)).unwrap_or_default();
    match cx.context.store.instances().saw_pending(cx.org, pending).await {
        Ok(instance) => {
            let seconds = pending.as_secs_f64();
            tracing::info!(target: "nightshift::metric", histogram = "nightshift_pending_seconds", instance, seconds);
        }
        Err(error) => tracing::debug!(error = error.detail(), "a queue's length could not be told"),
    }
}

pub(crate) fn async_id(text: &str) -> Result<AsyncId, Trouble> {
    AsyncId::new(text).ok_or_else(|| Trouble::internal("the job's retrieve id cannot be read"))
}

/// The retrieve goes on whatever happened to the question.
fn not_answered(cx: &mut StepCx<'_, SyncContext>, error: &SalesforceError) -> Result<Outcome, StepError> {
    if is_for_the_machinery(error) {
        return Err(error.step_error());
    }
    tracing::info!(org.id = %cx.org, "a poll got no answer: {error}");
    Ok(wait(cx, WaitReason::SalesforceInProgress, None))
}

/// Salesforce knows no retrieve of this id: not yet, for a moment, or no more.
fn unknown(
    cx: &mut StepCx<'_, SyncContext>,
    job: PollJob,
    error: &SalesforceError,
) -> Result<Outcome, StepError> {
    let since = job.unknown_since.unwrap_or(cx.now);
    if Duration::try_from(cx.now.duration_since(since)).unwrap_or_default()
        >= cx.context.settings.poll_unknown()
    {
        return Ok(again(
            job.part,
            FailureCode::SalesforceUnexpected,
            &error.to_string(),
        )?);
    }
    let job = PollJob {
        unknown_since: Some(since),
        ..job
    };
    Ok(wait(cx, WaitReason::SalesforceInProgress, Some(&job)))
}

/// Whether an error of the question is more than a question lost: a wait with a reason and a time of its own, or a
/// connection that a person must mend before anything can be asked. To halve or to leave out is an answer to a retrieve
/// that failed, never to a poll that did; and what is our own fault or nobody's may be over at the next look.
fn is_for_the_machinery(error: &SalesforceError) -> bool {
    let ruling = error.ruling();
    match ruling.ruled {
        Ruled::Step(Verdict::Wait { .. } | Verdict::Reauthenticate) => true,
        Ruled::Step(Verdict::Permanent) => matches!(
            ruling.code.entry().who_acts,
            Actor::Administrator | Actor::Operator
        ),
        Ruled::Step(Verdict::Retry { .. }) | Ruled::Split | Ruled::LeaveOut(_) => false,
    }
}

/// Until the next look; `learnt` is what this one taught.
fn wait(cx: &mut StepCx<'_, SyncContext>, why: WaitReason, learnt: Option<&PollJob>) -> Outcome {
    let delay = next_poll(&cx.context.settings, cx.waits + 1, &mut cx.rng);
    Outcome::Wait {
        until: cx.now.checked_add(delay).unwrap_or(cx.now),
        why,
        payload: learnt.and_then(|job| serde_json::to_value(job).ok()),
    }
}

async fn in_progress(cx: &mut StepCx<'_, SyncContext>, job: PollJob) -> Result<Outcome, Trouble> {
    let since = job.in_progress_since.unwrap_or(cx.now);
    let deadline = since
        .checked_add(cx.context.settings.poll_deadline())
        .unwrap_or(since);
    if cx.now < deadline {
        let job = PollJob {
            in_progress_since: Some(since),
            unknown_since: None,
            ..job
        };
        return Ok(wait(cx, WaitReason::SalesforceInProgress, Some(&job)));
    }
    let size_may_be_the_cause = cx
        .context
        .store
        .syncs()
        .has_ingested(cx.org, sync_of(cx)?)
        .await?;
    let halves = job
        .part
        .halves()
        .filter(|_| size_may_be_the_cause && job.part.late == 0);
    if let Some(halves) = halves {
        let halves = halves.map(|part| {
            retrieve_job(BatchPart {
                late: part.late + 1,
                ..part
            })
        });
        return Ok(Outcome::Split { halves });
    }
    let message = format!(
        "retrieve {} was not finished after {} seconds of work",
        job.async_id, cx.context.settings.poll_deadline_seconds
    );
    Err(Trouble::permanent(FailureCode::PollingTimedOut, message))
}

/// Salesforce ended the retrieve without a zip.
pub(crate) async fn after_failure(
    cx: &mut StepCx<'_, SyncContext>,
    part: BatchPart,
    failure: RetrieveFailure,
) -> Result<Outcome, Trouble> {
    let error = SalesforceError::from(failure);
    let ruling = error.ruling();
    let once_more = !part.asked_again && ruling.tries.is_some_and(|tries| tries > 1);
    match ruling.ruled {
        Ruled::LeaveOut(Some(named)) => {
            let culprits = named_in(cx, &part, &named, &error).await?;
            if culprits.is_empty() || culprits.len() + part.culprits.len() > CULPRITS_MAX {
                return halves_or_gap(cx, part, Some(&error)).await;
            }
            let mut part = part;
            part.culprits.extend(culprits);
            Ok(Outcome::Again {
                from: retrieve_job(part),
            })
        }
        Ruled::Step(Verdict::Retry { .. }) if !part.asked_again => Ok(unchanged(part)),
        Ruled::Split if once_more => Ok(unchanged(part)),
        Ruled::Split | Ruled::LeaveOut(None) | Ruled::Step(Verdict::Retry { .. }) => {
            halves_or_gap(cx, part, Some(&error)).await
        }
        Ruled::Step(_) => Err(error.into()),
    }
}

/// Once more as it is: what stumbled by chance comes through.
pub(crate) fn unchanged(part: BatchPart) -> Outcome {
    Outcome::Again {
        from: retrieve_job(BatchPart {
            asked_again: true,
            ..part
        }),
    }
}

/// The members that Salesforce's words mean, found without regard to case.
async fn named_in(
    cx: &StepCx<'_, SyncContext>,
    part: &BatchPart,
    named: &nightshift_salesforce::Culprit,
    error: &SalesforceError,
) -> Result<Vec<Culprit>, Trouble> {
    let same = |a: &str, b: &str| fold::fold(&fold::decode(a)) == fold::fold(&fold::decode(b));
    let means = |name: &str| named.name.as_deref().is_none_or(|wanted| same(name, wanted));
    let members = members(cx, part).await?;
    Ok(members
        .into_iter()
        .filter(|member| same(&member.key.type_name, &named.type_name) && means(&member.key.name))
        .map(|member| Culprit {
            type_name: member.key.type_name,
            name: member.key.name,
            reason: LeftOutReason::CannotBeLoaded,
            detail: error.to_string().chars().take(300).collect(),
        })
        .collect())
}

/// Halves a part; a single member becomes a gap, and the sync goes on without it.
pub(crate) async fn halves_or_gap(
    cx: &mut StepCx<'_, SyncContext>,
    part: BatchPart,
    error: Option<&SalesforceError>,
) -> Result<Outcome, Trouble> {
    if error.is_some()
        && let Some(halves) = part.halves()
    {
        return Ok(Outcome::Split {
            halves: halves.map(retrieve_job),
        });
    }
    let words: Option<String> = error.map(|error| error.to_string().chars().take(1_000).collect());
    let missed = words.as_deref().map(|words| (LeftOutReason::Poisonous, words));
    end_part(cx, &part, missed).await
}

#[cfg(test)]
mod tests {
    use nightshift_salesforce::{CallKind, Refusal, Speaker};

    use super::*;

    fn refused(status: u16, code: &str, text: &str) -> SalesforceError {
        SalesforceError::Refused(Box::new(Refusal {
            call: CallKind::Poll,
            speaker: Speaker::Soap,
            status,
            code: code.to_owned(),
            text: text.to_owned(),
            nested: None,
            error_id: None,
            stack: None,
        }))
    }

    #[test]
    fn an_error_while_polling_never_ends_the_retrieve() {
        for (status, code) in [
            (500, "LIMIT_EXCEEDED"),
            (500, "EXCEEDED_ID_LIMIT"),
            (500, "INSUFFICIENT_ACCESS"),
            (500, "INVALID_TYPE"),
            (500, "INVALID_FIELD"),
            (404, "NOT_FOUND"),
            (500, "UNSUPPORTED_API_VERSION"),
            (405, "METHOD_NOT_ALLOWED"),
            (409, ""),
            (414, ""),
            (501, "BRAND_NEW"),
        ] {
            let error = refused(status, code, "");
            assert!(!is_for_the_machinery(&error), "{error}: {:?}", error.ruling());
        }
    }

    #[test]
    fn what_keeps_every_question_from_being_asked_is_told_at_once() {
        let needs =
            "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata permissions";
        for error in [
            refused(403, "API_DISABLED_FOR_ORG", ""),
            refused(500, "INSUFFICIENT_ACCESS", needs),
            refused(500, "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", ""),
            SalesforceError::JwtToken,
            // waits with a time of their own
            refused(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
            refused(503, "", ""),
        ] {
            assert!(is_for_the_machinery(&error), "{error}");
        }
    }
}
