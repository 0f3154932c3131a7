//! Request messages that were seen already: the same request twice starts one sync.

use nightshift_domain::SyncId;

use crate::{
    Store,
    error::{StoreError, at},
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

impl Requests<'_> {
    /// Whether a request of this id was carried out within its time.
    pub async fn seen(self, id: &str, source: IdSource) -> Result<bool, StoreError> {
        let minutes = if source == IdSource::Sender {
            24.0 * 60.0
        } else {
            10.0
        };
        sqlx::query_scalar(
            "-- requests.seen
            SELECT EXISTS (SELECT FROM request_seen
                            WHERE id = $1 AND seen_at > nightshift_now() - make_interval(secs => $2 * 60))",
        )
        .bind(id)
        .bind(minutes)
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("requests.seen"))
    }

    /// Remembers a request that was carried out. Between two schedulers that get it twice at once the org's row lock
    /// decides: the second joins the first one's sync.
    pub async fn remember(self, id: &str, source: IdSource, sync: Option<SyncId>) -> Result<(), StoreError> {
        sqlx::query(
            "-- requests.remember
            INSERT INTO request_seen (id, seen_at, from_body, sync_id) VALUES ($1, nightshift_now(), $2, $3)
            ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, sync_id = excluded.sync_id",
        )
        .bind(id)
        .bind(source == IdSource::Body)
        .bind(sync.map(SyncId::uuid))
        .execute(&self.store.pool)
        .await
        .map_err(at("requests.remember"))?;
        Ok(())
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
