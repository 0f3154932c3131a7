//! Zip bytes to entries, under limits, in one pass over a stream that cannot be rewound.
//!
//! Salesforce hands its zip over once, so it is read while it arrives: no seeking, no temporary file, one entry in
//! memory at a time. No crate reads a stream with all the checks that a hostile or damaged zip needs (data descriptors,
//! CRCs, sizes, the central directory at the end), so this one does. What an entry means is left to `metadata`.

mod central;
mod error;
mod inflate;
mod input;
mod limits;
mod name;
mod reader;

pub use error::ArchiveError;
pub use limits::Limits;
pub use reader::{ArchiveReader, Summary};
