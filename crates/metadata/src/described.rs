//! What an org's describe answer says about its types, as far as names and files need it.
//!
//! Salesforce adds types with every release. One that the registry does not know is still stored: its directory and
//! suffix are those of the describe answer, its files are kept as they are (an opaque component), and it is reported
//! as a type that is not parsed yet.

use serde::{Deserialize, Serialize};

use crate::registry::{TypeKind, registry};

/// One type as describeMetadata names it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DescribedType {
    /// `xmlName`.
    pub name: String,
    /// `directoryName`.
    pub directory: String,
    /// `suffix`; `None` for bundles.
    pub suffix: Option<String>,
    /// `inFolder`.
    pub in_folder: bool,
    /// `metaFile`: a `-meta.xml` file stands beside the content.
    pub meta_file: bool,
    /// `childXmlNames`.
    pub children: Vec<String>,
}

/// All types of one org's describe answer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Described {
    types: Vec<DescribedType>,
}

impl Described {
    /// Of the answer's types.
    pub fn new(types: Vec<DescribedType>) -> Self {
        Self { types }
    }

    /// The types, in the answer's order.
    pub fn types(&self) -> &[DescribedType] {
        &self.types
    }

    /// The type of this API name.
    pub fn by_name(&self, name: &str) -> Option<&DescribedType> {
        self.types.iter().find(|described| described.name == name)
    }

    /// The types that the registry does not know: stored as they are, reported as not parsed yet.
    pub fn unknown(&self) -> impl Iterator<Item = &DescribedType> {
        self.types
            .iter()
            .filter(|described| registry().by_name(&described.name).is_none())
    }

    /// The type that the registry does not know and whose files lie in this directory, with this suffix if it has one.
    pub(crate) fn unknown_by_path(&self, directory: &str, suffix: Option<&str>) -> Option<&DescribedType> {
        let here = |described: &&DescribedType| described.directory == directory;
        self.unknown()
            .filter(here)
            .find(|described| suffix.is_some() && described.suffix.as_deref() == suffix)
            .or_else(|| {
                self.unknown()
                    .filter(here)
                    .find(|described| described.suffix.is_none() || described.in_folder)
            })
    }

    /// How many files a member of this type is likely to bring: what batches are cut by.
    pub fn files_expected(&self, type_name: &str) -> u32 {
        if let Some(info) = registry().by_name(type_name) {
            return info.files_expected;
        }
        match self.by_name(type_name) {
            Some(described) if described.suffix.is_none() => 10,
            Some(described) if described.meta_file => 2,
            _ => 1,
        }
    }

    /// The type to list for the folders of a foldered type.
    pub fn folder_type(&self, type_name: &str) -> Option<String> {
        if let Some(info) = registry().by_name(type_name) {
            return info.folder_type.map(str::to_owned);
        }
        let described = self.by_name(type_name)?;
        described.in_folder.then(|| folder_type_of(&described.name))
    }
}

/// Salesforce's habit of naming the type of folders, for types that the registry does not know.
pub(crate) fn folder_type_of(type_name: &str) -> String {
    format!("{type_name}Folder")
}

/// The type under which a folder's members stand in a retrieve request: a folder is asked for as its content's type.
pub fn request_type(type_name: &str) -> &str {
    match registry().by_name(type_name) {
        Some(info) if info.kind == TypeKind::Folder => info.parent.unwrap_or(type_name),
        _ => type_name,
    }
}
