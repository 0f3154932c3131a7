//! An org as the SOAP side sees it: its inventory with the extras laid over.
//!
//! Types are strings from here on, since an extra may be of a type that no table knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Inventory, Listed, MemberId, Part, SourceFile,
    extras::{Extra, ExtraType},
    is_custom_name,
};
use crate::{
    error::SimulatorError,
    ids::id18,
    mix::mix_text,
    types::{Shape, TypeId},
};

/// A component of the whole org.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) enum Pick {
    Base(MemberId),
    Extra(u32),
}

/// A type as describeMetadata names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Described {
    pub name: String,
    pub directory: String,
    pub suffix: String,
    pub in_folder: bool,
    pub meta_file: bool,
    pub children: Vec<String>,
}

/// One entry of a listing.
pub(crate) struct Entry {
    pub listed: Listed,
    pub nil_type: bool,
    pub nil_file_name: bool,
    pub nil_dates: bool,
}

/// What an org holds at one time; cheap to clone, so that each request and each retrieve keeps its own.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub base: Arc<dyn Inventory>,
    pub extras: Arc<Vec<Extra>>,
    pub types: Arc<Vec<ExtraType>>,
    /// The org's own namespace.
    pub namespace: Option<Arc<str>>,
}

impl Snapshot {
    /// The types that describeMetadata names, in order of their names.
    pub(crate) fn described(&self) -> Vec<Described> {
        let present: BTreeSet<TypeId> = self
            .base
            .kinds()
            .into_iter()
            .chain(self.extras.iter().filter_map(|extra| TypeId::named(&extra.kind)))
            .map(|kind| {
                if kind.is_top_level() {
                    kind
                } else {
                    kind.row().parent.unwrap_or(kind)
                }
            })
            .collect();
        let from_table = TypeId::all()
            .filter(|kind| kind.is_top_level() && (kind.row().always_described || present.contains(kind)))
            .map(describe_row);
        let beyond = self.types.iter().map(|extra| Described {
            name: extra.name.clone(),
            directory: extra.directory.clone(),
            suffix: extra.suffix.clone(),
            in_folder: false,
            meta_file: false,
            children: extra.children.clone(),
        });
        let mut all: Vec<Described> = from_table.chain(beyond).collect();
        all.sort();
        all
    }

    /// Whether the org knows the type (as described, as a child or as a folder of one that is described).
    pub(crate) fn knows(&self, name: &str) -> Known {
        if self
            .types
            .iter()
            .any(|extra| extra.name == name || extra.children.iter().any(|child| child == name))
        {
            return Known::Here;
        }
        let Some(kind) = TypeId::named(name) else {
            return Known::Nowhere;
        };
        let owner = if kind.is_top_level() {
            kind
        } else {
            kind.row().parent.unwrap_or(kind)
        };
        let here = owner.row().always_described
            || self.base.kinds().contains(&owner)
            || self.extras.iter().any(|extra| extra.kind == owner.name());
        if here { Known::Here } else { Known::Elsewhere }
    }

    /// The components that a listing names, repetitions included.
    pub(crate) fn list(&self, name: &str, folder: Option<&str>) -> Vec<Pick> {
        let kind = TypeId::named(name);
        let mut picks: Vec<Pick> = kind
            .map_or_else(Vec::new, |kind| self.base.list(kind, folder))
            .into_iter()
            .map(Pick::Base)
            .collect();
        let foldered = kind.is_some_and(|kind| kind.row().folder_type.is_some());
        for (at, extra) in self
            .extras
            .iter()
            .enumerate()
            .filter(|(_, extra)| extra.kind == name)
        {
            let within = extra.full_name.rsplit_once('/').map(|(folder, _)| folder);
            if !foldered || within == folder {
                picks.extend(std::iter::repeat_n(Pick::Extra(at as u32), extra.listed_times));
            }
        }
        picks
    }

    /// The component that a retrieve means.
    pub(crate) fn find(&self, name: &str, full_name: &str) -> Option<Pick> {
        let extra = self.extras.iter().position(|extra| {
            extra.kind == name
                && (extra.full_name == full_name || extra.aliases.iter().any(|alias| alias == full_name))
        });
        match extra {
            Some(at) => Some(Pick::Extra(at as u32)),
            None => self.base.find(TypeId::named(name)?, full_name).map(Pick::Base),
        }
    }

