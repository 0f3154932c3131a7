//! What a door reads of the orgs that knock, and the rows of the syncs that begin.

use std::collections::HashMap;

use domain::{
    OpenSync, OrgId, SyncId, SyncRequest, SyncState,
    admission::{OrgStanding, Standing},
    schedule::night_around,
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use super::{Opening, Patience};
use crate::{
    error::{StoreError, at},
    jobs::{self, Placed},
    row::{Day, Stamp, column, word},
    session::Session,
};

/// An org at whose door somebody knocks.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) standing: OrgStanding,
    /// The local night in which it is now, noon to noon.
    pub(super) around: Date,
}

/// A sync that begins.
pub(super) struct NewSync<'a> {
    pub(super) id: SyncId,
    pub(super) opening: &'a Opening<'a>,
    pub(super) around: Date,
    pub(super) traceparent: String,
}

impl NewSync<'_> {
    fn request(&self) -> &SyncRequest {
        self.opening.request
    }

    /// Its first job.
    pub(super) fn first(&self) -> Placed<'_> {
        Placed {
            org: self.request().org,
            sync: self.id,
            traceparent: Some(&self.traceparent),
            job: self.opening.first,
        }
    }

    /// Its night, and when that ends.
    fn night(&self) -> Option<(Date, Timestamp)> {
        match self.opening.patience {
            Patience::For(_) => None,
            Patience::Night { night, closes_at } => Some((night, closes_at)),
        }
    }

    /// How long it may wait, where no night ends it.
    fn seconds(&self) -> f64 {
        match self.opening.patience {
            Patience::For(limit) => limit.as_secs_f64(),
            Patience::Night { .. } => 0.0,
        }
    }
}

pub(super) fn no_org(org: OrgId) -> StoreError {
    StoreError::NotFound {
        thing: "org",
        name: org.to_string(),
    }
}

pub(super) async fn find_one(c: &mut Session, org: OrgId) -> Result<Found, StoreError> {
    find(c, &[org]).await?.remove(&org).ok_or_else(|| no_org(org))
}

/// Locks the orgs' rows and reads what the rule wants to know. What is open is read behind the locks: whoever held one
/// until now may have opened a sync.
pub(super) async fn find(c: &mut Session, orgs: &[OrgId]) -> Result<HashMap<OrgId, Found>, StoreError> {
    let ids = column(orgs, |org| org.uuid());
    let rows = sqlx::query(
        "-- orgs.standing
        SELECT id, name, paused, time_zone, (SELECT nightshift_now()) AS now
          FROM org WHERE id = ANY($1) ORDER BY id FOR UPDATE",
    )
    .bind(&ids)
    .fetch_all(&mut *c)
    .await
    .map_err(at("orgs.standing"))?;
    let open = sqlx::query(
        "-- syncs.open
        SELECT org_id, id, state FROM sync WHERE org_id = ANY($1) AND state IN ('queued', 'running')",
    )
    .bind(&ids)
    .fetch_all(c)
    .await
    .map_err(at("syncs.open"))?;
    let mut found: HashMap<_, _> = rows.iter().map(found).collect();
    for row in open {
        let id = SyncId::from_uuid(row.get("id"));
        let state: SyncState = word("sync", "state", row.get("state"))?;
        let org = OrgId::from_uuid(row.get("org_id"));
        if let Some(found) = found.get_mut(&org) {
            found.standing.open = Some(OpenSync { id, state });
        }
    }
    Ok(found)
}

/// Before what is open is known.
fn found(row: &PgRow) -> (OrgId, Found) {
    let schedule = if row.get("paused") {
        Standing::Paused
    } else {
        Standing::Active
    };
    let zone: &str = row.get("time_zone");
    let found = Found {
        name: row.get("name"),
        standing: OrgStanding { open: None, schedule },
        around: night_around(row.get::<Stamp, _>("now").0, zone),
    };
    (OrgId::from_uuid(row.get("id")), found)
}

pub(super) async fn open(c: &mut Session, new: &[NewSync<'_>]) -> Result<(), StoreError> {
    sqlx::query(
        "-- syncs.insert
        INSERT INTO sync (org_id, id, state, mode, door, reason, night, admitted_at, give_up_at, traceparent, ledger_night)
        SELECT org_id, id, 'queued', mode, door, reason, night, (SELECT nightshift_now()),
               coalesce(closes_at, (SELECT nightshift_now()) + make_interval(secs => seconds)), traceparent,
               coalesce(night, around)
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::timestamptz[],
                      $8::float8[], $9::text[], $10::date[])
               AS new (org_id, id, mode, door, reason, night, closes_at, seconds, traceparent, around)",
    )
    .bind(column(new, |new| new.request().org.uuid()))
    .bind(column(new, |new| new.id.uuid()))
    .bind(column(new, |new| new.request().mode.as_str()))
    .bind(column(new, |new| new.request().door.as_str()))
    .bind(column(new, |new| new.request().reason.as_deref().map(jobs::bounded)))
    .bind(column(new, |new| new.night().map(|(night, _)| Day(night))))
    .bind(column(new, |new| new.night().map(|(_, closes_at)| Stamp(closes_at))))
    .bind(column(new, NewSync::seconds))
    .bind(column(new, |new| new.traceparent.as_str()))
    .bind(column(new, |new| Day(new.around)))
    .execute(c)
    .await
    .map_err(at("syncs.insert"))?;
    Ok(())
}
