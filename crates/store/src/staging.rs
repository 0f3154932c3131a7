//! What a sync finds on its way to the dictionary: rows that nobody reads before `finish` switches the revision.
//!
//! A step stages in bounded chunks while it works ([`StagingWriter`]), because the answer of a large org fits neither
//! in memory nor in one transaction. Each row carries its job and its fence, so that what a dead worker staged can be
//! told from what its successor stages (`remove.rs`). How staged rows become versions is left to `dictionary`.

mod copy;
mod remove;
mod writer;

use std::{str::FromStr, time::Duration};

use nightshift_domain::{ComponentKey, sync::UnknownWord};

use crate::{Store, StoreError, jobs::Claim};

pub(crate) use self::remove::remove_staged_of_job;
pub use self::writer::{CHUNK_BYTES, CHUNK_ROWS, FilePart, Listing, StagingWriter, compress};

/// The door to staged rows.
#[derive(Clone, Copy, Debug)]
pub struct Staging<'a> {
    store: &'a Store,
}

impl Store {
    /// Staged rows.
    pub fn staging(&self) -> Staging<'_> {
        Staging { store: self }
    }
}

impl Staging<'_> {
    /// A writer under a claim's fence, one a step; each chunk extends the lease by `lease`.
    pub fn writer(self, claim: &Claim, lease: Duration) -> StagingWriter {
        StagingWriter::new(self.store.clone(), claim, lease)
    }

    /// Removes what earlier claims of the job staged. For a claim whose fence is above 1, before its step.
    pub async fn remove_older_fences(self, claim: &Claim) -> Result<u64, StoreError> {
        let Some(sync) = claim.sync else { return Ok(0) };
        let mut tx = self.store.begin("staging.remove_older_fences").await?;
        let removed = remove::remove_older_fences(&mut tx, claim.org, sync, claim.job, claim.fence).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// Removes at most `limit` rows of each table that an ended sync left; says whether there may be more.
    pub async fn sweep(self, limit: i64) -> Result<bool, StoreError> {
        let mut tx = self.store.begin("staging.sweep").await?;
        let more = remove::sweep_staged(&mut tx, limit).await?;
        tx.commit().await?;
        Ok(more)
    }
}

/// Why a member stands in a batch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Role {
    /// For itself: it changed, is new, or has no trustworthy date.
    Asked,
    /// As context: Salesforce cuts a profile down to what is asked for beside it.
    Companion,
}

impl Role {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Companion => "companion",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Asked, Self::Companion]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownWord {
                thing: "role of a batch's member (asked, companion)",
                found: text.to_owned(),
            })
    }
}

/// One member or folder of a planned batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its identity.
    pub key: ComponentKey,
    /// The name to ask for.
    pub full_name: String,
    /// Why it is asked for.
    pub role: Role,
    /// Files expected.
    pub files: i64,
    /// Unpacked bytes expected.
    pub bytes: i64,
}
