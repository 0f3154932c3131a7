//! How a sync ends badly: failed with a case, or held for a person.

use domain::{FailureCode, Heals, HoldReason, OrgId, SyncId, allowance::OutOfCalls};
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::Failure;
use crate::{
    cases,
    error::{StoreError, at},
    session::Session,
    syncs,
};

/// How often a failed sync is tried again in its night.
const RETRIES_A_NIGHT: i32 = 3;
/// How long after a failure at most, in seconds, and half of it at least (orgs that failed together do not come back
/// together): long enough for a short illness of Salesforce to pass.
const RETRY_AFTER_SECONDS: f64 = 600.0;
/// Types that a case of an unfinished night names.
const TYPES_NAMED: usize = 20;

/// Ends the sync as failed, in the transaction that holds its row; a job of no sync has nobody to tell.
pub(crate) async fn fail_sync(
    c: &mut Session,
    org: OrgId,
    sync: Option<SyncId>,
    failure: &Failure,
) -> Result<(), StoreError> {
    let Some(sync) = sync else { return Ok(()) };
    let done = sqlx::query(
        "-- syncs.fail
        UPDATE sync SET state = 'failed', ended_at = nightshift_now(), failure_code = $3, failure_message = $4
         WHERE org_id = $1 AND id = $2 AND state IN ('queued', 'running')",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(failure.code.as_str())
    .bind(bounded(&failure.message))
    .execute(&mut *c)
    .await
    .map_err(at("syncs.fail"))?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    // jobs that are claimed go at their settlement
    sqlx::query(
        "-- jobs.of_ended_sync\nDELETE FROM job WHERE org_id = $1 AND sync_id = $2 AND state = 'due'",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .execute(&mut *c)
    .await
    .map_err(at("jobs.of_ended_sync"))?;
    mark_connection(&mut *c, org, failure.code).await?;
    plan_retry(&mut *c, org, sync, failure.code).await?;
    cases::open(&mut *c, org, Some(sync), failure).await?;
    syncs::ended_event(c, org, sync, "sync.failed").await
}

/// A connection that only a person can mend is shown as such.
async fn mark_connection(c: &mut Session, org: OrgId, code: FailureCode) -> Result<(), StoreError> {
    use FailureCode as F;
    if !matches!(
        code,
        F::TokenRevoked
            | F::TokenAnswerLost
            | F::OrgDisconnected
            | F::UserInactive
            | F::AppNotApproved
            | F::OtherOrg
            | F::AppMisconfigured
            | F::JwtAccessToken
    ) {
        return Ok(());
    }
    sqlx::query("-- orgs.broken\nUPDATE org SET broken_with = $2 WHERE id = $1")
        .bind(org.uuid())
        .bind(code.as_str())
        .execute(c)
        .await
        .map_err(at("orgs.broken"))?;
    Ok(())
}

async fn plan_retry(c: &mut Session, org: OrgId, sync: SyncId, code: FailureCode) -> Result<(), StoreError> {
    if code.entry().heals != Heals::ByItself {
        return Ok(());
    }
    sqlx::query(
        "-- nights.plan_retry
        UPDATE night SET retry_at = nightshift_now() + make_interval(secs => least($4,
                   greatest(extract(epoch FROM closes_at - nightshift_now()) / 8, 0)) * (0.5 + random() / 2))
         WHERE org_id = $1 AND retries < $3
           AND night = (SELECT night FROM sync WHERE org_id = $1 AND id = $2)
           AND closes_at > nightshift_now()",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(RETRIES_A_NIGHT)
    .bind(RETRY_AFTER_SECONDS)
    .execute(c)
    .await
    .map_err(at("nights.plan_retry"))?;
    Ok(())
}

/// Holds the sync: the old revision stays, a case asks a person.
pub(crate) async fn hold(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    reason: &HoldReason,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- syncs.hold
        UPDATE sync SET state = 'held', ended_at = nightshift_now(), failure_code = $3, failure_message = $4
         WHERE org_id = $1 AND id = $2 AND state = 'running'",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(FailureCode::DeletionsHeld.as_str())
    .bind(bounded(&reason.message))
    .execute(&mut *c)
    .await
    .map_err(at("syncs.hold"))?;
    supersede(&mut *c, org, sync).await?;
    let failure = Failure {
        code: FailureCode::DeletionsHeld,
        message: reason.message.clone(),
        evidence: [].into(),
    };
    cases::open(&mut *c, org, Some(sync), &failure).await?;
    syncs::ended_event(c, org, sync, "sync.held").await
}

/// Of several nights that lost the same, the last is what a person says yes to: it saw the org last.
pub(crate) async fn supersede(c: &mut Session, org: OrgId, by: SyncId) -> Result<(), StoreError> {
    sqlx::query(
        "-- syncs.supersede
        UPDATE sync SET state = 'superseded' WHERE org_id = $1 AND state = 'held' AND id <> $2",
    )
    .bind(org.uuid())
    .bind(by.uuid())
    .execute(c)
    .await
    .map_err(at("syncs.supersede"))?;
    Ok(())
}

/// What a sync that ended well could not do for want of calls, for its case.
pub(crate) async fn unfinished(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    why: OutOfCalls,
) -> Result<Option<Failure>, StoreError> {
    let rows = sqlx::query(
        "-- syncs.unfinished
        SELECT type, count(*) AS members, min(detail) AS detail FROM sync_left_out
         WHERE org_id = $1 AND sync_id = $2 AND reason = $3 GROUP BY type ORDER BY count(*) DESC, type",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(why.reason().as_str())
    .fetch_all(c)
    .await
    .map_err(at("syncs.unfinished"))?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let members: i64 = rows.iter().map(|row| row.get::<i64, _>("members")).sum();
    let words: String = first.get("detail");
    let line = |row: &PgRow| {
        format!(
            "{} {}",
            row.get::<i64, _>("members"),
            row.get::<String, _>("type")
        )
    };
    let types: Vec<String> = rows.iter().take(TYPES_NAMED).map(line).collect();
    Ok(Some(Failure {
        code: why.code(),
        message: format!(
            "the night ended with {members} components of {} types not retrieved: {words}",
            rows.len()
        ),
        evidence: [
            ("not_retrieved".to_owned(), members.to_string()),
            ("types".to_owned(), types.join(", ")),
        ]
        .into(),
    }))
}

/// At most 4,000 characters, and no NUL, which PostgreSQL cannot store.
/// What the timeline says of an error.
pub(crate) fn detail(code: FailureCode, message: &str) -> String {
    bounded(&format!("{code}: {message}"))
}

pub(crate) fn bounded(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(4_000).collect()
}
