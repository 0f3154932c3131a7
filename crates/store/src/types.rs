//! What an org's types answered when they were listed.

use std::collections::BTreeMap;

use nightshift_domain::{OrgId, TypeHealth};
use sqlx::Row;

use crate::{
    Store,
    error::{StoreError, at},
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    store: &'a Store,
}

impl Store {
    /// Memory of types.
    pub fn types(&self) -> Types<'_> {
        Types { store: self }
    }
}

impl Types<'_> {
    /// The types of an org that were not simply good.
    pub async fn remembered(self, org: OrgId) -> Result<BTreeMap<String, TypeHealth>, StoreError> {
        let rows = sqlx::query("-- types.remembered\nSELECT type, health FROM type_memory WHERE org_id = $1")
            .bind(org.uuid())
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("types.remembered"))?;
        rows.iter()
            .map(|row| {
                let health: String = row.get("health");
                let health = [TypeHealth::Good, TypeHealth::Single, TypeHealth::Failing]
                    .into_iter()
                    .find(|known| known.as_str() == health)
                    .ok_or(StoreError::Decode {
                        table: "type_memory",
                        column: "health",
                        reason: health,
                    })?;
                Ok((row.get("type"), health))
            })
            .collect()
    }
}
