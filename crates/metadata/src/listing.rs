//! A listing's entry, corrected: Salesforce leaves out types, file names and namespaces, and sends dates that are none.
//!
//! Everything downstream (the plan, the request, the dictionary) works with the corrected entry, so a component has
//! one name from the listing to the revision. An entry that names nothing is a warning of its own; it never costs the
//! others.

use std::collections::HashSet;

use jiff::Timestamp;
use nightshift_domain::{ComponentKey, LeftOut, LeftOutReason, ListedEntry};
use serde::{Deserialize, Serialize};

use crate::{
    described::Described,
    limits::{NAME_BYTES, TYPE_NAME_BYTES},
    naming::{below_unpackaged, path_of, suffix_of, without_suffix},
    registry::{Dated, TypeInfo, TypeKind, registry},
};

/// One `FileProperties` of a listing as it came: nil and absent are `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RawListing {
    /// `type`.
    pub type_name: Option<String>,
    /// `fullName`.
    pub full_name: Option<String>,
    /// `fileName`.
    pub file_name: Option<String>,
    /// `id`; may be empty.
    pub id: Option<String>,
    /// `namespacePrefix`.
    pub namespace_prefix: Option<String>,
    /// `manageableState`.
    pub manageable_state: Option<String>,
    /// `lastModifiedDate`, as text.
    pub last_modified_date: Option<String>,
}

/// What is known beside the entry.
#[derive(Clone, Copy, Debug)]
pub struct ListingContext<'c> {
    /// The types of the call that listed it, one to three.
    pub asked: &'c [&'c str],
    /// The org's describe answer.
    pub described: &'c Described,
    /// The org's own namespace: its components are named as they come.
    pub own_namespace: Option<&'c str>,
}

/// An entry that names nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListingFault {
    /// There is no full name.
    #[error("an entry of the listing of {asked} has no full name")]
    NoName {
        /// The types of the call.
        asked: String,
    },
    /// Its name, its type's or its file's is longer than any can be.
    #[error(
        "an entry of the listing of {asked} has a name of more than {NAME_BYTES} bytes, or its type one of more than {TYPE_NAME_BYTES}: {begins:?}"
    )]
    TooLong {
        /// How its name begins.
        begins: String,
        /// The types of the call.
        asked: String,
    },
    /// Its type cannot be told.
    #[error("the entry {full_name:?} of the listing of {asked} has no type")]
    NoType {
        /// As it came.
        full_name: String,
        /// The types of the call.
        asked: String,
    },
}

impl ListingFault {
    /// What the sync reports about it.
    pub fn left_out(&self) -> LeftOut {
        let (asked, name) = match self {
            Self::NoName { asked } => (asked, String::new()),
            Self::TooLong { begins, asked } => (asked, begins.clone()),
            Self::NoType { full_name, asked } => (asked, full_name.clone()),
        };
        LeftOut {
            type_name: asked.clone(),
            name,
            reason: LeftOutReason::Unnamed,
            detail: self.to_string().chars().take(1000).collect(),
        }
    }
}

/// Corrects one entry.
pub fn correct_listing(raw: &RawListing, context: &ListingContext<'_>) -> Result<ListedEntry, ListingFault> {
    let asked = || context.asked.join(", ");
    let sent_name = given(raw.full_name.as_deref()).ok_or_else(|| ListingFault::NoName { asked: asked() })?;
    let sent_file = given(raw.file_name.as_deref()).map(below_unpackaged);
    let type_name = type_of(raw, sent_file, context).ok_or_else(|| ListingFault::NoType {
        full_name: sent_name.to_owned(),
        asked: asked(),
    })?;
    if sent_name.len().max(sent_file.map_or(0, str::len)) > NAME_BYTES || type_name.len() > TYPE_NAME_BYTES {
        return Err(ListingFault::TooLong {
            begins: sent_name.chars().take(100).collect(),
            asked: asked(),
        });
    }
    let namespace = given(raw.namespace_prefix.as_deref());
    let full_name = match namespace.filter(|namespace| Some(*namespace) != context.own_namespace) {
        Some(namespace) => with_namespace(&type_name, sent_name, namespace),
        None => sent_name.to_owned(),
    };
    let info = registry().by_name(&type_name);
    let parent = info.and_then(|info| parent_of(info, &full_name, sent_file));
    let file_name = file_name(
        &type_name,
        info,
        sent_name,
        &full_name,
        sent_file,
        parent.as_ref(),
        context,
    );
    let dated = info.is_none_or(|info| !matches!(info.dated, Dated::Never | Dated::ByReading));
    Ok(ListedEntry {
        key: ComponentKey::new(type_name, &full_name),
        full_name,
        file_name,
        namespace: namespace.map(str::to_owned),
        salesforce_id: given(raw.id.as_deref())
            .filter(|id| !id.starts_with("000000000000000"))
            .map(str::to_owned),
        last_modified: raw
            .last_modified_date
            .as_deref()
            .and_then(real_date)
            .filter(|_| dated),
        parent: parent.map(|(key, _)| key),
        digest: None,
    })
}

