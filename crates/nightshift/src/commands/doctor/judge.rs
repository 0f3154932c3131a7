//! What is good or bad about what was seen. Pure: the facts come as arguments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nightshift_domain::Class;
use nightshift_queue::QueueFacts;
use nightshift_store::{
    jobs::ClassCount,
    orgs::{Secrets, Unwell},
    pauses::PauseRow,
    processes::ProcessRow,
    server::{OldestSnapshot, ServerFacts},
};

use super::{check, finding::Finding};

/// Without them no sync gets anywhere.
const NEEDED: [Class; 3] = [Class::Control, Class::Poll, Class::Ingest];
/// Names that one line shows.
const NAMED: usize = 5;

pub fn version(server: &ServerFacts) -> Finding {
    if server.version_number < 150_000 {
        let remedy = "upgrade the server: PostgreSQL 15 is the oldest that is tested";
        return check::DATABASE.bad(&server.version, remedy);
    }
    check::DATABASE.good(&server.version)
}

/// `asked` and `answered` are this machine's clock around the question.
pub fn clock(server: Timestamp, asked: Timestamp, answered: Timestamp) -> Finding {
    let early = asked.duration_since(server).as_secs_f64();
    let late = server.duration_since(answered).as_secs_f64();
    let skew = early.max(late).max(0.0);
    let saw = format!("this machine's clock and the database's differ by {skew:.1} s at least");
    let remedy = "let time be kept by NTP on both machines";
    if skew > 180.0 {
        return check::CLOCK.bad(saw, remedy);
    }
    if skew > 5.0 {
        return check::CLOCK.note(saw, remedy);
    }
    check::CLOCK.good("this machine's clock agrees with the database's")
}

pub fn connections(server: &ServerFacts, processes: usize, each: u32) -> Finding {
    let (there, room) = (server.connections, server.connections_max);
    let wanted = i64::try_from(processes)
        .unwrap_or(i64::MAX)
        .saturating_mul(i64::from(each));
    let saw = format!("{there} of {room} connections are taken; {processes} process(es) may take {wanted}");
    if there * 100 >= room * 95 {
        return check::CONNECTIONS.bad(saw, "raise max_connections, or lower database.max_connections");
    }
    if wanted > room {
        return check::CONNECTIONS.note(
            saw,
            "raise max_connections, lower database.max_connections, or put a pooler in session mode between",
        );
    }
    check::CONNECTIONS.good(saw)
}

pub fn snapshot(oldest: OldestSnapshot) -> Finding {
    let OldestSnapshot {
        seconds,
        transactions,
    } = oldest;
    let saw = format!("the oldest snapshot is {seconds:.0} s and {transactions} transactions old");
    if seconds > 1_800.0 || transactions > 5_000_000 {
        return check::SNAPSHOT.note(saw, "docs/runbooks/old-snapshot.md says how to find and end it");
    }
    check::SNAPSHOT.good(saw)
}

pub fn vacuum(server: &ServerFacts) -> Finding {
    let (dead, live) = (server.dead_jobs, server.live_jobs);
    let saw = format!("{dead} dead and {live} live rows in the job table");
    if !server.autovacuum {
        return check::VACUUM.bad(
            format!("autovacuum is off; {saw}"),
            "autovacuum = on, and no autovacuum_enabled = false at table job",
        );
    }
    if dead > 10_000.max(live.saturating_mul(5)) {
        return check::VACUUM.note(saw, "look for an old snapshot, then VACUUM job");
    }
    check::VACUUM.good(saw)
}

pub fn processes(alive: &[ProcessRow], ours: &str) -> Finding {
    let of_kind = |kind: &str| alive.iter().filter(|process| process.kind == kind).count();
    let (schedulers, workers) = (of_kind("scheduler"), of_kind("worker"));
    let consumed: BTreeSet<&str> = alive
        .iter()
        .flat_map(|process| process.classes.split(','))
        .map(str::trim)
        .collect();
    let versions: BTreeMap<&str, usize> = alive.iter().fold(BTreeMap::new(), |mut counts, process| {
        *counts.entry(process.version.as_str()).or_default() += 1;
        counts
    });
    let versions: Vec<String> = versions
        .iter()
        .map(|(version, count)| format!("{count} of {version}"))
        .collect();
    let unserved: Vec<&str> = NEEDED
        .iter()
        .map(|class| class.as_str())
        .filter(|class| !consumed.contains(class))
        .collect();
    let mut saw = format!("{schedulers} scheduler(s) and {workers} worker(s) seen within a minute");
    if !versions.is_empty() {
        saw = format!("{saw} ({}; this is {ours})", versions.join(", "));
    }
    if schedulers == 0 || workers == 0 {
        return check::PROCESSES.note(saw, "start nightshift scheduler and nightshift worker");
    }
    if !unserved.is_empty() {
        let remedy = format!("start nightshift worker --classes {}", unserved.join(","));
        return check::PROCESSES.note(format!("{saw}; none takes {}", unserved.join(", ")), remedy);
    }
    if versions.len() > 1 {
        return check::PROCESSES.note(
            saw,
            "nothing during an upgrade; afterwards restart the older ones",
        );
    }
    check::PROCESSES.good(saw)
}

