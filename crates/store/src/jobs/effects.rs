//! What a settled step changes for readers, statement by statement.

use domain::{Effect, OrgFacts, Switch, SyncId, TypeHealth, allowance::OutOfCalls};
use jiff::Timestamp;
use nightshift_domain as domain;

use super::{Claim, fail};
use crate::{
    cases, dictionary,
    error::{StoreError, at},
    ledger,
    row::Stamp,
    session::Session,
    syncs,
};

pub(super) async fn apply(
    c: &mut Session,
    claim: &Claim,
    step: &str,
    effect: &Effect,
) -> Result<(), StoreError> {
    let Some(sync) = claim.sync else {
        let reason = "it belongs to no sync".to_owned();
        return Err(StoreError::Refused {
            thing: "an effect",
            reason,
        });
    };
    match effect {
        Effect::OrgFacts(facts) => org_facts(c, claim, sync, facts).await,
        Effect::Planned { asked, listed_at } => planned(c, claim, sync, *asked, *listed_at).await,
        Effect::TypeHealth { type_name, health } => type_health(c, claim, type_name, *health).await,
        Effect::Switch(switch) => switched(c, claim, sync, switch).await,
        Effect::Hold(reason) => fail::hold(c, claim.org, sync, reason).await,
        Effect::Bill(bill) => ledger::book(c, claim.org, Some(sync), step, bill).await,
    }
}

async fn org_facts(c: &mut Session, claim: &Claim, sync: SyncId, facts: &OrgFacts) -> Result<(), StoreError> {
    sqlx::query(
        "-- orgs.facts
        UPDATE org SET instance_name = coalesce($2, instance_name), edition = coalesce($3, edition),
               is_sandbox = $4, api_version = $5
         WHERE id = $1",
    )
    .bind(claim.org.uuid())
    .bind(&facts.instance_name)
    .bind(&facts.edition)
    .bind(facts.is_sandbox)
    .bind(&facts.api_version)
    .execute(&mut *c)
    .await
    .map_err(at("orgs.facts"))?;
    sqlx::query("-- syncs.facts\nUPDATE sync SET api_version = $3 WHERE org_id = $1 AND id = $2")
        .bind(claim.org.uuid())
        .bind(sync.uuid())
        .bind(&facts.api_version)
        .execute(c)
        .await
        .map_err(at("syncs.facts"))?;
    Ok(())
}

async fn planned(
    c: &mut Session,
    claim: &Claim,
    sync: SyncId,
    asked: i64,
    listed_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("-- syncs.planned\nUPDATE sync SET asked = $3, listed_at = $4 WHERE org_id = $1 AND id = $2")
        .bind(claim.org.uuid())
        .bind(sync.uuid())
        .bind(asked)
        .bind(Stamp(listed_at))
        .execute(c)
        .await
        .map_err(at("syncs.planned"))?;
    Ok(())
}

async fn type_health(
    c: &mut Session,
    claim: &Claim,
    type_name: &str,
    health: TypeHealth,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- types.remember
        INSERT INTO type_memory (org_id, type, health, since) VALUES ($1, $2, $3, nightshift_now())
        ON CONFLICT (org_id, type) DO UPDATE SET health = excluded.health, since = excluded.since
         WHERE type_memory.health <> excluded.health",
    )
    .bind(claim.org.uuid())
    .bind(type_name)
    .bind(health.as_str())
    .execute(c)
    .await
    .map_err(at("types.remember"))?;
    Ok(())
}

/// The revision, the sync, the org (whose row is locked before all), the held ones, the cases and the event: all in this
/// transaction.
async fn switched(c: &mut Session, claim: &Claim, sync: SyncId, switch: &Switch) -> Result<(), StoreError> {
    let figures = dictionary::switch(&mut *c, claim.org, sync, switch).await?;
    let state = if switch.gaps > 0 {
        "succeeded_with_gaps"
    } else {
        "succeeded"
    };
    let done = sqlx::query(
        "-- syncs.succeed
        UPDATE sync SET state = $3, ended_at = nightshift_now(), revision = $4, components = $5, added = $6,
               changed = $7, deleted = $8, got = $9
         WHERE org_id = $1 AND id = $2 AND state = 'running'",
    )
    .bind(claim.org.uuid())
    .bind(sync.uuid())
    .bind(state)
    .bind(figures.revision.0)
    .bind(figures.components)
    .bind(figures.added)
    .bind(figures.changed)
    .bind(figures.deleted)
    .bind(figures.got)
    .execute(&mut *c)
    .await
    .map_err(at("syncs.succeed"))?;
    if done.rows_affected() != 1 {
        let reason = "it is not running".to_owned();
        return Err(StoreError::Refused {
            thing: "the end of a sync",
            reason,
        });
    }
    sqlx::query(
        "-- orgs.switched
        UPDATE org SET current_revision = $3, broken_with = NULL,
               current_as_of = (SELECT coalesce(listed_at, started_at) FROM sync WHERE org_id = $1 AND id = $2),
               nights_since_full = CASE WHEN (SELECT mode FROM sync WHERE org_id = $1 AND id = $2) = 'full'
                                        THEN 0 ELSE nights_since_full + 1 END
         WHERE id = $1",
    )
    .bind(claim.org.uuid())
    .bind(sync.uuid())
    .bind(figures.revision.0)
    .execute(&mut *c)
    .await
    .map_err(at("orgs.switched"))?;
    fail::supersede(&mut *c, claim.org, sync).await?;
    sqlx::query(
        "-- nights.healed\nUPDATE night SET retry_at = NULL WHERE org_id = $1 AND retry_at IS NOT NULL",
    )
    .bind(claim.org.uuid())
    .execute(&mut *c)
    .await
    .map_err(at("nights.healed"))?;
    let mut unfinished = Vec::new();
    for why in OutOfCalls::ALL {
        unfinished.extend(fail::unfinished(&mut *c, claim.org, sync, why).await?);
    }
    let codes: Vec<_> = unfinished.iter().map(|failure| failure.code).collect();
    cases::resolve_all(&mut *c, claim.org, &codes).await?;
    for failure in &unfinished {
        cases::open(&mut *c, claim.org, Some(sync), failure).await?;
    }
    syncs::ended_event(c, claim.org, sync, "sync.succeeded").await
}
