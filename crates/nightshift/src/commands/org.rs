//! `org list`, `show`, `schedule`, `pause`, `resume`; how an org is reached is told in `org/connect.rs`.

mod callback;
mod connect;

use std::process::ExitCode;

use nightshift_domain::schedule::{Days, LocalMinute, Schedule, Window, Zone};
use nightshift_store::{
    Store,
    orgs::{OrgRow, Saved},
    pauses::PauseRow,
};
use rand::RngExt;
use serde_json::{Value, json};

use super::{hands, maybe, time};
use crate::{
    cli::{Json, OrgCommand, ScheduleArgs},
    config::Settings,
    error::CommandError,
    output, wiring,
};

/// Connects, shows and schedules orgs.
pub async fn org(settings: &Settings, command: OrgCommand) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    match command {
        OrgCommand::Add(args) => connect::add(&store, settings, args).await?,
        OrgCommand::Login(args) => connect::login(&store, settings, args).await?,
        OrgCommand::List(json) => list(&store.orgs().list().await?, json),
        OrgCommand::Show { name, json } => {
            let org = store.orgs().find(&name).await?;
            show(&org, &store.pauses().of_org(org.id).await?, json);
        }
        OrgCommand::Schedule(args) => schedule(&store, &args).await?,
        OrgCommand::Pause { name } => {
            let org = store.orgs().find(&name).await?;
            store.orgs().pause(org.id).await?;
            eprintln!(
                "org {} is paused: no night begins until nightshift org resume {}",
                org.name, org.name
            );
        }
        OrgCommand::Resume { name } => resume(&store, &name).await?,
        OrgCommand::Reauthenticate(args) => connect::renew(&store, settings, args).await?,
        OrgCommand::Disconnect { name, yes } => connect::end(&store, settings, &name, yes).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn zone(org: &OrgRow) -> &str {
    org.schedule.zone().name()
}

/// What `org add --json` and `org list --json` give of an org.
fn summary(org: &OrgRow) -> Value {
    json!({
        "id": org.id.to_string(),
        "name": org.name,
        "organization_id": org.organization_id.to_string(),
        "time_zone": zone(org),
        "next_run": org.next_run.map(|at| at.to_string()),
    })
}

fn whole(org: &OrgRow) -> Value {
    let mut document = summary(org);
    document["state"] = json!(org.state());
    document["current_as_of"] = json!(org.current_as_of.map(|at| at.to_string()));
    document["revision"] = json!(org.revision);
    document["open_cases"] = json!(org.open_cases);
    document["window"] = json!(org.schedule.window().to_string());
    document["slot"] = json!(org.schedule.slot().to_string());
    document["days"] = json!(org.schedule.days().to_string());
    document["login_url"] = json!(org.login_url);
    document["instance_url"] = json!(org.instance_url);
    document["sandbox"] = json!(org.is_sandbox);
    document["edition"] = json!(org.edition);
    document["broken_with"] = json!(org.broken_with);
    document["disconnected_at"] = json!(org.disconnected_at.map(|at| at.to_string()));
    document
}

fn list(orgs: &[OrgRow], json: Json) {
    if json.json {
        output::json(&orgs.iter().map(whole).collect());
        return;
    }
    let rows: Vec<_> = orgs
        .iter()
        .map(|org| {
            vec![
                org.name.clone(),
                org.state().to_owned(),
                zone(org).to_owned(),
                maybe(org.next_run.map(time)),
                maybe(org.revision),
                maybe(org.current_as_of.map(time)),
                org.open_cases.to_string(),
            ]
        })
        .collect();
    output::table(
        &["org", "state", "zone", "next run", "revision", "as of", "cases"],
        &rows,
    );
}

/// With the pauses that keep its jobs waiting.
fn show(org: &OrgRow, pauses: &[PauseRow], json: Json) {
    let mut document = whole(org);
    if json.json {
        document["paused_by"] = hands::pauses(pauses);
        output::json(&document);
        return;
    }
    output::fields(&document, 15);
    for pause in pauses {
        let wait = format!("{} ({} job(s) wait)", pause.says(), pause.waiting);
        output::line(&format!("{:<15} {wait}", "waits"));
    }
}

/// Saves when an org is synced; read again when a scheduler fired it meanwhile.
async fn schedule(store: &Store, args: &ScheduleArgs) -> Result<(), CommandError> {
    let id = store.orgs().find(&args.name).await?.id;
    loop {
        let org = store.orgs().show(id).await?;
        let schedule = changed(&org, args)?;
        let next = schedule
            .next_run(org.last_night, org.slots_after)
            .map_err(|error| CommandError::Usage(error.to_string()))?;
        if store
            .orgs()
            .save_schedule(id, &schedule, org.last_night, next.slot)
            .await?
            == Saved::Yes
        {
            show(
                &store.orgs().show(id).await?,
                &store.pauses().of_org(id).await?,
                args.json,
            );
            return Ok(());
        }
    }
}

fn changed(org: &OrgRow, args: &ScheduleArgs) -> Result<Schedule, CommandError> {
    let usage = |flag: &str, error: &dyn std::fmt::Display| CommandError::Usage(format!("--{flag}: {error}"));
    let old = &org.schedule;
    let zone: Zone = match &args.time_zone {
        Some(text) => text.parse().map_err(|error| usage("time-zone", &error))?,
        None => old.zone().clone(),
    };
    let window: Window = match &args.window {
        Some(text) => text.parse().map_err(|error| usage("window", &error))?,
        None => old.window(),
    };
    let days: Days = match &args.days {
        Some(text) => text.parse().map_err(|error| usage("days", &error))?,
        None => old.days(),
    };
    let random = || window.minute(rand::rng().random_range(0..window.length()));
    let slot: LocalMinute = match &args.at {
        Some(text) => text.parse().map_err(|error| usage("at", &error))?,
        None if args.random || !window.contains(old.slot()) => random(),
        None => old.slot(),
    };
    Schedule::new(zone, window, slot, days).map_err(|error| CommandError::Usage(error.to_string()))
}

async fn resume(store: &Store, name: &str) -> Result<(), CommandError> {
    let org = store.orgs().find(name).await?;
    if org.disconnected_at.is_some() {
        return Err(CommandError::Refused(format!(
            "org {0} is disconnected; connect it again first: nightshift org login {0}, or org reauthenticate {0}",
            org.name
        )));
    }
    let now = store.now().await?;
    let next = org
        .schedule
        .next_run(org.last_night, now)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    store.orgs().resume(org.id, now, next.slot).await?;
    eprintln!("org {} runs again; next run {}", org.name, time(next.slot));
    Ok(())
}
