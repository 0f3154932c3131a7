//! A zip, as it comes over the network, to its entries, one after the other and under limits.
//!
//! Salesforce hands a retrieve's zip over once, inside the answer of a SOAP call: it can be neither sought in nor
//! fetched again. The zip crates either need to seek or leave checks out (data descriptors, the names of the central
//! directory, truncation), so this reader makes one pass and believes nothing: every CRC, size, name and count is
//! compared with what was really there, and what passes a limit of [`Limits`] is an error that has a code.
//!
//! It is pure and synchronous, and holds a buffer, the names and what the caller unpacks, never the zip. Base64 and
//! HTTP stand before it (any [`std::io::Read`]); what an entry means is the business of `metadata`.
//!
//! Stations of one zip: `reader` (whose turn it is), `source` (bytes), `record` (layouts), `name` (rules), `body` (one
//! member's data), `descriptor` (what follows it), `members` (what was read), `tail` (central directory and end).

mod body;
mod descriptor;
mod error;
mod limits;
mod members;
mod name;
mod reader;
mod record;
mod source;
mod tail;

pub use error::{ArchiveError, Damage, Feature, Measure, NameRule};
pub use limits::Limits;
pub use members::{Lookalikes, Summary};
pub use reader::{ArchiveReader, Entry};
