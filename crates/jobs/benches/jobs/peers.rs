//! Ours beside celery and graphile-worker on the same servers, in turn. What they leave out stands in `peers/run`.

use std::process::Command;

use nightshift_testkit::{TestDb, variable};

use crate::{
    AT_A_TIME, CHAINS,
    measure::{Figures, ROUNDS, line_of},
    ours::Ours,
    site::Site,
};

/// Runs a peer; installs them all.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/run");
/// Name, and how many times faster we must be.
const PEERS: [(&str, f64); 2] = [("celery", 1.35), ("graphile-worker", 1.1)];

/// Jobs a second of a peer, on a database of its own.
async fn rate(peer: &str) -> f64 {
    let database = TestDb::fresh().await;
    let durable = format!("ALTER DATABASE {} SET synchronous_commit = on", database.name());
    database.run(&durable).await;
    let mut script = Command::new(SCRIPT);
    script
        .arg(peer)
        .env("PEER_DATABASE", database.url())
        .env("PEER_BROKER", variable("NIGHTSHIFT__BROKER__URL"));
    let line = tokio::task::spawn_blocking(move || line_of(&mut script))
        .await
        .unwrap();
    line.trim().parse().unwrap()
}

pub async fn compare() {
    line_of(Command::new(SCRIPT).arg("install"));
    let site = Site::new(CHAINS).await;
    let machine = Ours::on(&site).await;
    let mut ours = Figures::default();
    let mut theirs = PEERS.map(|_| Figures::default());
    for _ in 0..ROUNDS {
        ours.add(machine.rate(AT_A_TIME).await);
        for ((peer, _), figures) in PEERS.iter().zip(&mut theirs) {
            figures.add(rate(peer).await);
        }
    }
    for ((peer, must), figures) in PEERS.iter().zip(&theirs) {
        println!(
            "full job beside {peer}, jobs/s: {ours:.0} beside {figures:.0}: {:.2} times (must {must})",
            ours.median() / figures.median(),
        );
    }
}
