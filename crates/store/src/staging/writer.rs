//! Stages what a step finds, in chunks, under the claim's fence.
//!
//! Rows collect in memory until a chunk is full; then one short transaction, whose first statement is the heartbeat
//! (no row: the lease is lost, nothing is written), carries blobs and rows to the database, and the connection goes
//! back. So memory stays flat, a worker that slept past its lease writes nothing, and no connection waits for the
//! network. Which rows count at the end is decided by `switch`; the claim itself is settled by `jobs`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use nightshift_domain::{
    ComponentKey, Fence, JobId, LeftOut, LeftOutKind, ListedEntry, OrgId, StagedComponent, StagedFile, SyncId,
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Member, copy::CopyRows};
use crate::{
    Store,
    error::{StoreError, at},
};

/// Rows after which a chunk is sent (2,000): some ten milliseconds of COPY.
pub const CHUNK_ROWS: usize = 2_000;

/// Bytes, blobs unpacked, after which a chunk is sent (8 MiB): what a writer holds in memory.
pub const CHUNK_BYTES: usize = 8 << 20;

/// Bytes of one message of COPY (256 KiB): each waits for the socket.
const COPY_BLOCK: usize = 256 << 10;

/// Fast, and still a seventh of the size for XML (source: the performance facts, section A).
const ZSTD_LEVEL: i32 = 1;

/// What a writer needs to know of the claim that it works under.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriterLease {
    pub(super) org: OrgId,
    /// A job of no sync stages nothing.
    pub(super) sync: Option<SyncId>,
    pub(super) job: JobId,
    pub(super) fence: Fence,
    /// By how much each chunk extends the lease.
    pub(super) lease: Duration,
}

/// Collects rows and sends them in chunks. What was pushed counts only after [`StagingWriter::flush`].
#[derive(Debug)]
#[must_use = "rows that are not flushed are lost"]
pub struct StagingWriter {
    store: Store,
    lease: WriterLease,
    ordinal: i64,
    listed: CopyRows,
    types: CopyRows,
    members: CopyRows,
    components: CopyRows,
    files: CopyRows,
    left_out: CopyRows,
    blobs: Vec<Blob>,
    blob_bytes: usize,
    /// Hashes that are in the database already, or in `blobs`.
    seen: HashSet<[u8; 32]>,
}

/// Bytes of a file on their way.
#[derive(Clone, Debug)]
struct Blob {
    hash: [u8; 32],
    bytes: Arc<[u8]>,
}

impl StagingWriter {
    pub(super) fn new(store: Store, lease: WriterLease) -> Self {
        Self {
            store,
            lease,
            ordinal: 0,
            listed: CopyRows::new(
                "COPY staged_listed (org_id, sync_id, type, name, job_id, fence, ordinal, full_name, file_name, \
                 namespace, salesforce_id, last_modified, parent_type, parent_name) FROM STDIN (FORMAT binary)",
            ),
            types: CopyRows::new(
                "COPY staged_type (org_id, sync_id, type, job_id, fence, ordinal, good) FROM STDIN (FORMAT binary)",
            ),
            members: CopyRows::new(
                "COPY batch_member (org_id, sync_id, n, ordinal, job_id, fence, type, name, full_name, role, files, \
                 bytes) FROM STDIN (FORMAT binary)",
            ),
            components: CopyRows::new(
                "COPY staged_component (org_id, sync_id, type, name, job_id, fence, ordinal, full_name, file_name, \
                 parent_type, parent_name, namespace, content_hash, last_modified, blob, slice_from, slice_to) \
                 FROM STDIN (FORMAT binary)",
            ),
            files: CopyRows::new(
                "COPY staged_file (org_id, sync_id, type, name, path, job_id, fence, ordinal, canonical_hash, blob, \
                 size) FROM STDIN (FORMAT binary)",
            ),
            left_out: CopyRows::new(
                "COPY staged_left_out (org_id, sync_id, type, name, job_id, fence, ordinal, reason, kind, detail) \
                 FROM STDIN (FORMAT binary)",
            ),
            blobs: Vec::new(),
            blob_bytes: 0,
            seen: HashSet::new(),
        }
    }

