//! What must hold after any night: nothing lost, nothing doubled, nothing stuck, and every failure has its case.

use std::{collections::BTreeMap, time::Duration};

use nightshift_testkit::TestDb;
use tokio::time::Instant;

use crate::{
    harness::{Fleet, contents},
    site::{PATIENCE, Site, name},
};

/// A claim about the database: what it is called, and a question that counts what breaks it.
const NEVER: [(&str, &str); 8] = [
    (
        "a sync that failed without a case of its code",
        "SELECT count(*) FROM sync s WHERE state = 'failed' AND NOT EXISTS
            (SELECT FROM support_case c WHERE c.org_id = s.org_id AND c.code = s.failure_code)",
    ),
    (
        "an open case although a later sync went well",
        "SELECT count(*) FROM support_case c WHERE state = 'open' AND EXISTS
            (SELECT FROM sync s WHERE s.org_id = c.org_id AND s.state = 'succeeded' AND s.ended_at > c.last_occurred_at)",
    ),
    (
        "two versions of a component at once",
        "SELECT count(*) FROM version a JOIN version b USING (org_id, type, name)
          WHERE a.from_revision < b.from_revision AND coalesce(a.to_revision, 9e18) > b.from_revision",
    ),
    (
        "two versions of a file at once",
        "SELECT count(*) FROM file_version a JOIN file_version b USING (org_id, type, name, path)
          WHERE a.from_revision < b.from_revision AND coalesce(a.to_revision, 9e18) > b.from_revision",
    ),
    (
        "a revision that is missing in the row",
        "SELECT count(*) FROM org WHERE coalesce(current_revision, 0) <>
            (SELECT count(*) FROM revision r WHERE r.org_id = org.id)",
    ),
    (
        "a revision without the one sync that made it",
        "SELECT count(*) FROM revision r WHERE 1 <> (SELECT count(*) FROM sync s
          WHERE s.org_id = r.org_id AND s.revision = r.revision AND s.state IN ('succeeded', 'succeeded_with_gaps'))",
    ),
    (
        "a slot that brought no sync, or more than one",
        "SELECT count(*) FROM org WHERE 1 <> (SELECT count(*) FROM night n WHERE n.org_id = org.id)
             OR 1 < (SELECT count(*) FROM sync s WHERE s.org_id = org.id AND door = 'slot')",
    ),
    (
        "a current component whose body is gone",
        "SELECT count(*) FROM file_version f WHERE to_revision IS NULL AND NOT EXISTS
            (SELECT FROM blob b WHERE b.org_id = f.org_id AND b.hash = f.blob)",
    ),
];

/// Types that are left out, by rule.
const CAN_HOLD_SECRETS: [&str; 5] = [
    "AuthProvider",
    "Certificate",
    "ConnectedApp",
    "NamedCredential",
    "SamlSsoConfig",
];

/// Waits until no job, no sync and nothing staged is left, and says yes to what is held for a person; what is left after that
/// is stuck.
pub async fn all_ends(fleet: &Fleet) {
    // whoever waited longest, and the work that was left then
    let within = PATIENCE + Duration::from_secs(120);
    let left =
        "SELECT (SELECT count(*) FROM sync WHERE state IN ('queued', 'running')) + (SELECT count(*) FROM job)
                     + (SELECT count(*) FROM staging)";
    let deadline = Instant::now() + within;
    let held = "SELECT DISTINCT name FROM sync JOIN org ON org.id = org_id WHERE state = 'held'";
    while fleet.database.count(left).await > 0 && Instant::now() < deadline {
        for org in fleet.database.texts(held).await {
            // a newer sync may have superseded it meanwhile
            fleet.run(&["sync", "accept", &org]).await;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let left = fleet.database.count(left).await;
    assert_eq!(left, 0, "stuck: {:#?}", stuck(&fleet.database).await);
}

async fn stuck(database: &TestDb) -> Vec<String> {
    database
        .texts(
            "SELECT concat_ws(' ', name, s.state, kind, j.state, 'fence', fence, 'attempts', attempts, 'deaths', deaths,
                    'due in', not_before - nightshift_now(), 'announced', announced_at, waiting_for)
               FROM job j JOIN org ON org.id = j.org_id LEFT JOIN sync s ON s.org_id = j.org_id AND s.id = j.sync_id
             UNION ALL
             SELECT concat_ws(' ', name, s.state, 'staged by', job_id, nightshift_now() - touched_at, 'ago')
               FROM staging t JOIN org ON org.id = t.org_id LEFT JOIN sync s ON s.org_id = t.org_id AND s.id = t.sync_id",
        )
        .await
}

/// What the database must never say.
pub async fn nothing_is_broken(database: &TestDb) {
    for (what, question) in NEVER {
        assert_eq!(database.count(question).await, 0, "{what}");
    }
    database.history_holds().await;
}

/// After one more sync each org's dictionary is what the org is.
pub async fn every_dictionary_is_its_org(site: &Site) {
    for n in 0..site.orgs {
        assert!(
            site.fleet
                .run(&["sync", &name(n), "--json"])
                .await
                .status
                .success()
        );
    }
    all_ends(&site.fleet).await;
    let mut still: Option<Vec<String>> = None;
    for org in (0..site.orgs).map(name) {
        let shown = site.fleet.json(&["org", "show", &org, "--json"]).await;
        assert_eq!(shown["open_cases"], 0, "{org}: {shown}");
        let export = site.fleet.export(&org).await;
        let mut counts = BTreeMap::new();
        for line in &export {
            let kind = line["type"].as_str().unwrap().to_owned();
            *counts.entry(kind).or_insert(0_u64) += 1;
        }
        let mut expected = site.fleet.simulator.expected_counts(&org).unwrap();
        expected.retain(|kind, _| !CAN_HOLD_SECRETS.contains(&kind.as_str()));
        assert_eq!(counts, expected, "{org}");
        if Site::stays(&org) {
            let contents = contents(&export);
            let like = still.get_or_insert_with(|| contents.clone());
            let other: Vec<_> = contents.iter().filter(|line| !like.contains(line)).collect();
            assert!(other.is_empty(), "{org} is not as its like: {other:#?}");
        }
    }
}
