//! What is paused: a class of jobs, an org, all orgs of a Salesforce instance.
//!
//! The announcer leaves out what is paused and a claim refuses it, each in its own statement; here pauses begin, end and
//! are shown. Nothing is written to the jobs themselves: they wait where they stand, and go on at once when the pause
//! ends.

use domain::{Deed, Hand, OrgId, Paused, SyncId};
use jiff::Timestamp;
use nightshift_domain as domain;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Store,
    error::{StoreError, at},
    hands::{Subject, keep},
    row::{Stamp, word},
    session::Session,
};

/// The aggregate.
#[derive(Clone, Copy, Debug)]
pub struct Pauses<'a> {
    store: &'a Store,
}

impl Store {
    /// What is paused.
    pub fn pauses(&self) -> Pauses<'_> {
        Pauses { store: self }
    }
}

/// One pause.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PauseRow {
    /// Of what.
    pub paused: Paused,
    /// Its name for people.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
    /// Who paused it.
    pub person: String,
    /// Why.
    pub reason: String,
    /// Jobs that would be due without it.
    pub waiting: i64,
}

impl PauseRow {
    /// The whole pause in one line.
    pub fn says(&self) -> String {
        format!(
            "{} {} is paused by {}: {}",
            self.paused.kind(),
            self.name,
            self.person,
            self.reason
        )
    }
}

/// Whether something changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changed {
    /// It did.
    Yes,
    /// It was so already.
    WasSo,
}

impl Pauses<'_> {
    /// Pauses; what is paused already keeps its first person and reason.
    pub async fn begin(self, what: &Paused, name: &str, hand: &Hand) -> Result<Changed, StoreError> {
        let mut tx = self.store.begin("pauses.begin").await?;
        let done = sqlx::query(
            "-- pauses.begin
            INSERT INTO pause (org_id, kind, name, since, person, reason)
            VALUES ($1, $2, $3, nightshift_now(), $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(org(what))
        .bind(what.kind())
        .bind(key(what))
        .bind(hand.person())
        .bind(hand.reason())
        .execute(&mut *tx)
        .await
        .map_err(at("pauses.begin"))?;
        if done.rows_affected() == 0 {
            return Ok(Changed::WasSo);
        }
        record(&mut tx, Deed::Pause, what, name, hand).await?;
        tx.commit().await?;
        Ok(Changed::Yes)
    }

    /// Resumes: the sweep announces what is due, and the schedulers look again at the orgs whose slot came meanwhile.
    pub async fn end(self, what: &Paused, name: &str, hand: &Hand) -> Result<Changed, StoreError> {
        let mut tx = self.store.begin("pauses.end").await?;
        let done =
            sqlx::query("-- pauses.end\nDELETE FROM pause WHERE org_id = $1 AND kind = $2 AND name = $3")
                .bind(org(what))
                .bind(what.kind())
                .bind(key(what))
                .execute(&mut *tx)
                .await
                .map_err(at("pauses.end"))?;
        if done.rows_affected() == 0 {
            return Ok(Changed::WasSo);
        }
        record(&mut tx, Deed::Resume, what, name, hand).await?;
        look_again(&mut tx, what).await?;
        tx.commit().await?;
        Ok(Changed::Yes)
    }

    /// All pauses, the oldest first.
    pub async fn list(self) -> Result<Vec<PauseRow>, StoreError> {
        let rows = sqlx::query(
            "-- pauses.list
            SELECT pause.org_id, pause.kind, pause.name, org.name AS org_name, pause.since, pause.person, pause.reason,
                   (SELECT count(*) FROM job JOIN org whose ON whose.id = job.org_id
                     WHERE job.state <> 'dead' AND job.not_before <= nightshift_now()
                       AND CASE pause.kind
                               WHEN 'class' THEN job.class = pause.name
                               WHEN 'org' THEN job.org_id = pause.org_id
                               ELSE instance_of(whose.instance_name, whose.instance_url) = pause.name
                           END) AS waiting
              FROM pause LEFT JOIN org ON org.id = pause.org_id ORDER BY pause.since, pause.kind, pause.name",
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("pauses.list"))?;
        rows.iter().map(pause_row).collect()
    }

    /// The pauses under which an org stands: its own, its instance's and those of classes.
    pub async fn of_org(self, org: OrgId) -> Result<Vec<PauseRow>, StoreError> {
        let rows = sqlx::query(
            "-- pauses.of_org
            SELECT pause.org_id, pause.kind, pause.name, org.name AS org_name, pause.since, pause.person, pause.reason,
                   (SELECT count(*) FROM job WHERE job.org_id = org.id AND job.state <> 'dead'
                       AND job.not_before <= nightshift_now()
                       AND (pause.kind <> 'class' OR job.class = pause.name)) AS waiting
              FROM org JOIN pause ON pause.kind = 'class' OR pause.kind = 'org' AND pause.org_id = org.id
                   OR pause.kind = 'instance' AND pause.name = instance_of(org.instance_name, org.instance_url)
             WHERE org.id = $1 ORDER BY pause.since, pause.kind, pause.name",
        )
        .bind(org.uuid())
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("pauses.of_org"))?;
        rows.iter().map(pause_row).collect()
    }

    /// How many class, org and instance pauses there are.
    pub async fn counts(self) -> Result<[(&'static str, i64); 3], StoreError> {
        let row = sqlx::query(
            "-- pauses.counts
            SELECT count(*) FILTER (WHERE kind = 'class') AS class, count(*) FILTER (WHERE kind = 'org') AS org,
                   count(*) FILTER (WHERE kind = 'instance') AS instance FROM pause",
        )
        .fetch_one(&self.store.pool)
        .await
        .map_err(at("pauses.counts"))?;
        Ok(["class", "org", "instance"].map(|kind| (kind, row.get(kind))))
    }
}

/// Under which pause an org's slots do not fire, or a sync's jobs wait, in words; `None` when they do not.
pub(crate) async fn that_stops(
    c: &mut Session,
    org: OrgId,
    sync: Option<SyncId>,
) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar(
        "-- pauses.that_stops
        SELECT concat(kind, ' ', coalesce(nullif(pause.name, ''), org.name), ' was paused by ', person, ': ', reason)
          FROM org JOIN pause ON pause.kind = 'org' AND pause.org_id = org.id
               OR pause.kind = 'instance' AND pause.name = instance_of(org.instance_name, org.instance_url)
               -- jobs alone are of a class
               OR pause.kind = 'class' AND pause.name IN (SELECT class FROM job WHERE job.org_id = $1 AND job.sync_id = $2)
         WHERE org.id = $1 ORDER BY since LIMIT 1",
    )
    .bind(org.uuid())
    .bind(sync.map(SyncId::uuid))
    .fetch_optional(c)
    .await
    .map_err(at("pauses.that_stops"))
}

