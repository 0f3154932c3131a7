//! A bad night: everything that can break breaks, at random, while orgs' slots come and people ask for syncs.
//!
//! `make chaos MINUTES=10 SEED=...`; without a number it takes one minute, as within `make test`. All that happens is drawn
//! from the seed that is printed; when it happens within a sync is not, since the processes are real.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "../fleet/harness.rs"]
#[allow(dead_code, reason = "the fleet's tests use the rest")]
mod harness;

mod events;
mod site;
mod verdict;

use std::time::Duration;

use events::{Event, Tally};
use nightshift_testkit::given;
use rand::{SeedableRng, rngs::StdRng};
use site::Site;
use tokio::time::Instant;

/// Of a night of one minute; longer nights have 200.
const FEW_ORGS: usize = 24;
const MANY_ORGS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::print_stdout,
    reason = "the seed and the counts are what it is run for"
)]
async fn whatever_happens_nothing_is_lost_doubled_or_stuck_and_every_failure_has_its_case() {
    let minutes = given("NIGHTSHIFT_CHAOS_MINUTES", 1);
    let seed = given("NIGHTSHIFT_CHAOS_SEED", rand::random());
    println!("chaos of {minutes} min from seed {seed} (make chaos MINUTES={minutes} SEED={seed})");
    let night = Duration::from_secs(60 * minutes);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut site = Site::with(if minutes > 1 { MANY_ORGS } else { FEW_ORGS }, night).await;
    let (end, mut tally) = (Instant::now() + night, Tally::new());
    while Instant::now() < end {
        let event = Event::draw(&mut rng);
        event.happen(&mut site, &mut rng).await;
        *tally.entry(event).or_default() += 1;
        tokio::time::sleep(events::pause(&mut rng)).await;
    }
    let broken = site.calm().await;
    println!("{tally:?}; {:?}; lost their grants: {broken:?}", site.met);
    verdict::all_ends(&site.fleet).await;
    println!("syncs: {:?}", ended(&site).await);
    verdict::nothing_is_broken(&site.fleet.database).await;
    verdict::every_dictionary_is_its_org(&site).await;
    verdict::nothing_is_broken(&site.fleet.database).await;
}

/// How many syncs ended how; of failures that point at ourselves, with their words.
async fn ended(site: &Site) -> Vec<String> {
    let ends = "SELECT concat_ws(' ', count(*), state, failure_code, words)
          FROM (SELECT state, failure_code, CASE failure_code WHEN 'internal' THEN failure_message END AS words
                  FROM sync) ends
         GROUP BY state, failure_code, words ORDER BY count(*) DESC";
    site.fleet.database.texts(ends).await
}
