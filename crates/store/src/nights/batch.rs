//! What becomes of a batch of due orgs: decided for one after the other, written for all.

use domain::{
    Door, FailureCode, Mode, NewJob, OrgId,
    schedule::{Firing, Missed},
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;

use super::{
    FireDecision, Fired, Knock, Started, knock,
    rows::{self, Look, NewNight},
};
use crate::{
    cases::{self, Occurrence},
    error::StoreError,
    jobs::Failure,
    pauses,
    row::column,
    session::Session,
    syncs::AdmissionAnswer,
};

/// Why a night is missed that no pause explains.
const UNSEEN: &str = "no scheduler looked while the window was open";

/// What is to be written. No org is in it twice.
#[derive(Default)]
pub(super) struct Batch {
    missed: Vec<MissedOf>,
    runs: Vec<Run>,
    looks: Vec<Look>,
}

/// Nights of an org that can no longer be made up.
struct MissedOf {
    org: OrgId,
    nights: Vec<Missed>,
    why: Why,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Unseen,
    Paused,
}

/// A night whose slot fires.
struct Run {
    org: OrgId,
    night: Date,
    closes_at: Timestamp,
    mode: Mode,
}

impl Batch {
    /// An org's slot fires, or its missed nights are recorded.
    pub(super) fn carry_out(&mut self, org: OrgId, decision: FireDecision) {
        let (run, missed, next) = match decision.firing {
            Firing::NotYet { next } => (None, Vec::new(), next),
            Firing::Missed { missed, next } => (None, missed, next),
            Firing::Fire { run, missed, next } => (Some(run.night), missed, next),
        };
        self.look(org, run.or(last_of(&missed)), Some(next.slot));
        self.miss(org, missed, Why::Unseen);
        self.runs.extend(run.map(|night| Run {
            org,
            night,
            closes_at: decision.closes_at,
            mode: decision.mode,
        }));
    }

    /// A paused org's slot is not fired: it is looked at again when its window closes, or as soon as the pause ends. A
    /// night whose window has closed meanwhile is recorded with the pause's reason.
    pub(super) fn put_off(&mut self, org: OrgId, decision: FireDecision) {
        let (missed, until) = match decision.firing {
            Firing::NotYet { next } => (Vec::new(), next.slot),
            Firing::Missed { missed, next } => (missed, next.slot),
            Firing::Fire { run, missed, .. } => (missed, run.closes),
        };
        self.look(org, last_of(&missed), Some(until));
        self.miss(org, missed, Why::Paused);
    }

    /// An org that cannot be read is left alone for a while.
    pub(super) fn set_aside(&mut self, org: OrgId) {
        self.look(org, None, None);
    }

    fn look(&mut self, org: OrgId, last_night: Option<Date>, next: Option<Timestamp>) {
        self.looks.push(Look {
            org,
            last_night,
            next,
        });
    }

    fn miss(&mut self, org: OrgId, nights: Vec<Missed>, why: Why) {
        if !nights.is_empty() {
            self.missed.push(MissedOf { org, nights, why });
        }
    }

    /// Writes it, and counts what was done.
    pub(super) async fn write(
        self,
        c: &mut Session,
        first: &NewJob,
        fired: &mut Fired,
    ) -> Result<(), StoreError> {
        record_missed(&mut *c, &self.missed, fired).await?;
        run(&mut *c, &self.runs, first, fired).await?;
        rows::look_next(c, &self.looks).await
    }
}

fn last_of(missed: &[Missed]) -> Option<Date> {
    missed.last().map(|missed| missed.run.night)
}

/// Each missed night that was not known has its case.
async fn record_missed(c: &mut Session, missed: &[MissedOf], fired: &mut Fired) -> Result<(), StoreError> {
    let mut nights = Vec::new();
    for MissedOf {
        org,
        nights: of_org,
        why,
    } in missed
    {
        let (pause, counted) = match why {
            Why::Unseen => (None, &mut fired.missed),
            Why::Paused => (
                pauses::that_stops(&mut *c, *org, None).await?,
                &mut fired.missed_paused,
            ),
        };
        *counted += of_org.len() as u64;
        let reason = pause.unwrap_or_else(|| UNSEEN.to_owned());
        nights.extend(of_org.iter().map(|missed| (*org, missed.run, reason.clone())));
    }
    let rows = column(&nights, |(org, run, reason)| NewNight {
        org: *org,
        night: run.night,
        state: "missed",
        closes_at: run.closes,
        reason: Some(reason.as_str()),
    });
    let new = rows::record(&mut *c, &rows).await?;
    nights.retain(|(org, run, _)| new.contains(&(*org, run.night)));
    let failures = column(&nights, |(org, run, reason)| {
        let failure = Failure {
            code: FailureCode::NightMissed,
            message: format!("the night of {} was missed: {reason}", run.night),
            evidence: [("night".to_owned(), run.night.to_string())].into(),
        };
        (*org, failure)
    });
    let occurrences = column(&failures, |(org, failure)| Occurrence {
        org: *org,
        sync: None,
        failure,
    });
    cases::open_each(c, &occurrences).await
}

/// Nights that nobody has recorded before knock at their orgs' doors.
async fn run(c: &mut Session, runs: &[Run], first: &NewJob, fired: &mut Fired) -> Result<(), StoreError> {
    let rows = column(runs, |run| NewNight {
        org: run.org,
        night: run.night,
        state: "run",
        closes_at: run.closes_at,
        reason: None,
    });
    let new = rows::record(&mut *c, &rows).await?;
    let runs: Vec<_> = runs
        .iter()
        .filter(|run| new.contains(&(run.org, run.night)))
        .collect();
    let knocks: Vec<_> = runs
        .iter()
        .map(|run| Knock::new(run.org, Door::Slot, run.mode, (run.night, run.closes_at)))
        .collect();
    let mut joined = Vec::new();
    for (run, (answer, traceparent)) in runs.iter().zip(knock(&mut *c, &knocks, first).await?) {
        let org = run.org;
        match answer {
            AdmissionAnswer::Opened { .. } => fired.started.push(Started { org, traceparent }),
            AdmissionAnswer::Joined { sync } => {
                joined.push((org, run.night, sync));
                fired.joined.push(org);
            }
            AdmissionAnswer::Refused(_) => {}
        }
    }
    rows::join(c, &joined).await
}
