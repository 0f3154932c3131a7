//! Writes staged rows in bounded chunks, each in a short transaction that begins with the heartbeat.
//!
//! A chunk's first statement extends the lease where org, job, fence and state still fit. If no row does, the claim is
//! another's by now and nothing is written. So a worker that slept past its lease can stage nothing that counts, and
//! one that works steadily needs no other heartbeat. Memory holds one chunk, whatever the size of the org.

use std::{collections::HashSet, time::Duration};

use nightshift_domain::{
    ComponentKey, Fence, JobId, LeftOut, ListedEntry, OrgId, StagedComponent, StagedFile, SyncId,
};

use super::{Member, copy::CopyRows};
use crate::{Store, StoreError, error::at, jobs::Claim, session::Session, tx::Tx};

/// Rows of a chunk, at most.
pub const CHUNK_ROWS: usize = 4_000;
/// Bytes of a chunk, at most (one blob may pass it).
pub const CHUNK_BYTES: usize = 2 << 20;

/// A writer of one step.
#[derive(Debug)]
pub struct StagingWriter {
    store: Store,
    org: OrgId,
    sync: Option<SyncId>,
    job: JobId,
    fence: Fence,
    lease: Duration,
    ordinal: i64,
    listed: CopyRows,
    types: CopyRows,
    members: CopyRows,
    parts: CopyRows,
    components: CopyRows,
    files: CopyRows,
    left_out: CopyRows,
    blobs: Vec<([u8; 32], Vec<u8>, i64)>,
    blob_bytes: usize,
    /// Bodies repeat inside one answer; 32 bytes for each distinct one.
    seen: HashSet<[u8; 32]>,
}

