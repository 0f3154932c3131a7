//! A retrieve answer as Salesforce would send it, made from numbers: the same bytes in every run and on every machine.

mod envelope;
mod files;
mod noise;
mod tree;

pub use envelope::{Answer, write_answer, zip_text};
pub use tree::{File, SIZES};
