//! The files of a folder org, under the paths that a zip gives them.
//!
//! Of a folder in Metadata API format each path is a file. Of a project in source format (`source`) some paths are put
//! together from several files, or packed from a folder; that is done when somebody asks for the bytes, so that nothing
//! but paths is held.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use super::{SourceFile, source};
use crate::{
    error::SimulatorError,
    types::TypeId,
    xml::inside,
    zip::{ZipEntry, ZipPieces},
};

/// Where the bytes of a path come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    File(PathBuf),
    /// One file of a type from the files of its parts: elements and the files whose content they hold. The first
    /// without an element is the type's own.
    Composed {
        kind: TypeId,
        parts: Vec<(Option<&'static str>, PathBuf)>,
    },
    /// A zip of what is below a folder.
    Packed(PathBuf),
}

/// Paths within the zip, without `unpackaged/`.
pub(crate) struct Tree {
    files: BTreeMap<String, Origin>,
    /// Files of a project that belong to no type of the table.
    pub strangers: Vec<String>,
}

impl Tree {
    /// Reads a folder in either format; a project is known by its `sfdx-project.json`.
    pub(crate) fn read(root: &Path) -> Result<Self, SimulatorError> {
        if root.join(source::PROJECT).is_file() {
            return source::read(root);
        }
        let files = walk(root)?;
        let files = files
            .into_iter()
            .map(|file| (file.clone(), Origin::File(root.join(file))))
            .collect();
        Ok(Self {
            files,
            strangers: Vec::new(),
        })
    }

    pub(super) fn new(files: BTreeMap<String, Origin>, strangers: Vec<String>) -> Self {
        Self { files, strangers }
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The bytes of a path.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, SimulatorError> {
        match self.files.get(path) {
            Some(Origin::Composed { kind, parts }) => composed(*kind, parts),
            Some(Origin::Packed(dir)) => packed(dir),
            Some(Origin::File(file)) => bytes_of(file),
            None => bytes_of(Path::new(path)),
        }
    }
}

fn bytes_of(file: &Path) -> Result<Vec<u8>, SimulatorError> {
    fs::read(file).map_err(|source| SimulatorError::Read {
        path: file.to_owned(),
        source,
    })
}

fn composed(kind: TypeId, parts: &[(Option<&'static str>, PathBuf)]) -> Result<Vec<u8>, SimulatorError> {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{} xmlns=\"http://soap.sforce.com/2006/04/metadata\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">",
        kind.name()
    );
    for (element, file) in parts {
        let bad = |reason: &str| SimulatorError::Xml {
            path: file.clone(),
            reason: reason.to_owned(),
        };
        let text = String::from_utf8(bytes_of(file)?).map_err(|_| bad("it is not UTF-8"))?;
        let inner = inside(&text).ok_or_else(|| bad("it has no whole element"))?;
        match element {
            Some(element) => {
                for piece in ["\n    <", element, ">", inner, "</", element, ">"] {
                    out.push_str(piece);
                }
            }
            None => out.push_str(inner.trim_end()),
        }
    }
    for piece in ["\n</", kind.name(), ">\n"] {
        out.push_str(piece);
    }
    Ok(out.into_bytes())
}

/// A folder as a zip, its files in order of their names: the same folder gives the same bytes.
fn packed(dir: &Path) -> Result<Vec<u8>, SimulatorError> {
    let unreadable = |source| SimulatorError::Read {
        path: dir.to_owned(),
        source,
    };
    let entries = walk(dir)?.into_iter().map(|path| {
        let bytes = bytes_of(&dir.join(&path))?;
        Ok(ZipEntry::from(SourceFile { path, bytes }))
    });
    let mut zip = Vec::new();
    for piece in ZipPieces::new(entries) {
        zip.extend_from_slice(&piece.map_err(unreadable)?);
    }
    Ok(zip)
}

/// All files below a folder, relative and with `/`, in order of their names.
pub(super) fn walk(root: &Path) -> Result<Vec<String>, SimulatorError> {
    let mut files = Vec::new();
    let mut open = vec![String::new()];
    while let Some(below) = open.pop() {
        let path = root.join(&below);
        let unreadable = |source| SimulatorError::Read {
            path: path.clone(),
            source,
        };
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            if entry.file_type().map_err(unreadable)?.is_dir() {
                open.push(relative);
            } else {
                files.push(relative);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Types by the suffix of their files.
pub(super) fn by_suffix() -> HashMap<&'static str, TypeId> {
    let named = TypeId::all().filter(|kind| !kind.row().suffix.is_empty());
    named.map(|kind| (kind.row().suffix, kind)).collect()
}
