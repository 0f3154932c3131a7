//! What the machinery tells: each event's log line and metric, raised here and nowhere else.
//!
//! Metrics travel as `tracing` events with target `nightshift::metric`; `telemetry` turns them into counters.

use std::time::Duration;

use domain::{FailureCode, JobId, Kind, OrgId, circuit::Circuit};
use nightshift_domain as domain;
use nightshift_store::{instances::InstanceRow, jobs::ClassCount, server::OldestSnapshot};

/// A job was claimed.
pub fn claimed(kind: &Kind) {
    tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_total", kind = kind.as_str(), value = 1_u64);
}

/// A message found nothing to claim: a duplicate, too early, or gone.
pub fn refused(class: domain::Class) {
    tracing::info!(target: "nightshift::metric", counter = "nightshift_claims_refused_total", class = class.as_str(), value = 1_u64);
}

/// A claim found that the last lease had run out.
pub fn death(org: OrgId, job: JobId, kind: &Kind, deaths: u32) {
    tracing::warn!(org.id = %org, job.id = %job, job.step = kind.as_str(), job.deaths = deaths, "a worker died on job {job} in {kind}; death {deaths}");
    tracing::info!(target: "nightshift::metric", counter = "nightshift_deaths_total", kind = kind.as_str(), value = 1_u64);
}

/// The queue has nothing any more of what it had been told: so many jobs are announced anew.
pub fn queue_emptied(jobs: u64) {
    if jobs > 0 {
        tracing::warn!(
            jobs,
            "the queue has forgotten what it was told; {jobs} jobs are announced again"
        );
    }
}

/// The lease ran out under a running step; its effects were refused.
pub fn lease_lost(org: OrgId, job: JobId, kind: &Kind) {
    tracing::warn!(org.id = %org, job.id = %job, job.step = kind.as_str(), "lease_lost: lost the lease of job {job} in {kind}");
    tracing::info!(target: "nightshift::metric", counter = "nightshift_lease_losses_total", kind = kind.as_str(), value = 1_u64);
}

/// A step's answer was settled.
pub fn settled(org: OrgId, job: JobId, kind: &Kind, outcome: &'static str, took: Duration) {
    let step_ms = took.as_millis() as u64;
    tracing::info!(org.id = %org, job.id = %job, job.step = kind.as_str(), job.outcome = outcome, step_ms, "{kind} of job {job}: {outcome} after {step_ms} ms");
    tracing::info!(target: "nightshift::metric", histogram = "nightshift_step_seconds", kind = kind.as_str(), outcome, seconds = took.as_secs_f64());
}

/// A sync's failure was settled.
pub fn failed(org: OrgId, job: JobId, kind: &Kind, code: FailureCode, message: &str) {
    tracing::warn!(org.id = %org, job.id = %job, job.step = kind.as_str(), failure.code = code.as_str(), "{kind} failed for good with {code}: {message}");
    tracing::info!(target: "nightshift::metric", counter = "nightshift_failures_total", code = code.as_str(), value = 1_u64);
}

/// A step's error, with another attempt to come.
pub fn retry(org: OrgId, job: JobId, kind: &Kind, code: FailureCode, message: &str) {
    tracing::info!(org.id = %org, job.id = %job, job.step = kind.as_str(), failure.code = code.as_str(), "{kind} will be tried again after {code}: {message}");
    tracing::info!(target: "nightshift::metric", counter = "nightshift_retries_total", kind = kind.as_str(), code = code.as_str(), value = 1_u64);
}

/// Jobs were told to the queue.
pub fn announced(class: domain::Class, jobs: usize) {
    tracing::info!(target: "nightshift::metric", counter = "nightshift_announcements_total", class = class.as_str(), value = jobs as u64);
}

/// Of them, so many had been told before.
pub fn announced_again(class: domain::Class, jobs: usize) {
    tracing::info!(target: "nightshift::metric", counter = "nightshift_announcements_repeated_total", class = class.as_str(), value = jobs as u64);
}

