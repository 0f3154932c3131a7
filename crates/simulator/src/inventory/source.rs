//! A project in source format, as the paths of a zip.
//!
//! Source format differs from what Salesforce delivers in a few ways: files of XML end in `-meta.xml`, objects and bots
//! are taken apart into a folder of small files, static resources are unpacked, documents and folders carry the name of
//! their type. Here each file is told its path in the zip and which others come into it; the bytes are left to `tree`.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::tree::{Origin, Tree, by_suffix, walk};
use crate::{
    error::SimulatorError,
    types::{Shape, TypeId},
};

pub(super) const PROJECT: &str = "sfdx-project.json";
const META: &str = "-meta.xml";
/// What projects hold beside metadata, and the CLI never sends.
const IGNORED: [&str; 4] = ["__tests__/", "jsconfig.json", ".eslintrc.json", "package.xml"];

#[derive(Deserialize)]
struct Project {
    #[serde(rename = "packageDirectories")]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    path: PathBuf,
}

/// Reads all package directories of a project; where two hold one path, the later wins.
pub(super) fn read(root: &Path) -> Result<Tree, SimulatorError> {
    let path = root.join(PROJECT);
    let text = std::fs::read(&path).map_err(|source| SimulatorError::Read {
        path: path.clone(),
        source,
    })?;
    let project: Project = serde_json::from_slice(&text).map_err(|error| SimulatorError::Project {
        path,
        reason: error.to_string(),
    })?;
    let mut reading = Reading {
        by_suffix: by_suffix(),
        files: BTreeMap::new(),
        strangers: Vec::new(),
    };
    for package in project.packages {
        let dir = root.join(package.path);
        let files = walk(&dir)?;
        let known: Vec<&str> = files.iter().map(String::as_str).collect();
        for file in &files {
            if !IGNORED.iter().any(|ignored| file.contains(ignored)) {
                reading.take(&dir, file, &known);
            }
        }
    }
    Ok(Tree::new(reading.files, reading.strangers))
}

struct Reading {
    by_suffix: HashMap<&'static str, TypeId>,
    files: BTreeMap<String, Origin>,
    strangers: Vec<String>,
}

impl Reading {
    fn take(&mut self, dir: &Path, file: &str, beside: &[&str]) {
        let whole = dir.join(file);
        match self.placed(file, beside) {
            Some(Placed::As(path)) => {
                self.files.insert(path, Origin::File(whole));
            }
            Some(Placed::PartOf { path, kind, element }) => {
                let origin = self.files.entry(path).or_insert(Origin::Composed {
                    kind,
                    parts: Vec::new(),
                });
                if let Origin::Composed { parts, .. } = origin {
                    match element {
                        None => parts.insert(0, (None, whole)),
                        Some(_) => parts.push((element, whole)),
                    }
                }
            }
            Some(Placed::Unpacked { path, folder }) => {
                self.files.insert(path, Origin::Packed(dir.join(folder)));
            }
            None => self.strangers.push(file.to_owned()),
        }
    }

    /// The path of a file, told by the folder of its type, or by its suffix where it lies in none.
    fn placed(&self, file: &str, beside: &[&str]) -> Option<Placed> {
        let parts: Vec<&str> = file.split('/').collect();
        let name = *parts.last()?;
        let first = parts
            .iter()
            .position(|part| !TypeId::in_directory(part).is_empty());
        // The folders within an object are named like types of their own.
        let Some(at) = first.filter(|at| at + 1 < parts.len()) else {
            let (_, suffix) = name.strip_suffix(META)?.rsplit_once('.')?;
            let kind = *self.by_suffix.get(suffix)?;
            return place(kind, kind.row().directory, &[name], &[], beside);
        };
        let kinds = TypeId::in_directory(parts[at]);
        let suffix = name
            .strip_suffix(META)
            .and_then(|stem| stem.rsplit_once('.'))
            .map(|(_, suffix)| suffix);
        let kind = kinds
            .iter()
            .copied()
            .find(|kind| suffix == Some(kind.row().suffix))
            .or_else(|| kinds.first().copied())?;
        place(kind, parts[at], &parts[at + 1..], &parts[..=at], beside)
    }
}

