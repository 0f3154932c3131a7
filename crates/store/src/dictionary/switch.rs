//! From staged rows to a new revision: set by set, in one transaction, with the org's row locked.
//!
//! A quiet night takes the next number and writes nothing else: every statement touches only what differs. Nothing is
//! deleted on the word of a listing that failed, and what could not be got keeps its last good version.

use domain::{Deletions, OrgId, Revision, Switch, SyncId, effect::TypeCount};
use nightshift_domain as domain;
use sqlx::Row;

use super::{
    Dictionary,
    doubt::{doubt, doubted},
};
use crate::{
    error::{StoreError, at},
    session::Session,
    tx::plan_for_sets,
};

/// What a switch did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchFigures {
    /// The new revision.
    pub revision: Revision,
    /// Members, folders and children of it.
    pub components: i64,
    /// Against the one before.
    pub added: i64,
    /// Against the one before.
    pub changed: i64,
    /// Against the one before.
    pub deleted: i64,
    /// Distinct members and folders that were asked for and came.
    pub got: i64,
}

/// Common tables: tonight's good types, and the newest staged row of each component and file.
macro_rules! tonight {
    () => {
        "WITH good AS MATERIALIZED (
            SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2 GROUP BY type HAVING bool_and(good)
        ), named AS MATERIALIZED (
            SELECT DISTINCT type, name FROM staged_listed WHERE org_id = $1 AND sync_id = $2
        ), got AS MATERIALIZED (
            SELECT DISTINCT ON (type, name) * FROM staged_component WHERE org_id = $1 AND sync_id = $2
             ORDER BY type, name, job_id DESC, fence DESC, ordinal DESC
        ), members_gone AS MATERIALIZED (
            -- a member or folder: a good listing no longer names what the last one named
            SELECT v.type, v.name FROM version v
              JOIN listed o ON o.org_id = $1 AND o.type = v.type AND o.name = v.name
             WHERE v.org_id = $1 AND v.to_revision IS NULL AND v.parent_type IS NULL
               AND v.type IN (SELECT type FROM good)
               AND NOT EXISTS (SELECT FROM named n WHERE n.type = v.type AND n.name = v.name)
               AND NOT EXISTS (SELECT FROM got g WHERE g.type = v.type AND g.name = v.name)
        ), children AS MATERIALIZED (
            SELECT v.type, v.name, v.parent_type, v.parent_name FROM version v
             WHERE v.org_id = $1 AND v.to_revision IS NULL AND v.parent_type IS NOT NULL
               AND NOT EXISTS (SELECT FROM got g WHERE g.type = v.type AND g.name = v.name)
        ), gone AS MATERIALIZED (
            SELECT type, name FROM members_gone
            UNION
            -- a child that its listing no longer names
            SELECT c.type, c.name FROM children c
              JOIN listed o ON o.org_id = $1 AND o.type = c.type AND o.name = c.name
             WHERE c.type IN (SELECT type FROM good)
               AND NOT EXISTS (SELECT FROM named n WHERE n.type = c.type AND n.name = c.name)
            UNION
            -- a child without which its parent's file came
            SELECT c.type, c.name FROM children c
             WHERE EXISTS (SELECT FROM got p WHERE p.type = c.parent_type AND p.name = c.parent_name)
            UNION
            -- a child whose parent is gone
            SELECT c.type, c.name FROM children c
             WHERE EXISTS (SELECT FROM members_gone p WHERE p.type = c.parent_type AND p.name = c.parent_name)
        ) "
    };
}

