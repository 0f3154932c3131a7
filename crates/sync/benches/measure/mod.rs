//! Rounds, medians, and what a process says about itself.

use std::{fmt, fs, process::Command, time::Instant};

/// Fewest rounds whose median means something.
pub const ROUNDS: usize = 3;

/// Whether the command line names a part of the benches; where it names none, all are meant.
pub fn asked(part: &str) -> bool {
    let mut named = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .peekable();
    named.peek().is_none() || named.any(|word| word == part)
}

/// Figures of several rounds.
#[derive(Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Below which such a part of them lies.
    pub fn quantile(&self, part: f64) -> f64 {
        let at = (self.0.len() as f64 * part) as usize;
        self.0[at.min(self.0.len() - 1)]
    }
}

/// The median, and the range behind it.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let (low, high) = (self.0[0], self.0[self.0.len() - 1]);
        write!(
            f,
            "{:.digits$} ({low:.digits$} to {high:.digits$})",
            self.median()
        )
    }
}

/// What a process that must end well says.
pub fn line_of(process: &mut Command) -> String {
    let output = process.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Seconds that some work takes.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

/// Processor time that this thread takes for some work, in seconds: what others do on the machine is not in it.
pub fn thread_seconds(work: impl FnOnce()) -> f64 {
    let used = || {
        // The kernel adds up a thread's time when it leaves the processor.
        std::thread::yield_now();
        let line = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let before = used();
    work();
    (used() - before) as f64 / 1e9
}

/// Processor time of pieces of work in turn, round after round: a slow minute of the machine falls on all of them.
pub fn in_turn(rounds: usize, works: &mut [&mut dyn FnMut()]) -> Vec<Figures> {
    let mut figures = vec![Figures::default(); works.len()];
    for _ in 0..rounds {
        for (work, figures) in works.iter_mut().zip(&mut figures) {
            figures.add(thread_seconds(work));
        }
    }
    figures
}

/// Binds a process, all its threads, to these cores; says whether it could.
pub fn pin(process: u32, cores: &str) -> bool {
    let pid = process.to_string();
    let taskset = Command::new("taskset")
        .args(["-a", "-c", "-p", cores, &pid])
        .output();
    taskset.is_ok_and(|output| output.status.success())
}

/// The most memory that a process held at a time, in MB.
pub fn peak_megabytes(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024.0 / 1e6
}

/// Processor time that a process has used, in seconds.
pub fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name stands in brackets and may hold anything; user and system time are the 12th and 13th field behind it.
    let (_, behind) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = behind
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}
