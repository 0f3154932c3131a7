//! The rows behind `domain::admission`: decided under the org's row lock.

use std::time::Duration;

use domain::{
    Admission, NewJob, OpenSync, OrgId, Refusal, SyncId, SyncRequest, SyncState, Traceparent,
    admission::{OrgStanding, Standing},
    schedule::night_around,
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use sqlx::Row;
use uuid::Uuid;

use super::Syncs;
use crate::{
    error::{Conflict, StoreError, at},
    jobs,
    row::{Day, Stamp, word},
    session::Session,
};

/// How often a door that met a lock time-out (or a deadlock, which the order of locks rules out) is tried again as a whole.
pub(crate) const TRIES: u32 = 5;

/// How long a sync may wait in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// From now: a sync by hand.
    For(Duration),
    /// Until the night's window ends; the sync belongs to that night.
    Night {
        /// Which.
        night: Date,
        /// Real time at which its window closes.
        closes_at: Timestamp,
    },
}

/// All that a new sync is made of.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Whose, how and why.
    pub request: &'a SyncRequest,
    /// How long it may wait.
    pub patience: Patience,
    /// The job with which it begins.
    pub first: &'a NewJob,
    /// The trace that led to it, W3C.
    pub traceparent: Option<&'a str>,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdmissionAnswer {
    /// A new sync; its first job is due.
    Opened {
        /// The sync.
        sync: SyncId,
    },
    /// The running one.
    Joined {
        /// The sync.
        sync: SyncId,
    },
    /// Nothing was started.
    Refused(Refusal),
}

impl Syncs<'_> {
    /// Starts a sync or joins the running one. A lock that is not given in time is asked for again.
    pub async fn admit(self, opening: &Opening<'_>) -> Result<AdmissionAnswer, StoreError> {
        let mut tries = 0;
        loop {
            match self.admit_once(opening).await {
                Err(StoreError::Busy { .. }) if tries < TRIES => tries += 1,
                answer => return answer,
            }
        }
    }

    async fn admit_once(self, opening: &Opening<'_>) -> Result<AdmissionAnswer, StoreError> {
        let mut tx = self.store.begin("syncs.admit").await?;
        let answer = admit_in(&mut tx, opening).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// A person said yes: the held sync runs again for its `finish`.
    pub async fn accept(self, org: OrgId, finish: &NewJob, patience: Duration) -> Result<SyncId, StoreError> {
        let mut tx = self.store.begin("syncs.accept").await?;
        let Found { name, standing, .. } = find(&mut tx, org).await?;
        if standing.open.is_some() {
            return Err(StoreError::Conflict(Conflict::SyncOpen(name)));
        }
        let held: Option<Uuid> = sqlx::query_scalar(
            "-- syncs.accept
            UPDATE sync SET state = 'running', ended_at = NULL, failure_code = NULL, failure_message = NULL,
                   give_up_at = nightshift_now() + make_interval(secs => $2)
             WHERE org_id = $1 AND state = 'held' RETURNING id",
        )
        .bind(org.uuid())
        .bind(patience.as_secs_f64())
        .fetch_optional(&mut *tx)
        .await
        .map_err(at("syncs.accept"))?;
        let Some(sync) = held.map(SyncId::from_uuid) else {
            return Err(StoreError::Conflict(Conflict::NothingHeld(name)));
        };
        jobs::insert(&mut tx, org, Some(sync), 0, None, finish).await?;
        tx.commit().await?;
        Ok(sync)
    }
}

/// The same inside a transaction of the store.
pub(crate) async fn admit_in(c: &mut Session, opening: &Opening<'_>) -> Result<AdmissionAnswer, StoreError> {
    let Opening { request, first, .. } = opening;
    let Found { standing, around, .. } = find(&mut *c, request.org).await?;
    match domain::admit(standing, request) {
        Admission::Join(sync) => Ok(AdmissionAnswer::Joined { sync }),
        Admission::Refuse(why) => Ok(AdmissionAnswer::Refused(why)),
        Admission::Open => {
            let own = new_trace().to_string();
            let trace = Some(opening.traceparent.unwrap_or(&own));
            let sync = open(&mut *c, request, opening.patience, around, trace).await?;
            jobs::insert(&mut *c, request.org, Some(sync), 0, trace, first).await?;
            Ok(AdmissionAnswer::Opened { sync })
        }
    }
}

/// A sync that nobody's trace led to begins one: its steps are one trace, whichever processes run them.
pub(crate) fn new_trace() -> Traceparent {
    let (trace, span) = rand::random();
    Traceparent::root(trace, span)
}

/// An org at whose door somebody knocks.
struct Found {
    name: String,
    standing: OrgStanding,
    /// The local night in which it is now, noon to noon.
    around: Date,
}

/// Locks the org's row and reads what the rule wants to know.
async fn find(c: &mut Session, org: OrgId) -> Result<Found, StoreError> {
    let row = sqlx::query(
        "-- orgs.standing
        SELECT name, paused, time_zone, nightshift_now() AS now FROM org WHERE id = $1 FOR UPDATE",
    )
    .bind(org.uuid())
    .fetch_optional(&mut *c)
    .await
    .map_err(at("orgs.standing"))?
    .ok_or_else(|| StoreError::NotFound {
        thing: "org",
        name: org.to_string(),
    })?;
    let open = sqlx::query(
        "-- syncs.open
        SELECT id, state FROM sync WHERE org_id = $1 AND state IN ('queued', 'running')",
    )
    .bind(org.uuid())
    .fetch_optional(c)
    .await
    .map_err(at("syncs.open"))?;
    let open = open
        .map(|open| {
            let state: SyncState = word("sync", "state", open.get("state"))?;
            Ok::<_, StoreError>(OpenSync {
                id: SyncId::from_uuid(open.get("id")),
                state,
            })
        })
        .transpose()?;
    let schedule = if row.get("paused") {
        Standing::Paused
    } else {
        Standing::Active
    };
    let zone: &str = row.get("time_zone");
    Ok(Found {
        name: row.get("name"),
        standing: OrgStanding { open, schedule },
        around: night_around(row.get::<Stamp, _>("now").0, zone),
    })
}

async fn open(
    c: &mut Session,
    request: &SyncRequest,
    patience: Patience,
    around: Date,
    traceparent: Option<&str>,
) -> Result<SyncId, StoreError> {
    let sync = SyncId::from_uuid(Uuid::now_v7());
    let (night, closes_at, seconds) = match patience {
        Patience::For(limit) => (None, None, limit.as_secs_f64()),
        Patience::Night { night, closes_at } => (Some(Day(night)), Some(Stamp(closes_at)), 0.0),
    };
    sqlx::query(
        "-- syncs.insert
        INSERT INTO sync (org_id, id, state, mode, door, reason, night, admitted_at, give_up_at, traceparent, ledger_night)
        VALUES ($1, $2, 'queued', $3, $4, $5, $6, nightshift_now(),
                coalesce($7, nightshift_now() + make_interval(secs => $8)), $9, coalesce($6, $10))",
    )
    .bind(request.org.uuid())
    .bind(sync.uuid())
    .bind(request.mode.as_str())
    .bind(request.door.as_str())
    .bind(request.reason.as_deref().map(jobs::bounded))
    .bind(night)
    .bind(closes_at)
    .bind(seconds)
    .bind(traceparent)
    .bind(Day(around))
    .execute(c)
    .await
    .map_err(at("syncs.insert"))?;
    Ok(sync)
}
