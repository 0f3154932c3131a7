//! `queue release`, `fail`, `requeue`, `dead --requeue`, `pause`, `resume`: what people do to jobs.
//!
//! Jobs are changed in two strides: first it is only said what would be done and to how many; with `--yes` the same list
//! is read again and done, job by job, each only if it still stands as it was read. Rules are `domain`'s, what is
//! written is `store`'s.

use std::process::ExitCode;

use nightshift_domain::{Class, Deed, Hand, JobFate, JobState, Paused};
use nightshift_queue::Queue;
use nightshift_store::{
    Store,
    hands::HandRow,
    jobs::{Done, JobRow, JobsFilter},
    pauses::{Changed, PauseRow},
};
use serde_json::{Value, json};

use super::{id, queue::filter, time};
use crate::{
    cli::{DeedArgs, HandArgs, Json, PauseArgs, PauseKind},
    config::Settings,
    error::CommandError,
    output, wiring,
};

/// Jobs that one command changes at most; the next one goes on.
const JOBS_MAX: i64 = 10_000;
/// Jobs that are named before a deed; the others are counted.
const JOBS_NAMED: usize = 20;

/// Releases, fails or requeues jobs, or says what that would do.
pub async fn deed(settings: &Settings, deed: Deed, args: &DeedArgs) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    if args.id.is_none() && args.which.is_any() && !args.all {
        let message = format!("queue {deed}: name a job, a filter such as --org or --class, or --all");
        return Err(CommandError::Usage(message));
    }
    let filter = JobsFilter {
        job: args.id.as_deref().map(|text| id("job", text)).transpose()?,
        ..filter(&store, &args.which, JOBS_MAX).await?
    };
    let jobs = store.jobs().list(&filter).await?;
    let (fit, others): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.fate(deed).is_some());
    if !args.hand.yes {
        foretell(deed, &fit, others.len(), args.json);
        return Ok(ExitCode::SUCCESS);
    }
    let hand = hand(&args.hand)?;
    let mut tally = Tally::default();
    for job in &fit {
        tally.add(store.jobs().by_hand(deed, &hand, job).await?);
    }
    tally.tell(deed, args.json);
    // one job that was named and not changed is a failure, a few of many are not
    let failed = args.id.is_some() && tally.done == 0;
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// The dry run.
fn foretell(deed: Deed, jobs: &[JobRow], others: usize, json: Json) {
    let says = |job: &JobRow| job.fate(deed).map_or("", JobFate::says);
    if json.json {
        let jobs: Vec<Value> = jobs
            .iter()
            .map(|job| {
                json!({
                    "id": job.id.to_string(), "org": job.org_name, "step": job.kind, "class": job.class.as_str(),
                    "state": job.state.as_str(), "would_be": says(job),
                })
            })
            .collect();
        output::json(
            &json!({ "deed": deed.as_str(), "done": false, "jobs": jobs, "no_business_with": others }),
        );
        return;
    }
    let rows: Vec<_> = jobs
        .iter()
        .take(JOBS_NAMED)
        .map(|job| {
            vec![
                job.id.to_string(),
                job.org_name.clone(),
                job.kind.clone(),
                job.state.as_str().to_owned(),
                says(job).to_owned(),
            ]
        })
        .collect();
    output::table(&["job", "org", "step", "state", "would be"], &rows);
    if jobs.len() > JOBS_NAMED {
        output::line(&format!("... and {} more", jobs.len() - JOBS_NAMED));
    }
    eprintln!(
        "would {deed} {} job(s); nothing was changed. Do it with --yes --reason TEXT",
        jobs.len()
    );
    if others > 0 {
        eprintln!("{others} job(s) that match stand so that {deed} has no business with them");
    }
}

/// What came of a deed to many.
#[derive(Default)]
struct Tally {
    done: usize,
    syncs: usize,
    moved_on: usize,
}

impl Tally {
    fn add(&mut self, done: Done) {
        match done {
            Done::Yes(fate) => {
                self.done += 1;
                self.syncs += usize::from(fate == JobFate::SyncFails);
            }
            Done::MovedOn | Done::NoBusiness => self.moved_on += 1,
        }
    }

    fn tell(&self, deed: Deed, json: Json) {
        if json.json {
            output::json(&json!({
                "deed": deed.as_str(), "done": true, "changed": self.done, "syncs_ended": self.syncs,
                "moved_on": self.moved_on,
            }));
            return;
        }
        let more = match self.moved_on {
            0 => String::new(),
            n => format!("; {n} had moved on or went with their sync"),
        };
        eprintln!("{deed}: {} job(s), {} sync(s) ended{more}", self.done, self.syncs);
    }
}

