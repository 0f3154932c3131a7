//! Support cases: one open case for each org and code, with occurrences; a success resolves all of the org's.

use std::collections::{BTreeMap, HashMap};

use domain::{CaseId, OrgId, SyncId};
use jiff::Timestamp;
use nightshift_domain as domain;
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Store,
    error::{StoreError, at},
    jobs::{Failure, bounded},
    outbox::{self, NewEvent},
    row::{Stamp, column, word},
    session::Session,
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Cases<'a> {
    store: &'a Store,
}

impl Store {
    /// Cases.
    pub fn cases(&self) -> Cases<'_> {
        Cases { store: self }
    }
}

/// One case; its words are in the catalogue under its code.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseRow {
    /// Which.
    pub id: CaseId,
    /// Whose.
    pub org: OrgId,
    /// The org's name.
    pub org_name: String,
    /// Why.
    pub code: domain::FailureCode,
    /// `open` or `resolved`.
    pub state: String,
    /// How often, since it was opened.
    pub occurrences: i32,
    /// First.
    pub opened_at: Timestamp,
    /// Last.
    pub last_occurred_at: Timestamp,
    /// By a success.
    pub resolved_at: Option<Timestamp>,
    /// Of the last occurrence.
    pub sync: Option<SyncId>,
    /// Of the last occurrence.
    pub message: String,
    /// Of the last occurrence.
    pub evidence: BTreeMap<String, String>,
}

/// What a case is opened for, or counts once more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence<'a> {
    pub(crate) org: OrgId,
    pub(crate) sync: Option<SyncId>,
    pub(crate) failure: &'a Failure,
}

/// Opens a case, or adds an occurrence to the open one of the same org and code.
pub(crate) async fn open(
    c: &mut Session,
    org: OrgId,
    sync: Option<SyncId>,
    failure: &Failure,
) -> Result<(), StoreError> {
    open_each(c, &[Occurrence { org, sync, failure }]).await
}

/// The same for many at once; those of one org in their order, each with its event.
pub(crate) async fn open_each(c: &mut Session, occurrences: &[Occurrence<'_>]) -> Result<(), StoreError> {
    for round in rounds(occurrences) {
        open_round(&mut *c, &round).await?;
    }
    Ok(())
}

/// No round has an org twice: a statement changes a row once.
fn rounds<'a>(occurrences: &[Occurrence<'a>]) -> Vec<Vec<Occurrence<'a>>> {
    let (mut rounds, mut nth_of): (Vec<Vec<_>>, HashMap<_, usize>) = Default::default();
    for occurrence in occurrences {
        let nth = nth_of.entry(occurrence.org).or_default();
        if *nth == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[*nth].push(*occurrence);
        *nth += 1;
    }
    rounds
}

async fn open_round(c: &mut Session, round: &[Occurrence<'_>]) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "-- cases.open
        INSERT INTO support_case (org_id, id, code, state, opened_at, last_occurred_at, sync_id, message, evidence)
        SELECT org_id, id, code, 'open', (SELECT nightshift_now()), (SELECT nightshift_now()), sync_id, message, evidence
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::jsonb[])
               AS new (org_id, id, code, sync_id, message, evidence)
            ON CONFLICT (org_id, code) WHERE state = 'open' DO UPDATE
           SET occurrences = support_case.occurrences + 1, last_occurred_at = excluded.last_occurred_at,
               sync_id = excluded.sync_id, message = excluded.message, evidence = excluded.evidence
        RETURNING org_id, id, occurrences",
    )
    .bind(column(round, |new| new.org.uuid()))
    .bind(column(round, |_| Uuid::now_v7()))
    .bind(column(round, |new| new.failure.code.as_str()))
    .bind(column(round, |new| new.sync.map(SyncId::uuid)))
    .bind(column(round, |new| bounded(&new.failure.message)))
    .bind(column(round, |new| evidence(new.failure)))
    .fetch_all(&mut *c)
    .await
    .map_err(at("cases.open"))?;
    let cases: HashMap<OrgId, (Uuid, i32)> = rows
        .iter()
        .map(|row| {
            (
                OrgId::from_uuid(row.get("org_id")),
                (row.get("id"), row.get("occurrences")),
            )
        })
        .collect();
    let told: Vec<_> = round
        .iter()
        .filter_map(|new| Some((new.org, event(new, *cases.get(&new.org)?))))
        .collect();
    let events = column(&told, |(org, (topic, body))| NewEvent {
        org: *org,
        topic,
        body,
        traceparent: None,
    });
    outbox::write_each(c, &events).await
}

