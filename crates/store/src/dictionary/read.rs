//! What readers ask: whole revisions, single files, the difference of two nights, what a sync left out.

use domain::{ChangeKind, ComponentKey, LeftOut, OrgId, SyncId};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::Dictionary;
use crate::{
    error::{StoreError, at},
    row::{Stamp, word},
};

/// One component of a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportRow {
    /// Its identity.
    pub key: ComponentKey,
    /// As Salesforce sends it.
    pub full_name: String,
    /// Of its main file.
    pub file_name: String,
    /// The component that carries it.
    pub parent: Option<String>,
    /// Of a managed package.
    pub namespace: Option<String>,
    /// Canonical, children left out.
    pub content_hash: Vec<u8>,
    /// As it was listed when this content came.
    pub last_modified: Option<Timestamp>,
}

/// One difference of two revisions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its type.
    pub type_name: String,
    /// As Salesforce sends it.
    pub full_name: String,
    /// How.
    pub change: ChangeKind,
}

/// Rows of one page of an export.
const PAGE: i64 = 5_000;

impl Dictionary<'_> {
    /// The page of a revision after `after`, sorted by type and name; empty at the end.
    pub async fn export(
        self,
        org: OrgId,
        revision: i64,
        after: Option<&ComponentKey>,
    ) -> Result<Vec<ExportRow>, StoreError> {
        let (type_name, name) = after.map_or(("", ""), |key| (key.type_name.as_str(), key.name.as_str()));
        let rows = sqlx::query(
            "-- dictionary.export
            SELECT type, name, full_name, file_name, parent_name, namespace, content_hash, last_modified FROM version
             WHERE org_id = $1 AND from_revision <= $2 AND (to_revision IS NULL OR to_revision > $2)
               AND (type, name) > ($3, $4)
             ORDER BY type, name LIMIT $5",
        )
        .bind(org.uuid())
        .bind(revision)
        .bind(type_name)
        .bind(name)
        .bind(PAGE)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.export"))?;
        let export = |row: &PgRow| ExportRow {
            key: ComponentKey {
                type_name: row.get("type"),
                name: row.get("name"),
            },
            full_name: row.get("full_name"),
            file_name: row.get("file_name"),
            parent: row.get("parent_name"),
            namespace: row.get("namespace"),
            content_hash: row.get("content_hash"),
            last_modified: row.get::<Option<Stamp>, _>("last_modified").map(|stamp| stamp.0),
        };
        Ok(rows.iter().map(export).collect())
    }

    /// Whether the org has this revision.
    pub async fn has_revision(self, org: OrgId, revision: i64) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.has_revision
            SELECT EXISTS (SELECT FROM revision WHERE org_id = $1 AND revision = $2)",
        )
        .bind(org.uuid())
        .bind(revision)
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("dictionary.has_revision"))
    }

    /// What differs between two revisions, sorted by type and name.
    pub async fn diff(self, org: OrgId, from: i64, to: i64) -> Result<Vec<Change>, StoreError> {
        let rows = sqlx::query(
            "-- dictionary.diff
            WITH touched AS (
                SELECT type, name FROM version WHERE org_id = $1 AND from_revision > $2 AND from_revision <= $3
                UNION
                SELECT type, name FROM version WHERE org_id = $1 AND to_revision > $2 AND to_revision <= $3
            )
            SELECT t.type, coalesce(b.full_name, a.full_name) AS full_name, a.type IS NULL AS added,
                   b.type IS NULL AS deleted
              FROM touched t
              LEFT JOIN version a ON a.org_id = $1 AND a.type = t.type AND a.name = t.name
                   AND a.from_revision <= $2 AND (a.to_revision IS NULL OR a.to_revision > $2)
              LEFT JOIN version b ON b.org_id = $1 AND b.type = t.type AND b.name = t.name
                   AND b.from_revision <= $3 AND (b.to_revision IS NULL OR b.to_revision > $3)
             WHERE (a.type IS NULL) <> (b.type IS NULL) OR a.content_hash <> b.content_hash
             ORDER BY t.type, t.name",
        )
        .bind(org.uuid())
        .bind(from)
        .bind(to)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.diff"))?;
        let change = |row: &PgRow| Change {
            type_name: row.get("type"),
            full_name: row.get("full_name"),
            change: match (row.get("added"), row.get("deleted")) {
                (true, _) => ChangeKind::Added,
                (_, true) => ChangeKind::Deleted,
                _ => ChangeKind::Changed,
            },
        };
        Ok(rows.iter().map(change).collect())
    }

    /// A file of a component as it was retrieved, or a child's part of its parent's file.
    ///
    /// `full_name` may be given as Salesforce sends it or as people read it; `path` chooses another file than the main
    /// one, which is the one that the component's listing names.
    pub async fn file(
        self,
        org: OrgId,
        type_name: &str,
        full_name: &str,
        path: Option<&str>,
    ) -> Result<Vec<u8>, StoreError> {
        let key = ComponentKey::new(type_name, full_name);
        let missing = || StoreError::NotFound {
            thing: "component or file",
            name: format!("{key} {}", path.unwrap_or("")),
        };
        let row = sqlx::query(
            "-- dictionary.file
            SELECT v.slice_from, v.slice_to, coalesce(v.blob, f.blob) AS blob
              FROM version v
              LEFT JOIN LATERAL (
                   SELECT blob FROM file_version f
                    WHERE f.org_id = $1 AND f.type = v.type AND f.name = v.name AND f.to_revision IS NULL
                      AND ($4::text IS NULL OR f.path = $4)
                    ORDER BY f.path <> v.file_name, f.path LIKE '%-meta.xml', f.path LIMIT 1) f ON true
             WHERE v.org_id = $1 AND v.type = $2 AND v.name = $3 AND v.to_revision IS NULL",
        )
        .bind(org.uuid())
        .bind(&key.type_name)
        .bind(&key.name)
        .bind(path)
        .fetch_optional(&self.store.pool)
        .await
        .map_err(at("dictionary.file"))?
        .ok_or_else(missing)?;
        let blob: Option<Vec<u8>> = row.get("blob");
        let bytes = self.blob(org, &blob.ok_or_else(missing)?).await?;
        let (from, to): (Option<i64>, Option<i64>) = (row.get("slice_from"), row.get("slice_to"));
        match (from, to) {
            (Some(from), Some(to)) => {
                let slice = bytes.get(from as usize..to as usize).map(<[u8]>::to_vec);
                slice.ok_or_else(|| StoreError::Decode {
                    table: "version",
                    column: "slice_to",
                    reason: format!("{from}..{to} lies outside a file of {} bytes", bytes.len()),
                })
            }
            _ => Ok(bytes),
        }
    }

    /// A blob's bytes.
    pub async fn blob(self, org: OrgId, hash: &[u8]) -> Result<Vec<u8>, StoreError> {
        let row =
            sqlx::query("-- dictionary.blob\nSELECT body, size FROM blob WHERE org_id = $1 AND hash = $2")
                .bind(org.uuid())
                .bind(hash)
                .fetch_one(&self.store.pool)
                .await
                .map_err(at("dictionary.blob"))?;
        let (body, size): (Vec<u8>, i64) = (row.get("body"), row.get("size"));
        zstd::bulk::decompress(&body, size as usize).map_err(|error| StoreError::Decode {
            table: "blob",
            column: "body",
            reason: error.to_string(),
        })
    }

    /// What a sync did not bring, and why.
    pub async fn left_out(self, org: OrgId, sync: SyncId) -> Result<Vec<LeftOut>, StoreError> {
        let rows = sqlx::query(
            "-- dictionary.left_out_of
            SELECT type, name, reason, detail FROM sync_left_out WHERE org_id = $1 AND sync_id = $2 ORDER BY type, name",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.left_out_of"))?;
        rows.iter()
            .map(|row| {
                Ok(LeftOut {
                    type_name: row.get("type"),
                    name: row.get("name"),
                    reason: word("sync_left_out", "reason", row.get("reason"))?,
                    detail: row.get("detail"),
                })
            })
            .collect()
    }
}
