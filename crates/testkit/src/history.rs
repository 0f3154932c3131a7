//! What happened in a test's database, and whether it may happen.
//!
//! Triggers write a line for each claim, lease, effect, settlement, sync, revision, case and night ([`record`]), so that
//! whatever processes a test starts, kills or freezes, one list tells what their rows went through. [`check`] reads such
//! a list and knows the rules that a list can show; what it says is the shortest story that breaks one.

mod check;
mod event;
mod rules;

use nightshift_domain::OrgId;
use sqlx::{Executor, Row};
use uuid::Uuid;

pub use check::{Violation, check};
pub use event::{Event, Happened};
pub use rules::Rule;

use crate::TestDb;

impl TestDb {
    /// Begins to record. To be called before anything happens.
    ///
    /// # Panics
    /// When it is called twice.
    pub async fn record(&self) {
        self.connect()
            .await
            .execute(include_str!("history/triggers.sql"))
            .await
            .expect("the triggers fit the tables");
    }

    /// All that was recorded (`None`), or of one org, in order.
    ///
    /// # Panics
    /// When nobody records, or a trigger wrote what [`Event`] does not know.
    pub async fn history(&self, org: Option<OrgId>) -> Vec<Event> {
        let rows = sqlx::query(
            "SELECT at, tx, event, org, sync, job, fence, lease, number, word FROM history
              WHERE $1::uuid IS NULL OR org = $1 ORDER BY n",
        )
        .bind(org.map(OrgId::uuid))
        .fetch_all(&mut self.connect().await)
        .await
        .expect("the history is there");
        let read = |row: &sqlx::postgres::PgRow| {
            let word: Option<String> = row.get("word");
            Event {
                at: row.get("at"),
                tx: row.get("tx"),
                org: row.get("org"),
                sync: row.get::<Option<Uuid>, _>("sync"),
                job: row.get::<Option<Uuid>, _>("job"),
                happened: Happened::read(
                    row.get("event"),
                    row.get::<Option<i64>, _>("fence").unwrap_or_default(),
                    row.get("lease"),
                    row.get::<Option<i64>, _>("number").unwrap_or_default(),
                    word.unwrap_or_default(),
                ),
            }
        };
        rows.iter().map(read).collect()
    }

    /// Checks what was recorded, and gives how many lines that were.
    ///
    /// # Panics
    /// With the shortest story of each rule that was broken.
    pub async fn history_holds(&self) -> usize {
        let events = self.history(None).await;
        let broken = check(&events);
        assert!(
            broken.is_empty(),
            "{} rules were broken in {} events:\n{}",
            broken.len(),
            events.len(),
            broken.iter().map(Violation::to_string).collect::<String>()
        );
        events.len()
    }
}
