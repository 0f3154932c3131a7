//! The client against the simulator: what a sync does with an org, and each thing that may go wrong on the way.
//!
//! The simulator knows nothing of this crate, so both must have read Salesforce's manners alike. Each failure is
//! checked by what a step would do with it: its code, and whether to wait, to try again, to ask a person.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod bulk;
mod desk;
mod grants;
mod queries;
mod reads;
mod retrieves;
mod sessions;
mod tokens;
mod zips;
