//! What of the program others may hold in their hands: its configuration.
//!
//! Tests and fuzzers read sources as the program does, without a process of their own. Everything else is the
//! binary's (`main.rs`).

pub mod config;
