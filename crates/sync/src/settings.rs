//! The numbers by which a sync plans, polls and gives up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[sync]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncSettings {
    /// After how many seconds of `InProgress` a retrieve counts as late.
    pub poll_deadline_seconds: u64,
    /// After how many seconds in which Salesforce knew no retrieve of its id a retrieve counts as lost and is asked for
    /// anew: an id may be unknown for a minute after it was given, and for a moment when the retrieve leaves the queue.
    pub poll_unknown_seconds: u64,
    /// How long a sync that was started by hand may wait in all, in seconds. One of a slot waits until the window ends.
    pub patience_seconds: u64,
    /// The first delay between two polls, in milliseconds; it grows to `poll_max_seconds`.
    pub poll_first_millis: u64,
    /// The longest delay between two polls, in seconds.
    pub poll_max_seconds: u64,
    /// Most files that a batch is planned for (Salesforce allows 10,000).
    pub batch_files: u32,
    /// Most unpacked bytes that a batch is planned for.
    pub batch_bytes: u64,
    /// Every how many nights everything is retrieved again; 0 = never.
    pub full_every_nights: u32,
    /// A revision that would delete more than this share of the org, in percent, and `held_min` components, is held.
    pub held_percent: u32,
    /// See `held_percent`.
    pub held_min: u32,
    /// A type of at least so many components that would lose half of them holds the revision.
    pub held_type_min: u32,
    /// How many listing calls of one org run at a time.
    pub concurrent_lists: u32,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            poll_deadline_seconds: 3_600,
            poll_unknown_seconds: 120,
            patience_seconds: 600,
            poll_first_millis: 2_000,
            poll_max_seconds: 240,
            batch_files: 5_000,
            batch_bytes: 150 << 20,
            full_every_nights: 28,
            held_percent: 10,
            held_min: 20,
            held_type_min: 10,
            concurrent_lists: 4,
        }
    }
}

impl SyncSettings {
    /// How long `InProgress` is not late.
    pub fn poll_deadline(&self) -> Duration {
        Duration::from_secs(self.poll_deadline_seconds)
    }

    /// How long an unknown id is not a lost retrieve.
    pub fn poll_unknown(&self) -> Duration {
        Duration::from_secs(self.poll_unknown_seconds)
    }
}
