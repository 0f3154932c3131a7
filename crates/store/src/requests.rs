//! Request messages that were seen already: the same request twice starts one sync.

use crate::{
    Store,
    error::{StoreError, at},
    session::Session,
    syncs::{AdmissionAnswer, Opening, admit_in},
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Requests<'a> {
    store: &'a Store,
}

impl Store {
    /// Requests seen.
    pub fn requests(&self) -> Requests<'_> {
        Requests { store: self }
    }
}

/// Where a request's id comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdSource {
    /// The sender gave one: unique for 24 hours.
    Sender,
    /// Made from the body: it tells only for ten minutes, and only of redeliveries.
    Body,
}

/// How a request message is told from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestId {
    /// Any text.
    pub id: String,
    /// Where it comes from.
    pub source: IdSource,
    /// The same message was delivered before, perhaps.
    pub redelivered: bool,
}

impl Requests<'_> {
    /// Starts a sync or joins the running one, once for each id within its time; `None`: that was done already.
    ///
    /// The id is written in the transaction that admits: neither is there without the other, and of two schedulers
    /// that have the same request at once the second waits for the first. A refusal is not remembered.
    pub async fn admit(
        self,
        id: &RequestId,
        opening: &Opening<'_>,
    ) -> Result<Option<AdmissionAnswer>, StoreError> {
        let mut tx = self.store.begin("requests.admit").await?;
        if !is_new(&mut tx, id).await? {
            return Ok(None);
        }
        let answer = admit_in(&mut tx, opening).await?;
        if !matches!(answer, AdmissionAnswer::Refused(_)) {
            tx.commit().await?;
        }
        Ok(Some(answer))
    }

    /// Forgets what no longer tells.
    pub async fn forget_old(self) -> Result<(), StoreError> {
        sqlx::query("-- requests.forget_old\nDELETE FROM request_seen WHERE seen_at < nightshift_now() - interval '25 hours'")
            .execute(&self.store.pool)
            .await
            .map_err(at("requests.forget_old"))?;
        Ok(())
    }
}

async fn is_new(c: &mut Session, id: &RequestId) -> Result<bool, StoreError> {
    let (hours, tells) = match id.source {
        IdSource::Sender => (24.0, true),
        IdSource::Body => (1.0 / 6.0, id.redelivered),
    };
    let new = sqlx::query(
        "-- requests.remember
        INSERT INTO request_seen AS seen (id, seen_at) VALUES ($1, nightshift_now())
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
         WHERE NOT $2 OR seen.seen_at <= nightshift_now() - make_interval(secs => $3 * 3600)",
    )
    .bind(&id.id)
    .bind(tells)
    .bind(hours)
    .execute(c)
    .await
    .map_err(at("requests.remember"))?;
    Ok(new.rows_affected() == 1)
}