/// The broker could not route a job's message.
pub fn unroutable(class: domain::Class) {
    tracing::warn!(
        job.class = class.as_str(),
        "the broker has no queue for class {class}; the sweep announces again"
    );
    tracing::info!(target: "nightshift::metric", counter = "nightshift_unroutable_total", class = class.as_str(), value = 1_u64);
}

/// The database could not be asked; the message goes back.
pub fn not_run(job: JobId, error: &dyn std::error::Error) {
    tracing::warn!(job.id = %job, error = %error, "job {job} could not be claimed or settled; its message goes back");
}

/// The sweep made a round.
pub fn swept() {
    tracing::info!(target: "nightshift::metric", counter = "nightshift_sweeps_total", value = 1_u64);
}

/// How many jobs there are, by class and state. A class without jobs is told too: a gauge keeps what it was last told.
pub fn counted(counts: &[ClassCount]) {
    for class in domain::Class::ALL {
        let found = counts.iter().find(|count| count.class == class);
        let of = |field: fn(&ClassCount) -> i64| found.map_or(0, field);
        let word = class.as_str();
        for (state, jobs) in [
            ("due", of(|count| count.due)),
            ("waiting", of(|count| count.waiting)),
            ("claimed", of(|count| count.claimed)),
            ("dead", of(|count| count.dead)),
        ] {
            tracing::info!(target: "nightshift::metric", gauge = "nightshift_jobs", class = word, state, value = jobs);
        }
        let oldest = found.map_or_else(Default::default, |count| count.oldest_due_seconds);
        tracing::info!(target: "nightshift::metric", gauge = "nightshift_oldest_due_seconds", class = word, value = oldest);
    }
}

/// Which instances are not called, of all that something is known of: those that are called again are told too.
pub fn circuits(instances: &[InstanceRow]) {
    for row in instances {
        let (instance, open) = (row.name.as_str(), row.health.circuit != Circuit::Closed);
        tracing::info!(target: "nightshift::metric", gauge = "nightshift_circuit_open", instance, value = i64::from(open));
    }
}

/// How many classes, orgs and instances are paused.
pub fn paused(counts: &[(&'static str, i64)]) {
    for (kind, pauses) in counts {
        tracing::info!(target: "nightshift::metric", gauge = "nightshift_pauses", kind = *kind, value = *pauses);
    }
}

/// How many orgs have how much left of their day's API requests.
pub fn requests_left(counts: &[(&'static str, i64)]) {
    for (left, orgs) in counts {
        tracing::info!(target: "nightshift::metric", gauge = "nightshift_orgs_requests_left", left = *left, value = *orgs);
    }
}

/// What keeps the database from cleaning up behind the job table.
pub fn oldest_snapshot(snapshot: OldestSnapshot) {
    tracing::info!(target: "nightshift::metric", gauge = "nightshift_xmin_age_seconds", value = snapshot.seconds);
    tracing::info!(target: "nightshift::metric", gauge = "nightshift_xmin_age_transactions", value = snapshot.transactions);
}

/// How many events wait for the broker.
pub fn unsent(events: i64) {
    tracing::info!(target: "nightshift::metric", gauge = "nightshift_outbox", value = events);
}

/// An event of a sync or a case has left: what it tells is counted here, where each passes once.
pub fn published(topic: &str, body: &serde_json::Value) {
    let text = |key: &str| body[key].as_str().unwrap_or("unknown").to_owned();
    match topic {
        "case.opened" => {
            tracing::info!(target: "nightshift::metric", counter = "nightshift_cases_opened_total", code = text("code"), value = 1_u64);
        }
        "case.resolved" => {
            tracing::info!(target: "nightshift::metric", counter = "nightshift_cases_resolved_total", code = text("code"), value = 1_u64);
        }
        _ if topic.starts_with("sync.") => {
            let code = body["failure_code"].as_str().unwrap_or("none").to_owned();
            tracing::info!(target: "nightshift::metric", counter = "nightshift_syncs_total", state = text("state"), code, value = 1_u64);
            if let Some(seconds) = body["seconds"].as_f64() {
                tracing::info!(target: "nightshift::metric", histogram = "nightshift_sync_seconds", state = text("state"), seconds);
            }
        }
        _ => {}
    }
}
