//! The words and rules of Nightshift: ids, states, schedules, failures, the dictionary's types.
//!
//! Everything here is a value or a pure function: no I/O, no clock, no randomness (they come as arguments).
//! Every other crate speaks these words, so that one thing has one name in code, SQL, JSON and documents.
//! What is done with them is left to the crates that own an outside world (`store`, `queue`, `salesforce`) and
//! to the use cases (`jobs`, `sync`, `connections`).

pub mod admission;
pub mod allowance;
pub mod circuit;
pub mod component;
pub mod effect;
pub mod failure;
pub mod fold;
pub mod hand;
pub mod ids;
pub mod job;
pub mod names;
pub mod organization_id;
pub mod outcome;
pub mod schedule;
pub mod sync;
pub mod trace;

pub use admission::{Admission, Door, OpenSync, Refusal, SyncRequest, admit};
pub use component::{
    ChangeKind, ComponentKey, LeftOut, LeftOutKind, LeftOutReason, ListedEntry, StagedComponent, StagedFile,
};
pub use effect::{Deletions, Effect, HoldReason, OrgFacts, Switch, TypeHealth};
pub use failure::{Actor, CatalogueEntry, FailureCode, Heals};
pub use hand::{Deed, Hand, HandError, JobFate, OfSync, Paused};
pub use ids::{CaseId, EventId, Fence, JobId, OrgId, ProcessId, Revision, SyncId};
pub use job::{Class, JobState, Kind, Lane, NewJob};
pub use names::{NameError, OrgName};
pub use organization_id::{OrganizationId, OrganizationIdError};
pub use outcome::{Bill, Outcome, StepError, Verdict, WaitReason};
pub use sync::{Mode, SyncEvent, SyncState};
pub use trace::{Traceparent, TraceparentError};