pub fn due(counts: &[ClassCount]) -> Finding {
    let oldest = counts
        .iter()
        .max_by(|one, other| one.oldest_due_seconds.total_cmp(&other.oldest_due_seconds));
    let Some(oldest) = oldest.filter(|count| count.oldest_due_seconds > 0.0) else {
        return check::DUE.good("no job is due and unclaimed");
    };
    let saw = format!(
        "the oldest job that is due and unclaimed is of class {} and waits for {:.0} s",
        oldest.class, oldest.oldest_due_seconds
    );
    let remedy = "docs/runbooks/jobs-wait.md: too few workers of the class, or they take nothing";
    match oldest.oldest_due_seconds {
        seconds if seconds > 900.0 => check::DUE.bad(saw, remedy),
        seconds if seconds > 120.0 => check::DUE.note(saw, remedy),
        _ => check::DUE.good(saw),
    }
}

pub fn outbox(waiting: i64) -> Finding {
    let saw = format!("{waiting} event(s) wait for the broker");
    if waiting > 1_000 {
        return check::OUTBOX.note(saw, "docs/runbooks/outbox-grows.md");
    }
    check::OUTBOX.good(saw)
}

pub fn dead(counts: &[ClassCount]) -> Finding {
    let dead: i64 = counts.iter().map(|count| count.dead).sum();
    if dead > 0 {
        return check::DEAD_JOBS.note(
            format!("{dead} job(s) gave up and wait for a person"),
            "nightshift queue list --state dead, then queue requeue or queue fail --state dead",
        );
    }
    check::DEAD_JOBS.good("no job gave up")
}

pub fn paused(pauses: &[PauseRow]) -> Finding {
    if pauses.is_empty() {
        return check::PAUSES.good("nothing is paused");
    }
    let told: Vec<String> = pauses
        .iter()
        .take(NAMED)
        .map(|pause| format!("{} ({} job(s) wait)", pause.says(), pause.waiting))
        .collect();
    check::PAUSES.note(
        told.join("; "),
        "if nobody wants it any more: nightshift queue resume class|org|instance NAME --reason TEXT",
    )
}

pub fn secrets(secrets: &Secrets) -> Finding {
    let Secrets { orgs, unreadable } = secrets;
    if unreadable.is_empty() {
        return check::SECRETS.good(format!(
            "what is stored of {orgs} org(s) opens with the keys at hand"
        ));
    }
    let (org, reason) = &unreadable[0];
    check::SECRETS.bad(
        format!("{} of {orgs} org(s) cannot be read, {org} for one: {reason}", unreadable.len()),
        "add the key that they were encrypted with to secrets.key, after the first; without it connect them again",
    )
}

pub fn connected(unwell: &Unwell) -> Finding {
    let Unwell { broken, orgs, .. } = unwell;
    if broken.is_empty() {
        return check::ORGS.good(format!("no connection of {orgs} org(s) is known to be broken"));
    }
    let named: Vec<String> = broken
        .iter()
        .take(NAMED)
        .map(|(org, code)| format!("{org} ({code})"))
        .collect();
    check::ORGS.note(
        format!(
            "{} of {orgs} org(s) have no working connection: {}",
            broken.len(),
            named.join(", ")
        ),
        "nightshift case list; nightshift org login ORG, or org reauthenticate",
    )
}

pub fn nights(unwell: &Unwell) -> Finding {
    let missed = unwell.nights_missed;
    if missed == 0 {
        return check::NIGHTS.good("no night was missed within two days");
    }
    check::NIGHTS.note(
        format!("{missed} night(s) were missed within two days"),
        "docs/runbooks/nights-missed.md; the cases night_missed say why",
    )
}

