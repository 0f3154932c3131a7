//! `sync NAME`, `sync accept NAME`, `sync show ID`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use nightshift_domain::{
    admission::{Door, SyncRequest},
    component::LeftOut,
    ids::{OrgId, SyncId},
    sync::{Mode, SyncState},
};
use nightshift_jobs::admit_sync;
use nightshift_store::{
    Store,
    orgs::OrgRow,
    syncs::{AdmissionAnswer, Opening, Patience, SyncRow, TimelineRow},
};
use nightshift_sync::{SyncContext, finish};
use serde_json::{Value, json};

use super::{hands, id, maybe, time};
use crate::{
    cli::{Json, SyncArgs, SyncCommand},
    config::Settings,
    error::CommandError,
    output, wiring,
};

/// How often a waiting command looks; when it first says that nobody works, and how often again.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const SAY_FIRST: Duration = Duration::from_secs(2);
const SAY_EVERY: Duration = Duration::from_secs(15);

/// Whether a sync was running already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It was, and the caller has joined it.
    Joined,
    /// It is the caller's.
    Opened,
}

/// Starts a sync or joins the running one.
pub async fn sync(settings: &Settings, args: SyncArgs) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    match args.more {
        Some(SyncCommand::Show { id: text, json }) => show(&store, id("sync", &text)?, json).await,
        Some(SyncCommand::Accept { name, wait, json }) => {
            let org = store.orgs().find(&name).await?;
            let patience = Duration::from_secs(settings.sync.patience_seconds);
            let sync = store
                .syncs()
                .accept(org.id, &finish::accepted_job(), patience)
                .await?;
            let wait = if wait { Wait::UntilOver } else { Wait::No };
            report(&store, &org, sync, Entry::Opened, wait, json).await
        }
        None => {
            let name = args.name.unwrap_or_default();
            let org = store.orgs().find(&name).await?;
            let mode = if args.full { Mode::Full } else { Mode::Incremental };
            let (sync, entry) = start(&store, settings, &org, mode).await?;
            let wait = if args.wait { Wait::UntilOver } else { Wait::No };
            report(&store, &org, sync, entry, wait, args.json).await
        }
    }
}

/// Through the one door; no queue is needed, a scheduler's sweep announces the first job.
pub async fn start(
    store: &Store,
    settings: &Settings,
    org: &OrgRow,
    mode: Mode,
) -> Result<(SyncId, Entry), CommandError> {
    let request = SyncRequest {
        org: org.id,
        mode,
        door: Door::Hand,
        reason: None,
    };
    let opening = Opening {
        request: &request,
        patience: Patience::For(Duration::from_secs(settings.sync.patience_seconds)),
        first: &SyncContext::first_job(),
        traceparent: None,
    };
    match admit_sync(store, None, &settings.jobs, &opening).await? {
        AdmissionAnswer::Opened { sync } => Ok((sync, Entry::Opened)),
        AdmissionAnswer::Joined { sync } => Ok((sync, Entry::Joined)),
        AdmissionAnswer::Refused(why) => Err(CommandError::Refused(format!("org {}: {why}", org.name))),
    }
}

enum Wait {
    No,
    UntilOver,
}

async fn report(
    store: &Store,
    org: &OrgRow,
    sync: SyncId,
    entry: Entry,
    wait: Wait,
    json: Json,
) -> Result<ExitCode, CommandError> {
    let row = match wait {
        Wait::No => store.syncs().show(sync).await?,
        Wait::UntilOver => until_over(store, org.id, sync).await?,
    };
    let left_out = store.dictionary().left_out(org.id, sync).await?;
    if json.json {
        output::json(&document(&row, entry, &left_out));
    } else {
        summary(org, &row, entry, &left_out);
    }
    Ok(match row.state {
        SyncState::Failed | SyncState::Held => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    })
}

