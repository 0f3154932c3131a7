//! Local nights: each org and night once, whatever number of schedulers looks.
//!
//! The table is unique by org and night, due orgs are taken with SKIP LOCKED, and night, sync, first job and next run
//! are written in one transaction. What to do with a due org is the caller's pure decision.

use domain::{
    Door, Mode, NewJob, OrgId, SyncRequest, Traceparent,
    schedule::{Firing, Missed, NightRun, Schedule},
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use sqlx::Row;

use crate::{
    Store,
    error::{StoreError, at},
    orgs::schedule,
    pauses,
    row::{Day, Stamp},
    session::Session,
    syncs::{AdmissionAnswer, Opening, Patience, admit_in, new_trace},
};

/// Why a night is missed that no pause explains.
const UNSEEN: &str = "no scheduler looked while the window was open";

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Nights<'a> {
    store: &'a Store,
}

impl Store {
    /// Nights.
    pub fn nights(&self) -> Nights<'_> {
        Nights { store: self }
    }
}

/// An org whose next run may have come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueOrg {
    /// Which.
    pub org: OrgId,
    /// When it is synced.
    pub schedule: Schedule,
    /// The last night that was fired or recorded.
    pub last_night: Option<Date>,
    /// Slots at or before it are never caught up.
    pub slots_after: Timestamp,
    /// Nights since everything was retrieved.
    pub nights_since_full: u32,
}

/// What the scheduler decided for a due org.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FireDecision {
    /// Fire, record, or put right.
    pub firing: Firing,
    /// How much to retrieve, if it fires.
    pub mode: Mode,
    /// Real time at which the fired night's window closes.
    pub closes_at: Timestamp,
}

/// A sync that the night started, by its slot or again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Started {
    /// Whose.
    pub org: OrgId,
    /// The first span of its trace, for whoever fired it to record.
    pub traceparent: Traceparent,
}

/// What one round did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fired {
    /// Orgs whose sync was started.
    pub started: Vec<Started>,
    /// Orgs whose slot joined a running sync.
    pub joined: Vec<OrgId>,
    /// Nights that were recorded as missed because nobody looked.
    pub missed: u64,
    /// Nights that were recorded as missed because of a pause.
    pub missed_paused: u64,
    /// Orgs looked at.
    pub seen: usize,
    /// Orgs whose row cannot be read: they are set aside for an hour.
    pub unreadable: Vec<(OrgId, String)>,
}

impl Nights<'_> {
    /// Fires due orgs, at most `limit`, in one transaction. `instant` is the clock of slots (`None`: the database's).
    pub async fn fire(
        self,
        instant: Option<Timestamp>,
        limit: i64,
        first: &NewJob,
        decide: impl Fn(&DueOrg, Timestamp) -> Result<FireDecision, domain::schedule::ScheduleError>,
    ) -> Result<Fired, StoreError> {
        let mut tx = self.store.begin("nights.fire").await?;
        let rows = sqlx::query(
            "-- nights.due
            SELECT id, time_zone, window_opens, window_closes, slot, days, last_night, slots_after, nights_since_full,
                   coalesce($1, nightshift_now()) AS instant, org_is_paused(id) AS stopped
              FROM org
             WHERE next_run <= coalesce($1, nightshift_now()) AND NOT paused
             ORDER BY next_run LIMIT $2
               FOR UPDATE SKIP LOCKED",
        )
        .bind(instant.map(Stamp))
        .bind(limit)
        .fetch_all(&mut *tx)
        .await
        .map_err(at("nights.due"))?;
        let mut fired = Fired {
            seen: rows.len(),
            ..Fired::default()
        };
        for row in &rows {
            let org = OrgId::from_uuid(row.get("id"));
            let instant = row.get::<Stamp, _>("instant").0;
            let decision = schedule(row)
                .map_err(|error| error.to_string())
                .and_then(|schedule| {
                    let due = DueOrg {
                        org,
                        schedule,
                        last_night: row.get::<Option<Day>, _>("last_night").map(|day| day.0),
                        slots_after: row.get::<Stamp, _>("slots_after").0,
                        nights_since_full: row.get::<i32, _>("nights_since_full").unsigned_abs(),
                    };
                    decide(&due, instant).map_err(|error| error.to_string())
                });
            match decision {
                Ok(decision) if row.get("stopped") => put_off(&mut tx, org, &decision, &mut fired).await?,
                Ok(decision) => carry_out(&mut tx, org, &decision, first, &mut fired).await?,
                Err(reason) => {
                    set_aside(&mut tx, org).await?;
                    fired.unreadable.push((org, reason));
                }
            }
        }
        tx.commit().await?;
        Ok(fired)
    }

    /// Starts again the failed syncs of this night whose time has come. One whose window closed before a scheduler looked
    /// is dropped: by day an org's requests are its users'.
    pub async fn retry(self, limit: i64, first: &NewJob) -> Result<Vec<Started>, StoreError> {
        let mut tx = self.store.begin("nights.retry").await?;
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
        .fetch_all(&mut *tx)
        .await
        .map_err(at("nights.due_retries"))?;
        let mut started = Vec::new();
        for row in rows {
            let org = OrgId::from_uuid(row.get("org_id"));
            let night = row.get::<Day, _>("night").0;
            let closes_at = row.get::<Stamp, _>("closes_at").0;
            if row.get("is_open") {
                let patience = Patience::Night { night, closes_at };
                started.extend(start_again(&mut tx, org, patience, first).await?);
            }
            sqlx::query(
                "-- nights.retried
                UPDATE night SET retry_at = NULL, retries = retries + 1 WHERE org_id = $1 AND night = $2",
            )
            .bind(org.uuid())
            .bind(Day(night))
            .execute(&mut *tx)
            .await
            .map_err(at("nights.retried"))?;
        }
        tx.commit().await?;
        Ok(started)
    }

    /// How a night of an org went: `run`, `joined` or `missed`; `None` when nobody has touched it.
    pub async fn state(self, org: OrgId, night: Date) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("-- nights.state\nSELECT state FROM night WHERE org_id = $1 AND night = $2")
            .bind(org.uuid())
            .bind(Day(night))
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("nights.state"))
    }
}

