//! Readers in a loop while the worker that switches the revision is killed at every point of its settlement.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nightshift_domain::OrgId;
use nightshift_simulator::OrgSpec;
use nightshift_store::Store;

use crate::harness::{Fleet, small_org};

/// Where `finish` is killed, from its claim to the answer of its commit.
const POINTS: [&str; 9] = [
    "before-step",
    "before-settle",
    "before-begin:jobs.settle",
    "settle-locked",
    "settle-taken",
    "settle-written",
    "before-commit:jobs.settle",
    "committed:jobs.settle",
    "settled",
];

/// What somebody read: the revision that the org had, and its dictionary.
type Read = (i64, Vec<String>);

/// Reads what the org's row calls current, again and again.
async fn reads(store: Store, org: OrgId, seen: Arc<Mutex<BTreeSet<Read>>>, stop: Arc<AtomicBool>) -> usize {
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        let current = store.orgs().show(org).await.unwrap().revision.unwrap();
        let rows = store.dictionary().export(org, current, None).await.unwrap();
        let line =
            |row: &nightshift_store::dictionary::ExportRow| format!("{} {:?}", row.key, row.content_hash);
        seen.lock()
            .unwrap()
            .insert((current, rows.iter().map(line).collect()));
        times += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stdout,
    reason = "the count of reads is what the test is asked for"
)]
async fn a_reader_sees_exactly_one_whole_revision() {
    let mut fleet = Fleet::new(&[("JOBS__LEASE_SECONDS", "1"), ("JOBS__MAX_DEATHS", "9")]).await;
    fleet.start("scheduler", &[]);
    let first = fleet.start("worker", &[]);
    let nights = ["night-1", "night-2"].map(|night| small_org().join(night));
    let [one, two] = nights;
    fleet.connect(OrgSpec::from_folder("small", one, Some(two))).await;
    assert_eq!(fleet.sync("small").await["state"], "succeeded");
    fleet.process(first).kill().await.unwrap();
    let store = fleet.database.store().await;
    let org = store.orgs().find("small").await.unwrap().id;
    let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let readers =
        (0..2).map(|_| tokio::spawn(reads(store.clone(), org, Arc::clone(&seen), Arc::clone(&stop))));
    let readers: Vec<_> = readers.collect();

    fleet.simulator.next_night("small").unwrap();
    assert!(fleet.run(&["sync", "small", "--json"]).await.status.success());
    let mut deaths = 0;
    for point in POINTS {
        let armed = format!("claimed-finish=1*return({point})");
        let dying = fleet.start("worker", &[("FAILPOINTS", &armed)]);
        let ended = tokio::time::timeout(Duration::from_secs(30), fleet.process(dying).wait()).await;
        let status = ended
            .unwrap_or_else(|_| panic!("nobody dies at {point}"))
            .unwrap();
        assert!(!status.success(), "{point}");
        deaths += 1;
        if point.starts_with("committed") {
            // it is done: the next deaths need a night of their own
            assert_eq!(fleet.database.count("SELECT current_revision FROM org").await, 2);
            assert!(fleet.run(&["sync", "small", "--json"]).await.status.success());
        }
    }
    fleet.start("worker", &[]);
    let last = fleet.sync("small").await["revision"].as_i64().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let mut times = 0;
    for reader in readers {
        times += reader.await.unwrap();
    }
    let seen: BTreeSet<Read> = std::mem::take(&mut *seen.lock().unwrap());
    println!("{deaths} deaths, {times} reads, {} different", seen.len());
    let revisions: Vec<i64> = seen.iter().map(|(revision, _)| *revision).collect();
    let wanted: Vec<i64> = (1..=last).collect();
    assert_eq!(revisions, wanted, "of each revision one dictionary was read");
    let dictionaries: Vec<usize> = seen.iter().map(|(_, rows)| rows.len()).collect();
    assert_eq!(dictionaries[..2], [114, 126], "both of them whole");
    assert!(
        dictionaries[1..].iter().all(|rows| *rows == 126),
        "{dictionaries:?}"
    );
    fleet.database.history_holds().await;
}
