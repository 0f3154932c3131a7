//! The rows of nights: due orgs taken, nights recorded and joined, next runs set, each for a batch in one statement.

use std::collections::HashSet;

use domain::{Door, Mode, OrgId, SyncId};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::{DueOrg, Knock};
use crate::{
    error::{StoreError, at},
    orgs::schedule,
    row::{Day, Stamp, column},
    session::Session,
};

/// An org whose row is locked until the end of the transaction.
pub(super) struct Taken {
    pub(super) org: OrgId,
    /// The clock of slots.
    pub(super) instant: Timestamp,
    /// Its jobs are paused.
    pub(super) is_stopped: bool,
    /// Or why it cannot be read.
    pub(super) due: Result<DueOrg, String>,
}

/// Takes orgs whose next run has come, the longest due first; those that another scheduler has are left to it.
pub(super) async fn take_due(
    c: &mut Session,
    instant: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<Taken>, StoreError> {
    let rows = sqlx::query(
        "-- nights.due
        SELECT id, time_zone, window_opens, window_closes, slot, days, last_night, slots_after, nights_since_full,
               coalesce($1, (SELECT nightshift_now())) AS instant,
               -- mostly nothing is paused, which is asked once
               EXISTS (SELECT FROM pause) AND org_is_paused(id) AS stopped
          FROM org
         WHERE next_run <= coalesce($1, nightshift_now()) AND NOT paused
         ORDER BY next_run LIMIT $2
           FOR UPDATE SKIP LOCKED",
    )
    .bind(instant.map(Stamp))
    .bind(limit)
    .fetch_all(c)
    .await
    .map_err(at("nights.due"))?;
    let taken = |row: &PgRow| Taken {
        org: OrgId::from_uuid(row.get("id")),
        instant: row.get::<Stamp, _>("instant").0,
        is_stopped: row.get("stopped"),
        due: due(row).map_err(|error| error.to_string()),
    };
    Ok(rows.iter().map(taken).collect())
}

/// What a person or a restore may have written there, a scheduler survives.
fn due(row: &PgRow) -> Result<DueOrg, StoreError> {
    let bad = |column: &'static str| {
        move |error: sqlx::Error| StoreError::Decode {
            table: "org",
            column,
            reason: error.to_string(),
        }
    };
    let last_night: Option<Day> = row.try_get("last_night").map_err(bad("last_night"))?;
    let slots_after: Stamp = row.try_get("slots_after").map_err(bad("slots_after"))?;
    Ok(DueOrg {
        org: OrgId::from_uuid(row.get("id")),
        schedule: schedule(row)?,
        last_night: last_night.map(|day| day.0),
        slots_after: slots_after.0,
        nights_since_full: row.get::<i32, _>("nights_since_full").unsigned_abs(),
    })
}

/// A night to record.
pub(super) struct NewNight<'a> {
    pub(super) org: OrgId,
    pub(super) night: Date,
    pub(super) state: &'static str,
    pub(super) closes_at: Timestamp,
    pub(super) reason: Option<&'a str>,
}

/// Records nights; says which were not known.
pub(super) async fn record(
    c: &mut Session,
    nights: &[NewNight<'_>],
) -> Result<HashSet<(OrgId, Date)>, StoreError> {
    if nights.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(
        "-- nights.record
        INSERT INTO night (org_id, night, state, recorded_at, closes_at, reason)
        SELECT org_id, night, state, (SELECT nightshift_now()), closes_at, reason
          FROM unnest($1::uuid[], $2::date[], $3::text[], $4::timestamptz[], $5::text[])
               AS new (org_id, night, state, closes_at, reason)
            ON CONFLICT DO NOTHING RETURNING org_id, night",
    )
    .bind(column(nights, |night| night.org.uuid()))
    .bind(column(nights, |night| Day(night.night)))
    .bind(column(nights, |night| night.state))
    .bind(column(nights, |night| Stamp(night.closes_at)))
    .bind(column(nights, |night| night.reason))
    .fetch_all(c)
    .await
    .map_err(at("nights.record"))?;
    let key = |row: &PgRow| (OrgId::from_uuid(row.get("org_id")), row.get::<Day, _>("night").0);
    Ok(rows.iter().map(key).collect())
}

/// A slot that meets a running sync counts as run; the sync now belongs to the night.
pub(super) async fn join(c: &mut Session, joined: &[(OrgId, Date, SyncId)]) -> Result<(), StoreError> {
    if joined.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- nights.join
        WITH meeting AS (
            SELECT * FROM unnest($1::uuid[], $2::date[], $3::uuid[]) AS meeting (org_id, night, sync_id)
        ), joined AS (
            UPDATE night SET state = 'joined' FROM meeting
             WHERE night.org_id = meeting.org_id AND night.night = meeting.night
            RETURNING night.org_id, night.night, night.closes_at, meeting.sync_id
        )
        UPDATE sync SET night = coalesce(sync.night, joined.night), ledger_night = joined.night,
               give_up_at = greatest(give_up_at, joined.closes_at)
          FROM joined WHERE sync.org_id = joined.org_id AND sync.id = joined.sync_id",
    )
    .bind(column(joined, |(org, ..)| org.uuid()))
    .bind(column(joined, |(_, night, _)| Day(*night)))
    .bind(column(joined, |(.., sync)| sync.uuid()))
    .execute(c)
    .await
    .map_err(at("nights.join"))?;
    Ok(())
}