/// Statements that change rows, in their order. `$3` is the new revision.
pub(super) const STATEMENTS: [(&str, &str); 12] = [
    (
        "dictionary.close_gone",
        concat!(
            "-- dictionary.close_gone\n",
            tonight!(),
            "UPDATE version v SET to_revision = $3 FROM gone
              WHERE v.org_id = $1 AND v.type = gone.type AND v.name = gone.name AND v.to_revision IS NULL"
        ),
    ),
    (
        "dictionary.close_files_of_gone",
        "-- dictionary.close_files_of_gone
        UPDATE file_version f SET to_revision = $3
         WHERE f.org_id = $1 AND f.to_revision IS NULL AND $2::uuid IS NOT NULL
           AND EXISTS (SELECT FROM version v WHERE v.org_id = $1 AND v.type = f.type AND v.name = f.name
                        AND v.to_revision = $3)
           AND NOT EXISTS (SELECT FROM version v WHERE v.org_id = $1 AND v.type = f.type AND v.name = f.name
                        AND v.to_revision IS NULL)",
    ),
    (
        "dictionary.close_changed",
        "-- dictionary.close_changed
        WITH got AS MATERIALIZED (
            SELECT DISTINCT ON (type, name) type, name, content_hash FROM staged_component
             WHERE org_id = $1 AND sync_id = $2 ORDER BY type, name, job_id DESC, fence DESC, ordinal DESC
        )
        UPDATE version v SET to_revision = $3 FROM got
         WHERE v.org_id = $1 AND v.type = got.type AND v.name = got.name AND v.to_revision IS NULL
           AND v.content_hash <> got.content_hash",
    ),
    (
        "dictionary.open",
        "-- dictionary.open
        WITH got AS MATERIALIZED (
            SELECT DISTINCT ON (type, name) * FROM staged_component
             WHERE org_id = $1 AND sync_id = $2 ORDER BY type, name, job_id DESC, fence DESC, ordinal DESC
        )
        INSERT INTO version (org_id, type, name, from_revision, full_name, file_name, parent_type, parent_name,
               namespace, content_hash, last_modified, blob, slice_from, slice_to)
        SELECT $1, got.type, got.name, $3, coalesce(l.full_name, got.full_name), got.file_name, got.parent_type,
               got.parent_name, coalesce(l.namespace, got.namespace), got.content_hash,
               coalesce(l.last_modified, got.last_modified), got.blob, got.slice_from, got.slice_to
          FROM got
          LEFT JOIN LATERAL (
               SELECT full_name, namespace, last_modified FROM staged_listed
                WHERE org_id = $1 AND sync_id = $2 AND type = got.type AND name = got.name
                ORDER BY ordinal DESC LIMIT 1) l ON true
         WHERE NOT EXISTS (SELECT FROM version v WHERE v.org_id = $1 AND v.type = got.type AND v.name = got.name
                            AND v.to_revision IS NULL)",
    ),
    (
        "dictionary.close_changed_files",
        "-- dictionary.close_changed_files
        WITH got AS MATERIALIZED (
            SELECT DISTINCT ON (type, name, path) type, name, path, canonical_hash FROM staged_file
             WHERE org_id = $1 AND sync_id = $2 ORDER BY type, name, path, job_id DESC, fence DESC, ordinal DESC
        ), members AS MATERIALIZED (SELECT DISTINCT type, name FROM got)
        UPDATE file_version f SET to_revision = $3 FROM members m
         WHERE f.org_id = $1 AND f.type = m.type AND f.name = m.name AND f.to_revision IS NULL
           AND NOT EXISTS (SELECT FROM got WHERE got.type = f.type AND got.name = f.name AND got.path = f.path
                            AND got.canonical_hash = f.canonical_hash)",
    ),
    (
        "dictionary.open_files",
        "-- dictionary.open_files
        WITH got AS MATERIALIZED (
            SELECT DISTINCT ON (type, name, path) * FROM staged_file
             WHERE org_id = $1 AND sync_id = $2 ORDER BY type, name, path, job_id DESC, fence DESC, ordinal DESC
        )
        INSERT INTO file_version (org_id, type, name, path, from_revision, canonical_hash, blob, size)
        SELECT $1, type, name, path, $3, canonical_hash, blob, size FROM got
         WHERE NOT EXISTS (SELECT FROM file_version f WHERE f.org_id = $1 AND f.type = got.type AND f.name = got.name
                            AND f.path = got.path AND f.to_revision IS NULL)",
    ),
    (
        // a gap keeps its old row, so that it differs again tomorrow; so do the children of one
        "dictionary.remember_listed",
        "-- dictionary.remember_listed
        WITH missed AS MATERIALIZED (
            SELECT DISTINCT m.type, m.name FROM batch_member m
             WHERE m.org_id = $1 AND m.sync_id = $2 AND m.role = 'asked'
               AND NOT EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1 AND g.sync_id = $2
                                AND g.type = m.type AND g.name = m.name)
        ), named AS (
            SELECT DISTINCT ON (type, name) * FROM staged_listed WHERE org_id = $1 AND sync_id = $2
             ORDER BY type, name, ordinal DESC
        )
        INSERT INTO listed (org_id, type, name, full_name, file_name, namespace, salesforce_id, last_modified,
               parent_type, parent_name, digest)
        SELECT $1, type, name, full_name, file_name, namespace, salesforce_id, last_modified, parent_type, parent_name,
               digest
          FROM named n
         WHERE $3::bigint IS NOT NULL
           AND NOT EXISTS (SELECT FROM missed m WHERE m.type = n.type AND m.name = n.name)
           AND NOT EXISTS (SELECT FROM missed m WHERE m.type = n.parent_type AND m.name = n.parent_name)
           AND NOT EXISTS (SELECT FROM listed o WHERE o.org_id = $1 AND o.type = n.type AND o.name = n.name
                            AND o.salesforce_id IS NOT DISTINCT FROM n.salesforce_id
                            AND o.last_modified IS NOT DISTINCT FROM n.last_modified
                            AND o.full_name = n.full_name AND o.file_name = n.file_name
                            AND o.digest IS NOT DISTINCT FROM n.digest)
        ON CONFLICT (org_id, type, name) DO UPDATE
           SET full_name = excluded.full_name, file_name = excluded.file_name, namespace = excluded.namespace,
               salesforce_id = excluded.salesforce_id, last_modified = excluded.last_modified,
               parent_type = excluded.parent_type, parent_name = excluded.parent_name, digest = excluded.digest",
    ),
    (
        "dictionary.forget_listed",
        "-- dictionary.forget_listed
        WITH good AS MATERIALIZED (
            SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2 GROUP BY type HAVING bool_and(good)
        )
        DELETE FROM listed o
         WHERE o.org_id = $1 AND $3::bigint IS NOT NULL AND o.type IN (SELECT type FROM good)
           AND NOT EXISTS (SELECT FROM staged_listed n WHERE n.org_id = $1 AND n.sync_id = $2 AND n.type = o.type
                            AND n.name = o.name)",
    ),
    (
        "dictionary.weigh",
        "-- dictionary.weigh
        WITH weight AS (
            SELECT type, name, count(*) AS files, sum(size)::bigint AS bytes FROM (
                SELECT DISTINCT ON (type, name, path) type, name, path, size FROM staged_file
                 WHERE org_id = $1 AND sync_id = $2 ORDER BY type, name, path, job_id DESC, ordinal DESC) f
             GROUP BY type, name
        )
        UPDATE listed o SET files = weight.files, bytes = weight.bytes FROM weight
         WHERE o.org_id = $1 AND $3::bigint IS NOT NULL AND o.type = weight.type AND o.name = weight.name
           AND (o.files IS DISTINCT FROM weight.files OR o.bytes IS NULL
                OR abs(o.bytes - weight.bytes) > o.bytes / 4)",
    ),
    (
        "dictionary.close_gaps",
        "-- dictionary.close_gaps
        WITH good AS MATERIALIZED (
            SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2 GROUP BY type HAVING bool_and(good)
        )
        DELETE FROM gap o
         WHERE o.org_id = $1 AND $3::bigint IS NOT NULL
           AND NOT EXISTS (SELECT FROM staged_left_out n WHERE n.org_id = $1 AND n.sync_id = $2 AND n.type = o.type
                            AND n.name = o.name AND n.kind = 'gap')
           AND (EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1 AND g.sync_id = $2 AND g.type = o.type
                         AND g.name = o.name)
                -- asked for, and nothing to say about it: a set of the fixed list that the org does not have
                OR EXISTS (SELECT FROM batch_member m WHERE m.org_id = $1 AND m.sync_id = $2 AND m.type = o.type
                            AND m.name = o.name AND m.role = 'asked')
                OR o.type IN (SELECT type FROM good)
                   AND NOT EXISTS (SELECT FROM staged_listed n WHERE n.org_id = $1 AND n.sync_id = $2
                                    AND n.type = o.type AND n.name = o.name))",
    ),
    (
        "dictionary.open_gaps",
        "-- dictionary.open_gaps
        INSERT INTO gap (org_id, type, name, reason, detail, since)
        SELECT DISTINCT ON (type, name) $1, type, name, reason, detail, nightshift_now() FROM staged_left_out n
         WHERE org_id = $1 AND sync_id = $2 AND kind = 'gap' AND $3::bigint IS NOT NULL
           AND (reason = 'not_whole' OR NOT EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1
                            AND g.sync_id = $2 AND g.type = n.type AND g.name = n.name))
         ORDER BY type, name, job_id DESC, ordinal DESC
        ON CONFLICT (org_id, type, name) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
         WHERE gap.reason <> excluded.reason OR gap.detail <> excluded.detail",
    ),
    (
        "dictionary.left_out",
        "-- dictionary.left_out
        INSERT INTO sync_left_out (org_id, sync_id, type, name, reason, kind, detail)
        SELECT DISTINCT ON (type, name, reason) $1, $2, type, name, reason, kind, detail FROM staged_left_out n
         WHERE org_id = $1 AND sync_id = $2 AND $3::bigint IS NOT NULL
           AND (reason = 'not_whole' OR NOT EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1
                            AND g.sync_id = $2 AND g.type = n.type AND g.name = n.name))
         ORDER BY type, name, reason, ordinal DESC
        ON CONFLICT DO NOTHING",
    ),
];

