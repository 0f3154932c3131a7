//! What a night could not do: the part's members become gaps, and the sync goes on to its end.
//!
//! They keep their last good versions and are asked for again in the next night. What the org's requests did not reach
//! has a reason of its own, so that nobody looks for a fault in the components; `store` opens a case that says how many
//! they are.

use domain::{LeftOut, LeftOutReason, Outcome, allowance::OutOfCalls};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_store::staging::Role;

use crate::{
    context::SyncContext, finish::finish_job, payload::BatchPart, retrieve::members, trouble::Trouble,
};

/// Ends a part without another call.
pub(crate) async fn unfinished(
    cx: &mut StepCx<'_, SyncContext>,
    part: &BatchPart,
    why: OutOfCalls,
    words: &str,
) -> Result<Outcome, Trouble> {
    end_part(cx, part, Some((why.reason(), words))).await
}

/// Ends a part: culprits that were named on the way are gaps, and with a reason so is all that it asked for.
pub(crate) async fn end_part(
    cx: &mut StepCx<'_, SyncContext>,
    part: &BatchPart,
    missed: Option<(LeftOutReason, &str)>,
) -> Result<Outcome, Trouble> {
    stage_culprits(cx, part).await?;
    if let Some((reason, words)) = missed {
        let members = members(cx, part).await?;
        for member in members.iter().filter(|member| member.role == Role::Asked) {
            let left_out = LeftOut {
                type_name: member.key.type_name.clone(),
                name: member.key.name.clone(),
                reason,
                detail: words.to_owned(),
            };
            cx.staging.left_out(&left_out).await?;
        }
    }
    cx.staging.flush().await?;
    Ok(Outcome::Done {
        effects: vec![],
        next: vec![],
        last: Some(finish_job()),
    })
}

/// Culprits that were named on the way are gaps of the sync.
pub(crate) async fn stage_culprits(
    cx: &mut StepCx<'_, SyncContext>,
    part: &BatchPart,
) -> Result<(), Trouble> {
    for culprit in &part.culprits {
        let left_out = LeftOut {
            type_name: culprit.type_name.clone(),
            name: culprit.name.clone(),
            reason: culprit.reason,
            detail: culprit.detail.clone(),
        };
        cx.staging.left_out(&left_out).await?;
    }
    Ok(())
}
