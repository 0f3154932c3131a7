//! Whether the database answers, asked beside the pool.
//!
//! Readiness must be true of a process whose sessions are all at work, and soon false of one whose database is away. The
//! pool cannot tell the two apart: whoever waits for a free session of it waits as long for a busy fleet as for a dead
//! server. So the probe has one session of its own, and a limit as short as its question.

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use tokio::time::timeout;

use crate::{
    Store,
    error::{StoreError, at},
    session::Pool,
};

/// Asks the database whether it answers.
#[derive(Clone, Debug)]
pub struct Probe {
    own: Pool,
    within: Duration,
}

impl Store {
    /// A probe that is answered within so long or not at all. It opens a session when it first asks.
    pub fn probe(&self, within: Duration) -> Probe {
        Probe {
            own: self.pool.beside(|like| {
                PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(within)
                    .test_before_acquire(false)
                    .connect_lazy_with(like)
            }),
            within,
        }
    }
}

impl Probe {
    /// `Err` when it does not, or not in time; the next time it is asked over a new session.
    pub async fn ask(&self) -> Result<(), StoreError> {
        let asked = sqlx::query("-- probe.ask\nSELECT").execute(&self.own);
        let answer = timeout(self.within, asked).await;
        let answer = answer.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        answer.map(drop).map_err(at("probe.ask"))
    }
}