async fn record(
    c: &mut Session,
    deed: Deed,
    what: &Paused,
    name: &str,
    hand: &Hand,
) -> Result<(), StoreError> {
    let words = format!("{} {name}", what.kind());
    let subject = Subject {
        org: match what {
            Paused::Org(org) => Some(*org),
            Paused::Class(_) | Paused::Instance(_) => None,
        },
        words: &words,
        ..Subject::default()
    };
    keep(c, deed, hand, &subject).await
}

/// A slot that came under the pause was put off to its window's end; a scheduler that looks now puts it right.
async fn look_again(c: &mut Session, what: &Paused) -> Result<(), StoreError> {
    if matches!(what, Paused::Class(_)) {
        return Ok(());
    }
    // of the two one names something: no org is nil, no instance has no name
    sqlx::query(
        "-- orgs.look_again
        UPDATE org SET next_run = nightshift_now()
         WHERE next_run > nightshift_now() AND (id = $1 OR instance_of(instance_name, instance_url) = $2)",
    )
    .bind(org(what))
    .bind(key(what))
    .execute(c)
    .await
    .map_err(at("orgs.look_again"))?;
    Ok(())
}

fn org(what: &Paused) -> Uuid {
    match what {
        Paused::Org(org) => org.uuid(),
        Paused::Class(_) | Paused::Instance(_) => Uuid::nil(),
    }
}

fn key(what: &Paused) -> &str {
    match what {
        Paused::Class(class) => class.as_str(),
        Paused::Org(_) => "",
        Paused::Instance(name) => name,
    }
}

fn pause_row(row: &PgRow) -> Result<PauseRow, StoreError> {
    let name: String = row.get("name");
    let paused = match row.get("kind") {
        "class" => Paused::Class(word("pause", "name", &name)?),
        "org" => Paused::Org(OrgId::from_uuid(row.get("org_id"))),
        _ => Paused::Instance(name.clone()),
    };
    let org_name: Option<String> = row.get("org_name");
    Ok(PauseRow {
        name: match paused {
            Paused::Org(_) => org_name.unwrap_or_default(),
            _ => name,
        },
        paused,
        since: row.get::<Stamp, _>("since").0,
        person: row.get("person"),
        reason: row.get("reason"),
        waiting: row.get("waiting"),
    })
}
