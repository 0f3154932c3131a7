//! Reads the checkout: Rust files, manifests, pages. No rule stands here.

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the manifest's folder exists")
}

/// A text file of the checkout.
pub struct Source {
    /// From the top, with `/`.
    pub path: String,
    pub text: String,
}

/// A file of the checkout that must exist.
pub fn read(path: &str) -> String {
    let full = root().join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// Every Rust file of `crates` and `tests`.
pub fn rust_files() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["crates", "tests"] {
        walk(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(path));
            }
        });
    }
    assert!(
        found.len() > 50,
        "the walk over the sources found {} files only",
        found.len()
    );
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The Rust files of everybody but this test, which names what it forbids.
pub fn rust_files_but_house() -> Vec<Source> {
    rust_files()
        .into_iter()
        .filter(|file| !file.path.starts_with("tests/house/"))
        .collect()
}

/// Name of the folder below `crates`, and the manifest.
pub fn manifests() -> Vec<(String, toml::Table)> {
    let mut found: Vec<_> = fs::read_dir(root().join("crates"))
        .expect("crates/ is there")
        .map(|entry| entry.expect("an entry of a folder that can be read").path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .map(|path| {
            let folder = path
                .file_name()
                .expect("a folder has a name")
                .to_string_lossy()
                .into_owned();
            let manifest = read(&format!("crates/{folder}/Cargo.toml"));
            (folder, manifest.parse().expect("cargo read it before us"))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// A line of Rust without its `//` comment; strings that hold `//` lose their end, which hurts no rule here.
pub fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |at| &line[..at])
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path
        .strip_prefix(root())
        .expect("the walk began there")
        .to_string_lossy()
        .replace('\\', "/");
    Source { path, text }
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of a folder that can be read").path();
        if path.is_dir() {
            walk(&path, visit);
        } else {
            visit(&path);
        }
    }
}
