//! What planning and the steps read: tonight's listing beside the last one, planned batches, what is still missing.

use std::collections::HashSet;

use domain::{ComponentKey, ListedEntry, OrgId, SyncId};
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::Dictionary;
use crate::{
    error::{StoreError, at},
    row::{Stamp, word},
    staging::Member,
    tx::plan_for_sets,
};

/// A member or folder that tonight's listing names, beside what was known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeltaRow {
    /// As listed tonight.
    pub entry: ListedEntry,
    /// The last good listing named it.
    pub known: bool,
    /// With another id or date than now.
    pub differs: bool,
    /// What was read of it when it was last listed.
    pub digest: Option<[u8; 32]>,
    /// It is a gap: asked for every night.
    pub gap: bool,
    /// One of its children came, went, or has another id or date.
    pub children_differ: bool,
    /// Files that its last retrieve brought.
    pub files: Option<i64>,
    /// Unpacked bytes that its last retrieve brought.
    pub bytes: Option<i64>,
}

/// Rows of one page: memory stays flat, and the changed children are gathered a few times for a large org.
const PAGE: i64 = 20_000;

/// A member that a listing names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedMember {
    /// Which.
    pub key: ComponentKey,
    /// The name to ask for.
    pub full_name: String,
    /// The object of an object or of a layout; empty for all others.
    pub object: String,
}

