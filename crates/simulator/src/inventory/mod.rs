//! What an org holds, whatever it was made from.
//!
//! The SOAP side asks an [`Inventory`] what is there, under which names and dates, and for the files of a member at
//! the moment they are sent; it never holds the whole org. Two kinds stand behind it: orgs made from numbers
//! (`generated`) and orgs read from a folder (`folder`). `layers` lays single extra members over either.
//! An inventory never changes: a night gives a new one, so that a running retrieve keeps the one it began with.

pub(crate) mod content;
pub(crate) mod documents;
pub(crate) mod evolve;
pub(crate) mod extras;
pub(crate) mod folder;
pub(crate) mod generated;
pub(crate) mod layers;
pub(crate) mod markup;
pub(crate) mod names;
pub(crate) mod objects;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod references;
pub(crate) mod slices;
pub(crate) mod source;
pub(crate) mod tree;

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use serde::Serialize;

use crate::{error::SimulatorError, types::TypeId};

/// One component of an inventory: its type (children and folders too) and its number within the type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MemberId {
    pub kind: TypeId,
    pub slot: u32,
}

/// A component as listMetadata tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    pub kind: Cow<'static, str>,
    pub full_name: String,
    /// Within the zip, without `unpackaged/`.
    pub file_name: String,
    pub id: String,
    /// None: the type has no dates.
    pub created: Option<Timestamp>,
    pub modified: Option<Timestamp>,
    pub namespace: Option<String>,
    pub manageable_state: &'static str,
}

/// One file of a member, made when it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceFile {
    /// Within the zip, without `unpackaged/`.
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Which part of a member a retrieve wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Whole,
    /// Only these children (a retrieve of CustomField alone brings its object with nothing else).
    Children(Vec<MemberId>),
}

/// A change between two nights, in the words of the dictionary.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Change {
    #[serde(rename = "type")]
    pub kind: String,
    pub full_name: String,
    pub change: ChangeKind,
}

/// What happened to a component.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    Added,
    Changed,
    Deleted,
}

/// What an org holds at one time.
pub(crate) trait Inventory: Send + Sync {
    /// Types that have members, children and folders included.
    fn kinds(&self) -> Vec<TypeId>;
    /// The components that a listing of the type names, within the folder where the type has folders.
    fn list(&self, kind: TypeId, folder: Option<&str>) -> Vec<MemberId>;
    /// The component of that name.
    fn find(&self, kind: TypeId, full_name: &str) -> Option<MemberId>;
    /// The member in whose file a child stands.
    fn parent(&self, child: MemberId) -> Option<MemberId>;
    fn describe(&self, member: MemberId) -> Listed;
    /// How many files `files` gives for the whole member.
    fn file_count(&self, member: MemberId) -> usize;
    fn files(&self, member: MemberId, part: &Part) -> Result<Vec<SourceFile>, SimulatorError>;
    /// Number of components by type: members, folders and children.
    fn counts(&self) -> BTreeMap<&'static str, u64>;
}

/// The date from which the history of every org is counted; later nights add whole days.
pub(crate) const FIRST_NIGHT: &str = "2026-01-01T00:00:00Z";

/// When a component that was last touched in `generation` was modified: in the years before for the first
/// (spread by `number`), else in the night of that generation.
pub(crate) fn date_of(generation: u32, number: u64) -> Timestamp {
    let first: Timestamp = FIRST_NIGHT.parse().expect("the constant is a timestamp");
    let seconds = match generation {
        0 => -((number % (3 * 365 * 86_400)) as i64) - 1,
        night => i64::from(night) * 86_400 + (number % 3_600) as i64,
    };
    first + jiff::SignedDuration::from_secs(seconds)
}

/// Standard objects have no date of their own in a listing; custom ones end in one of Salesforce's suffixes.
pub(crate) fn is_custom_name(full_name: &str) -> bool {
    full_name
        .rsplit_once("__")
        .is_some_and(|(_, suffix)| matches!(suffix, "c" | "mdt" | "e" | "b" | "x" | "kav"))
}
