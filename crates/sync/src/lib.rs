//! One sync of one org: start, inventory, retrieve, poll, ingest, merge where files came in parts, finish.
//!
//! Each step does one short thing and returns what should become of it; between two steps an org costs no worker
//! anything. What is asked for is planned by pure functions (`plan`), what Salesforce answers is judged by the table of
//! `salesforce`, what an answer's files mean by `metadata`; rows are staged and switched by `store`.

pub mod context;
pub mod finish;
pub mod ingest;
pub mod inventory;
pub mod merge;
pub mod payload;
pub mod plan;
pub mod polite;
pub mod poll;
pub mod retrieve;
pub mod settings;
pub mod start;
mod trouble;
mod unfinished;

pub use context::{FIRST_STEP, SyncContext, registry};
pub use polite::PolitenessSettings;
pub use settings::SyncSettings;
