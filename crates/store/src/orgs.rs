//! Connected orgs: who they are, when they are synced, how they stand.

mod unwell;

use domain::{
    OrgId, OrgName, OrganizationId, SyncState, fold,
    schedule::{Days, LocalMinute, Schedule, Window},
};
use jiff::{Timestamp, civil::Date};
use nightshift_domain as domain;
use secrecy::SecretString;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Store,
    error::{Conflict, StoreError, at},
    grants::{Grant, GrantColumns},
    keyring::Place,
    row::{Day, Stamp, word},
};

pub use unwell::{Secrets, Unwell};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Orgs<'a> {
    store: &'a Store,
}

impl Store {
    /// Orgs.
    pub fn orgs(&self) -> Orgs<'_> {
        Orgs { store: self }
    }
}

/// What is known when an org is connected.
#[derive(Clone, Debug)]
pub struct NewOrg {
    /// As the administrator calls it.
    pub name: OrgName,
    /// As Salesforce does.
    pub organization_id: OrganizationId,
    /// Where tokens come from.
    pub login_url: String,
    /// Where its API is.
    pub instance_url: String,
    /// Of the connected app.
    pub client_id: String,
    /// Of the connected app, if it has one.
    pub client_secret: Option<SecretString>,
    /// Already proven to work.
    pub grant: Grant,
    /// Whether the proof brought a new refresh token.
    pub rotates: bool,
    /// The one it gave.
    pub access_token: SecretString,
    /// Facts.
    pub is_sandbox: bool,
    /// Facts.
    pub instance_name: Option<String>,
    /// Facts.
    pub edition: Option<String>,
    /// When it is synced.
    pub schedule: Schedule,
    /// The first slot, strictly after the connection.
    pub next_run: Timestamp,
    /// The instant of the connection, by the database's clock.
    pub connected_at: Timestamp,
}

/// An org as people and programs see it.
#[derive(Clone, PartialEq, Debug)]
pub struct OrgRow {
    /// Ours.
    pub id: OrgId,
    /// The administrator's.
    pub name: String,
    /// Salesforce's.
    pub organization_id: OrganizationId,
    /// Where tokens come from.
    pub login_url: String,
    /// Where its API is.
    pub instance_url: String,
    /// Facts.
    pub is_sandbox: bool,
    /// Facts.
    pub instance_name: Option<String>,
    /// Facts.
    pub edition: Option<String>,
    /// When it is synced.
    pub schedule: Schedule,
    /// No slots fire.
    pub paused: bool,
    /// Slots at or before it are never caught up.
    pub slots_after: Timestamp,
    /// The last night that was fired or recorded.
    pub last_night: Option<Date>,
    /// Its next slot.
    pub next_run: Option<Timestamp>,
    /// The readable revision.
    pub revision: Option<i64>,
    /// As of when that is true.
    pub current_as_of: Option<Timestamp>,
    /// Nights since everything was retrieved.
    pub nights_since_full: i32,
    /// The code with which the connection was found broken.
    pub broken_with: Option<String>,
    /// Since when it is disconnected.
    pub disconnected_at: Option<Timestamp>,
    /// The state of its open or newest sync.
    pub sync_state: Option<SyncState>,
    /// Cases that wait for somebody.
    pub open_cases: i64,
}

impl OrgRow {
    /// One word for how it stands: `syncing`, `needs_authentication`, `paused`, `held` or `idle`.
    pub fn state(&self) -> &'static str {
        match self.sync_state {
            Some(state) if state.is_open() => "syncing",
            _ if self.broken_with.is_some() || self.disconnected_at.is_some() => "needs_authentication",
            _ if self.paused => "paused",
            Some(SyncState::Held) => "held",
            _ => "idle",
        }
    }
}

const SELECT: &str = "SELECT org.id, org.name, org.organization_id, org.login_url, org.instance_url, org.is_sandbox, \
     org.instance_name, org.edition, org.time_zone, org.window_opens, org.window_closes, org.slot, org.days, org.paused, \
     org.slots_after, org.last_night, org.next_run, org.current_revision, org.current_as_of, org.nights_since_full, \
     org.broken_with, org.disconnected_at, \
     (SELECT state FROM sync WHERE sync.org_id = org.id ORDER BY admitted_at DESC, sync.id DESC LIMIT 1) AS sync_state, \
     (SELECT count(*) FROM support_case WHERE support_case.org_id = org.id AND support_case.state = 'open') AS open_cases \
     FROM org";