async fn start_again(
    c: &mut Session,
    org: OrgId,
    patience: Patience,
    first: &NewJob,
) -> Result<Option<Started>, StoreError> {
    let request = SyncRequest {
        org,
        mode: Mode::Incremental,
        door: Door::SameNightRetry,
        reason: Some("the sync of this night failed and may heal".to_owned()),
    };
    let (answer, traceparent) = admit_in_new_trace(c, &request, patience, first).await?;
    Ok(matches!(answer, AdmissionAnswer::Opened { .. }).then_some(Started { org, traceparent }))
}

/// Nobody's trace leads to a night: it begins one.
async fn admit_in_new_trace(
    c: &mut Session,
    request: &SyncRequest,
    patience: Patience,
    first: &NewJob,
) -> Result<(AdmissionAnswer, Traceparent), StoreError> {
    let traceparent = new_trace();
    let opening = Opening {
        request,
        patience,
        first,
        traceparent: Some(&traceparent.to_string()),
    };
    Ok((admit_in(c, &opening).await?, traceparent))
}

async fn carry_out(
    c: &mut Session,
    org: OrgId,
    decision: &FireDecision,
    first: &NewJob,
    fired: &mut Fired,
) -> Result<(), StoreError> {
    match &decision.firing {
        Firing::NotYet { next } => look_next_at(c, org, None, next.slot).await,
        Firing::Missed { missed, next } => {
            fired.missed += record_all(&mut *c, org, missed, UNSEEN).await?;
            look_next_at(c, org, last_of(missed), next.slot).await
        }
        Firing::Fire { run, missed, next } => {
            fired.missed += record_all(&mut *c, org, missed, UNSEEN).await?;
            if record(&mut *c, org, run.night, "run", decision.closes_at, None).await? == Recorded::New {
                let request = SyncRequest {
                    org,
                    mode: decision.mode,
                    door: Door::Slot,
                    reason: None,
                };
                let patience = Patience::Night {
                    night: run.night,
                    closes_at: decision.closes_at,
                };
                let (answer, traceparent) = admit_in_new_trace(&mut *c, &request, patience, first).await?;
                match answer {
                    AdmissionAnswer::Opened { .. } => fired.started.push(Started { org, traceparent }),
                    AdmissionAnswer::Joined { sync } => {
                        join_night(&mut *c, org, run.night, sync).await?;
                        fired.joined.push(org);
                    }
                    AdmissionAnswer::Refused(_) => {}
                }
            }
            look_next_at(c, org, Some(run.night), next.slot).await
        }
    }
}