/// What a switch would delete, by type, beside what there is.
pub(super) const DELETIONS: &str = concat!(
    "-- dictionary.deletions\n",
    tonight!(),
    ", current AS (SELECT type, count(*) AS n FROM version WHERE org_id = $1 AND to_revision IS NULL GROUP BY type),
       lost AS (SELECT type, count(*) AS n FROM gone GROUP BY type)
    SELECT current.type, current.n AS current, coalesce(lost.n, 0) AS deleted
      FROM current LEFT JOIN lost USING (type)"
);

/// Switches. The caller holds the org's row.
pub(crate) async fn switch(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    switch: &Switch,
) -> Result<SwitchFigures, StoreError> {
    let revision: i64 = sqlx::query_scalar(
        "-- dictionary.next_revision
        SELECT coalesce(max(revision), 0) + 1 FROM revision WHERE org_id = $1",
    )
    .bind(org.uuid())
    .fetch_one(&mut *c)
    .await
    .map_err(at("dictionary.next_revision"))?;
    plan_for_sets(c).await?;
    let doubted = doubted(c, org, sync, switch).await?;
    for (name, statement) in STATEMENTS {
        sqlx::query(statement)
            .persistent(false)
            .bind(org.uuid())
            .bind(sync.uuid())
            .bind(revision)
            .execute(&mut *c)
            .await
            .map_err(at(name))?;
    }
    doubt(c, org, &doubted).await?;
    figures(c, org, sync, revision).await
}

