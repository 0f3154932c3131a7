//! Which component a file of a Metadata API tree belongs to, told by its directory and suffix.
//!
//! Pure: the tree is asked only through a function that says whether a path is a file, which tells the meta file
//! of a folder from that of a document.

use crate::types::{Shape, TypeId};

const META: &str = "-meta.xml";

/// The component of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Placed {
    pub kind: TypeId,
    pub full_name: String,
}

/// Finds the component of a path (relative to the tree, with `/`). None for files that belong to no type.
pub(crate) fn place(path: &str, is_file: &dyn Fn(&str) -> bool) -> Option<Placed> {
    let (directory, rest) = path.split_once('/')?;
    TypeId::in_directory(directory)
        .iter()
        .find_map(|&kind| place_as(kind, directory, rest, is_file))
}

fn place_as(kind: TypeId, directory: &str, rest: &str, is_file: &dyn Fn(&str) -> bool) -> Option<Placed> {
    let row = kind.row();
    if row.shape == Shape::Bundle {
        return bundle(kind, rest).map(|name| Placed {
            kind,
            full_name: name.to_owned(),
        });
    }
    let main = match rest.strip_suffix(META) {
        Some(main) if is_file(&format!("{directory}/{main}")) => main,
        Some(folder) => {
            return row.folder_type.map(|kind| Placed {
                kind,
                full_name: folder.to_owned(),
            });
        }
        None => rest,
    };
    let full_name = match row.shape {
        Shape::Document => main,
        _ => main.strip_suffix(row.suffix)?.strip_suffix('.')?,
    };
    Some(Placed {
        kind,
        full_name: full_name.to_owned(),
    })
}

/// The bundle that a file below the type's directory belongs to.
fn bundle(kind: TypeId, rest: &str) -> Option<&str> {
    match kind.name() {
        // Named by its kind of site and its own name.
        "DigitalExperienceBundle" => {
            let (site, below) = rest.split_once('/')?;
            let (name, _) = below.split_once('/')?;
            Some(&rest[..site.len() + 1 + name.len()])
        }
        // Its meta file lies beside its folder.
        "ExperienceBundle" if !rest.contains('/') => rest.strip_suffix(META)?.strip_suffix(".site"),
        _ => rest.split_once('/').map(|(name, _)| name),
    }
}

/// The path of a component's main file, or of its directory where it is a bundle, as a listing names it.
pub(crate) fn file_name(kind: TypeId, full_name: &str) -> String {
    let row = kind.row();
    match row.shape {
        Shape::Bundle | Shape::Folder | Shape::Document => format!("{}/{full_name}", row.directory),
        Shape::File | Shape::Meta | Shape::Child => format!("{}/{full_name}.{}", row.directory, row.suffix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(path: &str, files: &[&str]) -> Option<(&'static str, String)> {
        place(path, &|asked| files.contains(&asked)).map(|placed| (placed.kind.name(), placed.full_name))
    }

    #[test]
    fn a_file_is_placed_by_directory_and_suffix() {
        let class = Some(("ApexClass", "Foo".to_owned()));
        assert_eq!(placed("classes/Foo.cls", &[]), class);
        assert_eq!(placed("classes/Foo.cls-meta.xml", &["classes/Foo.cls"]), class);
        assert_eq!(
            placed("lwc/tile/sub/tile.js", &[]),
            Some(("LightningComponentBundle", "tile".to_owned()))
        );
        let record = Some(("CustomMetadata", "Rollup.A.b".to_owned()));
        assert_eq!(placed("customMetadata/Rollup.A.b.md", &[]), record);
        assert_eq!(placed("LICENSE", &[]), None);
        assert_eq!(placed("classes/readme.txt", &[]), None);
    }

    #[test]
    fn a_folder_is_its_meta_file_and_a_document_keeps_its_suffix() {
        assert_eq!(
            placed("reports/Top/Sub-meta.xml", &[]),
            Some(("ReportFolder", "Top/Sub".to_owned()))
        );
        assert_eq!(
            placed("reports/Top/Sub/R.report", &[]),
            Some(("Report", "Top/Sub/R".to_owned()))
        );
        let document = Some(("Document", "F/logo.png".to_owned()));
        assert_eq!(placed("documents/F/logo.png", &[]), document);
        assert_eq!(
            placed("documents/F/logo.png-meta.xml", &["documents/F/logo.png"]),
            document
        );
        assert_eq!(
            placed("documents/F-meta.xml", &[]),
            Some(("DocumentFolder", "F".to_owned()))
        );
        let mail = Some(("EmailTemplate", "F/M".to_owned()));
        assert_eq!(placed("email/F/M.email-meta.xml", &["email/F/M.email"]), mail);
    }
}
