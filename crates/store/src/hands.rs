//! The book of deeds: who did what to a job, a sync or a pause, and why.
//!
//! Each line is written in the transaction that does the deed, and never changed.

use domain::{Deed, Hand, JobId, JobState, OrgId, SyncId};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Store,
    error::{StoreError, at},
    row::{Stamp, word},
    session::Session,
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Hands<'a> {
    store: &'a Store,
}

impl Store {
    /// The book of deeds.
    pub fn hands(&self) -> Hands<'_> {
        Hands { store: self }
    }
}

/// To what a deed is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject<'a> {
    /// `None`: it concerns no org.
    pub org: Option<OrgId>,
    /// For people.
    pub words: &'a str,
    /// How the job was found.
    pub found: Option<JobState>,
    /// Which job.
    pub job: Option<JobId>,
    /// Which sync.
    pub sync: Option<SyncId>,
}

/// One line of the book.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandRow {
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub deed: Deed,
    /// To what, in words.
    pub subject: String,
    /// Who did it.
    pub person: String,
    /// Why.
    pub reason: String,
    /// The state in which the job was found.
    pub found: Option<JobState>,
}

/// Writes a line, in the transaction of the deed.
pub(crate) async fn keep(
    c: &mut Session,
    deed: Deed,
    hand: &Hand,
    subject: &Subject<'_>,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- hands.keep
        INSERT INTO hand (org_id, id, at, person, reason, deed, subject, found, job_id, sync_id)
        VALUES ($1, $2, nightshift_now(), $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(subject.org.map_or(Uuid::nil(), OrgId::uuid))
    .bind(Uuid::now_v7())
    .bind(hand.person())
    .bind(hand.reason())
    .bind(deed.as_str())
    .bind(subject.words)
    .bind(subject.found.map(JobState::as_str))
    .bind(subject.job.map(JobId::uuid))
    .bind(subject.sync.map(SyncId::uuid))
    .execute(c)
    .await
    .map_err(at("hands.keep"))?;
    Ok(())
}

const COLUMNS: &str = "at, deed, subject, person, reason, found";

impl Hands<'_> {
    /// The dead letters were sent again: the one deed outside of the database.
    pub async fn sent_again(self, hand: &Hand, letters: usize) -> Result<(), StoreError> {
        let mut tx = self.store.begin("hands.sent_again").await?;
        let words = format!("{letters} dead letter(s)");
        let subject = Subject {
            words: &words,
            ..Subject::default()
        };
        keep(&mut tx, Deed::SendAgain, hand, &subject).await?;
        tx.commit().await
    }

    /// What was done to a job, gone or not, in order.
    pub async fn of_job(self, job: JobId) -> Result<Vec<HandRow>, StoreError> {
        let sql = format!("-- hands.of_job\nSELECT {COLUMNS} FROM hand WHERE job_id = $1 ORDER BY at, id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(job.uuid())
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("hands.of_job"))?;
        rows.iter().map(hand_row).collect()
    }

    /// What was done to a sync and its jobs, in order.
    pub async fn of_sync(self, org: OrgId, sync: SyncId) -> Result<Vec<HandRow>, StoreError> {
        let sql = format!(
            "-- hands.of_sync\nSELECT {COLUMNS} FROM hand WHERE org_id = $1 AND sync_id = $2 ORDER BY at, id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(org.uuid())
            .bind(sync.uuid())
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("hands.of_sync"))?;
        rows.iter().map(hand_row).collect()
    }
}

fn hand_row(row: &PgRow) -> Result<HandRow, StoreError> {
    let found: Option<String> = row.get("found");
    Ok(HandRow {
        at: row.get::<Stamp, _>("at").0,
        deed: word("hand", "deed", row.get("deed"))?,
        subject: row.get("subject"),
        person: row.get("person"),
        reason: row.get("reason"),
        found: found.map(|state| word("hand", "found", &state)).transpose()?,
    })
}
