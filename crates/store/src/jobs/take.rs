//! The statement by which a job's row goes or moves, under its fence, and everything is written that goes with it: the
//! calls on the bill and in the ledger, the line of the timeline, the jobs that follow.
//!
//! One statement, because each more is a round trip while the sync's row is locked (measured: decisions/0007). All its
//! parts read `mine`, the row that was taken: where the fence does not fit there is none, and nothing is written. Where it
//! matters what others have settled, the sync's row is locked by a statement before it. Else this one locks the row
//! itself (`*_AT_ONCE`) and is the whole settlement: no transaction around it, one round trip instead of four. A row that
//! was waited for is read anew, so whether the sync is open is known as of now; the rest of the snapshot may be older.

use domain::{JobId, OrgId, SyncId};
use nightshift_domain as domain;
use serde_json::Value;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{Claim, Due, DueJob, Settlement, Settling, Told, fail, insert::rows};
use crate::{
    error::{StoreError, at},
    row::{Stamp, word},
    session::Session,
};

macro_rules! nothing_follows {
    () => {
        "SELECT kind, traceparent, false AS due, NULL::uuid[] AS ids, NULL::text[] AS classes FROM mine"
    };
}

macro_rules! due_again {
    () => {
        "UPDATE job SET state = 'due', lease_until = NULL, announced_at = NULL,
            not_before = coalesce($8, nightshift_now()), attempts = attempts + $9, waits = waits + $10,
            waiting_for = $11, payload = coalesce($12, payload)"
    };
}

macro_rules! mine {
    ($name:literal, $change:expr, $then:expr) => {
        mine!($name, "", $change, "", $then)
    };
    ($name:literal, $before:expr, $change:expr, $and:literal, $then:expr) => {
        concat!(
            "-- ",
            $name,
            "\nWITH ",
            $before,
            "mine AS (",
            $change,
            " WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'",
            $and,
            " RETURNING sync_id, kind, attempts, deaths, waits, traceparent)",
            include_str!("settle/written.sql"),
            $then
        )
    };
}

/// The same, of a sync whose row it locks first: only while the sync is open.
macro_rules! mine_at_once {
    ($name:literal, $sync:literal, $change:expr, $then:expr) => {
        mine!(
            $name,
            concat!(
                "locked AS MATERIALIZED (
                    SELECT state IN ('queued', 'running') AS is_open FROM sync WHERE org_id = $1 AND id = ",
                $sync,
                " FOR UPDATE
                ), "
            ),
            $change,
            " AND is_open",
            $then
        )
    };
}

/// The job ends; others may follow it.
pub(super) const DELETE: &str = mine!(
    "jobs.settle_delete",
    "DELETE FROM job",
    include_str!("settle/followed.sql")
);
/// The same, at once.
pub(super) const DELETE_AT_ONCE: &str = mine_at_once!(
    "jobs.settle_delete_at_once",
    "$11",
    "DELETE FROM job USING locked",
    include_str!("settle/followed.sql")
);
/// The job is due again.
pub(super) const DUE: &str = mine!("jobs.settle_due", due_again!(), nothing_follows!());
/// The same, at once.
pub(super) const DUE_AT_ONCE: &str = mine_at_once!(
    "jobs.settle_due_at_once",
    "$13",
    concat!(due_again!(), " FROM locked"),
    nothing_follows!()
);
/// The job is kept for a person.
pub(super) const DEAD: &str = mine!(
    "jobs.settle_dead",
    "UPDATE job SET state = 'dead', lease_until = NULL",
    nothing_follows!()
);

/// What the sync's end leaves of a settlement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Left {
    /// All of it.
    All,
    /// The sync has ended: its calls are booked, and its job goes with nothing else.
    Bill,
}

/// Up to how many live jobs of an org what follows is marked as announced in the same statement: no more than the smallest
/// of the limits. Beyond them, the announcement decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Few(pub u32);

/// Who locks the sync's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Locks {
    /// A statement before this one did, in its transaction; or there is no sync.
    Before,
    /// This one does. Of an ended sync's job nothing is taken.
    AtOnce(SyncId),
}

/// What was taken.
pub(super) struct Taken {
    /// The job's kind, for whom effects book calls.
    pub kind: String,
    /// Whether a job of the org is due at once, and who tells the queue.
    pub due: Due,
}

