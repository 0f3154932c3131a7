//! Which component names which other: the rows of MetadataComponentDependency.
//!
//! Found as a reader would: the words of the files of code, pages, flows and layouts, held against the names of the
//! org's classes, custom objects and custom fields. A field that several objects have is nobody's, since a word alone
//! does not tell whose it is. The work is done once for each night and kept with the org.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::json;

use super::{entities::developer_name, people::record};
use crate::{
    inventory::{
        Part, is_custom_name,
        layers::{Pick, Snapshot},
    },
    org::Org,
    soql::Row,
};

/// Types whose files are read for names.
const READERS: [&str; 9] = [
    "ApexClass",
    "ApexTrigger",
    "ApexPage",
    "ApexComponent",
    "Flow",
    "FlexiPage",
    "Layout",
    "LightningComponentBundle",
    "AuraDefinitionBundle",
];

/// One end of a dependency.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct End {
    id: String,
    name: String,
    kind: String,
}

/// A component that names another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dependency {
    from: Arc<End>,
    to: Arc<End>,
}

impl Dependency {
    pub(super) fn row(&self) -> Row {
        let Self { from, to } = self;
        record(json!({
            "Id": "000000000000000AAA",
            "MetadataComponentId": from.id,
            "MetadataComponentName": from.name,
            "MetadataComponentNamespace": null,
            "MetadataComponentType": from.kind,
            "RefMetadataComponentId": to.id,
            "RefMetadataComponentName": to.name,
            "RefMetadataComponentNamespace": null,
            "RefMetadataComponentType": to.kind,
        }))
    }
}

/// The dependencies of the org as it is, from its memory when that is of the same night.
pub(super) fn of(org: &Org, snapshot: &Snapshot) -> Arc<[Dependency]> {
    let mut kept = org.dependencies();
    match &*kept {
        Some((night, found)) if Arc::ptr_eq(night, &snapshot.base) => found.clone(),
        _ => {
            let found: Arc<[Dependency]> = find(snapshot).into();
            *kept = Some((snapshot.base.clone(), found.clone()));
            found
        }
    }
}

fn find(snapshot: &Snapshot) -> Vec<Dependency> {
    let names = names(snapshot);
    let mut found = Vec::new();
    for kind in READERS {
        for pick in snapshot.list(kind, None) {
            let from = Arc::new(end(snapshot, pick));
            let mut named: BTreeSet<&Arc<End>> = BTreeSet::new();
            for file in snapshot.files(pick, &Part::Whole).unwrap_or_default() {
                let text = String::from_utf8_lossy(&file.bytes);
                named.extend(words(&text).filter_map(|word| names.get(word)?.as_ref()));
            }
            found.extend(
                named
                    .into_iter()
                    .filter(|to| to.id != from.id)
                    .map(|to| Dependency {
                        from: from.clone(),
                        to: to.clone(),
                    }),
            );
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.len() > 2)
}

/// What each word stands for; none when it could be several things.
fn names(snapshot: &Snapshot) -> HashMap<String, Option<Arc<End>>> {
    let mut names: HashMap<String, Option<Arc<End>>> = HashMap::new();
    for kind in ["ApexClass", "CustomObject", "CustomField"] {
        for pick in snapshot.list(kind, None) {
            let full_name = snapshot.delivered(pick).full_name;
            let word = full_name.rsplit('.').next().unwrap_or(&full_name);
            if kind != "ApexClass" && !is_custom_name(word) {
                continue;
            }
            names
                .entry(word.to_owned())
                .and_modify(|known| *known = None)
                .or_insert_with(|| Some(Arc::new(end(snapshot, pick))));
        }
    }
    names
}

fn end(snapshot: &Snapshot, pick: Pick) -> End {
    let listed = snapshot.delivered(pick);
    let name = match &*listed.kind {
        "CustomField" | "CustomObject" => {
            developer_name(listed.full_name.rsplit('.').next().unwrap_or(&listed.full_name))
        }
        _ => listed.full_name.clone(),
    };
    End {
        id: listed.id,
        name,
        kind: listed.kind.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_as_code_writes_them() {
        let found: Vec<&str> = words("new Fund__c(Name='x', a.Region__c = My_Class.run());").collect();
        assert_eq!(found, ["new", "Fund__c", "Name", "Region__c", "My_Class", "run"]);
    }
}
