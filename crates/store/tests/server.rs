//! What the server says of itself, on a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::Duration;

use nightshift_testkit::TestDb;

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_somebody_has_forgotten_is_seen_with_its_age_b107() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let mut forgotten = database.connect().await;
    sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM org")
        .execute(&mut forgotten)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let oldest = store.oldest_snapshot().await.unwrap();
    assert!(oldest.seconds > 1.0, "{oldest:?}");
    let server = store.server().await.unwrap();
    assert!(server.version_number >= 150_000 && server.autovacuum && server.connections >= 2);
    assert!(server.connections <= server.connections_max, "{server:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_key_that_is_not_at_hand_are_named_by_org() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let now = store.now().await.unwrap();
    for n in 0..2 {
        let new = nightshift_testkit::new_org(n, now);
        store.orgs().add(&new).await.unwrap();
    }
    let all = store.orgs().secrets().await.unwrap();
    assert_eq!((all.orgs, all.unreadable.len()), (2, 0));
    // a ciphertext that was moved to another row
    let moved =
        "WITH moved AS (UPDATE org SET refresh_token = (SELECT refresh_token FROM org WHERE name = 'org-0')
                 WHERE name = 'org-1' RETURNING 1) SELECT count(*) FROM moved";
    database.count(moved).await;
    let all = store.orgs().secrets().await.unwrap();
    assert_eq!(all.unreadable.len(), 1);
    assert_eq!(all.unreadable[0].0, "org-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_dashboards_and_scaling_can_be_made_behind_the_migrations() {
    let database = TestDb::fresh().await;
    let roles = [
        include_str!("../../../deploy/monitoring/reader-role.sql"),
        include_str!("../../../deploy/kubernetes/components/keda/scaler-role.sql"),
    ];
    for sql in roles {
        // the test's own clock is none of theirs; and roles are the whole server's
        let tried = format!("BEGIN; DROP TABLE IF EXISTS clock; {sql}; ROLLBACK");
        let mut connection = database.connect().await;
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(tried))
            .execute(&mut connection)
            .await;
        assert!(made.is_ok(), "{made:?}\n{sql}");
    }
}