/// Moves or deletes the row and writes what goes with it.
pub(super) async fn take(
    c: &mut Session,
    claim: &Claim,
    settlement: &Settlement,
    left: Left,
    few: Few,
    locks: Locks,
) -> Result<Taken, StoreError> {
    let settling = &settlement.settling;
    let event = (left == Left::All).then(|| settling.name());
    let kinds: Vec<&str> = settlement.bill.0.keys().map(String::as_str).collect();
    let calls: Vec<i64> = settlement.bill.0.values().copied().collect();
    let mine = |sql| {
        sqlx::query(sql)
            .bind(claim.org.uuid())
            .bind(claim.job.uuid())
            .bind(claim.fence.0)
            .bind(event)
            .bind(beside(settling))
            .bind(&kinds)
            .bind(&calls)
    };
    let ends = |next: Value, when: Follows| {
        let bound = |sql| {
            mine(sql)
                .bind(next)
                .bind(when == Follows::Last)
                .bind(i64::from(few.0))
        };
        match locks {
            Locks::Before => bound(DELETE),
            Locks::AtOnce(sync) => bound(DELETE_AT_ONCE).bind(sync.uuid()),
        }
    };
    let due =
        |until: Option<jiff::Timestamp>, [attempts, waits]: [i32; 2], why: Option<&'static str>, payload| {
            let bound = |sql| {
                mine(sql)
                    .bind(until.map(Stamp))
                    .bind(attempts)
                    .bind(waits)
                    .bind(why)
                    .bind::<Option<&Value>>(payload)
            };
            match locks {
                Locks::Before => bound(DUE),
                Locks::AtOnce(sync) => bound(DUE_AT_ONCE).bind(sync.uuid()),
            }
        };
    let query = match settling {
        _ if left == Left::Bill => ends(rows(&[])?, Follows::Always),
        Settling::Done { next, last, .. } => match last {
            Some(last) if next.is_empty() => ends(rows([last])?, Follows::Last),
            _ => ends(rows(next)?, Follows::Always),
        },
        Settling::Split { halves } => ends(rows(halves)?, Follows::Always),
        Settling::Again { from } => ends(rows([from])?, Follows::Always),
        Settling::Fail { .. } if claim.sync.is_none() => mine(DEAD),
        Settling::Fail { .. } => ends(rows(&[])?, Follows::Always),
        Settling::Wait { until, why, payload } => {
            due(Some(*until), [0, 1], Some(why.as_str()), payload.as_ref())
        }
        Settling::Retry { not_before, .. } => due(Some(*not_before), [1, 0], None, None),
        Settling::Release => due(None, [0, 0], None, None),
    };
    let row = query.fetch_optional(c).await.map_err(at("jobs.settle"))?;
    let row = row.ok_or(StoreError::LeaseLost)?;
    let due = match marked(claim.org, &row)? {
        _ if row.get("due") || *settling == Settling::Release => Due::Now,
        marked if marked.is_empty() => Due::Later,
        marked => Due::Marked(marked),
    };
    Ok(Taken {
        kind: row.get("kind"),
        due,
    })
}

/// What follows and is marked as announced already.
fn marked(org: OrgId, row: &PgRow) -> Result<Vec<DueJob>, StoreError> {
    let ids: Option<Vec<Uuid>> = row.get("ids");
    let classes: Option<Vec<String>> = row.get("classes");
    let jobs = ids
        .unwrap_or_default()
        .into_iter()
        .zip(classes.unwrap_or_default());
    jobs.map(|(id, class)| {
        Ok(DueJob {
            org,
            job: JobId::from_uuid(id),
            class: word("job", "class", &class)?,
            traceparent: row.get("traceparent"),
            told: Told::Never,
        })
    })
    .collect()
}

/// When a job follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Follows {
    Always,
    /// Once no other job of the sync is left.
    Last,
}

/// What the timeline says beside the event.
fn beside(settling: &Settling) -> Option<String> {
    match settling {
        Settling::Wait { why, .. } => Some(why.as_str().to_owned()),
        Settling::Retry { error, .. } => Some(fail::detail(error.code, &error.message)),
        Settling::Fail { failure } => Some(fail::detail(failure.code, &failure.message)),
        _ => None,
    }
}
