//! What a night could not do: the part's members become gaps, and the sync goes on to its end.
//!
//! They keep their last good versions and are asked for again in the next night. The reason is a word of its own, so that
//! nobody looks for a fault in the components; `store` opens a case that says how many they are.

use domain::{LeftOut, LeftOutReason, Outcome};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_store::staging::Role;

use crate::{
    context::SyncContext, finish::finish_job, payload::BatchPart, poll::stage_culprits, retrieve::members,
    trouble::Trouble,
};

/// Ends a part without another call.
pub(crate) async fn unfinished(
    cx: &mut StepCx<'_, SyncContext>,
    part: &BatchPart,
    words: &str,
) -> Result<Outcome, Trouble> {
    stage_culprits(cx, part).await?;
    let members = members(cx, part).await?;
    for member in members.iter().filter(|member| member.role == Role::Asked) {
        let left_out = LeftOut {
            type_name: member.key.type_name.clone(),
            name: member.key.name.clone(),
            reason: LeftOutReason::ApiAllowance,
            detail: words.to_owned(),
        };
        cx.staging.left_out(&left_out).await?;
    }
    cx.staging.flush().await?;
    Ok(Outcome::Done {
        effects: vec![],
        next: vec![],
        last: Some(finish_job()),
    })
}
