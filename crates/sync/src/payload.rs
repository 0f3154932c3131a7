//! What the jobs of a sync carry in their rows.
//!
//! Small, plain, and versioned by their fields: a worker of the last release must read what this one writes, so fields
//! are added with a default and never renamed. What is large (the members of a batch) stands in rows of its own.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `start`: nothing but the sync itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StartJob {}

/// `inventory`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InventoryJob {
    /// The version that this sync speaks.
    pub api_version: String,
}

/// Part of a planned batch, and what was learnt about it on the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BatchPart {
    /// The version that this sync speaks.
    pub api_version: String,
    /// Number of the planned batch.
    pub batch: i32,
    /// Its members `from..to`; halving narrows them.
    pub from: u32,
    /// See `from`.
    pub to: u32,
    /// How often its retrieve was lost, or its zip lost or broken.
    #[serde(default)]
    pub broken: u32,
    /// How often its zip came and our database could not take it.
    #[serde(default)]
    pub lost_here: u32,
    /// How often it was halved because Salesforce was late.
    #[serde(default)]
    pub late: u32,
    /// Salesforce failed on it once without saying why, or left a companion out; asked again unchanged.
    #[serde(default)]
    pub asked_again: bool,
    /// In how many batches its asked members are asked for, each beside other companions; their files are merged.
    #[serde(default = "once")]
    pub parts: u32,
    /// Types that the org describes and our registry does not know, as far as this batch has them.
    #[serde(default)]
    pub unknown_types: Vec<UnknownType>,
    /// Members that a message named as the culprit: not asked for, and gaps when the part is ingested.
    #[serde(default)]
    pub culprits: Vec<Culprit>,
}

/// A type of a release that is newer than ours: enough to find its files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UnknownType {
    /// Its API name.
    pub name: String,
    /// Its folder in the zip.
    pub directory: String,
    /// Its files' suffix, without dot.
    pub suffix: Option<String>,
    /// Its members live in folders.
    pub in_folder: bool,
    /// A `-meta.xml` lies beside each file.
    pub meta_file: bool,
}

/// A member without which the others can be had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Culprit {
    /// Its type.
    pub type_name: String,
    /// Its readable name.
    pub name: String,
    /// In the words of `LeftOutReason`.
    pub reason: nightshift_domain::LeftOutReason,
    /// Salesforce's words, at most 1,000 characters.
    pub detail: String,
}

/// `retrieve`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RetrieveJob {
    /// What to ask for.
    pub part: BatchPart,
}

/// `poll`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PollJob {
    /// What was asked for.
    pub part: BatchPart,
    /// Salesforce's id of the retrieve.
    pub async_id: String,
    /// When it was asked for, by the database's clock.
    pub asked_at: Timestamp,
    /// When it was first seen in progress; its deadline counts from there.
    #[serde(default)]
    pub in_progress_since: Option<Timestamp>,
    /// When it was last seen in Salesforce's queue.
    #[serde(default)]
    pub pending_at: Option<Timestamp>,
    /// Since when Salesforce has known no retrieve of this id.
    #[serde(default)]
    pub unknown_since: Option<Timestamp>,
}

/// `ingest`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IngestJob {
    /// What was asked for.
    pub part: BatchPart,
    /// Salesforce's id of the retrieve that is ready.
    pub async_id: String,
    /// Its zip came, and our database could not take it: only a new retrieve helps.
    #[serde(default)]
    pub zip_lost: bool,
}

/// `merge`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct MergeJob {}

/// `finish`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FinishJob {
    /// A person said yes to a held revision: it is not held again.
    #[serde(default)]
    pub accepted: bool,
    /// What came in parts is merged.
    #[serde(default)]
    pub merged: bool,
}

fn once() -> u32 {
    1
}

impl BatchPart {
    /// How many members it has.
    pub fn len(&self) -> u32 {
        self.to - self.from
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its halves; `None` for a single member.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let middle = self.from + self.len() / 2;
        (self.len() >= 2).then(|| {
            [
                Self {
                    to: middle,
                    ..self.clone()
                },
                Self {
                    from: middle,
                    ..self.clone()
                },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_ends_at_one_member_and_loses_none() {
        let part = BatchPart {
            api_version: "67.0".into(),
            batch: 1,
            from: 0,
            to: 7,
            broken: 0,
            lost_here: 0,
            late: 0,
            asked_again: false,
            parts: 1,
            unknown_types: vec![],
            culprits: vec![],
        };
        let (mut parts, mut single) = (vec![part], vec![]);
        while let Some(part) = parts.pop() {
            match part.halves() {
                Some(halves) => parts.extend(halves),
                None => single.push(part.from),
            }
        }
        single.sort_unstable();
        assert_eq!(single, [0, 1, 2, 3, 4, 5, 6]);
    }
}