pub fn queues(queues: &[QueueFacts]) -> Finding {
    let told: Vec<String> = queues
        .iter()
        .map(|queue| {
            format!(
                "{} {} message(s), {} consumer(s)",
                queue.name, queue.messages, queue.consumers
            )
        })
        .collect();
    let saw = told.join("; ");
    let foreign: Vec<&str> = queues
        .iter()
        .filter(|queue| !queue.as_declared)
        .map(|queue| queue.name.as_str())
        .collect();
    if !foreign.is_empty() {
        return check::QUEUES.note(
            format!("with other arguments than ours: {}; {saw}", foreign.join(", ")),
            "delete it when it is empty, every process declares it anew as a quorum queue; set limits by policies",
        );
    }
    let deaf: Vec<&str> = queues
        .iter()
        .filter(|queue| queue.consumers == 0 && NEEDED.iter().any(|class| queue.class == Some(*class)))
        .map(|queue| queue.name.as_str())
        .collect();
    if !deaf.is_empty() {
        let remedy = "start workers of these classes; docs/runbooks/due-but-nothing-claimed.md";
        return check::QUEUES.note(format!("nobody consumes {}; {saw}", deaf.join(", ")), remedy);
    }
    check::QUEUES.good(saw)
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Verdict, *};

    fn server() -> ServerFacts {
        ServerFacts {
            version: "PostgreSQL 15.4".into(),
            version_number: 150_004,
            clock: at(0),
            connections_max: 97,
            connections: 20,
            autovacuum: true,
            dead_jobs: 10,
            live_jobs: 100,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn process(kind: &str, classes: &str, version: &str) -> ProcessRow {
        ProcessRow {
            id: nightshift_domain::ProcessId::from_uuid(uuid::Uuid::nil()),
            kind: kind.into(),
            classes: classes.into(),
            host: "h".into(),
            version: version.into(),
            seen_at: at(0),
        }
    }

    fn count(class: Class, oldest_due_seconds: f64, dead: i64) -> ClassCount {
        ClassCount {
            class,
            due: 1,
            waiting: 0,
            claimed: 0,
            dead,
            oldest_due_seconds,
        }
    }

    fn queue(class: Class, consumers: u32, as_declared: bool) -> QueueFacts {
        QueueFacts {
            name: format!("nightshift.{class}"),
            class: Some(class),
            messages: 3,
            consumers,
            as_declared,
        }
    }

    /// Every check in its good, its doubtful and its bad case, as they are printed.
    #[test]
    fn each_check_says_what_it_saw_why_it_matters_and_what_to_do() {
        let whole = [
            process("scheduler", "", "1.0.0"),
            process("worker", "control,poll,ingest", "1.0.0"),
        ];
        let mixed = [
            whole[0].clone(),
            process("worker", "control,poll,ingest", "0.9.0"),
        ];
        let partly = [whole[0].clone(), process("worker", "control,poll", "1.0.0")];
        let unwell = Unwell {
            orgs: 9,
            broken: vec![("acme".into(), "token_revoked".into())],
            nights_missed: 2,
        };
        let well = Unwell {
            orgs: 9,
            broken: vec![],
            nights_missed: 0,
        };
        let pause = PauseRow {
            paused: nightshift_domain::Paused::Class(Class::Ingest),
            name: "ingest".into(),
            since: at(0),
            person: "ann".into(),
            reason: "the disk is full".into(),
            waiting: 7,
        };
        let findings = [
            version(&server()),
            version(&ServerFacts {
                version: "PostgreSQL 14.9".into(),
                version_number: 140_009,
                ..server()
            }),
            clock(at(0), at(-1), at(1)),
            clock(at(60), at(0), at(1)),
            clock(at(-600), at(0), at(1)),
            connections(&server(), 4, 10),
            connections(&server(), 40, 10),
            connections(
                &ServerFacts {
                    connections: 95,
                    ..server()
                },
                4,
                10,
            ),
            snapshot(OldestSnapshot {
                seconds: 3.0,
                transactions: 10,
            }),
            snapshot(OldestSnapshot {
                seconds: 7_200.0,
                transactions: 10,
            }),
            snapshot(OldestSnapshot {
                seconds: 0.0,
                transactions: 6_000_000,
            }),
            vacuum(&server()),
            vacuum(&ServerFacts {
                dead_jobs: 50_000,
                ..server()
            }),
            vacuum(&ServerFacts {
                autovacuum: false,
                ..server()
            }),
            processes(&whole, "1.0.0"),
            processes(&mixed, "1.0.0"),
            processes(&partly, "1.0.0"),
            processes(&[], "1.0.0"),
            due(&[]),
            due(&[count(Class::Poll, 3.0, 0), count(Class::Ingest, 300.0, 0)]),
            due(&[count(Class::Poll, 1_000.0, 0)]),
            outbox(3),
            outbox(5_000),
            dead(&[count(Class::Notify, 0.0, 0)]),
            dead(&[count(Class::Notify, 0.0, 2)]),
            paused(&[]),
            paused(&[pause]),
            secrets(&Secrets {
                orgs: 9,
                unreadable: vec![],
            }),
            secrets(&Secrets {
                orgs: 9,
                unreadable: vec![("acme".into(), "key \"k1\" is not at hand".into())],
            }),
            connected(&well),
            connected(&unwell),
            nights(&well),
            nights(&unwell),
            queues(&[queue(Class::Poll, 2, true)]),
            queues(&[queue(Class::Poll, 0, true), queue(Class::Notify, 0, true)]),
            queues(&[queue(Class::Poll, 2, false)]),
        ];
        for found in &findings {
            assert!(!found.saw.is_empty() && found.why.len() > 20, "{found:?}");
            assert_eq!(
                found.remedy.is_empty(),
                found.verdict == Verdict::Good,
                "{found:?}"
            );
        }
        let lines: Vec<String> = findings
            .iter()
            .map(|found| {
                format!(
                    "{} {}: {} | {}",
                    found.verdict.as_str(),
                    found.thing,
                    found.saw,
                    found.remedy
                )
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
