//! From a path in the zip to the component that the file belongs to.
//!
//! A path tells type, name and role of its file without looking inside: directory and suffix name the type, the rest
//! is the full name as Salesforce spells it (escapes kept, suffix cut at the last dot). What the registry does not
//! know is looked up in the org's describe answer; what neither knows is kept under its directory's name. Nothing is
//! ever refused here: safety of paths is `archive`'s, content is `parse.rs`'s.

use nightshift_domain::ComponentKey;

use crate::{
    described::{Described, DescribedType, folder_type_of},
    registry::{TypeInfo, TypeKind, registry},
};

/// What a file is to its member.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// The member's one XML file.
    Whole,
    /// The body beside a `-meta.xml`.
    Content,
    /// The `-meta.xml` beside a body.
    Meta,
    /// One of a bundle's files.
    Bundle,
    /// The `-meta.xml` of a folder.
    Folder,
    /// The list of what came; no component.
    PackageXml,
    /// A `-meta.xml` beside a file that is XML itself: some trees carry one, it says nothing and is no component.
    Stray,
    /// Of a type that the registry does not know: kept as it is.
    Opaque,
}

/// Whose file it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Named {
    /// The member or folder; its name is readable.
    pub key: ComponentKey,
    /// As the path spells it.
    pub full_name: String,
    /// What the file is to it.
    pub role: Role,
    /// Which of the member's files it is: the same in every spelling of the member's name.
    pub part: String,
    /// The type, if the registry knows it.
    pub info: Option<&'static TypeInfo>,
    /// How many files make the member; `None` where only the end of the answer tells.
    pub files: Option<u32>,
}

const META: &str = "-meta.xml";

/// Names the file at `path`, which may or may not begin with `unpackaged/`.
pub fn name_of(path: &str, described: &Described) -> Named {
    let path = below_unpackaged(path);
    if path == "package.xml" {
        return named("Package", "package.xml", Role::PackageXml, "", None, Some(1));
    }
    let Some((directory, rest)) = path.split_once('/') else {
        return unknown("", path);
    };
    let (base, is_meta) = rest.strip_suffix(META).map_or((rest, false), |base| (base, true));
    let suffix = suffix_of(base);

    if let Some(info) = in_model(path) {
        return info;
    }
    let owner = registry().by_directory(directory);
    if let Some(info) = owner.filter(|info| matches!(info.kind, TypeKind::Bundle | TypeKind::DeepBundle)) {
        return bundle_file(info, rest);
    }
    let by_suffix = suffix.and_then(|suffix| registry().by_directory_and_suffix(directory, suffix));
    if let Some(info) = by_suffix {
        return file_of(info, without_suffix(base), is_meta);
    }
    if let Some(named) = owner.and_then(|info| foldered(info, base, is_meta)) {
        return named;
    }
    match described.unknown_by_path(directory, suffix) {
        Some(described) => opaque(described, base, rest, is_meta),
        None => unknown(directory, rest),
    }
}

/// A path with the zip's top directory taken off.
pub fn below_unpackaged(path: &str) -> &str {
    path.strip_prefix("unpackaged/").unwrap_or(path)
}

/// The folder in which a member lies, for the types that have folders: `Folder/Sub/Report` lies in `Folder/Sub`.
pub fn folder_of(type_name: &str, full_name: &str) -> Option<ComponentKey> {
    let info = registry().by_name(type_name)?;
    let folder_type = match info.kind {
        TypeKind::Folder => info.name,
        _ => info.folder_type?,
    };
    let (folder, _) = full_name.rsplit_once('/')?;
    Some(ComponentKey::new(folder_type, folder))
}

/// The path of the main file of a member below `unpackaged/`, as the registry has it; `None` where only the files
/// themselves tell (bundles, unknown types).
pub fn path_of(info: &TypeInfo, full_name: &str) -> Option<String> {
    let directory = info.directory;
    let suffix = info.suffix;
    match info.kind {
        TypeKind::Single | TypeKind::Content => Some(format!("{directory}/{full_name}.{suffix}")),
        TypeKind::Mixed => Some(format!("{directory}/{full_name}")),
        TypeKind::Folder => Some(format!("{directory}/{full_name}{META}")),
        TypeKind::InModel => {
            let models = registry().by_name(info.parent?)?.directory;
            let (model, name) = full_name.split_once('.')?;
            Some(format!("{models}/{model}/{directory}/{name}.{suffix}"))
        }
        TypeKind::Bundle
        | TypeKind::DeepBundle
        | TypeKind::Child
        | TypeKind::ChildAlone
        | TypeKind::Alias => None,
    }
}

