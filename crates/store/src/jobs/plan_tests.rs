//! How PostgreSQL goes about the hot statements: by the primary key, whatever its statistics say.
//!
//! Under a snapshot that somebody holds, dead entries of an index stay; a claim that goes by any other index walks all
//! of them (seen elsewhere: from 0.5 to 17.5 ms within a minute). The plan depends on what the planner believes of the
//! table, so it is asked about one that it knows nothing of, empty and full, and about one of many orgs that it knows. (Of
//! one that it knows to be empty it reads the no pages there are; the next autovacuum makes it think again.)

use nightshift_testkit::TestDb;
use sqlx::{Row, raw_sql};

use super::{
    announce::OF_ALL,
    claim::CLAIM,
    take::{DEAD, DELETE, DELETE_AT_ONCE, DUE, DUE_AT_ONCE},
};

const MANY_ORGS: &str = "INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, created_at)
    SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'poll', 'poll', 'free', '{}', 'due', now(), now()
      FROM generate_series(1, 20000)";

/// The plan of a statement with parameters of these types.
async fn plan(database: &TestDb, sql: &str, types: &str, values: &str) -> String {
    let mut connection = database.connect().await;
    let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE hot ({types}) AS {sql}");
    sqlx::Executor::execute(&mut connection, raw_sql(sqlx::AssertSqlSafe(prepare)))
        .await
        .unwrap();
    let explain = format!("EXPLAIN EXECUTE hot ({values})");
    let rows = sqlx::Executor::fetch_all(&mut connection, raw_sql(sqlx::AssertSqlSafe(explain)))
        .await
        .unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

#[tokio::test]
async fn claims_and_settlements_go_by_the_primary_key_whatever_the_statistics_say() {
    const ID: &str = "'00000000-0000-0000-0000-000000000000'";
    let key = format!("{ID}, {ID}");
    let written = "1, 'done', NULL, '{}', '{}'";
    let statements = [
        (
            CLAIM,
            "uuid, uuid, float8, int8, bool",
            format!("{key}, 60, 8, true"),
        ),
        (
            DELETE,
            "uuid, uuid, int8, text, text, text[], int8[], jsonb, bool, int8",
            format!("{key}, {written}, '[]', false, 3"),
        ),
        (
            DEAD,
            "uuid, uuid, int8, text, text, text[], int8[]",
            format!("{key}, {written}"),
        ),
        (
            DUE,
            "uuid, uuid, int8, text, text, text[], int8[], timestamptz, int, int, text, jsonb",
            format!("{key}, {written}, NULL, 0, 0, NULL, NULL"),
        ),
        (
            DELETE_AT_ONCE,
            "uuid, uuid, int8, text, text, text[], int8[], jsonb, bool, int8, uuid",
            format!("{key}, {written}, '[]', false, 3, {ID}"),
        ),
        (
            DUE_AT_ONCE,
            "uuid, uuid, int8, text, text, text[], int8[], timestamptz, int, int, text, jsonb, uuid",
            format!("{key}, {written}, NULL, 0, 0, NULL, NULL, {ID}"),
        ),
    ];
    let database = TestDb::fresh().await;
    for before in ["SELECT 1", MANY_ORGS, "ANALYZE job"] {
        database.run(before).await;
        for (sql, types, values) in &statements {
            let plan = plan(&database, sql, types, values).await;
            let update = plan
                .lines()
                .filter(|line| line.contains("on job") && line.contains("Scan"))
                // whether other jobs of the sync are left is asked by the sync, how many the org has by any key of it
                .filter(|line| !line.contains("on job other") && !line.contains("on job own"));
            let ways: Vec<_> = update.collect();
            assert!(
                !ways.is_empty() && ways.iter().all(|way| way.contains("job_pkey")),
                "after {before}:\n{plan}"
            );
        }
    }
}

#[tokio::test]
async fn a_sweep_begins_at_its_horizon_and_reads_nothing_below_it() {
    let database = TestDb::fresh().await;
    database.run(MANY_ORGS).await;
    for before in ["SELECT 1", "ANALYZE job"] {
        database.run(before).await;
        let types = "timestamptz, float8, int8, int8, int8, int8";
        let plan = plan(&database, OF_ALL, types, "now(), 60, 100, 4, 3, 5").await;
        let mut lines = plan.lines();
        let due = lines.find(|line| line.contains("job_due")).expect(&plan);
        let bounds = lines.next().unwrap();
        assert!(
            due.contains("Index Scan")
                && bounds.contains("Index Cond")
                && bounds.contains("not_before >=")
                && bounds.contains("not_before <="),
            "after {before}:\n{plan}"
        );
    }
}