/// What a file is in the zip.
enum Placed {
    As(String),
    /// Its content comes into an element of another file, or makes its beginning.
    PartOf {
        path: String,
        kind: TypeId,
        element: Option<&'static str>,
    },
    /// One of the files of an unpacked resource.
    Unpacked {
        path: String,
        folder: String,
    },
}

fn place(kind: TypeId, directory: &str, rest: &[&str], above: &[&str], beside: &[&str]) -> Option<Placed> {
    let row = kind.row();
    let name = *rest.last()?;
    let stem = name.strip_suffix(META);
    let below = rest.join("/");
    if let Some(folder) = stem
        .and_then(|stem| stem.rsplit_once('.'))
        .filter(|(_, suffix)| is_folder(kind, suffix))
    {
        let parent = below.strip_suffix(name).unwrap_or_default();
        return Some(Placed::As(format!("{directory}/{parent}{}{META}", folder.0)));
    }
    match row.shape {
        Shape::Document => document(directory, &below, stem, above, beside),
        Shape::Meta if row.name == "StaticResource" => Some(resource(directory, rest, stem, above)),
        Shape::Meta if row.folder_type.is_none() => Some(Placed::As(format!("{directory}/{name}"))),
        Shape::Bundle | Shape::Meta => Some(Placed::As(format!("{directory}/{below}"))),
        Shape::File if rest.len() > 1 && is_taken_apart(kind) => part(kind, directory, rest, stem?),
        Shape::File if row.folder_type.is_none() => Some(Placed::As(format!("{directory}/{}", stem?))),
        Shape::File => Some(Placed::As(format!("{directory}/{}", below.strip_suffix(META)?))),
        Shape::Folder | Shape::Child => None,
    }
}

fn is_folder(kind: TypeId, suffix: &str) -> bool {
    kind.row()
        .folder_type
        .is_some_and(|folder| folder.row().suffix == suffix)
}

/// Types whose files the source format takes apart into a folder.
fn is_taken_apart(kind: TypeId) -> bool {
    matches!(kind.name(), "CustomObject" | "Bot" | "CustomObjectTranslation")
}

fn part(kind: TypeId, directory: &str, rest: &[&str], stem: &str) -> Option<Placed> {
    let (_, suffix) = stem.rsplit_once('.')?;
    let row = kind.row();
    let path = format!("{directory}/{}.{}", rest[0], row.suffix);
    let element = match suffix {
        own if own == row.suffix => None,
        // Not a type of its own: no listing names it.
        "fieldTranslation" => Some("fields"),
        // The table calls it by its other name.
        "index" => Some("indexes"),
        _ => Some(
            kind.children()
                .iter()
                .find(|child| child.row().suffix == suffix)?
                .row()
                .element,
        ),
    };
    Some(Placed::PartOf { path, kind, element })
}

/// A resource is one file in the zip: as it is, or packed when the source format has unpacked it.
fn resource(directory: &str, rest: &[&str], stem: Option<&str>, above: &[&str]) -> Placed {
    let [name, more @ ..] = rest else {
        return Placed::As(directory.to_owned());
    };
    if !more.is_empty() {
        let folder = [above, &[name]].concat().join("/");
        return Placed::Unpacked {
            path: format!("{directory}/{name}.resource"),
            folder,
        };
    }
    if stem.is_some() {
        return Placed::As(format!("{directory}/{name}"));
    }
    let stem = name.rsplit_once('.').map_or(*name, |(stem, _)| stem);
    Placed::As(format!("{directory}/{stem}.resource"))
}

