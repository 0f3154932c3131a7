//! Runs every rule over every job and org, and tells the shortest story of what is broken.

use std::{collections::BTreeMap, fmt};

use uuid::Uuid;

use super::{
    event::{Event, Happened, seconds},
    rules::{Rule, subject},
};

/// A rule that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// The events that show it, in order; without any of them it would not be seen. The last one breaks the rule.
    pub story: Vec<Event>,
}

/// All that is broken: of each job and org and rule the first time.
pub fn check(history: &[Event]) -> Vec<Violation> {
    let mut broken = Vec::new();
    for rule in Rule::ALL {
        let mut subjects: BTreeMap<Uuid, Vec<&Event>> = BTreeMap::new();
        for event in history {
            if let Some(subject) = subject(rule, event) {
                subjects.entry(subject).or_default().push(event);
            }
        }
        for events in subjects.values() {
            if let Some(place) = rule.broken_at(events) {
                let story = shortest(rule, &events[..=place]);
                broken.push(Violation { rule, story });
            }
        }
    }
    broken
}

/// Leaves events out, the oldest first, as long as the last one still breaks the rule.
fn shortest(rule: Rule, events: &[&Event]) -> Vec<Event> {
    let mut story = events.to_vec();
    let mut place = 0;
    while place + 1 < story.len() {
        let mut shorter = story.clone();
        shorter.remove(place);
        if rule.broken_at(&shorter) == Some(shorter.len() - 1) {
            story = shorter;
        } else {
            place += 1;
        }
    }
    story.into_iter().cloned().collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "NOT TRUE: {}", self.rule)?;
        let Some(first) = self.story.first() else {
            return Ok(());
        };
        writeln!(f, "  org {}", first.org)?;
        for event in &self.story {
            let since = seconds(event.at - first.at);
            write!(f, "  {since:>9.3} s  tx {:<6} ", event.tx)?;
            match (event.job, event.sync) {
                (Some(job), _) => write!(f, "job {job} ")?,
                (None, Some(sync)) => write!(f, "sync {sync} ")?,
                (None, None) => {}
            }
            write!(f, "{}", event.happened)?;
            if let Happened::Claimed { lease, .. } | Happened::Kept { lease, .. } = event.happened {
                write!(f, ", good until {:.3} s", seconds(lease - first.at))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