impl Orgs<'_> {
    /// Stores a new org with its secrets encrypted.
    pub async fn add(self, new: &NewOrg) -> Result<OrgId, StoreError> {
        let org = OrgId::from_uuid(Uuid::now_v7());
        let seal = |column, secret: &SecretString| self.store.keyring.seal(Place { org, column }, secret);
        let mut tx = self.store.begin("orgs.add").await?;
        let existing = sqlx::query(
            "-- orgs.existing
            SELECT name, name_folded, organization_id FROM org WHERE organization_id = $1 OR name_folded = $2
             ORDER BY organization_id = $1 DESC LIMIT 1",
        )
        .bind(new.organization_id.as_str())
        .bind(fold::fold(new.name.as_str()))
        .fetch_optional(&mut *tx)
        .await
        .map_err(at("orgs.existing"))?;
        if let Some(row) = existing {
            return Err(StoreError::Conflict(conflict(&row, new)));
        }
        let schedule = Columns::of(&new.schedule);
        let grant = GrantColumns::of(&new.grant, org, &self.store.keyring);
        sqlx::query(
            "-- orgs.add
            INSERT INTO org (id, name, name_folded, organization_id, login_url, instance_url, client_id, client_secret,
                   refresh_token, access_token, token_generation, is_sandbox, instance_name, edition, time_zone,
                   window_opens, window_closes, slot, days, slots_after, next_run, connected_at,
                   grant_kind, jwt_username, jwt_audience, jwt_key, token_rotates)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $19,
                   $21, $22, $23, $24, $25)",
        )
        .bind(org.uuid())
        .bind(new.name.as_str())
        .bind(fold::fold(new.name.as_str()))
        .bind(new.organization_id.as_str())
        .bind(&new.login_url)
        .bind(&new.instance_url)
        .bind(&new.client_id)
        .bind(new.client_secret.as_ref().map(|secret| seal("client_secret", secret)))
        .bind(grant.refresh_token)
        .bind(seal("access_token", &new.access_token))
        .bind(new.is_sandbox)
        .bind(&new.instance_name)
        .bind(&new.edition)
        .bind(schedule.time_zone)
        .bind(schedule.window[0])
        .bind(schedule.window[1])
        .bind(schedule.slot)
        .bind(schedule.days)
        .bind(Stamp(new.connected_at))
        .bind(Stamp(new.next_run))
        .bind(grant.kind)
        .bind(grant.jwt_username)
        .bind(grant.jwt_audience)
        .bind(grant.jwt_key)
        .bind(new.rotates)
        .execute(&mut *tx)
        .await
        .map_err(at("orgs.add"))?;
        tx.commit().await?;
        Ok(org)
    }

    /// Finds an org by our id, its name (without regard to case) or Salesforce's id.
    pub async fn find(self, text: &str) -> Result<OrgRow, StoreError> {
        let organization = text.parse::<OrganizationId>().ok();
        let id = text.parse::<Uuid>().ok();
        let sql = format!(
            "-- orgs.find\n{SELECT} WHERE name_folded = $1 OR organization_id = $2 OR org.id = $3
             ORDER BY name_folded = $1 DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(fold::fold(text))
            .bind(organization.as_ref().map(OrganizationId::as_str))
            .bind(id)
            .fetch_optional(&self.store.pool)
            .await
            .map_err(at("orgs.find"))?;
        row.as_ref().map_or_else(
            || {
                Err(StoreError::NotFound {
                    thing: "org",
                    name: text.to_owned(),
                })
            },
            org_row,
        )
    }

    /// One org by our id.
    pub async fn show(self, org: OrgId) -> Result<OrgRow, StoreError> {
        self.find(&org.to_string()).await
    }

    /// All orgs by name.
    pub async fn list(self) -> Result<Vec<OrgRow>, StoreError> {
        let sql = format!("-- orgs.list\n{SELECT} ORDER BY name_folded");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&self.store.pool)
            .await
            .map_err(at("orgs.list"))?;
        rows.iter().map(org_row).collect()
    }

    /// How many orgs have each minute of the UTC day as their next slot: for drawing slots that keep the load flat.
    pub async fn load_by_utc_minute(self) -> Result<Vec<(u16, u64)>, StoreError> {
        let rows = sqlx::query(
            "-- orgs.load
            SELECT (extract(epoch FROM next_run)::bigint / 60 % 1440)::int AS minute, count(*) AS orgs
              FROM org WHERE next_run IS NOT NULL GROUP BY 1",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("orgs.load"))?;
        Ok(rows
            .iter()
            .map(|row| {
                (
                    row.get::<i32, _>("minute") as u16,
                    row.get::<i64, _>("orgs").unsigned_abs(),
                )
            })
            .collect())
    }

    /// Saves when an org is synced; `next_run` was computed from the last night done, never from the present.
    ///
    /// Nothing is written when a scheduler fired the org since it was read (`last_night` differs): read again.
    pub async fn save_schedule(
        self,
        org: OrgId,
        schedule: &Schedule,
        read_last_night: Option<Date>,
        next_run: Timestamp,
    ) -> Result<Saved, StoreError> {
        let columns = Columns::of(schedule);
        let done = sqlx::query(
            "-- orgs.save_schedule
            UPDATE org SET time_zone = $2, window_opens = $3, window_closes = $4, slot = $5, days = $6, next_run = $7
             WHERE id = $1 AND last_night IS NOT DISTINCT FROM $8",
        )
        .bind(org.uuid())
        .bind(columns.time_zone)
        .bind(columns.window[0])
        .bind(columns.window[1])
        .bind(columns.slot)
        .bind(columns.days)
        .bind(Stamp(next_run))
        .bind(read_last_night.map(Day))
        .execute(&self.store.pool)
        .await
        .map_err(at("orgs.save_schedule"))?;
        Ok(if done.rows_affected() == 1 {
            Saved::Yes
        } else {
            Saved::ReadAgain
        })
    }

    /// Fires no slots until resumed.
    pub async fn pause(self, org: OrgId) -> Result<(), StoreError> {
        sqlx::query("-- orgs.pause\nUPDATE org SET paused = true, next_run = NULL WHERE id = $1")
            .bind(org.uuid())
            .execute(&self.store.pool)
            .await
            .map_err(at("orgs.pause"))?;
        Ok(())
    }

    /// Fires slots again: those strictly after `from`. An org that is disconnected stays as it is.
    pub async fn resume(self, org: OrgId, from: Timestamp, next_run: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "-- orgs.resume
            UPDATE org SET paused = false, slots_after = $2, next_run = $3 WHERE id = $1 AND paused AND disconnected_at IS NULL",
        )
        .bind(org.uuid())
        .bind(Stamp(from))
        .bind(Stamp(next_run))
        .execute(&self.store.pool)
        .await
        .map_err(at("orgs.resume"))?;
        Ok(())
    }
}

