//! Local nights: each org and night once, whatever number of schedulers looks.
//!
//! The table is unique by org and night, due orgs are taken with SKIP LOCKED, and night, sync, first job and next run
//! are written in one transaction. What to do with a due org is the caller's pure decision. A batch of orgs takes as
//! many statements as one org does: what is decided is gathered (`batch.rs`) and written for all at once (`rows.rs`).

mod batch;
mod rows;

use domain::{
    Door, Mode, NewJob, OrgId, SyncRequest, Traceparent,
    schedule::{Firing, Schedule, ScheduleError},
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;

use crate::{
    Store,
    error::{StoreError, at},
    row::Day,
    session::Session,
    syncs::{AdmissionAnswer, Opening, Patience, admit_each, new_trace},
};
use batch::Batch;

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
        decide: impl Fn(&DueOrg, Timestamp) -> Result<FireDecision, ScheduleError>,
    ) -> Result<Fired, StoreError> {
        let mut tx = self.store.begin("nights.fire").await?;
        let taken = rows::take_due(&mut tx, instant, limit).await?;
        let mut fired = Fired {
            seen: taken.len(),
            ..Fired::default()
        };
        let mut batch = Batch::default();
        for taken in taken {
            let decision = taken
                .due
                .and_then(|due| decide(&due, taken.instant).map_err(|error| error.to_string()));
            match decision {
                Ok(decision) if taken.is_stopped => batch.put_off(taken.org, decision),
                Ok(decision) => batch.carry_out(taken.org, decision),
                // it stops no other
                Err(reason) => {
                    batch.set_aside(taken.org);
                    fired.unreadable.push((taken.org, reason));
                }
            }
        }
        batch.write(&mut tx, first, &mut fired).await?;
        tx.commit().await?;
        Ok(fired)
    }

    /// Starts again the failed syncs of this night whose time has come. One whose window closed before a scheduler looked
    /// is dropped: by day an org's requests are its users'.
    pub async fn retry(self, limit: i64, first: &NewJob) -> Result<Vec<Started>, StoreError> {
        let mut tx = self.store.begin("nights.retry").await?;
        let tried = rows::due_retries(&mut tx, limit).await?;
        let open: Vec<_> = tried.iter().filter(|retry| retry.is_open).collect();
        let knocks: Vec<_> = open.iter().map(|retry| retry.knock()).collect();
        let mut started = Vec::new();
        for (retry, (answer, traceparent)) in open.iter().zip(knock(&mut tx, &knocks, first).await?) {
            if matches!(answer, AdmissionAnswer::Opened { .. }) {
                let org = retry.org;
                started.push(Started { org, traceparent });
            }
        }
        rows::retried(&mut tx, &tried).await?;
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

/// A night that asks for a sync.
struct Knock {
    request: SyncRequest,
    patience: Patience,
}

impl Knock {
    fn new(org: OrgId, door: Door, mode: Mode, (night, closes_at): (Date, Timestamp)) -> Self {
        let reason = match door {
            Door::SameNightRetry => Some("the sync of this night failed and may heal".to_owned()),
            _ => None,
        };
        Self {
            request: SyncRequest {
                org,
                mode,
                door,
                reason,
            },
            patience: Patience::Night { night, closes_at },
        }
    }
}

/// Nobody's trace leads to a night: each sync begins one.
async fn knock(
    c: &mut Session,
    knocks: &[Knock],
    first: &NewJob,
) -> Result<Vec<(AdmissionAnswer, Traceparent)>, StoreError> {
    let traces: Vec<_> = knocks.iter().map(|_| new_trace()).collect();
    let words: Vec<_> = traces.iter().map(Traceparent::to_string).collect();
    let openings: Vec<_> = knocks
        .iter()
        .zip(&words)
        .map(|(knock, words)| Opening {
            request: &knock.request,
            patience: knock.patience,
            first,
            traceparent: Some(words),
        })
        .collect();
    let answers = admit_each(c, &openings).await?;
    Ok(answers.into_iter().zip(traces).collect())
}
