//! Salesforce's instances, as the whole fleet sees them, and where an org stands before its next call.
//!
//! A row changes by compare-and-set: read, decide (the pure rules of `domain::circuit`), write if nobody wrote meanwhile.
//! While an instance is well nothing is written. An org whose instance is not known yet stands under its host's name.

use std::time::Duration;

use domain::{
    Door, OrgId, SyncId,
    allowance::DayUse,
    circuit::{Circuit, InstanceHealth, Traffic},
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};

use crate::{
    Store,
    error::{StoreError, at},
    row::{Day, Stamp, word},
};

/// How often a change is tried that others come before.
const TRIES: u32 = 100;

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Instances<'a> {
    store: &'a Store,
}

impl Store {
    /// Salesforce's instances.
    pub fn instances(&self) -> Instances<'_> {
        Instances { store: self }
    }
}

/// Where an org stands before a step's calls.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// The instance's name.
    pub instance: String,
    /// How it is.
    pub health: InstanceHealth,
    /// The night on which the calls are booked.
    pub night: Date,
    /// Calls of that night so far, of all its syncs.
    pub tonight: i64,
    /// Those of the syncs that started by themselves.
    pub by_themselves: i64,
    /// Through which door this sync came.
    pub door: Door,
    /// Other jobs of the org that run, and call, at this moment.
    pub others: i64,
    /// The day's requests, as last said and what we added; `None` until an answer said it.
    pub day: Option<DaySeen>,
    /// The version that the org last spoke.
    pub api_version: Option<String>,
    /// The database's time.
    pub now: Timestamp,
}

/// The day's requests of an org.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DaySeen {
    /// As last said, with our calls since.
    pub day: DayUse,
    /// When it was said.
    pub seen_at: Timestamp,
}

/// What an answer said of the day's requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DayReport {
    /// Used and allowed.
    pub day: DayUse,
    /// The night to which `booked` belongs.
    pub night: Date,
    /// Our calls of that night by then.
    pub booked: i64,
}

/// One instance for people.
#[derive(Clone, PartialEq, Debug)]
pub struct InstanceRow {
    /// Its name, such as `EU42`.
    pub name: String,
    /// How it is.
    pub health: InstanceHealth,
    /// Since when the circuit is as it is, or when calls were last counted.
    pub changed_at: Timestamp,
    /// How long its queue kept the last retrieve, in seconds.
    pub pending_last: Option<f64>,
    /// The mean of the last ones, in seconds.
    pub pending_mean: Option<f64>,
    /// How many retrieves that is from.
    pub pending_seen: i64,
}

