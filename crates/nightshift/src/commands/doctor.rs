//! `doctor`: looks at everything a process needs, says what it saw, why it matters and what to do. Changes nothing.
//!
//! Asking is here and thin; what an answer means is judged by the pure functions of `judge`.

mod check;
mod finding;
mod judge;
mod network;

use std::{process::ExitCode, time::Duration};

use jiff::Timestamp;
use nightshift_domain::{circuit::Circuit, schedule::zone_names};
use nightshift_queue::{Health, Queue};
use nightshift_store::{Store, StoreError, instances::InstanceRow};

use self::{
    check as of,
    finding::{Check, Finding, Verdict},
};
use super::time;
use crate::{cli::DoctorArgs, config::Settings, error::CommandError, output, wiring};

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Instances that are named; those that are not called come first.
const INSTANCES_NAMED: usize = 10;
/// Dead letters that are counted.
const LETTERS_COUNTED: usize = 100;

/// Checks, prints, exits 1 when something is broken.
pub async fn doctor(settings: &Settings, args: &DoctorArgs) -> Result<ExitCode, CommandError> {
    let mut findings = vec![zones(), key(settings)];
    findings.extend(database(settings).await);
    findings.extend(broker(settings).await);
    if args.online {
        findings.extend(network::check(settings).await);
    }
    if args.json.json {
        output::json(&finding::document(&findings));
    } else {
        finding::print(&findings);
    }
    let broken = findings.iter().any(|found| found.verdict == Verdict::Bad);
    Ok(if broken {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn zones() -> Finding {
    of::ZONES.good(format!("{} zones of the bundled data", zone_names().len()))
}

fn key(settings: &Settings) -> Finding {
    match wiring::keyring(settings) {
        Ok(_) => of::KEY.good("secrets.key can be used"),
        Err(error) => of::KEY.bad(
            error.chain(),
            "make one: echo \"k1:$(head -c 32 /dev/urandom | base64)\"; keep it, or every org has to be connected again",
        ),
    }
}

async fn database(settings: &Settings) -> Vec<Finding> {
    let store = match tokio::time::timeout(PATIENCE, wiring::store(settings)).await {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => {
            return vec![of::DATABASE.bad(error.chain(), "check database.url and that the server runs")];
        }
        Err(_) => {
            return vec![of::DATABASE.bad("no answer within 10 s", "check database.url and the network")];
        }
    };
    let asking = async {
        let mut findings = server(settings, &store).await;
        let migrated = migrations(&store).await;
        let readable = migrated.verdict == Verdict::Good;
        findings.push(migrated);
        if readable {
            findings.extend(tables(&store).await);
        }
        findings
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(findings) => findings,
        Err(_) => vec![of::DATABASE.bad(
            "it answers too slowly: not all of it was seen within 10 s",
            "look for locks and load in pg_stat_activity",
        )],
    }
}

/// What the server says of itself, whatever tables it has.
async fn server(settings: &Settings, store: &Store) -> Vec<Finding> {
    let asked = our_clock();
    let server = match store.server().await {
        Ok(server) => server,
        Err(error) => return vec![unread(of::DATABASE, &error)],
    };
    let answered = our_clock();
    let alive = store.processes().alive().await.map_or(0, |alive| alive.len());
    vec![
        judge::version(&server),
        judge::clock(server.clock, asked, answered),
        judge::connections(&server, alive, settings.database.max_connections),
        judge::vacuum(&server),
        judged(of::SNAPSHOT, store.oldest_snapshot().await, judge::snapshot),
    ]
}

#[expect(
    clippy::disallowed_methods,
    reason = "this machine's clock is what is compared with the database's"
)]
fn our_clock() -> Timestamp {
    Timestamp::now()
}

/// What our tables say.
async fn tables(store: &Store) -> Vec<Finding> {
    let ours = env!("CARGO_PKG_VERSION");
    let (jobs, unwell) = (store.jobs().counts().await, store.orgs().unwell().await);
    vec![
        judged(of::PROCESSES, store.processes().alive().await, |alive| {
            judge::processes(&alive, ours)
        }),
        judged(of::DUE, jobs.as_ref(), |counts| judge::due(counts)),
        judged(of::DEAD_JOBS, jobs.as_ref(), |counts| judge::dead(counts)),
        judged(of::OUTBOX, store.outbox().waiting().await, judge::outbox),
        judged(of::PAUSES, store.pauses().list().await, |pauses| {
            judge::paused(&pauses)
        }),
        judged(of::SECRETS, store.orgs().secrets().await, |secrets| {
            judge::secrets(&secrets)
        }),
        judged(of::ORGS, unwell.as_ref(), judge::connected),
        judged(of::NIGHTS, unwell.as_ref(), judge::nights),
        judged(of::INSTANCES, store.instances().list().await, |rows| {
            instances(&rows)
        }),
    ]
}

fn judged<T, E: std::borrow::Borrow<StoreError>>(
    check: Check,
    answer: Result<T, E>,
    judge: impl FnOnce(T) -> Finding,
) -> Finding {
    match answer {
        Ok(facts) => judge(facts),
        Err(error) => unread(check, error.borrow()),
    }
}

fn unread(check: Check, error: &StoreError) -> Finding {
    check.bad(error.detail(), "look into the server's log; nightshift migrate")
}

async fn migrations(store: &Store) -> Finding {
    let (applied, wanted) = match store.migration_state().await {
        Ok(state) => (state.applied, state.wanted),
        Err(error) => return unread(of::MIGRATIONS, &error),
    };
    if applied == wanted {
        return of::MIGRATIONS.good(format!("{applied} applied"));
    }
    let remedy = if applied > wanted {
        "use the newer release of nightshift"
    } else {
        "nightshift migrate"
    };
    of::MIGRATIONS.bad(
        format!("the database has {applied}, this program knows {wanted}"),
        remedy,
    )
}

/// Salesforce's instances: which are called, and how long their queues are.
fn instances(rows: &[InstanceRow]) -> Finding {
    let shown = |row: &InstanceRow| {
        let queue = row.pending_mean.map_or_else(String::new, |mean| {
            let last = row.pending_last.unwrap_or(mean);
            format!(", Pending for {mean:.0} s lately, {last:.0} s last")
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
        return of::INSTANCES.good(saw.trim_end_matches("; "));
    }
    of::INSTANCES.note(
        saw,
        "nothing: they are probed by themselves, their orgs' jobs wait; look at status.salesforce.com",
    )
}

async fn broker(settings: &Settings) -> Vec<Finding> {
    if settings.broker.url.is_none() {
        return vec![of::BROKER.note(
            "broker.url is not set; nightshift up runs a queue of its own, scheduler and worker need one",
            "for a fleet set NIGHTSHIFT__BROKER__URL",
        )];
    }
    let remedy = "check broker.url and that the broker runs";
    let queue = match tokio::time::timeout(PATIENCE, wiring::queue_now(settings)).await {
        Ok(Ok(queue)) => queue,
        Ok(Err(error)) => return vec![of::BROKER.bad(error.chain(), remedy)],
        Err(_) => return vec![of::BROKER.bad("no answer within 10 s", remedy)],
    };
    let health = *queue.health().borrow();
    let letters = match queue.list_dead(LETTERS_COUNTED).await {
        _ if health == Health::Blocked => of::BROKER.note(
            "it takes no messages now: an alarm of memory or disk; consuming goes on",
            "free memory or disk at the broker",
        ),
        Ok(dead) if dead.is_empty() => of::BROKER.good("it answers; no dead letters"),
        Ok(dead) => of::BROKER.note(
            format!("it answers; {} dead letter(s)", dead.len()),
            "nightshift queue dead",
        ),
        Err(error) => of::BROKER.bad(error.to_string(), "look into the broker's log"),
    };
    let queues = match queue.inspect().await {
        Ok(queues) => judge::queues(&queues),
        Err(error) => of::QUEUES.bad(error.to_string(), "look into the broker's log"),
    };
    vec![letters, queues]
}
