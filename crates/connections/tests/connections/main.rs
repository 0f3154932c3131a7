//! Connections on a real PostgreSQL and a simulated Salesforce: each grant, refreshes by many, renewals, the end.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod cuts;
mod desk;
mod grants;
mod refreshes;
mod renewals;