/// When an org is looked at next.
pub(super) struct Look {
    pub(super) org: OrgId,
    /// The night that is done now, if one is.
    pub(super) last_night: Option<Date>,
    /// `None`: an hour after it should have been.
    pub(super) next: Option<Timestamp>,
}

/// Sets next runs.
pub(super) async fn look_next(c: &mut Session, looks: &[Look]) -> Result<(), StoreError> {
    if looks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- nights.next_run
        UPDATE org SET next_run = coalesce(look.next_run, org.next_run + interval '1 hour'),
               last_night = coalesce(look.last_night, org.last_night)
          FROM unnest($1::uuid[], $2::date[], $3::timestamptz[]) AS look (id, last_night, next_run)
         WHERE org.id = look.id",
    )
    .bind(column(looks, |look| look.org.uuid()))
    .bind(column(looks, |look| look.last_night.map(Day)))
    .bind(column(looks, |look| look.next.map(Stamp)))
    .execute(c)
    .await
    .map_err(at("nights.next_run"))?;
    Ok(())
}

/// A night whose failed sync may be tried again.
pub(super) struct Retry {
    pub(super) org: OrgId,
    night: Date,
    closes_at: Timestamp,
    /// Its window is.
    pub(super) is_open: bool,
}

impl Retry {
    pub(super) fn knock(&self) -> Knock {
        let night = (self.night, self.closes_at);
        Knock::new(self.org, Door::SameNightRetry, Mode::Incremental, night)
    }
}

/// Takes nights whose failed sync is to be tried again now, with their orgs.
pub(super) async fn due_retries(c: &mut Session, limit: i64) -> Result<Vec<Retry>, StoreError> {
    let rows = sqlx::query(
        "-- nights.due_retries
        SELECT night.org_id, night.night, night.closes_at, night.closes_at > nightshift_now() AS is_open
          FROM night JOIN org ON org.id = night.org_id
         WHERE night.retry_at <= nightshift_now()
           AND (night.closes_at <= nightshift_now() OR NOT org_is_paused(night.org_id))
         ORDER BY night.retry_at LIMIT $1
           FOR UPDATE OF org, night SKIP LOCKED",
    )
    .bind(limit)
    .fetch_all(c)
    .await
    .map_err(at("nights.due_retries"))?;
    let retry = |row: &PgRow| Retry {
        org: OrgId::from_uuid(row.get("org_id")),
        night: row.get::<Day, _>("night").0,
        closes_at: row.get::<Stamp, _>("closes_at").0,
        is_open: row.get("is_open"),
    };
    Ok(rows.iter().map(retry).collect())
}

/// They were: once each.
pub(super) async fn retried(c: &mut Session, tried: &[Retry]) -> Result<(), StoreError> {
    if tried.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "-- nights.retried
        UPDATE night SET retry_at = NULL, retries = retries + 1
          FROM unnest($1::uuid[], $2::date[]) AS tried (org_id, night)
         WHERE night.org_id = tried.org_id AND night.night = tried.night",
    )
    .bind(column(tried, |retry| retry.org.uuid()))
    .bind(column(tried, |retry| Day(retry.night)))
    .execute(c)
    .await
    .map_err(at("nights.retried"))?;
    Ok(())
}
