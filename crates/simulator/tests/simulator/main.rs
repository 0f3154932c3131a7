//! The simulator as a client sees it: every test talks to a running one over HTTP.
//!
//! The client here is written for these tests alone (`client`), with its own reading of envelopes and zips, so that a
//! mistake of the simulator is not undone by the same mistake in a shared helper.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test ends where something is not as it should be"
)]

mod client;
mod control;
mod faults;
mod folder;
mod generated;
mod limits;
mod login;
mod metadata;
mod misbehaviours;
mod named;
mod oddities;
mod projects;
mod queries;
mod sessions;
mod shows;