impl Instances<'_> {
    /// One look before a step's calls.
    pub async fn standing(self, org: OrgId, sync: SyncId) -> Result<Standing, StoreError> {
        let row = sqlx::query(
            "-- instances.standing
            WITH here AS (
                SELECT org.id, sync.ledger_night, sync.door, org.api_version,
                       instance_of(org.instance_name, org.instance_url) AS instance,
                       (SELECT coalesce(sum(calls), 0)::bigint FROM call_ledger
                         WHERE call_ledger.org_id = $1 AND call_ledger.night = sync.ledger_night) AS tonight,
                       (SELECT coalesce(sum(bill.calls), 0)::bigint FROM sync own JOIN sync_bill bill
                            ON bill.org_id = own.org_id AND bill.sync_id = own.id
                         WHERE own.org_id = $1 AND own.ledger_night = sync.ledger_night AND own.door = ANY($3))
                           AS by_themselves,
                       (SELECT greatest(count(*) - 1, 0) FROM job
                         WHERE job.org_id = $1 AND job.sync_id IS NOT NULL AND job.state = 'claimed'
                           AND job.lease_until >= nightshift_now()) AS others
                  FROM org JOIN sync ON sync.org_id = org.id WHERE org.id = $1 AND sync.id = $2
            )
            SELECT here.*, i.circuit, i.until, i.times, i.window_began, i.answered, i.unavailable, i.retries,
                   a.used + CASE WHEN a.night = here.ledger_night
                                                 THEN greatest(here.tonight - a.booked, 0) ELSE here.tonight END AS used,
                   a.allowed, a.seen_at, nightshift_now() AS now
              FROM here LEFT JOIN instance i ON i.name = here.instance LEFT JOIN allowance a ON a.org_id = here.id",
        )
        .bind(org.uuid())
        .bind(sync.uuid())
        .bind(Door::BY_ITSELF.map(Door::as_str))
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("instances.standing"))?;
        let now = row.get::<Stamp, _>("now").0;
        let circuit: Option<String> = row.get("circuit");
        let day = row.get::<Option<i64>, _>("allowed").map(|allowed| DaySeen {
            day: DayUse {
                used: row.get("used"),
                allowed,
            },
            seen_at: row.get::<Stamp, _>("seen_at").0,
        });
        Ok(Standing {
            instance: row.get("instance"),
            health: match circuit {
                Some(_) => health(&row)?,
                None => InstanceHealth::unknown(now),
            },
            night: row.get::<Day, _>("ledger_night").0,
            tonight: row.get("tonight"),
            by_themselves: row.get("by_themselves"),
            door: word("sync", "door", row.get("door"))?,
            others: row.get("others"),
            day,
            api_version: row.get("api_version"),
            now,
        })
    }

    /// Changes an instance by a pure rule of its health and the time; gives the rule's answer and the health that stands.
    ///
    /// When others are always faster the change is given up, and the answer is that of the last look.
    pub async fn change<T>(
        self,
        name: &str,
        rule: impl Fn(InstanceHealth, Timestamp) -> (T, InstanceHealth),
    ) -> Result<(T, InstanceHealth), StoreError> {
        let mut tries = 0;
        loop {
            let (version, found, now) = self.read(name).await?;
            let (answer, wanted) = rule(found, now);
            if wanted == found || self.compare_and_set(name, version, wanted).await? {
                return Ok((answer, wanted));
            }
            tries += 1;
            if tries >= TRIES {
                tracing::debug!(instance = name, "an instance changes too fast to be changed");
                return Ok((answer, found));
            }
        }
    }

    async fn read(self, name: &str) -> Result<(i64, InstanceHealth, Timestamp), StoreError> {
        let row = sqlx::query(
            "-- instances.read
            SELECT coalesce(i.version, 0) AS version, i.circuit, i.until, i.times, i.window_began, i.answered,
                   i.unavailable, i.retries, clock.now
              FROM (SELECT nightshift_now() AS now) clock LEFT JOIN instance i ON i.name = $1",
        )
        .bind(name)
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("instances.read"))?;
        let now = row.get::<Stamp, _>("now").0;
        let known: Option<String> = row.get("circuit");
        let health = match known {
            Some(_) => health(&row)?,
            None => InstanceHealth::unknown(now),
        };
        Ok((row.get("version"), health, now))
    }

    async fn compare_and_set(
        self,
        name: &str,
        version: i64,
        health: InstanceHealth,
    ) -> Result<bool, StoreError> {
        let (circuit, until, times) = match health.circuit {
            Circuit::Closed => ("closed", None, 0),
            Circuit::Open { until, times } => ("open", Some(until), times),
            Circuit::Probing { until, times } => ("probing", Some(until), times),
        };
        let Traffic {
            began,
            answered,
            unavailable,
            retries,
        } = health.traffic;
        let done = sqlx::query(
            "-- instances.compare_and_set
            INSERT INTO instance (name, version, circuit, until, times, window_began, answered, unavailable, retries,
                                  changed_at)
            VALUES ($1, $2 + 1, $3, $4, $5, $6, $7, $8, $9, nightshift_now())
            ON CONFLICT (name) DO UPDATE
               SET version = excluded.version, circuit = excluded.circuit, until = excluded.until,
                   times = excluded.times, window_began = excluded.window_began, answered = excluded.answered,
                   unavailable = excluded.unavailable, retries = excluded.retries, changed_at = excluded.changed_at
             WHERE instance.version = $2",
        )
        .bind(name)
        .bind(version)
        .bind(circuit)
        .bind(until.map(Stamp))
        .bind(times.min(i32::MAX as u32).cast_signed())
        .bind(Stamp(began))
        .bind(answered.cast_signed())
        .bind(unavailable.cast_signed())
        .bind(retries.cast_signed())
        .execute(&self.store.pool)
        .await
        .map_err(at("instances.compare_and_set"))?;
        Ok(done.rows_affected() == 1)
    }

    /// A retrieve of the org has left its instance's queue after so long; gives the instance's name.
    pub async fn saw_pending(self, org: OrgId, pending: Duration) -> Result<String, StoreError> {
        sqlx::query_scalar(
            "-- instances.saw_pending
            INSERT INTO instance (name, window_began, changed_at, pending_last, pending_mean, pending_seen)
            SELECT instance_of(org.instance_name, org.instance_url),
                   nightshift_now(), nightshift_now(), $2, $2, 1
              FROM org WHERE org.id = $1
            ON CONFLICT (name) DO UPDATE
               SET pending_last = $2, pending_mean = coalesce(instance.pending_mean * 0.8 + $2 * 0.2, $2),
                   pending_seen = instance.pending_seen + 1
            RETURNING name",
        )
        .bind(org.uuid())
        .bind(pending.as_secs_f64())
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("instances.saw_pending"))
    }

    /// How long the queue of the org's instance has kept retrieves lately.
    pub async fn pending(self, org: OrgId) -> Result<Option<Duration>, StoreError> {
        let seconds: Option<Option<f64>> = sqlx::query_scalar(
            "-- instances.pending
            SELECT instance.pending_mean FROM org JOIN instance
                ON instance.name = instance_of(org.instance_name, org.instance_url)
             WHERE org.id = $1",
        )
        .bind(org.uuid())
        .fetch_optional(&self.store.pool)
        .await
        .map_err(at("instances.pending"))?;
        Ok(seconds
            .flatten()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    }

    /// An answer of the org said what is left of its day.
    pub async fn saw_day(self, org: OrgId, report: DayReport) -> Result<(), StoreError> {
        sqlx::query(
            "-- instances.saw_day
            INSERT INTO allowance (org_id, used, allowed, seen_at, booked, night)
            VALUES ($1, $2, $3, nightshift_now(), $4, $5)
            ON CONFLICT (org_id) DO UPDATE
               SET used = excluded.used, allowed = excluded.allowed, seen_at = excluded.seen_at,
                   booked = excluded.booked, night = excluded.night",
        )
        .bind(org.uuid())
        .bind(report.day.used)
        .bind(report.day.allowed)
        .bind(report.booked)
        .bind(Day(report.night))
        .execute(&self.store.pool)
        .await
        .map_err(at("instances.saw_day"))?;
        Ok(())
    }

    /// Orgs by what is left of their day's requests, as their last answer of the day said.
    pub async fn requests_left(self) -> Result<[(&'static str, i64); 4], StoreError> {
        let row = sqlx::query(
            "-- instances.requests_left
            SELECT count(*) FILTER (WHERE left_of_day < 0.1) AS under_10_percent,
                   count(*) FILTER (WHERE left_of_day >= 0.1 AND left_of_day < 0.25) AS under_25_percent,
                   count(*) FILTER (WHERE left_of_day >= 0.25 AND left_of_day < 0.5) AS under_50_percent,
                   count(*) FILTER (WHERE left_of_day >= 0.5) AS more
              FROM (SELECT (allowed - used)::float8 / greatest(allowed, 1) AS left_of_day FROM allowance
                     WHERE seen_at > nightshift_now() - interval '1 day') seen",
        )
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("instances.requests_left"))?;
        Ok(
            ["under_10_percent", "under_25_percent", "under_50_percent", "more"]
                .map(|left| (left, row.get(left))),
        )
    }

    /// All instances that something is known of, those that are not called first.
    pub async fn list(self) -> Result<Vec<InstanceRow>, StoreError> {
        let rows = sqlx::query(
            "-- instances.list
            SELECT name, circuit, until, times, window_began, answered, unavailable, retries, changed_at, pending_last,
                   pending_mean, pending_seen
              FROM instance ORDER BY circuit = 'closed', name LIMIT 1000",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("instances.list"))?;
        let row = |row: &PgRow| {
            Ok(InstanceRow {
                name: row.get("name"),
                health: health(row)?,
                changed_at: row.get::<Stamp, _>("changed_at").0,
                pending_last: row.get("pending_last"),
                pending_mean: row.get("pending_mean"),
                pending_seen: row.get("pending_seen"),
            })
        };
        rows.iter().map(row).collect()
    }
}

fn health(row: &PgRow) -> Result<InstanceHealth, StoreError> {
    let until = row.get::<Option<Stamp>, _>("until").map(|stamp| stamp.0);
    let times = row.get::<i32, _>("times").unsigned_abs();
    let circuit = match (row.get::<&str, _>("circuit"), until) {
        ("closed", _) => Circuit::Closed,
        ("open", Some(until)) => Circuit::Open { until, times },
        ("probing", Some(until)) => Circuit::Probing { until, times },
        (other, _) => {
            return Err(StoreError::Decode {
                table: "instance",
                column: "circuit",
                reason: format!("{other:?} is no circuit, or lacks its end"),
            });
        }
    };
    let count = |column| row.get::<i64, _>(column).unsigned_abs();
    Ok(InstanceHealth {
        circuit,
        traffic: Traffic {
            began: row.get::<Stamp, _>("window_began").0,
            answered: count("answered"),
            unavailable: count("unavailable"),
            retries: count("retries"),
        },
    })
}
