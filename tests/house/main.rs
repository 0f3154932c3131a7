//! The rules of the house, kept by machine.
//!
//! Each module reads the sources as text: manifests, files, pages. None of them runs the fleet, all of them end within
//! seconds, so that a rule is felt on the day it is broken. A rule that fails says what to do instead. What the
//! compiler and clippy can see (`unwrap`, forbidden calls, missing docs) is theirs, in `Cargo.toml` and `clippy.toml`.

mod commands;
mod coverage;
mod dependencies;
mod edges;
mod files;
mod limits;
mod pages;
mod promises;
mod sources;
mod words;
