//! What people do to the queue by hand, and the words in which it is kept.
//!
//! A deed has a person and a reason, always: the one who looks at a night afterwards finds both beside the job or the
//! sync. What a deed writes is `store`'s, how it is spelt the command line's.

use std::{fmt, str::FromStr};

use crate::{
    ids::OrgId,
    job::{Class, JobState},
    sync::UnknownWord,
};

/// Characters of a reason or a person at most.
pub const WORDS_MAX: usize = 1_000;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Deed {
    /// A job was made due at once, with its counts as they were.
    Release,
    /// A job was given up: its sync failed, or without one it was kept as dead or thrown away.
    Fail,
    /// A job was made due at once, as if it had never been tried.
    Requeue,
    /// Something was paused.
    Pause,
    /// A pause was ended.
    Resume,
    /// The dead letters were sent again.
    SendAgain,
}

impl Deed {
    /// All deeds.
    pub const ALL: [Self; 6] = [
        Self::Release,
        Self::Fail,
        Self::Requeue,
        Self::Pause,
        Self::Resume,
        Self::SendAgain,
    ];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Fail => "fail",
            Self::Requeue => "requeue",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::SendAgain => "send_again",
        }
    }

    /// What a deed would do to a job that stands so; `None` where it has no business.
    pub fn to_job(self, state: JobState, of: OfSync) -> Option<JobFate> {
        match (self, state, of) {
            (Self::Release, JobState::Due | JobState::Claimed, _) | (Self::Requeue, _, _) => {
                Some(JobFate::DueNow)
            }
            (Self::Fail, JobState::Dead, _) => Some(JobFate::Gone),
            (Self::Fail, _, OfSync::Yes) => Some(JobFate::SyncFails),
            (Self::Fail, _, OfSync::No) => Some(JobFate::Dead),
            _ => None,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Deed {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|deed| deed.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "deed",
                found: text.to_owned(),
            })
    }
}

/// Whether a job belongs to a sync.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OfSync {
    /// It does.
    Yes,
    /// It is, for example, a notification.
    No,
}

/// What becomes of a job by a deed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum JobFate {
    /// It is announced within a second; whoever runs it now writes nothing any more.
    DueNow,
    /// Its sync fails with `ended_by_hand`, all of the sync's jobs go.
    SyncFails,
    /// It is kept for a person.
    Dead,
    /// It is deleted.
    Gone,
}

impl JobFate {
    /// For the person who is asked.
    pub fn says(self) -> &'static str {
        match self {
            Self::DueNow => "due at once",
            Self::SyncFails => "its sync fails",
            Self::Dead => "kept as dead",
            Self::Gone => "deleted",
        }
    }
}

/// What is paused: nothing of it is announced or claimed until it is resumed; what runs ends.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Paused {
    /// All jobs of a class.
    Class(Class),
    /// All jobs of an org.
    Org(OrgId),
    /// All jobs of all orgs of a Salesforce instance.
    Instance(String),
}

impl Paused {
    /// The kind of thing: `class`, `org` or `instance`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Class(_) => "class",
            Self::Org(_) => "org",
            Self::Instance(_) => "instance",
        }
    }
}

/// Who does it, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hand {
    person: String,
    reason: String,
}

/// Why a deed cannot be kept in words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandError {
    /// Nothing but white space.
    #[error("the {0} is empty; whoever looks at it later needs one")]
    Empty(&'static str),
    /// Longer than can be kept.
    #[error("the {what} has {length} characters, at most {WORDS_MAX} are kept")]
    Long {
        /// `reason` or `person`.
        what: &'static str,
        /// How long.
        length: usize,
    },
}

impl Hand {
    /// A person with a reason; both have 1 to 1,000 characters.
    pub fn new(person: &str, reason: &str) -> Result<Self, HandError> {
        Ok(Self {
            person: words("person", person)?,
            reason: words("reason", reason)?,
        })
    }

    /// Who.
    pub fn person(&self) -> &str {
        &self.person
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// Control characters become spaces: the words are printed in terminals and logs.
fn words(what: &'static str, text: &str) -> Result<String, HandError> {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let plain = plain.trim();
    match plain.chars().count() {
        0 => Err(HandError::Empty(what)),
        length if length > WORDS_MAX => Err(HandError::Long { what, length }),
        _ => Ok(plain.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_without_a_person_or_a_reason_is_none() {
        assert_eq!(Hand::new("", "why"), Err(HandError::Empty("person")));
        assert_eq!(Hand::new("ann", " \n"), Err(HandError::Empty("reason")));
        let long = "x".repeat(WORDS_MAX + 1);
        assert!(matches!(Hand::new("ann", &long), Err(HandError::Long { .. })));
        assert_eq!(
            Hand::new("ann", "one\u{1b}[2Jtwo").unwrap().reason(),
            "one [2Jtwo"
        );
    }

    #[test]
    fn a_job_in_any_state_can_be_failed_and_requeued() {
        for state in [JobState::Due, JobState::Claimed, JobState::Dead] {
            for of in [OfSync::Yes, OfSync::No] {
                assert!(Deed::Fail.to_job(state, of).is_some());
                assert_eq!(Deed::Requeue.to_job(state, of), Some(JobFate::DueNow));
            }
        }
        assert_eq!(Deed::Release.to_job(JobState::Dead, OfSync::No), None);
    }
}