impl StagingWriter {
    pub(super) fn new(store: Store, claim: &Claim, lease: Duration) -> Self {
        Self {
            store,
            org: claim.org,
            sync: claim.sync,
            job: claim.job,
            fence: claim.fence,
            lease,
            ordinal: 0,
            listed: CopyRows::new(
                "COPY staged_listed (org_id, sync_id, type, name, job_id, fence, ordinal, full_name, file_name, namespace, \
                 salesforce_id, last_modified, parent_type, parent_name, digest) FROM STDIN (FORMAT binary)",
            ),
            types: CopyRows::new(
                "COPY staged_type (org_id, sync_id, type, job_id, fence, ordinal, good) FROM STDIN (FORMAT binary)",
            ),
            members: CopyRows::new(
                "COPY batch_member (org_id, sync_id, n, ordinal, job_id, fence, type, name, full_name, role, files, bytes) \
                 FROM STDIN (FORMAT binary)",
            ),
            parts: CopyRows::new(
                "COPY staged_part (org_id, sync_id, type, name, n, job_id, fence, ordinal, full_name, path, blob, parts) \
                 FROM STDIN (FORMAT binary)",
            ),
            components: CopyRows::new(
                "COPY staged_component (org_id, sync_id, type, name, job_id, fence, ordinal, full_name, file_name, \
                 parent_type, parent_name, namespace, content_hash, last_modified, blob, slice_from, slice_to) \
                 FROM STDIN (FORMAT binary)",
            ),
            files: CopyRows::new(
                "COPY staged_file (org_id, sync_id, type, name, path, job_id, fence, ordinal, canonical_hash, blob, size) \
                 FROM STDIN (FORMAT binary)",
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
        let (key, sync, ordinal) = (&entry.key, self.sync()?, self.next());
        clean(key, &[&entry.full_name, &entry.file_name])?;
        let parent = entry.parent.as_ref();
        self.listed
            .row()
            .uuid(self.org.uuid())
            .uuid(sync.uuid())
            .text(&key.type_name)
            .text(&key.name)
            .uuid(self.job.uuid())
            .bigint(self.fence.0)
            .bigint(ordinal)
            .text(&entry.full_name)
            .text(&entry.file_name)
            .maybe_text(entry.namespace.as_deref())
            .maybe_text(entry.salesforce_id.as_deref())
            .maybe_timestamp(entry.last_modified)
            .maybe_text(parent.map(|parent| parent.type_name.as_str()))
            .maybe_text(parent.map(|parent| parent.name.as_str()))
            .maybe_bytea(entry.digest.as_ref().map(<[u8; 32]>::as_slice));
        self.flush_when_full().await
    }

    /// A type that was listed tonight: to the end, or not.
    pub async fn type_listed(&mut self, type_name: &str, listing: Listing) -> Result<(), StoreError> {
        let (sync, ordinal) = (self.sync()?, self.next());
        self.types
            .row()
            .uuid(self.org.uuid())
            .uuid(sync.uuid())
            .text(type_name)
            .uuid(self.job.uuid())
            .bigint(self.fence.0)
            .bigint(ordinal)
            .boolean(listing == Listing::Good);
        self.flush_when_full().await
    }

    /// The members of a planned batch, in their order.
    pub async fn batch(&mut self, n: i32, members: &[Member]) -> Result<(), StoreError> {
        let sync = self.sync()?;
        for (place, member) in members.iter().enumerate() {
            clean(&member.key, &[&member.full_name])?;
            self.members
                .row()
                .uuid(self.org.uuid())
                .uuid(sync.uuid())
                .integer(n)
                .bigint(place as i64)
                .uuid(self.job.uuid())
                .bigint(self.fence.0)
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

    /// A file that is whole only together with those of the other batches in which it is asked for.
    pub async fn part(&mut self, part: &FilePart<'_>) -> Result<(), StoreError> {
        let (key, sync, ordinal) = (&part.file.key, self.sync()?, self.next());
        clean(key, &[part.full_name, &part.file.path])?;
        self.parts
            .row()
            .uuid(self.org.uuid())
            .uuid(sync.uuid())
            .text(&key.type_name)
            .text(&key.name)
            .integer(part.batch)
            .uuid(self.job.uuid())
            .bigint(self.fence.0)
            .bigint(ordinal)
            .text(part.full_name)
            .text(&part.file.path)
            .bytea(&part.file.blob)
            .integer(part.parts);
        self.flush_when_full().await
    }

    /// A component found in a file.
    pub async fn component(&mut self, component: &StagedComponent) -> Result<(), StoreError> {
        let (key, sync, ordinal) = (&component.key, self.sync()?, self.next());
        clean(key, &[&component.full_name, &component.file_name])?;
        let parent = component.parent.as_ref();
        self.components
            .row()
            .uuid(self.org.uuid())
            .uuid(sync.uuid())
            .text(&key.type_name)
            .text(&key.name)
            .uuid(self.job.uuid())
            .bigint(self.fence.0)
            .bigint(ordinal)
            .text(&component.full_name)
            .text(&component.file_name)
            .maybe_text(parent.map(|parent| parent.type_name.as_str()))
            .maybe_text(parent.map(|parent| parent.name.as_str()))
            .maybe_text(component.namespace.as_deref())
            .bytea(&component.content_hash)
            .maybe_timestamp(component.last_modified)
            .maybe_bytea(component.slice.is_some().then_some(&component.blob[..]))
            .maybe_bigint(component.slice.map(|slice| i64::from(slice.0)))
            .maybe_bigint(component.slice.map(|slice| i64::from(slice.1)));
        self.flush_when_full().await
    }

    /// A file of a member or folder. Its bytes are given to [`StagingWriter::blob`].
    pub async fn file(&mut self, file: &StagedFile) -> Result<(), StoreError> {
        let (sync, ordinal) = (self.sync()?, self.next());
        clean(&file.key, &[&file.path])?;
        self.files
            .row()
            .uuid(self.org.uuid())
            .uuid(sync.uuid())
            .text(&file.key.type_name)
            .text(&file.key.name)
            .text(&file.path)
            .uuid(self.job.uuid())
            .bigint(self.fence.0)
            .bigint(ordinal)
            .bytea(&file.canonical_hash)
            .bytea(&file.blob)
            .bigint(file.size as i64);
        self.flush_when_full().await
    }

    /// Bytes of a file under their hash; `body` is already compressed by [`compress`], off the async threads.
    pub async fn blob(&mut self, hash: [u8; 32], body: Vec<u8>, size: u64) -> Result<(), StoreError> {
        if self.seen.insert(hash) {
            self.blob_bytes += body.len();
            self.blobs.push((hash, body, size as i64));
            self.flush_when_full().await?;
        }
        Ok(())
    }

    /// Something that does not come tonight.
    pub async fn left_out(&mut self, left_out: &LeftOut) -> Result<(), StoreError> {
        let (sync, ordinal) = (self.sync()?, self.next());
        let kind = match left_out.reason.kind() {
            nightshift_domain::LeftOutKind::Gap => "gap",
            nightshift_domain::LeftOutKind::Excluded => "excluded",
        };
        let detail: String = left_out
            .detail
            .chars()
            .filter(|c| *c != '\0')
            .take(1_000)
            .collect();
        self.left_out
            .row()
            .uuid(self.org.uuid())
            .uuid(sync.uuid())
            .text(&left_out.type_name)
            .text(&left_out.name)
            .uuid(self.job.uuid())
            .bigint(self.fence.0)
            .bigint(ordinal)
            .text(left_out.reason.as_str())
            .text(kind)
            .text(&detail);
        self.flush_when_full().await
    }

    /// Writes what is left. A step calls it before it answers.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        if self.rows() == 0 && self.blobs.is_empty() {
            return Ok(());
        }
        let sync = self.sync()?;
        let mut tx = self.store.begin("staging.chunk").await?;
        self.heartbeat(&mut tx, sync).await?;
        self.insert_blobs(&mut tx).await?;
        for rows in [
            &self.listed,
            &self.types,
            &self.members,
            &self.parts,
            &self.components,
            &self.files,
            &self.left_out,
        ] {
            copy(&mut tx, rows).await?;
        }
        tx.commit().await?;
        for rows in [
            &mut self.listed,
            &mut self.types,
            &mut self.members,
            &mut self.parts,
            &mut self.components,
            &mut self.files,
            &mut self.left_out,
        ] {
            rows.clear();
        }
        self.blobs.clear();
        self.blob_bytes = 0;
        Ok(())
    }

    async fn flush_when_full(&mut self) -> Result<(), StoreError> {
        let bytes = self.blob_bytes + self.listed.bytes() + self.components.bytes() + self.files.bytes();
        if self.rows() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    fn rows(&self) -> usize {
        [
            &self.listed,
            &self.types,
            &self.members,
            &self.parts,
            &self.components,
            &self.files,
            &self.left_out,
        ]
        .iter()
        .map(|rows| rows.rows())
        .sum::<usize>()
            + self.blobs.len()
    }

    fn sync(&self) -> Result<SyncId, StoreError> {
        let missing = || StoreError::Refused {
            thing: "a staged row",
            reason: "the job belongs to no sync".to_owned(),
        };
        self.sync.ok_or_else(missing)
    }

    fn next(&mut self) -> i64 {
        self.ordinal += 1;
        self.ordinal
    }

    async fn heartbeat(&self, tx: &mut Tx, sync: SyncId) -> Result<(), StoreError> {
        let alive = sqlx::query(
            "-- staging.heartbeat
            UPDATE job SET lease_until = nightshift_now() + make_interval(secs => $4)
             WHERE org_id = $1 AND id = $2 AND fence = $3 AND state = 'claimed'",
        )
        .bind(self.org.uuid())
        .bind(self.job.uuid())
        .bind(self.fence.0)
        .bind(self.lease.as_secs_f64())
        .execute(&mut **tx)
        .await
        .map_err(at("staging.heartbeat"))?;
        if alive.rows_affected() != 1 {
            return Err(StoreError::LeaseLost);
        }
        sqlx::query(
            "-- staging.touch
            INSERT INTO staging (org_id, sync_id, job_id, touched_at) VALUES ($1, $2, $3, nightshift_now())
            ON CONFLICT (org_id, sync_id, job_id) DO UPDATE SET touched_at = excluded.touched_at",
        )
        .bind(self.org.uuid())
        .bind(sync.uuid())
        .bind(self.job.uuid())
        .execute(&mut **tx)
        .await
        .map_err(at("staging.touch"))?;
        Ok(())
    }

    /// Sorted by hash, so that two writers of one org cannot wait for each other in a circle.
    async fn insert_blobs(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        if self.blobs.is_empty() {
            return Ok(());
        }
        self.blobs.sort_unstable_by_key(|blob| blob.0);
        let hashes: Vec<&[u8]> = self.blobs.iter().map(|(hash, ..)| &hash[..]).collect();
        let bodies: Vec<&[u8]> = self.blobs.iter().map(|(_, body, _)| &body[..]).collect();
        let sizes: Vec<i64> = self.blobs.iter().map(|(.., size)| *size).collect();
        sqlx::query(
            "-- staging.blobs
            INSERT INTO blob (org_id, hash, body, size, stored_at)
            SELECT $1, hash, body, size, nightshift_now()
              FROM unnest($2::bytea[], $3::bytea[], $4::bigint[]) AS new (hash, body, size)
            ON CONFLICT DO NOTHING",
        )
        .bind(self.org.uuid())
        .bind(&hashes)
        .bind(&bodies)
        .bind(&sizes)
        .execute(&mut **tx)
        .await
        .map_err(at("staging.blobs"))?;
        Ok(())
    }
}

/// One batch's file of a member that is asked for in several.
#[derive(Clone, Copy, Debug)]
pub struct FilePart<'a> {
    /// Which batch.
    pub batch: i32,
    /// In how many batches it is asked for.
    pub parts: i32,
    /// As Salesforce sends it.
    pub full_name: &'a str,
    /// The file as it came.
    pub file: &'a StagedFile,
}

/// How a type's listing went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    /// To the end: what it does not name is gone.
    Good,
    /// Not: nothing may be concluded from it.
    Failed,
}

/// The stored form of a file's bytes: zstd level 1, about the zip's own size at a third of the cost of parsing.
pub fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut body = zstd::bulk::compress(bytes, 1).expect("memory is the only thing that can fail");
    // zstd makes room for the worst case and leaves it: a chunk of bodies would hold the room of what they were.
    body.shrink_to_fit();
    body
}

async fn copy(c: &mut Session, rows: &CopyRows) -> Result<(), StoreError> {
    if rows.rows() == 0 {
        return Ok(());
    }
    let copied = c.copy_in(rows.statement(), &rows.message()).await;
    copied.map_err(at("staging.copy"))
}

/// PostgreSQL stores no U+0000 in text; a name with one is an error that names the component.
fn clean(key: &ComponentKey, texts: &[&str]) -> Result<(), StoreError> {
    let names = [key.type_name.as_str(), key.name.as_str()];
    if names.iter().chain(texts).any(|text| text.contains('\0')) {
        let reason = format!(
            "a name of {} has a NUL character",
            key.to_string().replace('\0', "?")
        );
        return Err(StoreError::Refused {
            thing: "a component",
            reason,
        });
    }
    Ok(())
}