async fn figures(
    c: &mut Session,
    org: OrgId,
    sync: SyncId,
    revision: i64,
) -> Result<SwitchFigures, StoreError> {
    let row = sqlx::query(
        "-- dictionary.figures
        WITH opened AS (SELECT type, name FROM version WHERE org_id = $1 AND from_revision = $3),
             closed AS (SELECT type, name FROM version WHERE org_id = $1 AND to_revision = $3),
             both_of AS (SELECT count(*) AS n FROM opened JOIN closed USING (type, name))
        SELECT (SELECT count(*) FROM version WHERE org_id = $1 AND to_revision IS NULL) AS components,
               (SELECT count(*) FROM opened) - both_of.n AS added, both_of.n AS changed,
               (SELECT count(*) FROM closed) - both_of.n AS deleted,
               (SELECT count(*) FROM (
                    SELECT DISTINCT m.type, m.name FROM batch_member m
                     WHERE m.org_id = $1 AND m.sync_id = $2 AND m.role = 'asked'
                       AND EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1 AND g.sync_id = $2
                                    AND g.type = m.type AND g.name = m.name)) came) AS got
          FROM both_of",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(revision)
    .fetch_one(&mut *c)
    .await
    .map_err(at("dictionary.figures"))?;
    let figures = SwitchFigures {
        revision: Revision(revision),
        components: row.get("components"),
        added: row.get("added"),
        changed: row.get("changed"),
        deleted: row.get("deleted"),
        got: row.get("got"),
    };
    sqlx::query(
        "-- dictionary.revision
        INSERT INTO revision (org_id, revision, sync_id, at, components, added, changed, deleted)
        VALUES ($1, $2, $3, nightshift_now(), $4, $5, $6, $7)",
    )
    .bind(org.uuid())
    .bind(revision)
    .bind(sync.uuid())
    .bind(figures.components)
    .bind(figures.added)
    .bind(figures.changed)
    .bind(figures.deleted)
    .execute(c)
    .await
    .map_err(at("dictionary.revision"))?;
    Ok(figures)
}

impl Dictionary<'_> {
    /// What a switch would delete, beside what there is: by type.
    pub async fn deletions(self, org: OrgId, sync: SyncId) -> Result<Deletions, StoreError> {
        let mut tx = self.store.begin("dictionary.deletions").await?;
        plan_for_sets(&mut tx).await?;
        let rows = sqlx::query(DELETIONS)
            .persistent(false)
            .bind(org.uuid())
            .bind(sync.uuid())
            .fetch_all(&mut *tx)
            .await
            .map_err(at("dictionary.deletions"))?;
        tx.commit().await?;
        let count = |row: &sqlx::postgres::PgRow| {
            (
                row.get("type"),
                TypeCount {
                    current: row.get("current"),
                    deleted: row.get("deleted"),
                },
            )
        };
        Ok(Deletions {
            by_type: rows.iter().map(count).collect(),
        })
    }

    /// How many gaps the sync has so far: what should have come and did not.
    pub async fn gaps(self, org: OrgId, sync: SyncId) -> Result<i64, StoreError> {
        sqlx::query_scalar(
            "-- dictionary.gaps
            SELECT count(*) FROM (SELECT DISTINCT type, name FROM staged_left_out n
             WHERE org_id = $1 AND sync_id = $2 AND kind = 'gap'
               AND (reason = 'not_whole' OR NOT EXISTS (SELECT FROM staged_component g WHERE g.org_id = $1
                                AND g.sync_id = $2 AND g.type = n.type AND g.name = n.name))) gaps",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("dictionary.gaps"))
    }
}