fn file_of(info: &'static TypeInfo, full_name: &str, is_meta: bool) -> Named {
    match (info.kind, is_meta) {
        (TypeKind::Content, true) => named(info.name, full_name, Role::Meta, "meta", Some(info), Some(2)),
        (TypeKind::Content, false) => named(
            info.name,
            full_name,
            Role::Content,
            "content",
            Some(info),
            Some(2),
        ),
        (TypeKind::Single, true) => named(info.name, full_name, Role::Stray, "meta", Some(info), Some(1)),
        // Some types put the one file into a directory of its own name (territory2Models/M/M.territory2Model).
        _ => {
            let name = match full_name.split_once('/') {
                Some((directory, file)) if directory == file && info.folder_type.is_none() => file,
                _ => full_name,
            };
            named(info.name, name, Role::Whole, "", Some(info), Some(1))
        }
    }
}

fn bundle_file(info: &'static TypeInfo, rest: &str) -> Named {
    let levels = if info.kind == TypeKind::DeepBundle { 2 } else { 1 };
    let end = rest.match_indices('/').nth(levels - 1).map(|(at, _)| at);
    match end {
        Some(at) => named(
            info.name,
            &rest[..at],
            Role::Bundle,
            &rest[at + 1..],
            Some(info),
            None,
        ),
        // A bundle's meta file may stand beside its directory (experiences/Site.site-meta.xml).
        None if rest.ends_with(META) && levels == 1 => {
            let base = rest.trim_end_matches(META);
            named(
                info.name,
                without_suffix(base),
                Role::Bundle,
                rest,
                Some(info),
                None,
            )
        }
        None => unknown(info.directory, rest),
    }
}

/// Document, and the folders of every foldered type.
fn foldered(info: &'static TypeInfo, base: &str, is_meta: bool) -> Option<Named> {
    let in_a_folder = base.contains('/');
    if info.kind == TypeKind::Mixed && in_a_folder {
        let (role, part) = if is_meta {
            (Role::Meta, "meta")
        } else {
            (Role::Content, "content")
        };
        return Some(named(info.name, base, role, part, Some(info), Some(2)));
    }
    let folder = registry().by_name(info.folder_type?)?;
    let name = base
        .strip_suffix(folder.suffix)
        .and_then(|name| name.strip_suffix('.'))
        .unwrap_or(base);
    is_meta.then(|| named(folder.name, name, Role::Folder, "", Some(folder), Some(1)))
}

/// `territory2Models/Model/rules/Rule.territory2Rule`: the name is `Model.Rule`.
fn in_model(path: &str) -> Option<Named> {
    let mut parts = path.split('/');
    let (models, model, directory, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let info = registry().by_directory_and_suffix(directory, suffix_of(file)?)?;
    let parent = registry().by_name(info.parent?)?;
    let fits = info.kind == TypeKind::InModel && parent.directory == models && parts.next().is_none();
    let name = format!("{model}.{}", without_suffix(file));
    fits.then(|| named(info.name, &name, Role::Whole, "", Some(info), Some(1)))
}

fn opaque(described: &DescribedType, base: &str, rest: &str, is_meta: bool) -> Named {
    let type_name = described.name.as_str();
    let Some(suffix) = described.suffix.as_deref() else {
        let (name, part) = rest.split_once('/').unwrap_or((base, rest));
        return named(type_name, name, Role::Opaque, part, None, None);
    };
    let (part, files) = match (described.meta_file, is_meta) {
        (true, true) => ("meta", 2),
        (true, false) => ("content", 2),
        (false, _) => ("", 1),
    };
    match base.strip_suffix(suffix).and_then(|name| name.strip_suffix('.')) {
        Some(name) => named(type_name, name, Role::Opaque, part, None, Some(files)),
        None if described.in_folder && is_meta => {
            named(&folder_type_of(type_name), base, Role::Opaque, "", None, Some(1))
        }
        None => unknown(&described.directory, rest),
    }
}

fn unknown(directory: &str, rest: &str) -> Named {
    named(directory, rest, Role::Opaque, "", None, Some(1))
}

fn named(
    type_name: &str,
    full_name: &str,
    role: Role,
    part: &str,
    info: Option<&'static TypeInfo>,
    files: Option<u32>,
) -> Named {
    Named {
        key: ComponentKey::new(type_name, full_name),
        full_name: full_name.to_owned(),
        role,
        part: part.to_owned(),
        info,
        files,
    }
}

/// What follows the last dot of the last segment.
pub(crate) fn suffix_of(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next()?;
    file.rsplit_once('.').map(|(_, suffix)| suffix)
}

/// The path without its last dot and what follows, if the dot stands in the last segment.
pub(crate) fn without_suffix(path: &str) -> &str {
    suffix_of(path).map_or(path, |suffix| &path[..path.len() - suffix.len() - 1])
}
