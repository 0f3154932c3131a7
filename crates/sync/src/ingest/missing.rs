//! What was asked for and did not come: a gap, with Salesforce's reason where it gives one.
//!
//! What was asked for beside others counts too. A profile says nothing about what is not in its retrieve, so without one
//! of its companions it is not whole, though Salesforce calls the retrieve a success. Taken for whole it would stay as it
//! is until somebody changes it, since its date does not tell. So the retrieve is asked for once more, and who is not
//! whole then is a gap for a night. A companion that is a gap already is not missed: nobody knows whether it will come. When
//! it does, the store doubts what may have come without it.

use std::collections::HashSet;

use domain::{ComponentKey, LeftOutReason, fold};
use nightshift_domain as domain;
use nightshift_jobs::StepCx;
use nightshift_metadata::{Described, Told, read_message, registry};
use nightshift_salesforce::RetrieveMessage;
use nightshift_store::staging::{Member, Role};

use super::stage::left_out;
use crate::{context::SyncContext, trouble::Trouble};

/// What Salesforce says about what it left out.
pub(super) struct Reasons(Vec<Told>);

impl Reasons {
    pub(super) fn read(messages: &[RetrieveMessage], described: &Described) -> Self {
        let read = |message: &RetrieveMessage| {
            read_message(&message.problem, message.file_name.as_deref(), described)
        };
        Self(messages.iter().filter_map(read).collect())
    }

    /// Why a member did not come.
    fn why(&self, member: &Member) -> (LeftOutReason, String) {
        let told = self
            .0
            .iter()
            .find(|told| means(told.type_name.as_deref(), told.name.as_deref(), member));
        told.map_or_else(
            || {
                let detail = "asked for, not delivered, and no word about it";
                (LeftOutReason::NotDelivered, detail.to_owned())
            },
            |told| (told.reason, told.detail.clone()),
        )
    }
}

/// The companions that should have come.
pub(super) async fn lacking(
    cx: &StepCx<'_, SyncContext>,
    members: &[Member],
    got: &HashSet<ComponentKey>,
) -> Result<Vec<Member>, Trouble> {
    let missed = |member: &&Member| member.role == Role::Companion && !got.contains(&member.key);
    let missed: Vec<&Member> = members.iter().filter(missed).collect();
    if missed.is_empty() {
        return Ok(Vec::new());
    }
    let keys = missed.iter().map(|member| &member.key);
    let gaps = cx.context.store.dictionary().gaps_among(cx.org, keys).await?;
    let lacking = missed.into_iter().filter(|member| !gaps.contains(&member.key));
    Ok(lacking.cloned().collect())
}

/// Members that were asked for and not delivered.
pub(super) async fn stage_missing(
    cx: &mut StepCx<'_, SyncContext>,
    members: &[Member],
    reasons: &Reasons,
    got: &HashSet<ComponentKey>,
) -> Result<(), Trouble> {
    for member in members
        .iter()
        .filter(|member| member.role == Role::Asked && !got.contains(&member.key))
    {
        // the fixed list names sets that this org may not have
        let never_held = member.key.type_name == "StandardValueSet"
            && !cx.context.store.dictionary().holds(cx.org, &member.key).await?;
        if !never_held {
            let (reason, detail) = reasons.why(member);
            let left_out = left_out(&member.key, reason, &detail);
            cx.staging.left_out(&left_out).await?;
        }
    }
    Ok(())
}

/// Companions that did not come, and the members that are not whole without them.
pub(super) async fn stage_lacking(
    cx: &mut StepCx<'_, SyncContext>,
    members: &[Member],
    reasons: &Reasons,
    got: &HashSet<ComponentKey>,
    lacking: &[Member],
) -> Result<(), Trouble> {
    for companion in lacking {
        let (reason, detail) = reasons.why(companion);
        let left_out = left_out(&companion.key, reason, &detail);
        cx.staging.left_out(&left_out).await?;
    }
    for member in members
        .iter()
        .filter(|member| member.role == Role::Asked && got.contains(&member.key))
    {
        let wanted = registry()
            .by_name(&member.key.type_name)
            .map_or(&[][..], |info| &info.companions);
        let mut without = lacking
            .iter()
            .filter(|companion| wanted.contains(&companion.key.type_name.as_str()));
        if let Some(first) = without.next() {
            let detail = format!("came without {} and {} others", first.key, without.count());
            let left_out = left_out(&member.key, LeftOutReason::NotWhole, &detail);
            cx.staging.left_out(&left_out).await?;
        }
    }
    Ok(())
}

/// Whether Salesforce's words mean this member; case and escapes do not count, and a folder goes by its content's type.
fn means(type_name: Option<&str>, name: Option<&str>, member: &Member) -> bool {
    let same = |a: &str, b: &str| fold::fold(&fold::decode(a)) == fold::fold(&fold::decode(b));
    let of_type = type_name.is_none_or(|type_name| {
        same(type_name, &member.key.type_name)
            || same(
                type_name,
                nightshift_metadata::request_type(&member.key.type_name),
            )
    });
    of_type && name.is_some_and(|name| same(name, &member.key.name))
}
