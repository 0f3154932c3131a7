//! Events for others: written with what they tell of, sent afterwards, deleted once the broker has them.
//!
//! Rows are never read by "id greater than the last": commits come out of order. Each org's events go one after the
//! other, by its own sequence; different orgs' go side by side.

use std::time::Duration;

use domain::{EventId, OrgId};
use nightshift_domain as domain;
use serde_json::Value;
use sqlx::Row;
use uuid::Uuid;

use crate::{
    Store,
    error::{StoreError, at},
    row::column,
    session::Session,
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Outbox<'a> {
    store: &'a Store,
}

impl Store {
    /// Events that wait to be sent.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox { store: self }
    }
}

/// One event, taken to be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct OutboxEvent {
    /// Whose.
    pub org: OrgId,
    /// The org's own count.
    pub sequence: i64,
    /// For receivers that count.
    pub id: EventId,
    /// Such as `sync.failed`.
    pub topic: String,
    /// What happened.
    pub body: Value,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
}

/// An event to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewEvent<'a> {
    pub(crate) org: OrgId,
    pub(crate) topic: &'a str,
    pub(crate) body: &'a Value,
    pub(crate) traceparent: Option<&'a str>,
}

/// Writes an event in the caller's transaction. The org's row is locked by it until the end.
pub(crate) async fn write(
    c: &mut Session,
    org: OrgId,
    topic: &str,
    body: &Value,
    traceparent: Option<&str>,
) -> Result<(), StoreError> {
    let event = NewEvent {
        org,
        topic,
        body,
        traceparent,
    };
    write_each(c, &[event]).await
}

/// The same for events each of which is another org's.
pub(crate) async fn write_each(c: &mut Session, events: &[NewEvent<'_>]) -> Result<(), StoreError> {
    sqlx::query(
        "-- outbox.write
        WITH new AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[], $5::text[])
                          AS new (org_id, id, topic, body, traceparent)
        ), counted AS (
            UPDATE org SET event_sequence = event_sequence + 1 FROM new WHERE org.id = new.org_id
            RETURNING org.id AS org_id, event_sequence
        )
        INSERT INTO outbox (org_id, sequence, id, topic, body, written_at, traceparent)
        SELECT org_id, event_sequence, new.id, topic, body, (SELECT nightshift_now()), traceparent
          FROM counted JOIN new USING (org_id)",
    )
    .bind(column(events, |event| event.org.uuid()))
    .bind(column(events, |_| Uuid::now_v7()))
    .bind(column(events, |event| event.topic))
    .bind(column(events, |event| event.body.clone()))
    .bind(column(events, |event| event.traceparent))
    .execute(c)
    .await
    .map_err(at("outbox.write"))?;
    Ok(())
}

impl Outbox<'_> {
    /// Takes the oldest event of each org that has none in flight; the taking lapses after `hold`.
    pub async fn take(self, limit: i64, hold: Duration) -> Result<Vec<OutboxEvent>, StoreError> {
        let rows = sqlx::query(
            "-- outbox.take
            WITH first AS (
                SELECT org_id, min(sequence) AS sequence FROM outbox GROUP BY org_id LIMIT $1
            ), free AS (
                SELECT outbox.org_id, outbox.sequence
                  FROM outbox JOIN first ON outbox.org_id = first.org_id AND outbox.sequence = first.sequence
                 WHERE outbox.taken_until IS NULL OR outbox.taken_until < nightshift_now()
                   FOR UPDATE OF outbox SKIP LOCKED
            )
            UPDATE outbox SET taken_until = nightshift_now() + make_interval(secs => $2)
              FROM free WHERE outbox.org_id = free.org_id AND outbox.sequence = free.sequence
            RETURNING outbox.org_id, outbox.sequence, outbox.id, outbox.topic, outbox.body, outbox.traceparent",
        )
        .bind(limit)
        .bind(hold.as_secs_f64())
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("outbox.take"))?;
        let event = |row: &sqlx::postgres::PgRow| OutboxEvent {
            org: OrgId::from_uuid(row.get("org_id")),
            sequence: row.get("sequence"),
            id: EventId::from_uuid(row.get("id")),
            topic: row.get("topic"),
            body: row.get("body"),
            traceparent: row.get("traceparent"),
        };
        Ok(rows.iter().map(event).collect())
    }

    /// How many events the broker has not yet.
    pub async fn waiting(self) -> Result<i64, StoreError> {
        sqlx::query_scalar("-- outbox.waiting\nSELECT count(*) FROM outbox")
            .fetch_one(&self.store.pool)
            .await
            .map_err(at("outbox.waiting"))
    }

    /// The broker has it.
    pub async fn delete(self, event: &OutboxEvent) -> Result<(), StoreError> {
        sqlx::query("-- outbox.delete\nDELETE FROM outbox WHERE org_id = $1 AND sequence = $2")
            .bind(event.org.uuid())
            .bind(event.sequence)
            .execute(&self.store.pool)
            .await
            .map_err(at("outbox.delete"))?;
        Ok(())
    }
}
