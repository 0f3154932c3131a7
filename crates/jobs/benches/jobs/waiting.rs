//! The whole loop before and after a million jobs that are due tomorrow were inserted.

use nightshift_testkit::TestDb;

use crate::{
    AT_A_TIME, CHAINS,
    measure::{Figures, ROUNDS},
    ours::Ours,
    site::Site,
};

/// Four jobs each of a quarter of a million orgs.
const FILL: &str = "
    INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, created_at)
    SELECT org, gen_random_uuid(), sync, 'poll', 'poll', 'free', '{}', 'due', now() + interval '1 day' * (1 + random()), now()
      FROM (SELECT gen_random_uuid() AS org, gen_random_uuid() AS sync FROM generate_series(1, 250000)) AS syncs,
           generate_series(1, 4)";

/// As a database has them that they came to over the day.
pub async fn fill(database: &TestDb) {
    database.run(FILL).await;
    database.run("VACUUM ANALYZE job").await;
    database.run("CHECKPOINT").await;
}

pub async fn compare() {
    let site = Site::new(CHAINS).await;
    let machine = Ours::on(&site).await;
    let [mut before, mut after] = <[Figures; 2]>::default();
    for _ in 0..ROUNDS {
        before.add(machine.rate(AT_A_TIME).await);
    }
    fill(&site.database).await;
    for _ in 0..ROUNDS {
        after.add(machine.rate(AT_A_TIME).await);
    }
    println!(
        "beside 1,000,000 waiting rows, jobs/s: {after:.0} after {before:.0}: {:.0} % (must 80)",
        100.0 * after.median() / before.median(),
    );
}