/// A paused org's slot is not fired: it is looked at again when its window closes, or as soon as the pause ends. A night
/// whose window has closed meanwhile is recorded with the pause's reason.
async fn put_off(
    c: &mut Session,
    org: OrgId,
    decision: &FireDecision,
    fired: &mut Fired,
) -> Result<(), StoreError> {
    let pause = pauses::that_stops(&mut *c, org, None).await?;
    let reason = pause.as_deref().unwrap_or(UNSEEN);
    let (missed, until) = match &decision.firing {
        Firing::NotYet { next } => (&[][..], next.slot),
        Firing::Missed { missed, next } => (missed.as_slice(), next.slot),
        Firing::Fire { run, missed, .. } => (missed.as_slice(), run.closes),
    };
    fired.missed_paused += record_all(&mut *c, org, missed, reason).await?;
    look_next_at(c, org, last_of(missed), until).await
}

/// Records nights as missed; how many.
async fn record_all(c: &mut Session, org: OrgId, missed: &[Missed], reason: &str) -> Result<u64, StoreError> {
    for missed in missed {
        record_missed(&mut *c, org, &missed.run, reason).await?;
    }
    Ok(missed.len() as u64)
}

fn last_of(missed: &[Missed]) -> Option<Date> {
    missed.last().map(|missed| missed.run.night)
}

#[derive(PartialEq, Eq)]
enum Recorded {
    New,
    Known,
}

async fn record(
    c: &mut Session,
    org: OrgId,
    night: Date,
    state: &'static str,
    closes_at: Timestamp,
    reason: Option<&str>,
) -> Result<Recorded, StoreError> {
    let done = sqlx::query(
        "-- nights.record
        INSERT INTO night (org_id, night, state, recorded_at, closes_at, reason)
        VALUES ($1, $2, $3, nightshift_now(), $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(org.uuid())
    .bind(Day(night))
    .bind(state)
    .bind(Stamp(closes_at))
    .bind(reason)
    .execute(c)
    .await
    .map_err(at("nights.record"))?;
    Ok(if done.rows_affected() == 1 {
        Recorded::New
    } else {
        Recorded::Known
    })
}

async fn record_missed(c: &mut Session, org: OrgId, run: &NightRun, reason: &str) -> Result<(), StoreError> {
    if record(&mut *c, org, run.night, "missed", run.closes, Some(reason)).await? == Recorded::Known {
        return Ok(());
    }
    let failure = crate::jobs::Failure {
        code: domain::FailureCode::NightMissed,
        message: format!("the night of {} was missed: {reason}", run.night),
        evidence: [("night".to_owned(), run.night.to_string())].into(),
    };
    crate::cases::open(c, org, None, &failure).await
}

/// A slot that meets a running sync counts as run; the sync now belongs to the night.
async fn join_night(
    c: &mut Session,
    org: OrgId,
    night: Date,
    sync: domain::SyncId,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- nights.join
        WITH joined AS (UPDATE night SET state = 'joined' WHERE org_id = $1 AND night = $2 RETURNING closes_at)
        UPDATE sync SET night = coalesce(night, $2), ledger_night = $2, give_up_at = greatest(give_up_at, joined.closes_at)
          FROM joined WHERE org_id = $1 AND id = $3",
    )
    .bind(org.uuid())
    .bind(Day(night))
    .bind(sync.uuid())
    .execute(c)
    .await
    .map_err(at("nights.join"))?;
    Ok(())
}

async fn look_next_at(
    c: &mut Session,
    org: OrgId,
    last_night: Option<Date>,
    at_instant: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- nights.next_run
        UPDATE org SET next_run = $2, last_night = coalesce($3, last_night) WHERE id = $1",
    )
    .bind(org.uuid())
    .bind(Stamp(at_instant))
    .bind(last_night.map(Day))
    .execute(c)
    .await
    .map_err(at("nights.next_run"))?;
    Ok(())
}

async fn set_aside(c: &mut Session, org: OrgId) -> Result<(), StoreError> {
    sqlx::query("-- nights.set_aside\nUPDATE org SET next_run = next_run + interval '1 hour' WHERE id = $1")
        .bind(org.uuid())
        .execute(c)
        .await
        .map_err(at("nights.set_aside"))?;
    Ok(())
}
