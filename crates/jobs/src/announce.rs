//! Telling the queue about jobs: one function for what was just settled and for what the sweep found.
//!
//! An announcement is harmless: it may be lost (the sweep repeats it) or doubled (the claim refuses the second). What
//! is not confirmed is unmarked, so that the sweep takes it up at once and not after a minute.

use domain::{Class, OrgId, Traceparent};
use nightshift_domain as domain;
use nightshift_queue::{Announced, JobMessage, Queue};
use nightshift_store::{
    Store,
    jobs::{DueJob, Horizon, Told},
};

use crate::{error::JobsError, events, settings::JobsSettings};

/// Announces what is due of an org whose transaction has committed, as far as there is room.
pub async fn announce(
    store: &Store,
    queue: &dyn Queue,
    settings: &JobsSettings,
    org: OrgId,
) -> Result<(), JobsError> {
    fail::fail_point!("before-announce", |_| std::process::abort());
    let jobs = store
        .jobs()
        .mark_announceable_of(org, &settings.announcing())
        .await?;
    send(store, queue, jobs).await
}

/// The same of some orgs at once, whose slots were fired together.
pub async fn announce_each(
    store: &Store,
    queue: &dyn Queue,
    settings: &JobsSettings,
    orgs: &[OrgId],
) -> Result<(), JobsError> {
    if orgs.is_empty() {
        return Ok(());
    }
    fail::fail_point!("before-announce", |_| std::process::abort());
    let limits = settings.announcing();
    let jobs = store.jobs().mark_announceable_of_each(orgs, &limits).await?;
    send(store, queue, jobs).await
}

/// The same of all orgs, of what lies behind this horizon: the sweep. Says how many, and where the next may begin.
pub async fn announce_all(
    store: &Store,
    queue: &dyn Queue,
    settings: &JobsSettings,
    horizon: Horizon,
) -> Result<(usize, Horizon), JobsError> {
    fail::fail_point!("before-announce", |_| std::process::abort());
    let marked = store
        .jobs()
        .mark_announceable(horizon, &settings.announcing())
        .await?;
    let announced = marked.jobs.len();
    send(store, queue, marked.jobs).await?;
    Ok((announced, marked.horizon))
}

/// Sends jobs that are marked as announced.
pub(crate) async fn send(store: &Store, queue: &dyn Queue, jobs: Vec<DueJob>) -> Result<(), JobsError> {
    if jobs.is_empty() {
        return Ok(());
    }
    fail::fail_point!("marked", |_| std::process::abort());
    let messages: Vec<_> = jobs.iter().map(message).collect();
    tell_repeated(&jobs);
    let unsent: Vec<DueJob> = match queue.announce(&messages).await {
        Ok(answers) => {
            tell(&messages, &answers);
            jobs.into_iter()
                .zip(answers)
                .filter(|(_, answer)| *answer != Announced::Confirmed)
                .map(|(job, _)| job)
                .collect()
        }
        Err(error) => {
            store.jobs().unmark(&jobs).await?;
            return Err(error.into());
        }
    };
    Ok(store.jobs().unmark(&unsent).await?)
}

/// Each announcement is a span of the job's trace, and its message names that span: so the step hangs on the process
/// that told of it, whichever that was.
fn message(job: &DueJob) -> JobMessage {
    let trace = job.traceparent.as_deref().and_then(|text| text.parse().ok());
    let own = trace.map(|trace: Traceparent| trace.with_span(rand::random()).to_string());
    if let Some(own) = own.as_deref() {
        let traceparent = job.traceparent.as_deref();
        let (org, id, class) = (job.org, job.job, job.class.as_str());
        tracing::info_span!("announce", org.id = %org, job.id = %id, job.class = class, traceparent, own_traceparent = own)
            .in_scope(|| {});
    }
    JobMessage {
        org: job.org,
        job: job.job,
        class: job.class,
        traceparent: own.or_else(|| job.traceparent.clone()),
    }
}

fn tell_repeated(jobs: &[DueJob]) {
    for class in Class::ALL {
        let again = |job: &&DueJob| job.class == class && job.told == Told::Before;
        let repeated = jobs.iter().filter(again).count();
        if repeated > 0 {
            events::announced_again(class, repeated);
        }
    }
}

fn tell(messages: &[JobMessage], answers: &[Announced]) {
    for class in Class::ALL {
        let of_class = |wanted: Announced| {
            messages
                .iter()
                .zip(answers)
                .filter(|(m, a)| m.class == class && **a == wanted)
                .count()
        };
        let confirmed = of_class(Announced::Confirmed);
        if confirmed > 0 {
            events::announced(class, confirmed);
        }
        if of_class(Announced::Unroutable) > 0 {
            events::unroutable(class);
        }
    }
}
