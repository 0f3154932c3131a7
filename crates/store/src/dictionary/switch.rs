//! `finish` makes tonight's staged rows the org's next revision.
//!
//! Set-based statements in the settling transaction, with the org's row locked by the caller: so revisions come one
//! after another, and readers, who ask for one revision, never see half of one. A component whose hash is unchanged
//! writes nothing; a quiet night writes one row of `revision` and no more. The rules stand as comments beside their
//! SQL: which staged row counts (`tonight.sql`), what is gone (`gone.sql`), what the last good listing is
//! (`switch_listed.sql`), what is a gap (`switch_left_out.sql`). Whether the deletions need a person's yes was
//! decided before (`deletions.rs` gives the facts); the sync's and the org's rows are `settle`'s.

use nightshift_domain::{OrgId, Revision, SyncId};
use sqlx::PgConnection;

use crate::error::{StoreError, at};

/// What a switch came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SwitchFigures {
    /// The new revision.
    pub revision: Revision,
    /// Members, folders and children of it.
    pub components: i64,
    /// Not in the revision before.
    pub added: i64,
    /// With another hash than before.
    pub changed: i64,
    /// In the revision before, no longer.
    pub deleted: i64,
    /// Distinct members and folders that were asked for (not as companions) and came.
    pub got: i64,
    /// Gaps that this sync reported.
    pub gaps: i64,
}

/// Switches the org to its next revision.
///
/// The caller holds the org's row, and calls it once for a sync: a second call fails on the key of `revision`.
pub(crate) async fn switch(c: &mut PgConnection, org: OrgId, sync: SyncId) -> Result<SwitchFigures, StoreError> {
    let (before, components): (i64, i64) = sqlx::query_as(
        "-- dictionary.switch.before
        SELECT coalesce(max(revision), 0),
               coalesce((SELECT components FROM revision WHERE org_id = $1 ORDER BY revision DESC LIMIT 1), 0)
          FROM revision WHERE org_id = $1",
    )
    .bind(org.uuid())
    .fetch_one(&mut *c)
    .await
    .map_err(at("dictionary.switch.before"))?;
    let revision = before + 1;

    let (added, changed, deleted): (i64, i64, i64) = sqlx::query_as(concat!(
        "-- dictionary.switch.versions\nWITH ",
        include_str!("tonight.sql"),
        ", ",
        include_str!("gone.sql"),
        include_str!("switch_versions.sql"),
    ))
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(revision)
    .fetch_one(&mut *c)
    .await
    .map_err(at("dictionary.switch.versions"))?;

    for (name, statement) in [
        ("dictionary.switch.files", include_str!("switch_files.sql")),
        ("dictionary.switch.left_out", include_str!("switch_left_out.sql")),
        ("dictionary.switch.listed", include_str!("switch_listed.sql")),
        ("dictionary.switch.unlisted", include_str!("switch_unlisted.sql")),
        ("dictionary.switch.gaps", include_str!("switch_gaps.sql")),
        ("dictionary.switch.gaps_closed", include_str!("switch_gaps_closed.sql")),
    ] {
        let query = sqlx::query(statement).bind(org.uuid()).bind(sync.uuid());
        let query = if statement.contains("$3") { query.bind(revision) } else { query };
        query.execute(&mut *c).await.map_err(at(name))?;
    }

    let components = components + added - deleted;
    let (got, gaps): (i64, i64) = sqlx::query_as(
        "-- dictionary.switch.revision
        WITH written AS (
            INSERT INTO revision (org_id, revision, sync_id, at, components, added, changed, deleted)
            VALUES ($1, $3, $2, nightshift_now(), $4, $5, $6, $7)
        )
        SELECT (SELECT count(*) FROM (SELECT DISTINCT b.type, b.name FROM batch_member b
                                       WHERE b.org_id = $1 AND b.sync_id = $2 AND b.role = 'asked'
                                         AND EXISTS (SELECT FROM staged_component c
                                                      WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = b.type
                                                        AND c.name = b.name AND c.parent_type IS NULL)) AS asked),
               (SELECT count(*) FROM sync_left_out o WHERE o.org_id = $1 AND o.sync_id = $2 AND o.kind = 'gap')",
    )
    .bind(org.uuid())
    .bind(sync.uuid())
    .bind(revision)
    .bind(components)
    .bind(added)
    .bind(changed)
    .bind(deleted)
    .fetch_one(c)
    .await
    .map_err(at("dictionary.switch.revision"))?;

    Ok(SwitchFigures {
        revision: Revision(revision),
        components,
        added,
        changed,
        deleted,
        got,
        gaps,
    })
}
