//! The rows behind `domain::admission`: decided under the org's row lock, for one who knocks or for a batch of slots.

mod rows;

use std::time::Duration;

use domain::{Admission, NewJob, OpenSync, OrgId, Refusal, SyncId, SyncRequest, SyncState, Traceparent};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use uuid::Uuid;

use super::Syncs;
use crate::{
    error::{Conflict, StoreError, at},
    jobs::{self, Placed},
    row::column,
    session::Session,
};
use rows::{Found, NewSync, find, find_one, no_org, open};

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
        let Found { name, standing, .. } = find_one(&mut tx, org).await?;
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
        let placed = Placed {
            org,
            sync,
            traceparent: None,
            job: finish,
        };
        jobs::insert(&mut tx, &[placed]).await?;
        tx.commit().await?;
        Ok(sync)
    }
}

/// The same inside a transaction of the store.
pub(crate) async fn admit_in(c: &mut Session, opening: &Opening<'_>) -> Result<AdmissionAnswer, StoreError> {
    let answers = admit_each(c, std::slice::from_ref(opening)).await?;
    Ok(answers.into_iter().next().expect("each opening has its answer"))
}

/// The same for many who knock at once, with as many statements as for one. Of two at the same org's door the second
/// joins the first. The answers stand in the order of the openings.
pub(crate) async fn admit_each(
    c: &mut Session,
    openings: &[Opening<'_>],
) -> Result<Vec<AdmissionAnswer>, StoreError> {
    if openings.is_empty() {
        return Ok(Vec::new());
    }
    let mut orgs = find(&mut *c, &column(openings, |opening| opening.request.org)).await?;
    let (mut answers, mut new) = (Vec::with_capacity(openings.len()), Vec::new());
    for opening in openings {
        let org = opening.request.org;
        let found = orgs.get_mut(&org).ok_or_else(|| no_org(org))?;
        answers.push(match domain::admit(found.standing, opening.request) {
            Admission::Join(sync) => AdmissionAnswer::Joined { sync },
            Admission::Refuse(why) => AdmissionAnswer::Refused(why),
            Admission::Open => {
                let id = SyncId::from_uuid(Uuid::now_v7());
                let state = SyncState::Queued;
                found.standing.open = Some(OpenSync { id, state });
                let own = || new_trace().to_string();
                new.push(NewSync {
                    id,
                    opening,
                    around: found.around,
                    traceparent: opening.traceparent.map_or_else(own, str::to_owned),
                });
                AdmissionAnswer::Opened { sync: id }
            }
        });
    }
    if !new.is_empty() {
        open(&mut *c, &new).await?;
        jobs::insert(&mut *c, &column(&new, NewSync::first)).await?;
    }
    Ok(answers)
}

/// A sync that nobody's trace led to begins one: its steps are one trace, whichever processes run them.
pub(crate) fn new_trace() -> Traceparent {
    let (trace, span) = rand::random();
    Traceparent::root(trace, span)
}