    /// An entry of tonight's listing.
    pub async fn listed(&mut self, entry: &ListedEntry) -> Result<(), StoreError> {
        let sync = self.sync()?;
        let at = "staged_listed";
        storable_key(at, &entry.key)?;
        storable(at, &entry.key, [Some(&*entry.full_name), Some(&entry.file_name)])?;
        storable(at, &entry.key, [entry.namespace.as_deref(), entry.salesforce_id.as_deref()])?;
        let (parent_type, parent_name) = parent(at, entry.parent.as_ref())?;
        let ordinal = self.next_ordinal();
        self.listed
            .row()
            .uuid(self.lease.org.uuid())
            .uuid(sync)
            .text(&entry.key.type_name)
            .text(&entry.key.name)
            .uuid(self.lease.job.uuid())
            .bigint(self.lease.fence.0)
            .bigint(ordinal)
            .text(&entry.full_name)
            .text(&entry.file_name)
            .maybe_text(entry.namespace.as_deref())
            .maybe_text(entry.salesforce_id.as_deref())
            .maybe_timestamp(entry.last_modified)
            .maybe_text(parent_type)
            .maybe_text(parent_name);
        self.flush_when_full().await
    }

    /// Whether the listing of a type was good, all its calls (folders too) taken together.
    ///
    /// Once a type was called not good by anybody in this sync it stays so: nothing of it is deleted tonight.
    pub async fn type_listed(&mut self, type_name: &str, listing: Listing) -> Result<(), StoreError> {
        let sync = self.sync()?;
        let key = ComponentKey::new(type_name, "");
        storable_key("staged_type", &key)?;
        let ordinal = self.next_ordinal();
        self.types
            .row()
            .uuid(self.lease.org.uuid())
            .uuid(sync)
            .text(type_name)
            .uuid(self.lease.job.uuid())
            .bigint(self.lease.fence.0)
            .bigint(ordinal)
            .boolean(listing == Listing::Good);
        self.flush_when_full().await
    }

    /// A planned batch, whole: its members keep their order.
    pub async fn batch(&mut self, n: i32, members: &[Member]) -> Result<(), StoreError> {
        let sync = self.sync()?;
        for (place, member) in (0_i64..).zip(members) {
            storable_key("batch_member", &member.key)?;
            storable("batch_member", &member.key, [Some(&*member.full_name)])?;
            self.members
                .row()
                .uuid(self.lease.org.uuid())
                .uuid(sync)
                .integer(n)
                .bigint(place)
                .uuid(self.lease.job.uuid())
                .bigint(self.lease.fence.0)
                .text(&member.key.type_name)
                .text(&member.key.name)
                .text(&member.full_name)
                .text(member.role.as_str())
                .bigint(member.files)
                .bigint(member.bytes);
            self.flush_when_full().await?;
        }
        Ok(())
    }

    /// A component of tonight's files. The blob of a child must be pushed before it.
    pub async fn component(&mut self, component: &StagedComponent) -> Result<(), StoreError> {
        let sync = self.sync()?;
        let (at, key) = ("staged_component", &component.key);
        storable_key(at, key)?;
        storable(at, key, [Some(&*component.full_name), Some(&component.file_name)])?;
        storable(at, key, [component.namespace.as_deref()])?;
        let (parent_type, parent_name) = parent(at, component.parent.as_ref())?;
        // A member's bytes are found through its files; only a child points into a blob.
        let blob = component.slice.map(|_| component.blob);
        let ordinal = self.next_ordinal();
        self.components
            .row()
            .uuid(self.lease.org.uuid())
            .uuid(sync)
            .text(&key.type_name)
            .text(&key.name)
            .uuid(self.lease.job.uuid())
            .bigint(self.lease.fence.0)
            .bigint(ordinal)
            .text(&component.full_name)
            .text(&component.file_name)
            .maybe_text(parent_type)
            .maybe_text(parent_name)
            .maybe_text(component.namespace.as_deref())
            .bytea(&component.content_hash)
            .maybe_timestamp(component.last_modified)
            .maybe_bytea(blob.as_ref().map(<[u8; 32]>::as_slice))
            .maybe_bigint(component.slice.map(|(from, _)| i64::from(from)))
            .maybe_bigint(component.slice.map(|(_, to)| i64::from(to)));
        self.flush_when_full().await
    }

    /// A file of a member or folder. Its blob must be pushed before it.
    pub async fn file(&mut self, file: &StagedFile) -> Result<(), StoreError> {
        let sync = self.sync()?;
        storable_key("staged_file", &file.key)?;
        storable("staged_file", &file.key, [Some(&*file.path)])?;
        let ordinal = self.next_ordinal();
        self.files
            .row()
            .uuid(self.lease.org.uuid())
            .uuid(sync)
            .text(&file.key.type_name)
            .text(&file.key.name)
            .text(&file.path)
            .uuid(self.lease.job.uuid())
            .bigint(self.lease.fence.0)
            .bigint(ordinal)
            .bytea(&file.canonical_hash)
            .bytea(&file.blob)
            .bigint(file.size as i64);
        self.flush_when_full().await
    }

