//! One process for each input: it makes the input, notes where it stands, judges, and tells time and memory.

use std::{fs, process::Command, sync::Mutex, time::Instant};

use serde_json::{Value, json};

use crate::{
    Judged, prepare,
    table::{Row, rows},
};

/// Names the row that a child process is to judge.
const VARIABLE: &str = "NIGHTSHIFT_BAD_INPUT";
/// Begins the line on which it answers.
const ANSWER: &str = "judged: ";
/// At a time: the machine's cores are few, and an input's time is its own.
const HANDS: usize = 2;

/// What a child process saw.
pub struct Seen {
    pub judged: Judged,
    /// By the clock on the wall.
    pub seconds: f64,
    /// Of processors: what a machine that does much else cannot lengthen.
    pub busy: f64,
    /// Beyond what the process had before, in MiB.
    pub mib: f64,
}

/// Judges each row in a process of its own.
pub fn all(rows: &[Row]) -> Vec<(&Row, Result<Seen, String>)> {
    let found = Mutex::new(Vec::new());
    let next = Mutex::new(rows.iter());
    std::thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                loop {
                    let Some(row) = next.lock().unwrap().next() else {
                        return;
                    };
                    let seen = one(row);
                    found.lock().unwrap().push((row, seen));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|(row, _)| rows.iter().position(|other| other.name == row.name));
    found
}

fn one(row: &Row) -> Result<Seen, String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "measure::a_process_of_its_own", "--nocapture"])
        .env(VARIABLE, &row.name)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let answer = stdout.lines().find_map(|line| Some(line.split_once(ANSWER)?.1));
    let Some(answer) = answer else {
        return Err(format!("{stdout} {}", String::from_utf8_lossy(&output.stderr)));
    };
    let answer: Value = serde_json::from_str(answer).unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Ok(Seen {
        judged: Judged {
            code: text("code"),
            text: text("text"),
            harm: text("harm"),
        },
        seconds: answer["seconds"].as_f64().unwrap(),
        busy: answer["busy"].as_f64().unwrap(),
        mib: answer["mib"].as_f64().unwrap(),
    })
}

/// Not a test of its own: without the variable there is nothing to judge.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how the parent process says what to judge"
)]
fn a_process_of_its_own() {
    let Ok(name) = std::env::var(VARIABLE) else { return };
    let row = rows().into_iter().find(|row| row.name == name).unwrap();
    let judge = prepare(&row);
    // the high-water mark is the process's: from here on
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    let (began, busy) = (Instant::now(), busy_seconds());
    let judged = judge();
    let (seconds, busy) = (began.elapsed().as_secs_f64(), busy_seconds() - busy);
    let mib = (memory("VmHWM:") - before) / 1024.0;
    let answer = json!({
        "code": judged.code, "text": judged.text, "harm": judged.harm,
        "seconds": seconds, "busy": busy, "mib": mib,
    });
    println!("\n{ANSWER}{answer}");
}

/// In KiB.
fn memory(line: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let words = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    words.split_whitespace().next().unwrap().parse().unwrap()
}

/// User and system time of all threads; the kernel counts in hundredths.
fn busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = |at: usize| fields.split(' ').nth(at).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