/// Says of each entry whether it is the first of its name: some listings hold doubles (InstalledPackage).
#[derive(Debug, Default)]
pub struct Seen(HashSet<ComponentKey>);

impl Seen {
    /// Whether the entry is the first of its key.
    pub fn first(&mut self, entry: &ListedEntry) -> bool {
        self.0.insert(entry.key.clone())
    }
}

/// A listing's date, unless it is none: nil, empty, or the epoch, which Salesforce sends for "unknown".
pub fn real_date(text: &str) -> Option<Timestamp> {
    let date: Timestamp = text.trim().parse().ok()?;
    (date != Timestamp::UNIX_EPOCH).then_some(date)
}

fn given(field: Option<&str>) -> Option<&str> {
    field.map(str::trim).filter(|text| !text.is_empty())
}

fn type_of(raw: &RawListing, file: Option<&str>, context: &ListingContext<'_>) -> Option<String> {
    let only = match context.asked {
        [only] => Some(*only),
        _ => None,
    };
    match given(raw.type_name.as_deref()) {
        // Folders may come under a common word instead of the type that was asked for.
        Some("Folder") if only.is_some() => only.map(real_name),
        Some(name) => Some(real_name(name)),
        None => only.map(real_name).or_else(|| {
            let (directory, rest) = file?.split_once('/')?;
            let suffix = suffix_of(rest)?;
            let known = registry()
                .by_directory_and_suffix(directory, suffix)
                .map(|info| info.name);
            let told = || {
                context
                    .described
                    .unknown_by_path(directory, Some(suffix))
                    .map(|told| told.name.as_str())
            };
            known.or_else(told).map(str::to_owned)
        }),
    }
}

/// The name under which the registry keeps a type: an alias gives the real one.
fn real_name(type_name: &str) -> String {
    registry()
        .by_name(type_name)
        .map_or(type_name, |info| info.name)
        .to_owned()
}

/// Puts a package's namespace before the part of the name that lacks it.
fn with_namespace(type_name: &str, full_name: &str, namespace: &str) -> String {
    let prefix = format!("{namespace}__");
    if type_name == "InstalledPackage" || full_name.contains('/') {
        return full_name.to_owned();
    }
    let separator = if type_name == "Layout" {
        full_name.find('-')
    } else {
        full_name.rfind('.')
    };
    let own_from = match separator {
        Some(at) => at + 1,
        None if type_name == "Layout" => return full_name.to_owned(),
        None => 0,
    };
    let (before, own) = full_name.split_at(own_from);
    if own.starts_with(&prefix) {
        return full_name.to_owned();
    }
    format!("{before}{prefix}{own}")
}

/// Of a child its parent, and the parent's full name.
fn parent_of(info: &TypeInfo, full_name: &str, file: Option<&str>) -> Option<(ComponentKey, String)> {
    let parent = registry().by_name(info.parent.filter(|_| info.is_child())?)?;
    let in_file = || {
        let file = without_suffix(file?);
        file.split_once('/').map(|(_, name)| name.to_owned())
    };
    let name = match info.kind {
        TypeKind::ChildAlone => {
            in_file().or_else(|| (info.name == "CustomLabel").then(|| "CustomLabels".to_owned()))
        }
        _ => full_name
            .split_once('.')
            .map(|(parent, _)| parent.to_owned())
            .or_else(in_file),
    }?;
    Some((ComponentKey::new(parent.name, &name), name))
}

fn file_name(
    type_name: &str,
    info: Option<&TypeInfo>,
    sent_name: &str,
    full_name: &str,
    file: Option<&str>,
    parent: Option<&(ComponentKey, String)>,
    context: &ListingContext<'_>,
) -> String {
    if let Some((key, name)) = parent {
        let parent = registry().by_name(&key.type_name);
        let path = parent.and_then(|info| path_of(info, name));
        // What lies in a bundle is one of its files; which one, only Salesforce could say.
        let bundle = || parent.map(|info| format!("{}/{name}", info.directory));
        let told = path.or_else(|| file.map(str::to_owned)).or_else(bundle);
        return told.unwrap_or_default();
    }
    if let Some(info) = info {
        // Where the registry knows the path, it is derived: listings spell directories in ways of their own.
        let derived = path_of(info, full_name);
        return match (info.kind, derived, file) {
            (TypeKind::Folder | TypeKind::InModel, Some(derived), _) | (_, Some(derived), None) => derived,
            (_, Some(derived), Some(file)) if sent_name != full_name || misplaced(info, file) => derived,
            (_, _, Some(file)) => file.to_owned(),
            (_, None, None) => format!("{}/{full_name}", info.directory),
        };
    }
    match (file, context.described.by_name(type_name)) {
        (Some(file), _) => file.to_owned(),
        (None, Some(described)) => match &described.suffix {
            Some(suffix) => format!("{}/{full_name}.{suffix}", described.directory),
            None => format!("{}/{full_name}", described.directory),
        },
        (None, None) => full_name.to_owned(),
    }
}

fn misplaced(info: &TypeInfo, file: &str) -> bool {
    file.split_once('/')
        .is_none_or(|(directory, _)| directory != info.directory)
}