    /// The bytes whose BLAKE3 is `hash`, once for each writer and org.
    ///
    /// Only collects: the row that refers to them follows and sends the chunk, so that both travel together.
    pub fn blob(&mut self, hash: [u8; 32], bytes: &[u8]) {
        if self.seen.insert(hash) {
            self.blob_bytes += bytes.len();
            self.blobs.push(Blob {
                hash,
                bytes: bytes.into(),
            });
        }
    }

    /// What did not come, and why.
    pub async fn left_out(&mut self, left: &LeftOut) -> Result<(), StoreError> {
        let sync = self.sync()?;
        let key = ComponentKey {
            type_name: left.type_name.clone(),
            name: left.name.clone(),
        };
        storable_key("staged_left_out", &key)?;
        // The detail is somebody's words for people to read: a NUL in it is no reason to lose the night.
        let detail: String = left.detail.chars().filter(|c| *c != '\0').take(1_000).collect();
        let kind = match left.reason.kind() {
            LeftOutKind::Gap => "gap",
            LeftOutKind::Excluded => "excluded",
        };
        let ordinal = self.next_ordinal();
        self.left_out
            .row()
            .uuid(self.lease.org.uuid())
            .uuid(sync)
            .text(&left.type_name)
            .text(&left.name)
            .uuid(self.lease.job.uuid())
            .bigint(self.lease.fence.0)
            .bigint(ordinal)
            .text(left.reason.as_str())
            .text(kind)
            .text(&detail);
        self.flush_when_full().await
    }

    /// Sends what is left. Must be called before the step returns its outcome.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        if self.rows() == 0 && self.blobs.is_empty() {
            return Ok(());
        }
        let missing = self.missing_blobs().await?;
        // Compressing takes some ten milliseconds: not on a thread that serves others, not inside the transaction.
        let packed = tokio::task::spawn_blocking(move || pack(&missing))
            .await
            .map_err(|error| not_packed(&error))??;

        let mut tx = self.store.begin("staging.chunk").await?;
        self.heartbeat(&mut tx).await?;
        store_blobs(&mut tx, self.lease.org, &packed).await?;
        for rows in [
            &self.listed,
            &self.types,
            &self.members,
            &self.components,
            &self.files,
            &self.left_out,
        ] {
            copy(&mut tx, rows).await?;
        }
        tx.commit().await?;

        tracing::info!(target: "nightshift::metric", counter = "nightshift_staged_rows_total", value = self.rows() as u64);
        self.forget_chunk();
        Ok(())
    }

    fn sync(&self) -> Result<Uuid, StoreError> {
        let nothing = || StoreError::Refused { thing: "a staged row", reason: "its job belongs to no sync".to_owned() };
        self.lease.sync.map(SyncId::uuid).ok_or_else(nothing)
    }

    fn rows(&self) -> usize {
        self.buffers().iter().map(|rows| rows.rows()).sum()
    }

    fn buffers(&self) -> [&CopyRows; 6] {
        [
            &self.listed,
            &self.types,
            &self.members,
            &self.components,
            &self.files,
            &self.left_out,
        ]
    }

    fn forget_chunk(&mut self) {
        for rows in [
            &mut self.listed,
            &mut self.types,
            &mut self.members,
            &mut self.components,
            &mut self.files,
            &mut self.left_out,
        ] {
            rows.clear();
        }
        self.blobs.clear();
        self.blob_bytes = 0;
    }

    fn next_ordinal(&mut self) -> i64 {
        self.ordinal += 1;
        self.ordinal
    }

    async fn flush_when_full(&mut self) -> Result<(), StoreError> {
        let bytes = self.blob_bytes + self.buffers().iter().map(|rows| rows.bytes()).sum::<usize>();
        if self.rows() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Of the collected blobs those that the org has not: most files of a night are those of the last.
    async fn missing_blobs(&self) -> Result<Vec<Blob>, StoreError> {
        if self.blobs.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: Vec<&[u8]> = self.blobs.iter().map(|blob| blob.hash.as_slice()).collect();
        let missing: HashSet<Vec<u8>> = sqlx::query_scalar(
            "-- staging.missing_blobs
            SELECT h FROM unnest($2::bytea[]) AS h
             WHERE NOT EXISTS (SELECT FROM blob b WHERE b.org_id = $1 AND b.hash = h)",
        )
        .bind(self.lease.org.uuid())
        .bind(hashes)
        .fetch_all(&self.store.pool)
        .await
        .map_err(at("staging.missing_blobs"))?
        .into_iter()
        .collect();
        let mut blobs: Vec<Blob> = self
            .blobs
            .iter()
            .filter(|blob| missing.contains(blob.hash.as_slice()))
            .cloned()
            .collect();
        // Two writers that bring the same bodies must meet them in one order, or they wait for each other.
        blobs.sort_unstable_by_key(|blob| blob.hash);
        Ok(blobs)
    }

    /// Extends the lease, if it is still ours, and notes that the job has staged something.
    async fn heartbeat(&self, c: &mut PgConnection) -> Result<(), StoreError> {
        let beaten: i64 = sqlx::query_scalar(
            "-- staging.heartbeat
            WITH beat AS (
                UPDATE job SET lease_until = nightshift_now() + $5 * interval '1 microsecond'
                 WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'
                RETURNING org_id
            ), noted AS (
                INSERT INTO staging (org_id, sync_id, job_id, touched_at)
                SELECT org_id, $4, $2, nightshift_now() FROM beat
                ON CONFLICT (org_id, sync_id, job_id) DO UPDATE SET touched_at = excluded.touched_at
            )
            SELECT count(*) FROM beat",
        )
        .bind(self.lease.org.uuid())
        .bind(self.lease.job.uuid())
        .bind(self.lease.fence.0)
        .bind(self.sync()?)
        .bind(i64::try_from(self.lease.lease.as_micros()).unwrap_or(i64::MAX))
        .fetch_one(c)
        .await
        .map_err(at("staging.heartbeat"))?;
        if beaten == 0 { Err(StoreError::LeaseLost) } else { Ok(()) }
    }
}