    /// The member in whose file the component stands, when it has no file of its own.
    pub(crate) fn parent(&self, pick: Pick) -> Option<MemberId> {
        match pick {
            Pick::Base(member) if member.kind.row().shape == Shape::Child => self.base.parent(member),
            Pick::Base(_) | Pick::Extra(_) => None,
        }
    }

    /// The component as a listing tells it.
    pub(crate) fn entry(&self, pick: Pick) -> Entry {
        match pick {
            Pick::Base(_) => Entry {
                listed: self.delivered(pick),
                nil_type: false,
                nil_file_name: false,
                nil_dates: false,
            },
            Pick::Extra(at) => {
                let extra = &self.extras[at as usize];
                let mut listed = self.delivered(pick);
                listed.full_name.clone_from(&extra.listed_name);
                Entry {
                    listed,
                    nil_type: extra.nil_type,
                    nil_file_name: extra.nil_file_name,
                    nil_dates: extra.nil_dates,
                }
            }
        }
    }

    /// The component as a retrieve names it in its file properties.
    pub(crate) fn delivered(&self, pick: Pick) -> Listed {
        match pick {
            Pick::Base(member) => {
                let mut listed = self.base.describe(member);
                let named = listed.namespace.is_none() && has_namespace(&listed);
                if let Some(own) = self.namespace.as_ref().filter(|_| named) {
                    listed.namespace = Some(own.to_string());
                }
                listed
            }
            Pick::Extra(at) => {
                let extra = &self.extras[at as usize];
                let prefix = TypeId::named(&extra.kind).map_or("0zz", |kind| kind.row().prefix);
                Listed {
                    kind: extra.kind.clone().into(),
                    full_name: extra.full_name.clone(),
                    file_name: extra
                        .files
                        .first()
                        .map_or_else(String::new, |file| file.path.clone()),
                    id: id18(prefix, mix_text(mix_text(9, &extra.kind), &extra.full_name)),
                    created: extra.modified,
                    modified: extra.modified,
                    namespace: extra.namespace.clone(),
                    manageable_state: extra.manageable_state,
                }
            }
        }
    }

    pub(crate) fn file_count(&self, pick: Pick) -> usize {
        match pick {
            Pick::Base(member) => self.base.file_count(member),
            Pick::Extra(at) => self.extras[at as usize].files.len(),
        }
    }

    pub(crate) fn files(&self, pick: Pick, part: &Part) -> Result<Vec<SourceFile>, SimulatorError> {
        match pick {
            Pick::Base(member) => self.base.files(member, part),
            Pick::Extra(at) => Ok(self.extras[at as usize].files.clone()),
        }
    }

    /// Number of components by type: members, folders, children and extras.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = self
            .base
            .counts()
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect();
        for extra in self.extras.iter() {
            *counts.entry(extra.kind.clone()).or_default() += 1;
        }
        counts
    }
}

/// How much an org knows of a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    Here,
    /// A real type, which this org has not.
    Elsewhere,
    Nowhere,
}

/// Whether a component belongs to the namespace of its org: code and whatever is custom.
fn has_namespace(listed: &Listed) -> bool {
    let name = listed.full_name.rsplit('.').next().unwrap_or(&listed.full_name);
    match &*listed.kind {
        "ApexClass"
        | "ApexTrigger"
        | "ApexPage"
        | "ApexComponent"
        | "AuraDefinitionBundle"
        | "CustomLabel"
        | "Flow"
        | "LightningComponentBundle"
        | "PermissionSet"
        | "StaticResource" => true,
        "CustomObject" | "CustomField" => is_custom_name(name),
        _ => false,
    }
}

fn describe_row(kind: TypeId) -> Described {
    let row = kind.row();
    Described {
        name: row.name.to_owned(),
        directory: row.directory.to_owned(),
        suffix: row.suffix.to_owned(),
        in_folder: row.folder_type.is_some(),
        meta_file: matches!(row.shape, Shape::Meta | Shape::Document),
        children: kind
            .children()
            .iter()
            .map(|child| child.name().to_owned())
            .collect(),
    }
}
