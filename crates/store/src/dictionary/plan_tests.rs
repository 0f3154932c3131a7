//! How PostgreSQL goes about the statements of a switch: no row by row walk through a set that it does not index.
//!
//! A set is hashed or merged only where it is joined; within an OR it is looked through once for each row as soon as its
//! hash does not fit into `work_mem`. An org of 200,000 components waited minutes for what takes a second (seen). So the
//! planner is asked with many rows and next to no memory.

use nightshift_testkit::TestDb;
use sqlx::{Executor, Row, raw_sql};

use super::switch::{DELETIONS, STATEMENTS};

const MANY_ROWS: &str = "
    INSERT INTO staged_listed (org_id, sync_id, type, name, job_id, fence, ordinal, full_name, file_name)
    SELECT nil, nil, 'CustomField', 'A' || n, gen_random_uuid(), 1, n, '', ''
      FROM generate_series(1, 20000) n, (SELECT '00000000-0000-0000-0000-000000000000'::uuid AS nil) one;
    INSERT INTO staged_component (org_id, sync_id, type, name, job_id, fence, ordinal, full_name, file_name, content_hash)
    SELECT org_id, sync_id, type, name, job_id, fence, ordinal, '', '', '' FROM staged_listed;
    INSERT INTO version (org_id, type, name, from_revision, full_name, file_name, content_hash, parent_type, parent_name)
    SELECT org_id, type, name, 1, '', '', '', 'CustomObject', 'A' FROM staged_listed;
    INSERT INTO listed (org_id, type, name, full_name, file_name)
    SELECT org_id, type, name, '', '' FROM staged_listed;
    ANALYZE staged_listed; ANALYZE staged_component; ANALYZE version; ANALYZE listed;";

/// Lines of the plan that begin a walk through a common table for each row of another set.
fn walks(plan: &[String]) -> Vec<&str> {
    let pairs = plan.windows(2);
    let walk = pairs.filter(|pair| pair[0].contains("SubPlan ") && pair[1].contains("CTE Scan"));
    let number = |line: &str| line.trim().trim_start_matches("SubPlan ").to_owned();
    let hashed = |line: &str| {
        let used = format!("hashed SubPlan {}", number(line));
        plan.iter().any(|other| other.contains(&used))
    };
    walk.filter(|pair| !hashed(&pair[0]))
        .map(|pair| pair[1].trim())
        .collect()
}

#[tokio::test]
async fn no_statement_of_a_switch_walks_through_a_set_for_each_row_of_another() {
    let database = TestDb::fresh().await;
    database.run(MANY_ROWS).await;
    let mut connection = database.connect().await;
    let memory = "SET work_mem = '64kB'; SET enable_nestloop = off";
    connection.execute(raw_sql(memory)).await.unwrap();
    for (name, sql) in STATEMENTS
        .into_iter()
        .chain([("dictionary.deletions", DELETIONS)])
    {
        let nil = "'00000000-0000-0000-0000-000000000000'";
        let told = sql
            .replace("$1", &format!("{nil}::uuid"))
            .replace("$2", &format!("{nil}::uuid"))
            .replace("$3", "2");
        let explain = format!("EXPLAIN {told}");
        let rows = connection
            .fetch_all(raw_sql(sqlx::AssertSqlSafe(explain)))
            .await
            .unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(walks(&plan).is_empty(), "{name}: {}", plan.join("\n"));
    }
}