/// How a type's listing went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Listing {
    /// Every call was answered: what it does not name is not there.
    Good,
    /// A call failed or was forbidden: what it does not name is unknown.
    Failed,
}

/// A compressed blob.
struct Packed {
    hash: [u8; 32],
    body: Vec<u8>,
    size: i64,
}

fn pack(blobs: &[Blob]) -> Result<Vec<Packed>, StoreError> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|error| not_packed(&error))?;
    blobs
        .iter()
        .map(|blob| {
            Ok(Packed {
                hash: blob.hash,
                body: compressor.compress(&blob.bytes).map_err(|error| not_packed(&error))?,
                size: blob.bytes.len() as i64,
            })
        })
        .collect()
}

fn not_packed(error: &dyn std::error::Error) -> StoreError {
    StoreError::Refused { thing: "a file", reason: format!("it could not be compressed: {error}") }
}

async fn store_blobs(c: &mut PgConnection, org: OrgId, blobs: &[Packed]) -> Result<(), StoreError> {
    if blobs.is_empty() {
        return Ok(());
    }
    let hashes: Vec<&[u8]> = blobs.iter().map(|blob| blob.hash.as_slice()).collect();
    let bodies: Vec<&[u8]> = blobs.iter().map(|blob| blob.body.as_slice()).collect();
    let sizes: Vec<i64> = blobs.iter().map(|blob| blob.size).collect();
    sqlx::query(
        "-- staging.store_blobs
        INSERT INTO blob (org_id, hash, body, size, stored_at)
        SELECT $1, hash, body, size, nightshift_now() FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS b (hash, body, size)
        ON CONFLICT (org_id, hash) DO NOTHING",
    )
    .bind(org.uuid())
    .bind(hashes)
    .bind(bodies)
    .bind(sizes)
    .execute(c)
    .await
    .map_err(at("staging.store_blobs"))?;
    Ok(())
}

async fn copy(c: &mut PgConnection, rows: &CopyRows) -> Result<(), StoreError> {
    if rows.rows() == 0 {
        return Ok(());
    }
    let on = || at(rows.statement());
    let mut copy = c.copy_in_raw(rows.statement()).await.map_err(on())?;
    for block in rows.message().chunks(COPY_BLOCK) {
        copy.send(block).await.map_err(on())?;
    }
    copy.finish().await.map_err(on())?;
    Ok(())
}

fn parent<'a>(
    table: &'static str,
    parent: Option<&'a ComponentKey>,
) -> Result<(Option<&'a str>, Option<&'a str>), StoreError> {
    let Some(parent) = parent else {
        return Ok((None, None));
    };
    storable_key(table, parent)?;
    Ok((Some(&parent.type_name), Some(&parent.name)))
}

fn storable_key(table: &'static str, key: &ComponentKey) -> Result<(), StoreError> {
    storable(table, key, [Some(&*key.type_name), Some(&key.name)])
}

/// PostgreSQL's text holds no U+0000: named here, not as an error of COPY that names nothing.
fn storable<'a>(
    table: &'static str,
    key: &ComponentKey,
    texts: impl IntoIterator<Item = Option<&'a str>>,
) -> Result<(), StoreError> {
    if texts.into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(StoreError::Refused {
            thing: table,
            reason: format!("{} has a U+0000, which no text of the database can hold", key.to_string().replace('\0', "\u{fffd}")),
        });
    }
    Ok(())
}
