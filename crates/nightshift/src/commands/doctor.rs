//! `doctor`: looks at everything a process needs, says what it saw and what to do. Changes nothing.

mod network;

use std::{process::ExitCode, time::Duration};

use nightshift_domain::{circuit::Circuit, schedule::zone_names};
use nightshift_queue::Queue;
use nightshift_store::{Store, instances::InstanceRow};
use serde_json::json;

use super::time;
use crate::{cli::Json, config::Settings, error::CommandError, output, wiring};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Instances that are named; those that are not called come first.
const INSTANCES_NAMED: usize = 10;

/// One check's result.
struct Finding {
    thing: &'static str,
    verdict: Verdict,
    saw: String,
    remedy: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Bad,
    /// Not good, but nothing breaks.
    Note,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "failed",
            Self::Note => "note",
        }
    }
}

fn good(thing: &'static str, saw: String) -> Finding {
    Finding {
        thing,
        verdict: Verdict::Good,
        saw,
        remedy: String::new(),
    }
}

fn bad(thing: &'static str, saw: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        thing,
        verdict: Verdict::Bad,
        saw: saw.into(),
        remedy: remedy.into(),
    }
}

fn note(thing: &'static str, saw: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding {
        verdict: Verdict::Note,
        ..bad(thing, saw, remedy)
    }
}

/// Checks, prints, exits 1 when something is broken.
pub async fn doctor(settings: &Settings, json: Json) -> Result<ExitCode, CommandError> {
    let mut findings = vec![zones(), key(settings)];
    findings.extend(database(settings).await);
    findings.push(broker(settings).await);
    findings.extend(network::check(settings).await);
    if json.json {
        let checks: Vec<_> = findings
            .iter()
            .map(|found| {
                json!({ "check": found.thing, "verdict": found.verdict.as_str(), "saw": found.saw, "remedy": found.remedy })
            })
            .collect();
        output::json(&json!({ "checks": checks }));
    } else {
        for found in &findings {
            output::line(&format!(
                "{:<6} {:<11} {}",
                found.verdict.as_str(),
                found.thing,
                found.saw
            ));
            if !found.remedy.is_empty() {
                output::line(&format!("{:18} do: {}", "", found.remedy));
            }
        }
    }
    let broken = findings.iter().any(|found| found.verdict == Verdict::Bad);
    Ok(if broken {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn zones() -> Finding {
    good(
        "zone data",
        format!("{} zones of the bundled data", zone_names().len()),
    )
}

fn key(settings: &Settings) -> Finding {
    match wiring::keyring(settings) {
        Ok(_) => good("key", "secrets.key can be used".into()),
        Err(error) => bad(
            "key",
            error.chain(),
            "make one: echo \"k1:$(head -c 32 /dev/urandom | base64)\"; keep it, or every org has to be connected again",
        ),
    }
}

async fn database(settings: &Settings) -> Vec<Finding> {
    let store = match tokio::time::timeout(PATIENCE, wiring::store(settings)).await {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => {
            return vec![bad(
                "database",
                error.chain(),
                "check database.url and that the server runs",
            )];
        }
        Err(_) => {
            return vec![bad(
                "database",
                "no answer within 10 s",
                "check database.url and the network",
            )];
        }
    };
    let mut findings = vec![match store.server().await {
        Ok(server) => good("database", server.version),
        Err(error) => bad("database", error.detail(), "look into the server's log"),
    }];
    findings.push(migrations(&store).await);
    findings.push(processes(&store).await);
    findings.push(instances(&store).await);
    findings
}

async fn migrations(store: &Store) -> Finding {
    match store.migration_state().await {
        Ok(state) if state.applied == state.wanted => {
            good("migrations", format!("{} applied", state.applied))
        }
        Ok(state) if state.applied > state.wanted => bad(
            "migrations",
            format!(
                "the database has {}, this program knows {}",
                state.applied, state.wanted
            ),
            "use the newer release of nightshift",
        ),
        Ok(state) => bad(
            "migrations",
            format!(
                "the database has {}, this program wants {}",
                state.applied, state.wanted
            ),
            "nightshift migrate",
        ),
        Err(error) => bad("migrations", error.detail(), "look into the server's log"),
    }
}

async fn processes(store: &Store) -> Finding {
    let Ok(alive) = store.processes().alive().await else {
        return bad(
            "processes",
            "the table of processes cannot be read",
            "nightshift migrate",
        );
    };
    let count = |kind: &str| alive.iter().filter(|process| process.kind == kind).count();
    let (schedulers, workers) = (count("scheduler"), count("worker"));
    let saw = format!("{schedulers} scheduler(s) and {workers} worker(s) seen within a minute");
    if schedulers > 0 && workers > 0 {
        return good("processes", saw);
    }
    note(
        "processes",
        saw,
        "start nightshift scheduler and nightshift worker",
    )
}

/// Salesforce's instances: which are called, and how long their queues are.
async fn instances(store: &Store) -> Finding {
    let Ok(rows) = store.instances().list().await else {
        return bad(
            "instances",
            "the table of instances cannot be read",
            "nightshift migrate",
        );
    };
    let shown = |row: &InstanceRow| {
        let queue = row.pending_mean.map_or_else(String::new, |mean| {
            format!(
                ", Pending for {mean:.0} s lately, {:.0} s last",
                row.pending_last.unwrap_or(mean)
            )
        });
        match row.health.circuit {
            Circuit::Closed => format!("{}{queue}", row.name),
            Circuit::Open { until, .. } => format!("{} not called until {}{queue}", row.name, time(until)),
            Circuit::Probing { .. } => format!("{} probed{queue}", row.name),
        }
    };
    let closed = rows
        .iter()
        .filter(|row| row.health.circuit == Circuit::Closed)
        .count();
    let named: Vec<String> = rows.iter().take(INSTANCES_NAMED).map(shown).collect();
    let saw = format!("{} known, {closed} called; {}", rows.len(), named.join("; "));
    if closed == rows.len() {
        return good("instances", saw.trim_end_matches("; ").to_owned());
    }
    note(
        "instances",
        saw,
        "nothing: they are probed by themselves, their orgs' jobs wait; look at status.salesforce.com",
    )
}

async fn broker(settings: &Settings) -> Finding {
    if settings.broker.url.is_none() {
        return note(
            "broker",
            "broker.url is not set; nightshift up runs a queue of its own, scheduler and worker need one",
            "for a fleet set NIGHTSHIFT__BROKER__URL",
        );
    }
    match tokio::time::timeout(PATIENCE, wiring::queue_now(settings)).await {
        Ok(Ok(queue)) => match queue.list_dead(100).await {
            Ok(dead) if dead.is_empty() => good("broker", "it answers; no dead letters".into()),
            Ok(dead) => note(
                "broker",
                format!("it answers; {} dead letter(s)", dead.len()),
                "nightshift queue dead",
            ),
            Err(error) => bad("broker", error.to_string(), "look into the broker's log"),
        },
        Ok(Err(error)) => bad(
            "broker",
            error.chain(),
            "check broker.url and that the broker runs",
        ),
        Err(_) => bad(
            "broker",
            "no answer within 10 s",
            "check broker.url and that the broker runs",
        ),
    }
}
