//! The fleet as its users run it: processes of the built program, real PostgreSQL and RabbitMQ, a simulated Salesforce.
//!
//! Each test has a database, a set of queues and a simulator of its own, so that they run side by side.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod changes;
mod collector;
mod crash_points;
mod doctor;
mod hands;
mod harness;
mod held;
mod hostile;
mod kills;
mod ledger;
mod logins;
mod needles;
mod nights;
mod polite;
mod reports;
mod requests;
mod restored;
mod retries;
mod secrets;
mod traces;
mod wrongs;