/// Sends the dead letters again, or says how many there are.
pub async fn send_again(settings: &Settings, args: &HandArgs, json: Json) -> Result<ExitCode, CommandError> {
    let queue = wiring::queue_now(settings).await?;
    if !args.yes {
        let letters = queue.list_dead(JOBS_MAX as usize).await?.len();
        if json.json {
            output::json(&json!({ "deed": Deed::SendAgain.as_str(), "done": false, "letters": letters }));
        } else {
            eprintln!(
                "would send {letters} dead letter(s) again; nothing was changed. Do it with --yes --reason TEXT"
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let hand = hand(args)?;
    let store = wiring::store(settings).await?;
    let sent = queue.requeue_dead().await?;
    store.hands().sent_again(&hand, sent).await?;
    if json.json {
        output::json(&json!({ "requeued": sent }));
    } else {
        eprintln!("{sent} dead letter(s) sent again to where they came from");
    }
    Ok(ExitCode::SUCCESS)
}

/// Pauses.
pub async fn pause(settings: &Settings, args: &PauseArgs) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    let (what, name) = paused(&store, args).await?;
    let hand = hand_of(args.person.as_deref(), &args.reason)?;
    match store.pauses().begin(&what, &name, &hand).await? {
        Changed::Yes => eprintln!(
            "{} {name} is paused: nothing of it is announced or claimed, what runs ends; nightshift queue resume {} {name} --reason TEXT",
            what.kind(),
            what.kind()
        ),
        Changed::WasSo => eprintln!("{} {name} was paused already", what.kind()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Resumes.
pub async fn resume(settings: &Settings, args: &PauseArgs) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    let (what, name) = paused(&store, args).await?;
    let hand = hand_of(args.person.as_deref(), &args.reason)?;
    match store.pauses().end(&what, &name, &hand).await? {
        Changed::Yes => eprintln!("{} {name} goes on", what.kind()),
        Changed::WasSo => eprintln!("{} {name} was not paused", what.kind()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn paused(store: &Store, args: &PauseArgs) -> Result<(Paused, String), CommandError> {
    Ok(match args.kind {
        PauseKind::Class => {
            let class: Class = args.name.parse().map_err(|_| {
                let words: Vec<_> = Class::ALL.iter().map(|class| class.as_str()).collect();
                CommandError::Usage(format!(
                    "{:?} is no class; there are {}",
                    args.name,
                    words.join(", ")
                ))
            })?;
            (Paused::Class(class), args.name.clone())
        }
        PauseKind::Org => {
            let org = store.orgs().find(&args.name).await?;
            (Paused::Org(org.id), org.name)
        }
        // one that nobody knows yet may be paused too: its orgs are connected tomorrow
        PauseKind::Instance => (Paused::Instance(args.name.clone()), args.name.clone()),
    })
}

fn hand(args: &HandArgs) -> Result<Hand, CommandError> {
    hand_of(args.person.as_deref(), args.reason.as_deref().unwrap_or_default())
}

fn hand_of(person: Option<&str>, reason: &str) -> Result<Hand, CommandError> {
    let person = person.map_or_else(wiring::person, str::to_owned);
    Hand::new(&person, reason).map_err(|error| CommandError::Usage(error.to_string()))
}

/// What people did, as `queue show` and `sync show` give it.
pub fn document(hands: &[HandRow]) -> Value {
    let line = |hand: &HandRow| {
        json!({
            "at": hand.at.to_string(), "deed": hand.deed.as_str(), "subject": hand.subject, "person": hand.person,
            "reason": hand.reason, "found": hand.found.map(JobState::as_str),
        })
    };
    hands.iter().map(line).collect()
}

/// The same as lines; nothing when nobody laid hands on it.
pub fn print(hands: &[HandRow]) {
    if hands.is_empty() {
        return;
    }
    let rows: Vec<_> = hands
        .iter()
        .map(|hand| {
            vec![
                time(hand.at),
                hand.deed.to_string(),
                hand.subject.clone(),
                hand.person.clone(),
                hand.reason.clone(),
            ]
        })
        .collect();
    output::line("");
    output::table(&["at", "by hand", "what", "person", "reason"], &rows);
}

/// Pauses as documents.
pub fn pauses(pauses: &[PauseRow]) -> Value {
    let line = |pause: &PauseRow| {
        json!({
            "kind": pause.paused.kind(), "name": pause.name, "since": pause.since.to_string(), "person": pause.person,
            "reason": pause.reason, "jobs_waiting": pause.waiting,
        })
    };
    pauses.iter().map(line).collect()
}