/// Whether a save took place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    /// It did.
    Yes,
    /// The org was fired meanwhile.
    ReadAgain,
}

fn conflict(row: &PgRow, new: &NewOrg) -> Conflict {
    if row.get::<String, _>("organization_id") == new.organization_id.as_str() {
        let organization_id = new.organization_id.to_string();
        Conflict::Organization {
            organization_id,
            name: row.get("name"),
        }
    } else {
        Conflict::Name(new.name.to_string())
    }
}

/// A schedule as columns.
struct Columns<'a> {
    time_zone: &'a str,
    window: [i16; 2],
    slot: i16,
    days: i16,
}

impl<'a> Columns<'a> {
    fn of(schedule: &'a Schedule) -> Self {
        let minute = |minute: LocalMinute| minute.minutes() as i16;
        Self {
            time_zone: schedule.zone().name(),
            window: [
                minute(schedule.window().opens()),
                minute(schedule.window().closes()),
            ],
            slot: minute(schedule.slot()),
            days: schedule.days().bits(),
        }
    }
}

/// Reads a schedule, or names the column that cannot be read: one bad org must not stop the others.
pub(crate) fn schedule(row: &PgRow) -> Result<Schedule, StoreError> {
    let bad = |column: &'static str, reason: String| StoreError::Decode {
        table: "org",
        column,
        reason,
    };
    let minute = |column| LocalMinute::after_midnight(row.get::<i16, _>(column) as u16);
    let zone = word("org", "time_zone", row.get("time_zone"))?;
    let window = Window::new(minute("window_opens"), minute("window_closes"))
        .map_err(|error| bad("window_opens", error.to_string()))?;
    let days = Days::from_bits(row.get("days")).ok_or_else(|| bad("days", "no set of days".to_owned()))?;
    Schedule::new(zone, window, minute("slot"), days).map_err(|error| bad("slot", error.to_string()))
}

fn org_row(row: &PgRow) -> Result<OrgRow, StoreError> {
    let stamp = |column| row.get::<Option<Stamp>, _>(column).map(|stamp| stamp.0);
    let sync_state: Option<String> = row.get("sync_state");
    Ok(OrgRow {
        id: OrgId::from_uuid(row.get("id")),
        name: row.get("name"),
        organization_id: word("org", "organization_id", row.get("organization_id"))?,
        login_url: row.get("login_url"),
        instance_url: row.get("instance_url"),
        is_sandbox: row.get("is_sandbox"),
        instance_name: row.get("instance_name"),
        edition: row.get("edition"),
        schedule: schedule(row)?,
        paused: row.get("paused"),
        slots_after: row.get::<Stamp, _>("slots_after").0,
        last_night: row.get::<Option<Day>, _>("last_night").map(|day| day.0),
        next_run: stamp("next_run"),
        revision: row.get("current_revision"),
        current_as_of: stamp("current_as_of"),
        nights_since_full: row.get("nights_since_full"),
        broken_with: row.get("broken_with"),
        disconnected_at: stamp("disconnected_at"),
        sync_state: sync_state
            .map(|state| word("sync", "state", &state))
            .transpose()?,
        open_cases: row.get("open_cases"),
    })
}
