//! Jobs through the machinery beside a bare loop of the same calls, beside a million waiting rows, under a snapshot that
//! somebody holds; and how long a message takes to be claimed. Prints figures and ratios, asserts nothing on time.
//! `make bench-jobs`.
#![allow(
    clippy::unwrap_used,
    reason = "a bench ends where something is not as it should be"
)]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

mod bare;
mod held;
mod latency;
#[path = "../../../sync/benches/measure/mod.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod measure;
mod memory;
mod ours;
mod peers;
mod site;
mod waiting;

use std::sync::Arc;

use bare::{Messages, Rows};
use measure::{Figures, ROUNDS, asked};
use ours::Ours;
use site::Site;

/// Jobs at a time, and chains: two a worker.
pub const AT_A_TIME: u16 = 16;
pub const CHAINS: u32 = 32;

/// Ours, the bare loop and its two halves, in turn.
async fn whole() {
    let (our_site, bare_site) = (Site::new(CHAINS).await, Site::new(CHAINS).await);
    let alone_site = Site::new(CHAINS).await;
    let machine = Ours::on(&our_site).await;
    let (rows, messages) = (
        Rows::on(&bare_site).await,
        Arc::new(Messages::of(&bare_site.chains).await),
    );
    let lone_messages = Arc::new(Messages::of(&bare_site.chains).await);
    let lone_rows = Rows::on(&alone_site).await;
    let mut places: Vec<_> = alone_site
        .chains
        .iter()
        .map(|chain| (chain.org.uuid(), chain.job.uuid()))
        .collect();
    let [mut ours, mut bare, mut database, mut broker] = <[Figures; 4]>::default();
    for _ in 0..ROUNDS {
        ours.add(machine.rate(AT_A_TIME).await);
        bare.add(bare::whole(&rows, &messages, AT_A_TIME).await);
        database.add(bare::rows_alone(&lone_rows, &mut places, AT_A_TIME).await);
        broker.add(bare::broker_alone(&lone_messages, AT_A_TIME).await);
    }
    println!(
        "full job, jobs/s: ours {ours:.0}, bare loop {bare:.0}; PostgreSQL alone {database:.0}, RabbitMQ alone {broker:.0}"
    );
    let percent = |part: &Figures, whole: &Figures| 100.0 * part.median() / whole.median();
    println!(
        "full job beside the bare loop: {:.0} % (must 60); the bare loop beside PostgreSQL alone {:.0} %, beside RabbitMQ alone {:.0} %",
        percent(&ours, &bare),
        percent(&bare, &database),
        percent(&bare, &broker),
    );
}

/// `cargo bench --bench jobs -- whole latency` measures these parts alone.
#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        return memory::child(&arguments[at + 1..]).await;
    }
    println!(
        "jobs, {ROUNDS} rounds in turn, {AT_A_TIME} at a time in {CHAINS} chains; client, PostgreSQL and RabbitMQ on the same cores"
    );
    if asked("whole") {
        whole().await;
    }
    if asked("waiting") {
        waiting::compare().await;
    }
    if asked("held") {
        held::compare().await;
    }
    if asked("latency") {
        latency::measure().await;
    }
    if asked("peers") {
        peers::compare().await;
    }
    if asked("memory") {
        memory::watch().await;
    }
}
