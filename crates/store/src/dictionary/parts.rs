//! Files that came in parts, read back so that they can be merged.

use domain::{ComponentKey, OrgId, SyncId};
use nightshift_domain as domain;
use sqlx::Row;

use super::Dictionary;
use crate::error::{StoreError, at};

/// How many members are read at a time.
const PAGE: i64 = 200;

/// A member whose file came in parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parted {
    /// Which member.
    pub key: ComponentKey,
    /// As Salesforce sends it.
    pub full_name: String,
    /// The file's place in the zip.
    pub path: String,
    /// In how many parts it was asked for.
    pub wanted: usize,
    /// The parts that came, in the order of their batches.
    pub blobs: Vec<Vec<u8>>,
}

impl Parted {
    /// Whether each part came.
    pub fn is_whole(&self) -> bool {
        self.blobs.len() == self.wanted
    }
}

impl Dictionary<'_> {
    /// Whether anything of this sync came in parts.
    pub async fn has_parts(self, org: OrgId, sync: SyncId) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.has_parts
            SELECT EXISTS (SELECT FROM staged_part WHERE org_id = $1 AND sync_id = $2)",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("dictionary.has_parts"))
    }

    /// Members behind `after` whose files came in parts, in pages; of a part that came twice the newest counts.
    pub async fn parted(
        self,
        org: OrgId,
        sync: SyncId,
        after: Option<&ComponentKey>,
    ) -> Result<Vec<Parted>, StoreError> {
        let rows = sqlx::query(
            "-- dictionary.parted
            SELECT type, name, max(full_name) AS full_name, max(path) AS path, max(parts) AS parts,
                   array_agg(blob ORDER BY n) AS blobs
              FROM (SELECT DISTINCT ON (type, name, n) * FROM staged_part
                     WHERE org_id = $1 AND sync_id = $2 AND (type, name) > ($3, $4)
                     ORDER BY type, name, n, job_id DESC, fence DESC, ordinal DESC) newest
             GROUP BY type, name ORDER BY type, name LIMIT $5",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(after.map_or("", |key| &key.type_name))
        .bind(after.map_or("", |key| &key.name))
        .bind(PAGE)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.parted"))?;
        Ok(rows
            .iter()
            .map(|row| Parted {
                key: ComponentKey {
                    type_name: row.get("type"),
                    name: row.get("name"),
                },
                full_name: row.get("full_name"),
                path: row.get("path"),
                wanted: row.get::<i32, _>("parts").unsigned_abs() as usize,
                blobs: row.get("blobs"),
            })
            .collect())
    }
}