impl Dictionary<'_> {
    /// The page of members and folders after `after`, sorted by type and name; empty at the end.
    pub async fn delta(
        self,
        org: OrgId,
        sync: SyncId,
        after: Option<&ComponentKey>,
    ) -> Result<Vec<DeltaRow>, StoreError> {
        let (type_name, name) = after.map_or(("", ""), |key| (key.type_name.as_str(), key.name.as_str()));
        let mut tx = self.store.begin("dictionary.delta").await?;
        plan_for_sets(&mut tx).await?;
        let rows = sqlx::query(
            "-- dictionary.delta
            WITH good AS MATERIALIZED (
                SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2 GROUP BY type HAVING bool_and(good)
            ), changed_parents AS MATERIALIZED (
                SELECT n.parent_type AS type, n.parent_name AS name
                  FROM staged_listed n
                  LEFT JOIN listed o ON o.org_id = $1 AND o.type = n.type AND o.name = n.name
                 WHERE n.org_id = $1 AND n.sync_id = $2 AND n.parent_type IS NOT NULL
                   AND (o.type IS NULL OR o.salesforce_id IS DISTINCT FROM n.salesforce_id
                        OR o.last_modified IS DISTINCT FROM n.last_modified)
                UNION
                SELECT o.parent_type, o.parent_name FROM listed o
                 WHERE o.org_id = $1 AND o.parent_type IS NOT NULL AND o.type IN (SELECT type FROM good)
                   AND NOT EXISTS (SELECT FROM staged_listed n WHERE n.org_id = $1 AND n.sync_id = $2
                                    AND n.type = o.type AND n.name = o.name)
            )
            SELECT n.type, n.name, n.full_name, n.file_name, n.namespace, n.salesforce_id, n.last_modified,
                   o.type IS NOT NULL AS known,
                   o.salesforce_id IS DISTINCT FROM n.salesforce_id
                       OR o.last_modified IS DISTINCT FROM n.last_modified AS differs,
                   EXISTS (SELECT FROM gap WHERE gap.org_id = $1 AND gap.type = n.type AND gap.name = n.name) AS gap,
                   EXISTS (SELECT FROM changed_parents p WHERE p.type = n.type AND p.name = n.name) AS children_differ,
                   o.files, o.bytes, o.digest
              FROM (SELECT DISTINCT ON (type, name) * FROM staged_listed
                     WHERE org_id = $1 AND sync_id = $2 AND parent_type IS NULL AND (type, name) > ($3, $4)
                     ORDER BY type, name, ordinal DESC LIMIT $5) n
              LEFT JOIN listed o ON o.org_id = $1 AND o.type = n.type AND o.name = n.name
             ORDER BY n.type, n.name",
        )
        .persistent(false)
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(type_name)
        .bind(name)
        .bind(PAGE)
        .fetch_all(&mut *tx)
        .await
        .map_err(at("dictionary.delta"))?;
        tx.commit().await?;
        Ok(rows.iter().map(delta_row).collect())
    }

    /// How many members some types have tonight.
    pub async fn count_listed(self, org: OrgId, sync: SyncId, types: &[&str]) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.count_listed
            SELECT count(DISTINCT (type, name)) FROM staged_listed
             WHERE org_id = $1 AND sync_id = $2 AND type = ANY ($3) AND parent_type IS NULL",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(types)
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("dictionary.count_listed"))
    }

    /// Tonight's members of some types behind `after`, at most `limit`, in an order in which a layout follows its object.
    pub async fn listed_members(
        self,
        org: OrgId,
        sync: SyncId,
        types: &[&str],
        after: Option<&ListedMember>,
        limit: i64,
    ) -> Result<Vec<ListedMember>, StoreError> {
        let rows = sqlx::query(
            "-- dictionary.listed_members
            SELECT DISTINCT ON (object, type, name) object, type, name, full_name
              FROM (SELECT CASE type WHEN 'CustomObject' THEN name WHEN 'Layout' THEN split_part(name, '-', 1) ELSE '' END
                           COLLATE \"C\" AS object, type, name, full_name, ordinal
                      FROM staged_listed
                     WHERE org_id = $1 AND sync_id = $2 AND type = ANY ($3) AND parent_type IS NULL) listed
             WHERE (object, type, name) > ($4, $5, $6)
             ORDER BY object, type, name, ordinal DESC LIMIT $7",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(types)
        .bind(after.map_or("", |member| &member.object))
        .bind(after.map_or("", |member| &member.key.type_name))
        .bind(after.map_or("", |member| &member.key.name))
        .bind(limit)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.listed_members"))?;
        let member = |row: &PgRow| ListedMember {
            key: ComponentKey {
                type_name: row.get("type"),
                name: row.get("name"),
            },
            full_name: row.get("full_name"),
            object: row.get("object"),
        };
        Ok(rows.iter().map(member).collect())
    }

    /// Components of one type that no listing names, such as standard value sets: of the current revision, and gaps.
    pub async fn held_names(self, org: OrgId, type_name: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.held_names
            SELECT full_name FROM version WHERE org_id = $1 AND type = $2 AND to_revision IS NULL
            UNION SELECT name FROM gap WHERE org_id = $1 AND type = $2 AND name <> ''
            ORDER BY 1",
        )
        .bind(org.uuid())
        .bind(type_name)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.held_names"))
    }

    /// Types of members and folders that the current revision holds.
    pub async fn held_types(self, org: OrgId) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.held_types
            SELECT DISTINCT type FROM version WHERE org_id = $1 AND to_revision IS NULL AND parent_type IS NULL",
        )
        .bind(org.uuid())
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.held_types"))
    }

    /// Members of a planned batch: those in `from..to` of the asked ones, and all of its companions.
    pub async fn batch(
        self,
        org: OrgId,
        sync: SyncId,
        n: i32,
        range: std::ops::Range<u32>,
    ) -> Result<Vec<Member>, StoreError> {
        let rows = sqlx::query(
            "-- dictionary.batch
            SELECT type, name, full_name, role, files, bytes FROM batch_member
             WHERE org_id = $1 AND sync_id = $2 AND n = $3
               AND (role = 'companion' OR ordinal >= $4 AND ordinal < $5)
             ORDER BY ordinal",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(n)
        .bind(i64::from(range.start))
        .bind(i64::from(range.end))
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.batch"))?;
        rows.iter()
            .map(|row| {
                Ok(Member {
                    key: ComponentKey {
                        type_name: row.get("type"),
                        name: row.get("name"),
                    },
                    full_name: row.get("full_name"),
                    role: word("batch_member", "role", row.get("role"))?,
                    files: row.get("files"),
                    bytes: row.get("bytes"),
                })
            })
            .collect()
    }

    /// Those of the components that are gaps.
    pub async fn gaps_among(
        self,
        org: OrgId,
        keys: impl Iterator<Item = &ComponentKey>,
    ) -> Result<HashSet<ComponentKey>, StoreError> {
        let (types, names): (Vec<&str>, Vec<&str>) = keys
            .map(|key| (key.type_name.as_str(), key.name.as_str()))
            .unzip();
        let rows = sqlx::query(
            "-- dictionary.gaps_among
            SELECT gap.type, gap.name FROM gap JOIN unnest($2::text[], $3::text[]) AS asked (type, name) USING (type, name)
             WHERE gap.org_id = $1",
        )
        .bind(org.uuid())
        .bind(types)
        .bind(names)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("dictionary.gaps_among"))?;
        let key = |row: &PgRow| ComponentKey {
            type_name: row.get("type"),
            name: row.get("name"),
        };
        Ok(rows.iter().map(key).collect())
    }

    /// Whether the current revision has a component.
    pub async fn holds(self, org: OrgId, key: &ComponentKey) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.holds
            SELECT EXISTS (SELECT FROM version WHERE org_id = $1 AND type = $2 AND name = $3 AND to_revision IS NULL)",
        )
        .bind(org.uuid())
        .bind(&key.type_name)
        .bind(&key.name)
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("dictionary.holds"))
    }
}

fn delta_row(row: &PgRow) -> DeltaRow {
    DeltaRow {
        entry: ListedEntry {
            key: ComponentKey {
                type_name: row.get("type"),
                name: row.get("name"),
            },
            full_name: row.get("full_name"),
            file_name: row.get("file_name"),
            namespace: row.get("namespace"),
            salesforce_id: row.get("salesforce_id"),
            last_modified: row.get::<Option<Stamp>, _>("last_modified").map(|stamp| stamp.0),
            parent: None,
            digest: None,
        },
        known: row.get("known"),
        differs: row.get("differs"),
        digest: row.get("digest"),
        gap: row.get("gap"),
        children_differ: row.get("children_differ"),
        files: row.get("files"),
        bytes: row.get("bytes"),
    }
}
