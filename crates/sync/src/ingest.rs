//! `ingest`: the zip of one retrieve, streamed: envelope, base64, zip, files, components, staged rows.
//!
//! Salesforce hands the zip over once, so nothing here can simply be tried again: a worker that died, a zip that is
//! gone or broken go back to `retrieve` for the same part. How it becomes staged rows is told in `ingest/stage.rs`.

mod missing;
mod read;
mod stage;

use std::time::Duration;

use domain::{Class, FailureCode, Kind, Outcome, StepError, Verdict, WaitReason};
use nightshift_archive::ArchiveError;
use nightshift_domain as domain;
use nightshift_jobs::{AfterDeath, Step, StepCx};
use nightshift_metadata::{Described, DescribedType};
use nightshift_salesforce::{CallCounter, RetrieveMessage, SalesforceError, ZipAnswer, ZipDownload};
use nightshift_store::staging::Role;

use self::missing::{Reasons, lacking, stage_lacking, stage_missing};
pub use self::read::{Item, read};
pub(crate) use self::stage::stage;
pub use self::stage::{InParts, StageError, StagedZip, stage_zip};
use crate::{
    context::SyncContext,
    finish::finish_job,
    payload::{BatchPart, IngestJob},
    plan::polls::next_poll,
    polite::Polite,
    poll::{after_failure, async_id, unchanged},
    retrieve::{members, retrieve_job, version},
    trouble::{DATABASE_AGAIN, Trouble},
    unfinished::{stage_culprits, unfinished},
};

/// How often what was lost or broken is asked for again.
const BROKEN_MAX: u32 = 2;

/// The step.
pub struct Ingest;

impl Step<SyncContext> for Ingest {
    type Payload = IngestJob;
    const KIND: Kind = Kind::new("ingest");
    const CLASS: Class = Class::Ingest;
    const LIMIT: Duration = Duration::from_secs(1_800);

    async fn run(&self, cx: &mut StepCx<'_, SyncContext>, job: IngestJob) -> Result<Outcome, StepError> {
        if job.zip_lost {
            return Ok(Outcome::Again {
                from: retrieve_job(job.part),
            });
        }
        let id = async_id(&job.async_id)?;
        let version = version(&job.part)?;
        let (context, org) = (cx.context, cx.org);
        let answer = Polite::of(cx)?
            .call(|calls: CallCounter| async move {
                Ok(context.client(org, &calls, version).retrieve_zip(&id).await?)
            })
            .await;
        let answer = match answer {
            Err(Trouble::Spent { why, words }) => return Ok(unfinished(cx, &job.part, why, &words).await?),
            other => other?,
        };
        match answer {
            ZipAnswer::Zip(download) => match ingest(cx, job.part.clone(), download).await {
                Err(Trouble::Store(error)) if error.is_transient() => Ok(not_taken(cx, job)),
                ended => Ok(ended?),
            },
            ZipAnswer::Gone => Ok(again(
                job.part,
                FailureCode::ArchiveTruncated,
                "the zip was handed over before",
            )?),
            ZipAnswer::Failed(failure) => Ok(after_failure(cx, job.part, failure).await?),
            ZipAnswer::NotReady(_) => {
                let delay = next_poll(&cx.context.settings, cx.waits, &mut cx.rng);
                let until = cx.now.checked_add(delay).unwrap_or(cx.now);
                Ok(Outcome::Wait {
                    until,
                    why: WaitReason::SalesforceInProgress,
                    payload: None,
                })
            }
        }
    }

    /// The zip went with the worker: the part is retrieved anew.
    fn after_death(&self, job: &IngestJob) -> AfterDeath {
        AfterDeath::GoBack(retrieve_job(job.part.clone()))
    }
}

/// Our database could not take the zip, which comes once: Salesforce is asked for another one when that may have passed,
/// ever later.
fn not_taken(cx: &StepCx<'_, SyncContext>, job: IngestJob) -> Outcome {
    let longer = 1 << job.part.lost_here.min(6);
    let job = IngestJob {
        zip_lost: true,
        part: BatchPart {
            lost_here: job.part.lost_here + 1,
            ..job.part
        },
        ..job
    };
    Outcome::Wait {
        until: cx.now.checked_add(DATABASE_AGAIN * longer).unwrap_or(cx.now),
        why: WaitReason::Database,
        payload: serde_json::to_value(&job).ok(),
    }
}

