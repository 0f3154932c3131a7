//! The table of metadata types: what each is called, where its files lie, what is known about its dates and companions.
//!
//! `types.tsv` beside this file is the table; adding knowledge means adding there. What an org really has is said by
//! its describe answer: the registry only adds to it, and a type that it does not know is kept as an opaque one
//! (`described.rs`). How a path becomes a name is left to `naming.rs`.

use std::{collections::HashMap, sync::LazyLock};

use crate::error::MetadataError;

/// How the files of a type lie in the zip.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TypeKind {
    /// One XML file a member.
    Single,
    /// A content file with the type's suffix and its `-meta.xml`.
    Content,
    /// A content file with any suffix, which is part of the name, and its `-meta.xml` (Document).
    Mixed,
    /// A directory of files a member.
    Bundle,
    /// A directory two levels down: the name is `kind/name` (DigitalExperienceBundle).
    DeepBundle,
    /// One XML file below the directory of its model: the name is `Model.Name` (Territory2).
    InModel,
    /// The folder of another type: one `-meta.xml` file.
    Folder,
    /// An element in its parent's file; its full name is `Parent.Name`.
    Child,
    /// An element in its parent's file with a name of its own (CustomLabel).
    ChildAlone,
    /// Another word for a type.
    Alias,
}

/// Whether the date that a listing gives for a member tells that it changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dated {
    /// Yes, for what is the member's own; its children have dates of their own.
    Trusted,
    /// No: always retrieved.
    Never,
    /// No, but it can be read cheaply: retrieved when what is read of it differs.
    ByReading,
    /// The member holds nothing but its children, whose dates decide.
    ByChildren,
}

/// Whether a type is retrieved when nobody has said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Retrieved {
    /// Yes.
    Yes,
    /// No: its files can hold secrets.
    MayHoldSecrets,
    /// No: Salesforce serves it only so often a day.
    DailyBudget,
}

/// Whether the order of elements can be seen by people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// Only that of siblings of one name that have no distinct keys.
    Keyed,
    /// Every order counts (Report, Dashboard, FlexiPage).
    Kept,
}

/// An element whose key is not found by the general rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyedElement {
    /// The repeated element.
    pub element: &'static str,
    /// Its children that make the key, together.
    pub by: Vec<&'static str>,
}

/// A type that lives in another's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChildInfo {
    /// Its API name.
    pub type_name: &'static str,
    /// The element below the parent's root.
    pub element: &'static str,
    /// The element below that one that names it.
    pub key_element: &'static str,
    /// Whether the name stands alone (CustomLabel) or behind its parent's.
    pub kind: TypeKind,
}

impl ChildInfo {
    /// The full name of the child that the parent's file calls `name`.
    pub fn full_name(&self, parent_full_name: &str, name: &str) -> String {
        match self.kind {
            TypeKind::ChildAlone => name.to_owned(),
            _ => format!("{parent_full_name}.{name}"),
        }
    }
}

/// What is known of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeInfo {
    /// Its API name.
    pub name: &'static str,
    /// Its directory below `unpackaged/`.
    pub directory: &'static str,
    /// Its files' suffix without the dot; empty for bundles and Document.
    pub suffix: &'static str,
    /// How its files lie.
    pub kind: TypeKind,
    /// The type of the folders that its members lie in.
    pub folder_type: Option<&'static str>,
    /// Of a child its parent's type, of a folder the type of its contents, of an alias the real type.
    pub parent: Option<&'static str>,
    /// Whether its dates can be trusted.
    pub dated: Dated,
    /// Whether it is retrieved by default.
    pub retrieved: Retrieved,
    /// Whether the order of its elements counts.
    pub order: Order,
    /// Its elements with a key of their own rule.
    pub keyed: Vec<KeyedElement>,
    /// Types whose listed members must be in the same request, because the content depends on them.
    pub companions: Vec<&'static str>,
    /// Suffixes of a bundle's main file, the best first.
    pub main_suffixes: Vec<&'static str>,
    /// Files that one member is likely to bring.
    pub files_expected: u32,
    /// Whether `*` brings only part of it, so that members must be named.
    pub names_needed: bool,
    /// The product that it belongs to, a guess by its name.
    pub cloud: &'static str,
    /// The types that live in its file.
    pub children: Vec<ChildInfo>,
}

impl TypeInfo {
    /// Whether the file of a member is XML as a whole.
    pub fn is_xml(&self) -> bool {
        matches!(self.kind, TypeKind::Single | TypeKind::InModel | TypeKind::Folder)
    }

    /// Whether it lives in its parent's file.
    pub fn is_child(&self) -> bool {
        matches!(self.kind, TypeKind::Child | TypeKind::ChildAlone)
    }
}

/// All known types.
#[derive(Debug)]
pub struct Registry {
    types: Vec<TypeInfo>,
    by_name: HashMap<&'static str, usize>,
    by_suffix: HashMap<(&'static str, &'static str), usize>,
    by_directory: HashMap<&'static str, usize>,
}

/// The registry of this build.
pub fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        Registry::parse(include_str!("types.tsv"))
            .expect("types.tsv is part of the build and read by this crate's tests")
    });
    &REGISTRY
}

const COLUMNS: usize = 17;

impl Registry {
    /// Every type, in the table's order.
    pub fn types(&self) -> &[TypeInfo] {
        &self.types
    }

