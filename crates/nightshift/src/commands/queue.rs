//! `queue list`, `show`, `dead`: what there is to see. What people do to it is in `hands.rs`.

use std::process::ExitCode;

use nightshift_domain::{Deed, JobId};
use nightshift_queue::{DeadLetter, Queue};
use nightshift_store::{
    Store, StoreError,
    jobs::{ClassCount, JobRow, JobsFilter},
};
use serde_json::{Value, json};

use super::{hands, id, maybe, time};
use crate::{
    cli::{Json, QueueCommand, Which},
    config::Settings,
    error::CommandError,
    output, wiring,
};

/// Dead letters shown at most.
const DEAD_SHOWN: usize = 1_000;

/// Looks at jobs and dead letters, lays hands on them.
pub async fn queue(settings: &Settings, command: QueueCommand) -> Result<ExitCode, CommandError> {
    match command {
        QueueCommand::List { which, limit, json } => {
            let store = wiring::store(settings).await?;
            let filter = filter(&store, &which, limit).await?;
            list(&store, &filter, json).await?;
        }
        QueueCommand::Show { id: text, json } => {
            show(&wiring::store(settings).await?, id("job", &text)?, json).await?;
        }
        QueueCommand::Release(args) => return hands::deed(settings, Deed::Release, &args).await,
        QueueCommand::Fail(args) => return hands::deed(settings, Deed::Fail, &args).await,
        QueueCommand::Requeue(args) => return hands::deed(settings, Deed::Requeue, &args).await,
        QueueCommand::Pause(args) => return hands::pause(settings, &args).await,
        QueueCommand::Resume(args) => return hands::resume(settings, &args).await,
        QueueCommand::Dead {
            requeue: false, json, ..
        } => {
            list_dead(wiring::queue_now(settings).await?.as_ref(), json).await?;
        }
        QueueCommand::Dead {
            requeue: true,
            hand,
            json,
        } => return hands::send_again(settings, &hand, json).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// The filter of the command line, with its org found.
pub async fn filter(store: &Store, which: &Which, limit: i64) -> Result<JobsFilter, CommandError> {
    let org = match &which.org {
        Some(name) => Some(store.orgs().find(name).await?.id),
        None => None,
    };
    Ok(JobsFilter {
        job: None,
        org,
        class: which.class,
        kind: which.kind.clone(),
        instance: which.instance.clone(),
        state: which.state,
        waiting_for: which.waiting_for.clone(),
        code: which.code,
        older_than: which.older_than,
        limit,
    })
}

async fn list(store: &Store, filter: &JobsFilter, json: Json) -> Result<(), CommandError> {
    let jobs = store.jobs().list(filter).await?;
    let counts = store.jobs().counts().await?;
    let pauses = store.pauses().list().await?;
    if json.json {
        let classes: Vec<_> = counts.iter().map(count).collect();
        let jobs: Vec<_> = jobs.iter().map(job).collect();
        output::json(&json!({ "classes": classes, "jobs": jobs, "paused": hands::pauses(&pauses) }));
        return Ok(());
    }
    let rows: Vec<_> = counts
        .iter()
        .map(|count| {
            vec![
                count.class.to_string(),
                count.due.to_string(),
                count.waiting.to_string(),
                count.claimed.to_string(),
                count.dead.to_string(),
                format!("{:.0}", count.oldest_due_seconds),
            ]
        })
        .collect();
    output::table(
        &["class", "due", "waiting", "claimed", "dead", "oldest due (s)"],
        &rows,
    );
    for pause in &pauses {
        output::line(&format!("{} ({} job(s) wait)", pause.says(), pause.waiting));
    }
    output::line("");
    let rows: Vec<_> = jobs
        .iter()
        .map(|job| {
            vec![
                job.id.to_string(),
                job.org_name.clone(),
                job.kind.clone(),
                job.state.as_str().to_owned(),
                time(job.not_before),
                job.attempts.to_string(),
                job.deaths.to_string(),
                waits_for(job),
            ]
        })
        .collect();
    output::table(
        &[
            "job",
            "org",
            "step",
            "state",
            "not before",
            "errors",
            "deaths",
            "waits for",
        ],
        &rows,
    );
    Ok(())
}

fn count(count: &ClassCount) -> Value {
    json!({
        "class": count.class.as_str(), "due": count.due, "waiting": count.waiting, "claimed": count.claimed,
        "dead": count.dead, "oldest_due_seconds": count.oldest_due_seconds,
    })
}

fn job(job: &JobRow) -> Value {
    json!({
        "id": job.id.to_string(), "org": job.org_name, "sync": job.sync.map(|sync| sync.to_string()),
        "step": job.kind, "class": job.class.as_str(), "state": job.state.as_str(),
        "not_before": job.not_before.to_string(), "attempts": job.attempts, "deaths": job.deaths, "waits": job.waits,
        "waiting_for": job.waiting_for, "fence": job.fence, "lease_until": job.lease_until.map(|at| at.to_string()),
        "announced_at": job.announced_at.map(|at| at.to_string()), "paused": job.paused, "payload": job.payload,
    })
}

/// A pause comes first: nothing else counts while it lasts.
fn waits_for(job: &JobRow) -> String {
    if job.paused {
        return "paused".to_owned();
    }
    maybe(job.waiting_for.as_deref())
}

/// A job that is gone may have been sent away by hand: then that is what there is to show.
async fn show(store: &Store, id: JobId, json: Json) -> Result<(), CommandError> {
    let deeds = store.hands().of_job(id).await?;
    let mut document = match store.jobs().show(id).await {
        Ok(row) => job(&row),
        Err(StoreError::NotFound { .. }) if !deeds.is_empty() => {
            json!({ "id": id.to_string(), "state": "gone" })
        }
        Err(error) => return Err(error.into()),
    };
    if json.json {
        document["by_hand"] = hands::document(&deeds);
        output::json(&document);
    } else {
        output::fields(&document, 13);
        hands::print(&deeds);
    }
    Ok(())
}

async fn list_dead(queue: &dyn Queue, json: Json) -> Result<(), CommandError> {
    let letters = queue.list_dead(DEAD_SHOWN).await?;
    if json.json {
        let letter = |letter: &DeadLetter| json!({ "from": letter.from, "reason": letter.reason, "body": letter.body });
        output::json(&letters.iter().map(letter).collect());
        return Ok(());
    }
    if letters.is_empty() {
        eprintln!("no dead letters");
        return Ok(());
    }
    let one_line = |text: &str| {
        text.replace(['\n', '\r'], " ")
            .chars()
            .take(120)
            .collect::<String>()
    };
    let rows: Vec<_> = letters
        .iter()
        .map(|letter| vec![letter.from.clone(), letter.reason.clone(), one_line(&letter.body)])
        .collect();
    output::table(&["from", "reason", "body"], &rows);
    Ok(())
}
