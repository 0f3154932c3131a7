//! What may have become poorer, and is asked for again tomorrow.
//!
//! A profile says nothing about a class that did not come beside it. As long as the class is a gap nobody waits for it
//! (`sync/src/ingest/missing.rs`); when it comes again, the profile's date has not changed, and the profile stays as it
//! was. So its date is forgotten then.

use domain::{OrgId, Switch, SyncId};
use nightshift_domain as domain;

use crate::{
    error::{StoreError, at},
    session::Session,
};

/// The types that say something about a type of which a gap is closed by this sync.
pub(super) async fn doubted(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    switch: &Switch,
) -> Result<Vec<&'static str>, StoreError> {
    let closing: Vec<String> = sqlx::query_scalar(
        "-- dictionary.closing
        SELECT DISTINCT type FROM gap o WHERE org_id = $1
           AND EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1 AND g.sync_id = $2 AND g.type = o.type
                        AND g.name = o.name)",
    )
    .persistent(false)
    .bind(org.uuid())
    .bind(sync.uuid())
    .fetch_all(c)
    .await
    .map_err(at("dictionary.closing"))?;
    let says = switch.says_about.iter();
    let doubted = says.filter(|(_, about)| closing.iter().any(|type_name| type_name == about));
    Ok(doubted.map(|(type_name, _)| *type_name).collect())
}

/// Forgets the dates of these types.
pub(super) async fn doubt(c: &mut Session, org: OrgId, types: &[&str]) -> Result<(), StoreError> {
    if types.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- dictionary.doubt
        UPDATE listed SET last_modified = NULL WHERE org_id = $1 AND type = ANY ($2)",
    )
    .persistent(false)
    .bind(org.uuid())
    .bind(types)
    .execute(c)
    .await
    .map_err(at("dictionary.doubt"))?;
    Ok(())
}
