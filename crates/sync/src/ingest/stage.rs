//! From a zip that comes to staged rows: parsing on a blocking thread, writing here, a small channel between them.
//!
//! The step calls it with what Salesforce sends, `make bench` with an answer that it made. Memory holds one file, the
//! items in the channel and one chunk of rows, whatever the size of the zip.

use std::{collections::HashSet, io::Read};

use domain::{ComponentKey, LeftOut, LeftOutReason};
use nightshift_archive::{ArchiveError, Limits};
use nightshift_domain as domain;
use nightshift_metadata::{Assembled, Described, Member};
use nightshift_store::{
    StoreError,
    staging::{FilePart, StagingWriter},
};

use super::read::{Item, read};

/// Parcels that may wait between the two sides: together about two chunks.
const WAITING: usize = 16;

/// What came of a zip.
#[derive(Debug)]
pub struct StagedZip {
    /// Members that it brought, the unreadable ones too.
    pub got: HashSet<ComponentKey>,
    /// Bytes of its distinct files, unpacked.
    pub bytes: u64,
    /// Whether the zip was whole. What stood before a fault is staged all the same.
    pub read: Result<(), ArchiveError>,
}

/// Why nothing can be said about a zip.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Our database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mistake of ours.
    #[error("the thread that reads a zip ended in a panic")]
    Panicked,
}

/// Members of which a zip brings a part only; others are whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InParts {
    /// Which.
    pub members: HashSet<ComponentKey>,
    /// The batch that the zip belongs to.
    pub batch: i32,
    /// In how many batches they are asked for.
    pub parts: i32,
}

impl InParts {
    /// All members are whole.
    pub fn none() -> Self {
        Self {
            members: HashSet::new(),
            batch: 0,
            parts: 1,
        }
    }
}

/// Stages everything that a zip holds. The writer is not flushed: more may follow.
pub async fn stage_zip(
    zip: impl Read + Send + 'static,
    described: Described,
    in_parts: &InParts,
    staging: &mut StagingWriter,
) -> Result<StagedZip, StageError> {
    let (send, mut parcels) = tokio::sync::mpsc::channel(WAITING);
    let thread = tokio::task::spawn_blocking(move || read(zip, &described, Limits::default(), &send));
    let (mut got, mut bytes) = (HashSet::new(), 0);
    let mut staged = Ok(());
    'parcels: while let Some(parcel) = parcels.recv().await {
        for item in parcel {
            if let Item::Blob { size, .. } = &item {
                bytes += *size;
            }
            staged = match item {
                Item::Assembled(Assembled::Member(member))
                    if in_parts.members.contains(&member.component.key) =>
                {
                    stage_part(staging, in_parts, *member, &mut got).await
                }
                item => stage(staging, item, &mut got).await,
            };
            if staged.is_err() {
                break 'parcels;
            }
        }
    }
    // A reader that waits for room sees that nobody takes its items any more.
    drop(parcels);
    let read = thread.await.map_err(|_| StageError::Panicked)?;
    staged?;
    Ok(StagedZip { got, bytes, read })
}

async fn stage_part(
    staging: &mut StagingWriter,
    in_parts: &InParts,
    member: Member,
    got: &mut HashSet<ComponentKey>,
) -> Result<(), StoreError> {
    for file in &member.files {
        let part = FilePart {
            batch: in_parts.batch,
            parts: in_parts.parts,
            full_name: &member.component.full_name,
            file,
        };
        staging.part(&part).await?;
    }
    got.insert(member.component.key);
    Ok(())
}

pub(crate) async fn stage(
    staging: &mut StagingWriter,
    item: Item,
    got: &mut HashSet<ComponentKey>,
) -> Result<(), StoreError> {
    match item {
        Item::Blob { hash, body, size } => staging.blob(hash, body, size).await?,
        Item::Assembled(Assembled::Member(member)) => {
            staging.component(&member.component).await?;
            for child in &member.children {
                staging.component(child).await?;
            }
            for file in &member.files {
                staging.file(file).await?;
            }
            got.insert(member.component.key);
        }
        Item::Assembled(Assembled::Unreadable(lost)) => {
            let detail = format!("{} in {}: {}", lost.error.code(), lost.path, lost.error);
            let left_out = left_out(&lost.key, LeftOutReason::Unreadable, &detail);
            staging.left_out(&left_out).await?;
            got.insert(lost.key);
        }
    }
    Ok(())
}

pub(super) fn left_out(key: &ComponentKey, reason: LeftOutReason, detail: &str) -> LeftOut {
    LeftOut {
        type_name: key.type_name.clone(),
        name: key.name.clone(),
        reason,
        detail: detail.to_owned(),
    }
}