/// Back to `retrieve`, a bounded number of times.
pub(crate) fn again(part: BatchPart, code: FailureCode, why: &str) -> Result<Outcome, Trouble> {
    if part.broken >= BROKEN_MAX {
        let message = format!("retrieved {} times in vain: {why}", part.broken + 1);
        return Err(Trouble::permanent(code, message));
    }
    Ok(Outcome::Again {
        from: retrieve_job(BatchPart {
            broken: part.broken + 1,
            ..part
        }),
    })
}

async fn ingest(
    cx: &mut StepCx<'_, SyncContext>,
    part: BatchPart,
    download: ZipDownload,
) -> Result<Outcome, Trouble> {
    let described = described(&part);
    let in_parts = in_parts(cx, &part).await?;
    let ZipDownload {
        messages,
        reader,
        end,
        ..
    } = download;
    let StagedZip { got, bytes, read } =
        stage_zip(reader, described.clone(), &in_parts, &mut cx.staging).await?;
    tracing::info!(target: "nightshift::metric", counter = "nightshift_ingested_bytes_total", value = bytes);
    tracing::info!(target: "nightshift::metric", counter = "nightshift_ingested_components_total", value = got.len() as u64);
    let later = match whole(end.wait().await, read) {
        Ok((_, messages)) => messages,
        Err(Broken::Answer(error)) => {
            Polite::of(cx)?.broke_off(&error).await?;
            return broken_answer(part, error);
        }
        Err(Broken::Zip(fault)) => return again(part, failure_of(&fault), &fault.to_string()),
    };
    let messages: Vec<RetrieveMessage> = messages.into_iter().chain(later).collect();
    let members = members(cx, &part).await?;
    let lacking = lacking(cx, &members, &got).await?;
    if !lacking.is_empty() && !part.asked_again {
        return Ok(unchanged(part));
    }
    let reasons = Reasons::read(&messages, &described);
    stage_culprits(cx, &part).await?;
    stage_missing(cx, &members, &reasons, &got).await?;
    stage_lacking(cx, &members, &reasons, &got, &lacking).await?;
    cx.staging.flush().await?;
    Ok(Outcome::Done {
        effects: vec![],
        next: vec![],
        last: Some(finish_job()),
    })
}

/// Those of the batch's members of which this retrieve brings a part.
async fn in_parts(cx: &StepCx<'_, SyncContext>, part: &BatchPart) -> Result<InParts, Trouble> {
    if part.parts < 2 {
        return Ok(InParts::none());
    }
    let members = members(cx, part).await?.into_iter();
    let asked = members.filter(|member| member.role == Role::Asked);
    Ok(InParts {
        members: asked.map(|member| member.key).collect(),
        batch: part.batch,
        parts: part.parts.cast_signed(),
    })
}

/// The network or the text was at fault while the zip came.
fn broken_answer(part: BatchPart, error: SalesforceError) -> Result<Outcome, Trouble> {
    let answer = error.step_error();
    match answer.verdict {
        Verdict::Reauthenticate | Verdict::Wait { .. } => Err(error.into()),
        Verdict::Retry { .. } | Verdict::Permanent => again(part, answer.code, &answer.message),
    }
}

/// Whose fault it is that a zip did not come whole.
#[derive(Debug)]
pub enum Broken {
    /// The answer's: its network, its envelope, its base64.
    Answer(SalesforceError),
    /// The zip's own.
    Zip(ArchiveError),
}

/// What an answer says beside its zip, once both were whole. A fault of the zip is the cause: the rest of the answer is
/// not read any more then. A reader whose stream failed under it only repeats what the answer knows better.
pub fn whole<T>(end: Result<T, SalesforceError>, read: Result<(), ArchiveError>) -> Result<T, Broken> {
    match (end, read) {
        (_, Err(fault)) if fault.code().is_some() => Err(Broken::Zip(fault)),
        (Err(error), _) => Err(Broken::Answer(error)),
        (_, Err(fault)) => Err(Broken::Zip(fault)),
        (Ok(said), Ok(())) => Ok(said),
    }
}

/// What a sync fails with when the zip stays as it is. A stream that failed without a word of its own broke off.
pub fn failure_of(fault: &ArchiveError) -> FailureCode {
    fault
        .code()
        .and_then(|code| code.parse().ok())
        .unwrap_or(FailureCode::ArchiveTruncated)
}

/// The types of this part that our registry does not know.
fn described(part: &BatchPart) -> Described {
    let types = part.unknown_types.iter().map(|unknown| DescribedType {
        name: unknown.name.clone(),
        directory: unknown.directory.clone(),
        suffix: unknown.suffix.clone(),
        in_folder: unknown.in_folder,
        meta_file: unknown.meta_file,
        children: vec![],
    });
    Described::new(types.collect())
}