fn evidence(failure: &Failure) -> Value {
    let evidence: BTreeMap<_, _> = failure
        .evidence
        .iter()
        .map(|(name, value)| (bounded(name), bounded(value)))
        .collect();
    json!(evidence)
}

/// Topic and body of what others hear of a case.
fn event(new: &Occurrence<'_>, (case, occurrences): (Uuid, i32)) -> (&'static str, Value) {
    let Occurrence { sync, failure, .. } = new;
    let topic = if occurrences == 1 {
        "case.opened"
    } else {
        "case.occurred"
    };
    let entry = failure.code.entry();
    let body = json!({
        "case": case.to_string(),
        "code": failure.code.as_str(),
        "title": entry.title,
        "occurrences": occurrences,
        "first_step": entry.first_step(),
        "customer": entry.customer,
        "message": bounded(&failure.message),
        "sync": sync.map(|sync| sync.to_string()),
    });
    (topic, body)
}

/// A success ends the org's open cases, but for those of one code that it did not heal.
pub(crate) async fn resolve_all(
    c: &mut Session,
    org: OrgId,
    but: &[domain::FailureCode],
) -> Result<(), StoreError> {
    let resolved = sqlx::query(
        "-- cases.resolve_all
        UPDATE support_case SET state = 'resolved', resolved_at = nightshift_now()
         WHERE org_id = $1 AND state = 'open' AND NOT code = ANY($2) RETURNING id, code, occurrences",
    )
    .bind(org.uuid())
    .bind(but.iter().map(|code| code.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *c)
    .await
    .map_err(at("cases.resolve_all"))?;
    for row in resolved {
        let body = json!({
            "case": row.get::<Uuid, _>("id").to_string(),
            "code": row.get::<String, _>("code"),
            "occurrences": row.get::<i32, _>("occurrences"),
        });
        outbox::write(&mut *c, org, "case.resolved", &body, None).await?;
    }
    Ok(())
}

const SELECT: &str = "SELECT support_case.org_id, support_case.id, org.name AS org_name, code, state, occurrences, opened_at, \
     last_occurred_at, resolved_at, sync_id, message, evidence \
     FROM support_case JOIN org ON org.id = support_case.org_id";

impl Cases<'_> {
    /// Open ones first, the newest first; at most 1,000.
    pub async fn list(self, org: Option<OrgId>) -> Result<Vec<CaseRow>, StoreError> {
        let sql = format!(
            "-- cases.list\n{SELECT} WHERE ($1::uuid IS NULL OR support_case.org_id = $1)
             ORDER BY state, last_occurred_at DESC, support_case.id LIMIT 1000"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(org.map(OrgId::uuid))
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("cases.list"))?;
        rows.iter().map(case_row).collect()
    }

    /// One case.
    pub async fn show(self, id: CaseId) -> Result<CaseRow, StoreError> {
        let sql = format!("-- cases.show\n{SELECT} WHERE support_case.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.uuid())
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("cases.show"))?;
        let missing = || StoreError::NotFound {
            thing: "case",
            name: id.to_string(),
        };
        case_row(&row.ok_or_else(missing)?)
    }
}

fn case_row(row: &PgRow) -> Result<CaseRow, StoreError> {
    let evidence: Value = row.get("evidence");
    let evidence = serde_json::from_value(evidence).map_err(|error| StoreError::Decode {
        table: "support_case",
        column: "evidence",
        reason: error.to_string(),
    })?;
    Ok(CaseRow {
        id: CaseId::from_uuid(row.get("id")),
        org: OrgId::from_uuid(row.get("org_id")),
        org_name: row.get("org_name"),
        code: word("support_case", "code", row.get("code"))?,
        state: row.get("state"),
        occurrences: row.get("occurrences"),
        opened_at: row.get::<Stamp, _>("opened_at").0,
        last_occurred_at: row.get::<Stamp, _>("last_occurred_at").0,
        resolved_at: row.get::<Option<Stamp>, _>("resolved_at").map(|stamp| stamp.0),
        sync: row.get::<Option<Uuid>, _>("sync_id").map(SyncId::from_uuid),
        message: row.get("message"),
        evidence,
    })
}
