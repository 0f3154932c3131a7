//! `queue list`, `show`, `release`, `dead`.

use std::process::ExitCode;

use nightshift_domain::ids::JobId;
use nightshift_queue::{DeadLetter, Queue};
use nightshift_store::{
    Store,
    jobs::{ClassCount, JobRow, JobsFilter},
};
use serde_json::{Value, json};

use super::{id, maybe, time};
use crate::{
    cli::{Json, QueueCommand},
    config::Settings,
    error::CommandError,
    output, wiring,
};

/// Dead letters shown at most.
const DEAD_SHOWN: usize = 1_000;

/// Looks at jobs and dead letters, releases a job.
pub async fn queue(settings: &Settings, command: QueueCommand) -> Result<ExitCode, CommandError> {
    match command {
        QueueCommand::List {
            org,
            class,
            limit,
            json,
        } => {
            let store = wiring::store(settings).await?;
            let org = match org {
                Some(name) => Some(store.orgs().find(&name).await?.id),
                None => None,
            };
            list(&store, JobsFilter { org, class, limit }, json).await?;
        }
        QueueCommand::Show { id: text, json } => {
            let store = wiring::store(settings).await?;
            show(&store.jobs().show(id("job", &text)?).await?, json);
        }
        QueueCommand::Release { id: text } => {
            let store = wiring::store(settings).await?;
            let job: JobId = id("job", &text)?;
            store.jobs().release(job).await?;
            eprintln!("job {job} is free; it is announced within a second and counts one death");
        }
        QueueCommand::Dead { requeue: false, json } => {
            list_dead(wiring::queue_now(settings).await?.as_ref(), json).await?;
        }
        QueueCommand::Dead { requeue: true, json } => {
            requeue_dead(wiring::queue_now(settings).await?.as_ref(), json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(store: &Store, filter: JobsFilter, json: Json) -> Result<(), CommandError> {
    let jobs = store.jobs().list(filter).await?;
    let counts = store.jobs().counts().await?;
    if json.json {
        let classes: Vec<_> = counts.iter().map(count).collect();
        let jobs: Vec<_> = jobs.iter().map(job).collect();
        output::json(&json!({ "classes": classes, "jobs": jobs }));
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
                maybe(job.waiting_for.as_deref()),
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
        "announced_at": job.announced_at.map(|at| at.to_string()), "payload": job.payload,
    })
}

fn show(row: &JobRow, json: Json) {
    let document = job(row);
    if json.json {
        output::json(&document);
    } else {
        output::fields(&document, 13);
    }
}

async fn requeue_dead(queue: &dyn Queue, json: Json) -> Result<(), CommandError> {
    let sent = queue.requeue_dead().await?;
    if json.json {
        output::json(&json!({ "requeued": sent }));
    } else {
        eprintln!("{sent} dead letter(s) sent again to where they came from");
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
