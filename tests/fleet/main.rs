//! The fleet as its users run it: processes of the built program, real PostgreSQL and RabbitMQ, a simulated Salesforce.
//!
//! Each test has a database, a set of queues and a simulator of its own, so that they run side by side.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod cases;
mod changes;
mod collector;
mod crash_points;
mod deaths;
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
mod readers;
mod reports;
mod requests;
mod restored;
mod retries;
mod scaling;
mod secrets;
mod stops;
mod traces;
mod upgrade;
mod wrongs;
