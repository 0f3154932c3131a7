//! The dictionary of an org's metadata: versions of components and files, revisions of the whole.
//!
//! Readers see whole revisions. What a sync finds is staged; [`switch`] alone turns it into versions, in the
//! transaction that settles `finish`, with the org's row locked. A version holds from one revision to another, so
//! history and the difference of any two nights are plain queries.

mod blobs;
mod doubt;
mod parts;
mod plan;
#[cfg(test)]
mod plan_tests;
mod read;
mod switch;

use crate::Store;

pub(crate) use blobs::collect;
pub use parts::Parted;
pub use plan::{DeltaRow, ListedMember};
pub use read::{Change, ExportRow};
pub(crate) use switch::switch;

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Dictionary<'a> {
    pub(crate) store: &'a Store,
}

impl Store {
    /// The dictionary.
    pub fn dictionary(&self) -> Dictionary<'_> {
        Dictionary { store: self }
    }
}