/// Waits for the end; says so when nobody is there who could bring it about.
async fn until_over(store: &Store, org: OrgId, sync: SyncId) -> Result<SyncRow, CommandError> {
    let mut say_at = Instant::now() + SAY_FIRST;
    loop {
        match store.syncs().show(sync).await {
            Ok(row) if !row.state.is_open() => return Ok(row),
            Ok(_) => {}
            Err(error) if error.is_transient() => eprintln!("waiting: {}", error.detail()),
            Err(error) => return Err(error.into()),
        }
        if Instant::now() > say_at {
            say_at = Instant::now() + SAY_EVERY;
            if let Some(missing) = nobody_there(store).await {
                eprintln!("waiting: {missing}");
            }
            for pause in store.pauses().of_org(org).await.unwrap_or_default() {
                eprintln!("waiting: {}", pause.says());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn nobody_there(store: &Store) -> Option<&'static str> {
    let alive = store.processes().alive().await.ok()?;
    let there = |kind: &str| alive.iter().any(|process| process.kind == kind);
    match (there("scheduler"), there("worker")) {
        (true, true) => None,
        (true, false) => Some("no worker has been seen for a minute; start one with: nightshift worker"),
        (false, true) => {
            Some("no scheduler has been seen for a minute; start one with: nightshift scheduler")
        }
        (false, false) => {
            Some("neither scheduler nor worker has been seen for a minute; start them, or: nightshift up")
        }
    }
}

/// A sync as `sync --json` gives it.
pub fn document(row: &SyncRow, entry: Entry, left_out: &[LeftOut]) -> Value {
    let left = |left: &LeftOut| {
        json!({
            "type": left.type_name,
            "name": left.name,
            "reason": left.reason,
            "kind": left.reason.kind(),
            "detail": left.detail,
        })
    };
    json!({
        "sync": row.id.to_string(),
        "state": row.state.as_str(),
        "joined": entry == Entry::Joined,
        "revision": row.revision,
        "components": row.components,
        "added": row.added,
        "changed": row.changed,
        "deleted": row.deleted,
        "asked": row.asked,
        "got": row.got,
        "left_out": left_out.iter().map(left).collect::<Vec<_>>(),
        "api_calls": row.api_calls,
        "seconds": row.seconds,
        "failure": row.failure.as_ref().map(|(code, message)| json!({ "code": code, "message": message })),
    })
}

fn summary(org: &OrgRow, row: &SyncRow, entry: Entry, left_out: &[LeftOut]) {
    let how = if entry == Entry::Joined { "joined" } else { "sync" };
    output::line(&format!(
        "{how} {} of {}: {} ({:.1} s)",
        row.id, org.name, row.state, row.seconds
    ));
    if let Some(revision) = row.revision {
        output::line(&format!(
            "revision {revision}: {} components; {} added, {} changed, {} deleted",
            maybe(row.components),
            maybe(row.added),
            maybe(row.changed),
            maybe(row.deleted)
        ));
    }
    if let Some((code, message)) = &row.failure {
        output::line(&format!("{code}: {message}"));
    }
    for left in left_out {
        output::line(&format!(
            "left out: {} {} ({}): {}",
            left.type_name,
            left.name,
            left.reason.as_str(),
            left.detail
        ));
    }
}

async fn show(store: &Store, sync: SyncId, json: Json) -> Result<ExitCode, CommandError> {
    let row = store.syncs().show(sync).await?;
    let left_out = store.dictionary().left_out(row.org, sync).await?;
    let timeline = store.syncs().timeline(row.org, sync).await?;
    let deeds = store.hands().of_sync(row.org, sync).await?;
    if json.json {
        let mut document = document(&row, Entry::Opened, &left_out);
        document["org"] = json!(row.org.to_string());
        document["door"] = json!(row.door.as_str());
        document["reason"] = json!(row.reason);
        document["mode"] = json!(row.mode.as_str());
        document["night"] = json!(row.night.map(|night| night.to_string()));
        document["admitted_at"] = json!(row.admitted_at.to_string());
        document["ended_at"] = json!(row.ended_at.map(|at| at.to_string()));
        document["by_hand"] = hands::document(&deeds);
        document["timeline"] = timeline.iter().map(event).collect();
        output::json(&document);
        return Ok(ExitCode::SUCCESS);
    }
    summary(&store.orgs().show(row.org).await?, &row, Entry::Opened, &left_out);
    output::line("");
    let rows: Vec<_> = timeline
        .iter()
        .map(|line| {
            vec![
                time(line.at),
                line.kind.clone(),
                line.event.clone(),
                maybe(line.fence),
                maybe(line.detail.as_deref()),
            ]
        })
        .collect();
    output::table(&["at", "step", "event", "fence", "detail"], &rows);
    hands::print(&deeds);
    Ok(ExitCode::SUCCESS)
}

fn event(line: &TimelineRow) -> Value {
    let [attempts, deaths, waits] = line.counts;
    json!({
        "at": line.at.to_string(), "step": line.kind, "event": line.event, "fence": line.fence,
        "attempts": attempts, "deaths": deaths, "waits": waits, "detail": line.detail,
    })
}
