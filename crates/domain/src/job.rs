//! A job: a row that asks for one step.
//!
//! This file has the words that the row, the message and the steps share. The row itself is in `store`, the rules of
//! claiming and settling in `jobs`.

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ids::JobId, sync::UnknownWord};

/// Which queue a job travels through, and so which workers take it. Each class scales by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// start, inventory, finish.
    Control,
    /// retrieve, poll.
    Poll,
    /// ingest: long, heavy on CPU and database.
    Ingest,
    /// Later: dependencies, population.
    Enrich,
    /// Later: deliveries to people.
    Notify,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 5] = [
        Self::Control,
        Self::Poll,
        Self::Ingest,
        Self::Enrich,
        Self::Notify,
    ];

    /// The text form; the queue of a class is `nightshift.` and this.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Poll => "poll",
            Self::Ingest => "ingest",
            Self::Enrich => "enrich",
            Self::Notify => "notify",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "class of jobs",
                found: text.to_owned(),
            })
    }
}

/// The registered name of a step (`poll`, `ingest`, ...). Open: `jobs` knows no list of them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// A name known at compile time.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A name read from a row. Whether a step of that name exists is the registry's question.
    pub fn read(name: String) -> Self {
        Self(Cow::Owned(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the row stands. `Dead` is for a job of no sync that gave up and is kept for a person.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// To be claimed once `not_before` has passed.
    Due,
    /// A worker has it, until its lease runs out.
    Claimed,
    /// Given up, kept.
    Dead,
}

impl JobState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Claimed => "claimed",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for JobState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Due, Self::Claimed, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "state of a job",
                found: text.to_owned(),
            })
    }
}

/// A job's part in the number of things that one org may have open outside (retrieves at Salesforce).
///
/// A job that `Opens` one is announced only while fewer than the limit are open: those that jobs which `Holds` stand
/// for, and the openers already announced. So an org with forty batches asks Salesforce for three at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Not counted.
    #[default]
    Free,
    /// Will open one.
    Opens,
    /// Lives while one is open.
    Holds,
}

impl Lane {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Opens => "opens",
            Self::Holds => "holds",
        }
    }
}

/// A job to insert, in the transaction that makes it needed.
#[derive(Clone, PartialEq, Debug)]
pub struct NewJob {
    /// Drawn by whoever builds it (`store` draws when `None`), fixed by tests.
    pub id: Option<JobId>,
    /// The step.
    pub kind: Kind,
    /// The queue.
    pub class: Class,
    /// What the step needs to find its work, at most 16 KiB of JSON. Never a secret.
    pub payload: serde_json::Value,
    /// Not before this instant of the database's clock; `None` = at once.
    pub not_before: Option<Timestamp>,
    /// Its part in the org's open retrieves.
    pub lane: Lane,
}

impl NewJob {
    /// Due at once, in no lane.
    pub fn new(kind: Kind, class: Class, payload: serde_json::Value) -> Self {
        Self {
            id: None,
            kind,
            class,
            payload,
            not_before: None,
            lane: Lane::Free,
        }
    }

    /// The same, in a lane.
    #[must_use]
    pub fn in_lane(self, lane: Lane) -> Self {
        Self { lane, ..self }
    }

    /// The same, later.
    #[must_use]
    pub fn not_before(self, at: Timestamp) -> Self {
        Self {
            not_before: Some(at),
            ..self
        }
    }
}
