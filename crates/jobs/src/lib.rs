//! The job machinery: run any job safely.
//!
//! A job is a row before it is a message. This crate claims it (lease and fence), runs its step, keeps the lease alive
//! meanwhile, decides what the answer means, settles it in one transaction through `store`, and announces what became
//! due. It knows no Salesforce: steps are registered under names, and the tests use toys. How rows are written is left
//! to `store`, how messages travel to `queue`, what a step does to its own crate.

pub mod admit;
mod alone;
pub mod announce;
pub mod backoff;
pub mod cleanup;
pub mod consume;
pub mod decide;
mod emptied;
pub mod error;
pub mod events;
pub mod runner;
pub mod settings;
pub mod step;
pub mod sweep;

pub use admit::{admit_request, admit_sync};
pub use alone::Alone;
pub use announce::{announce, announce_each};
pub use cleanup::Cleaner;
pub use emptied::tell_again;
pub use error::JobsError;
pub use runner::{Machine, Ran};
pub use settings::JobsSettings;
pub use step::{AfterDeath, Registry, Spent, Step, StepCx};
pub use sweep::Sweeper;
