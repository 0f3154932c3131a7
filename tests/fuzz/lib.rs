//! The bodies of the fuzzers, as the fuzzers see them.

#[path = "bodies.rs"]
pub mod bodies;