/// A document's meta file is called `.document`; in the zip it is called as its content is.
fn document(
    directory: &str,
    below: &str,
    stem: Option<&str>,
    above: &[&str],
    beside: &[&str],
) -> Option<Placed> {
    let Some(stem) = stem else {
        return Some(Placed::As(format!("{directory}/{below}")));
    };
    let stem = below
        .strip_suffix(META)?
        .strip_suffix(".document")
        .unwrap_or(stem);
    let above = above.join("/");
    let content = beside.iter().find_map(|file| {
        let file = file.strip_prefix(&above)?.strip_prefix('/')?;
        let (of, _) = file.rsplit_once('.')?;
        (of == stem && !file.ends_with(META)).then_some(file)
    });
    Some(Placed::As(format!(
        "{directory}/{}{META}",
        content.unwrap_or(stem)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths of files, and of what each is made.
    fn paths(files: &[&str]) -> BTreeMap<String, Origin> {
        let mut reading = Reading {
            by_suffix: by_suffix(),
            files: BTreeMap::new(),
            strangers: Vec::new(),
        };
        for file in files {
            reading.take(Path::new("p"), file, files);
        }
        assert!(reading.strangers.is_empty(), "{:?}", reading.strangers);
        reading.files
    }

    fn names(files: &[&str]) -> Vec<String> {
        paths(files).into_keys().collect()
    }

    #[test]
    fn files_of_xml_lose_their_ending_and_content_keeps_its_meta_file() {
        assert_eq!(names(&["main/default/flows/A.flow-meta.xml"]), ["flows/A.flow"]);
        assert_eq!(
            names(&["a/classes/sub/A.cls", "a/classes/sub/A.cls-meta.xml"]),
            ["classes/A.cls", "classes/A.cls-meta.xml"]
        );
        assert_eq!(
            names(&["a/lwc/t/t.js", "a/lwc/t/t.js-meta.xml"]),
            ["lwc/t/t.js", "lwc/t/t.js-meta.xml"]
        );
        assert_eq!(
            names(&["a/permissionSets/A.permissionset-meta.xml"]),
            ["permissionsets/A.permissionset"]
        );
    }

    #[test]
    fn folders_and_documents_lose_the_names_of_their_types() {
        assert_eq!(
            names(&["a/reports/F.reportFolder-meta.xml"]),
            ["reports/F-meta.xml"]
        );
        assert_eq!(
            names(&[
                "a/reports/F/S.reportFolder-meta.xml",
                "a/reports/F/R.report-meta.xml"
            ]),
            ["reports/F/R.report", "reports/F/S-meta.xml"]
        );
        assert_eq!(
            names(&[
                "a/documents/F/logo.png",
                "a/documents/F/logo.document-meta.xml",
                "a/documents/F.documentFolder-meta.xml"
            ]),
            [
                "documents/F-meta.xml",
                "documents/F/logo.png",
                "documents/F/logo.png-meta.xml"
            ]
        );
    }

    #[test]
    fn an_object_is_put_together_and_a_resource_packed() {
        let object = paths(&[
            "a/objects/A__c/fields/F__c.field-meta.xml",
            "a/objects/A__c/A__c.object-meta.xml",
        ]);
        let Origin::Composed { parts, .. } = &object["objects/A__c.object"] else {
            panic!("{object:?}")
        };
        assert_eq!(
            parts.iter().map(|(element, _)| *element).collect::<Vec<_>>(),
            [None, Some("fields")]
        );
        let resource = paths(&[
            "a/staticresources/R/css/a.css",
            "a/staticresources/R.resource-meta.xml",
            "a/staticresources/S.json",
        ]);
        assert_eq!(
            resource["staticresources/R.resource"],
            Origin::Packed("p/a/staticresources/R".into())
        );
        assert_eq!(
            resource["staticresources/S.resource"],
            Origin::File("p/a/staticresources/S.json".into())
        );
    }
}