    /// The type of this API name; an alias gives the real one.
    pub fn by_name(&self, name: &str) -> Option<&TypeInfo> {
        let found = &self.types[*self.by_name.get(name)?];
        match (found.kind, found.parent) {
            (TypeKind::Alias, Some(real)) => self.by_name(real),
            _ => Some(found),
        }
    }

    /// The type whose files are `directory/*.suffix`.
    pub fn by_directory_and_suffix(&self, directory: &str, suffix: &str) -> Option<&TypeInfo> {
        self.by_suffix
            .get(&(directory, suffix))
            .map(|at| &self.types[*at])
    }

    /// The bundle, Document or foldered type that owns a directory, whatever the suffix.
    pub fn by_directory(&self, directory: &str) -> Option<&TypeInfo> {
        self.by_directory.get(directory).map(|at| &self.types[*at])
    }

    fn parse(table: &'static str) -> Result<Self, MetadataError> {
        let mut types = Vec::new();
        for (line, text) in table.lines().enumerate().skip(1) {
            let fields: Vec<&'static str> = text.split('\t').collect();
            let wrong = |why| MetadataError::Table {
                table: "types.tsv",
                line: line + 1,
                why,
            };
            if fields.len() != COLUMNS {
                return Err(wrong("a line has 17 fields"));
            }
            types.push(row(&fields).map_err(wrong)?);
        }
        let mut registry = Self {
            by_name: HashMap::new(),
            by_suffix: HashMap::new(),
            by_directory: HashMap::new(),
            types: types.iter().map(|(info, _)| info.clone()).collect(),
        };
        for (at, (info, _)) in types.iter().enumerate() {
            let wrong = |why| MetadataError::Table {
                table: "types.tsv",
                line: at + 2,
                why,
            };
            if registry.by_name.insert(info.name, at).is_some() {
                return Err(wrong("this name stands in the table twice"));
            }
            let has_suffix = matches!(
                info.kind,
                TypeKind::Single | TypeKind::Content | TypeKind::InModel
            );
            if has_suffix
                && registry
                    .by_suffix
                    .insert((info.directory, info.suffix), at)
                    .is_some()
            {
                return Err(wrong("this directory and suffix stand in the table twice"));
            }
            let owns = matches!(
                info.kind,
                TypeKind::Bundle | TypeKind::DeepBundle | TypeKind::Mixed
            );
            if owns || info.folder_type.is_some() {
                registry.by_directory.insert(info.directory, at);
            }
        }
        for (at, (info, child)) in types.into_iter().enumerate() {
            let (Some(child), Some(parent)) = (child, info.parent) else {
                continue;
            };
            let Some(owner) = registry.by_name.get(parent).copied() else {
                return Err(MetadataError::Table {
                    table: "types.tsv",
                    line: at + 2,
                    why: "the parent is not in the table",
                });
            };
            registry.types[owner].children.push(child);
        }
        Ok(registry)
    }
}

fn row(fields: &[&'static str]) -> Result<(TypeInfo, Option<ChildInfo>), &'static str> {
    let kind = match fields[3] {
        "single" => TypeKind::Single,
        "content" => TypeKind::Content,
        "mixed" => TypeKind::Mixed,
        "bundle" => TypeKind::Bundle,
        "deep_bundle" => TypeKind::DeepBundle,
        "in_model" => TypeKind::InModel,
        "folder" => TypeKind::Folder,
        "child" => TypeKind::Child,
        "child_alone" => TypeKind::ChildAlone,
        "alias" => TypeKind::Alias,
        _ => return Err("the kind is unknown"),
    };
    let info = TypeInfo {
        name: fields[0],
        directory: fields[1],
        suffix: fields[2],
        kind,
        folder_type: some(fields[4]),
        parent: some(fields[5]),
        dated: match fields[8] {
            "trusted" => Dated::Trusted,
            "never" => Dated::Never,
            "by_reading" => Dated::ByReading,
            "by_children" => Dated::ByChildren,
            _ => return Err("dated is trusted, never, by_reading or by_children"),
        },
        retrieved: match fields[9] {
            "yes" => Retrieved::Yes,
            "may_hold_secrets" => Retrieved::MayHoldSecrets,
            "daily_budget" => Retrieved::DailyBudget,
            _ => return Err("retrieved is yes, may_hold_secrets or daily_budget"),
        },
        order: match fields[10] {
            "keyed" => Order::Keyed,
            "kept" => Order::Kept,
            _ => return Err("order is keyed or kept"),
        },
        keyed: keyed(fields[11])?,
        companions: list(fields[12]),
        main_suffixes: list(fields[13]),
        files_expected: fields[14].parse().map_err(|_| "files is a number")?,
        names_needed: fields[15] == "with_names",
        cloud: fields[16],
        children: Vec::new(),
    };
    let child = info.is_child().then_some(ChildInfo {
        type_name: fields[0],
        element: fields[6],
        key_element: fields[7],
        kind,
    });
    Ok((info, child))
}

fn some(field: &'static str) -> Option<&'static str> {
    (!field.is_empty()).then_some(field)
}

fn list(field: &'static str) -> Vec<&'static str> {
    field.split(',').filter(|part| !part.is_empty()).collect()
}

fn keyed(field: &'static str) -> Result<Vec<KeyedElement>, &'static str> {
    field
        .split(';')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (element, by) = part.split_once('=').ok_or("keys are element=child+child;...")?;
            Ok(KeyedElement {
                element,
                by: by.split('+').collect(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
