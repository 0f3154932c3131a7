//! From files, one at a time, to finished members: what an ingest stages.
//!
//! A zip brings a member's files as separate entries, usually side by side but not surely. The assembler keeps hashes
//! and paths only, never a body: memory grows with the members that are still open (bundles, and bodies whose
//! `-meta.xml` has not come), not with their size. A member that cannot be read comes out as such, whole: none of its
//! files is staged, so that its last good version stays. Dates and namespaces are the listing's and filled in by the
//! caller.

use std::collections::{BTreeMap, HashMap};

use nightshift_domain::{ComponentKey, StagedComponent, StagedFile};

use crate::{
    canonical::{Rules, Scratch},
    described::Described,
    error::MetadataError,
    limits::XmlLimits,
    naming::{Named, Role, below_unpackaged, name_of, suffix_of},
    parse::{Child, parse_with},
    registry::{TypeInfo, TypeKind},
};

/// A member whose files have all come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The member or folder. `last_modified` and `namespace` are `None`: the listing knows them.
    pub component: StagedComponent,
    /// The components in its file.
    pub children: Vec<StagedComponent>,
    /// Its files, by path.
    pub files: Vec<StagedFile>,
    /// Of a type that is not parsed yet: kept as it is.
    pub opaque: bool,
}

/// A member of which a file cannot be read: a gap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// Which member.
    pub key: ComponentKey,
    /// As Salesforce sends it.
    pub full_name: String,
    /// The file.
    pub path: String,
    /// Why.
    pub error: MetadataError,
}

/// What came of a file, or of the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Assembled {
    /// A member is whole.
    Member(Box<Member>),
    /// A member is lost.
    Unreadable(Box<Unreadable>),
}

/// What one file brought.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// BLAKE3 of the file's bytes, under which they are to be stored; `None` when they need not be.
    pub blob: Option<[u8; 32]>,
    /// The member that this file completed or lost.
    pub assembled: Option<Assembled>,
}

/// Collects the files of one retrieve answer.
pub struct Assembler<'d> {
    described: &'d Described,
    limits: XmlLimits,
    scratch: Scratch,
    open: BTreeMap<ComponentKey, Open>,
    expected: BTreeMap<ComponentKey, u32>,
    done: HashMap<ComponentKey, Fate>,
}

/// What became of a member whose files need not be awaited any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Whole,
    Lost,
}

struct Open {
    full_name: String,
    info: Option<&'static TypeInfo>,
    opaque: bool,
    files: BTreeMap<String, (StagedFile, [u8; 32])>,
}

impl<'d> Assembler<'d> {
    /// With the org's describe answer, for types that the registry does not know.
    pub fn new(described: &'d Described) -> Self {
        Self::with_limits(described, XmlLimits::DEFAULT)
    }

    /// With other limits than production's.
    pub fn with_limits(described: &'d Described, limits: XmlLimits) -> Self {
        Self {
            described,
            limits,
            scratch: Scratch::default(),
            open: BTreeMap::new(),
            expected: BTreeMap::new(),
            done: HashMap::new(),
        }
    }

    /// Says how many files a bundle has (from the answer's file properties), so that it need not wait for the end.
    pub fn expect(&mut self, key: ComponentKey, files: u32) {
        self.expected.insert(key, files);
    }

    /// Members of which some file is still awaited.
    pub fn open_members(&self) -> usize {
        self.open.len()
    }

    /// Takes one file; `path` may begin with `unpackaged/`.
    pub fn file(&mut self, path: &str, bytes: &[u8]) -> Taken {
        let named = name_of(path, self.described);
        if matches!(named.role, Role::PackageXml | Role::Stray) {
            return Taken::default();
        }
        let path = below_unpackaged(path);
        match self.done.get(&named.key) {
            // It was reported once; what else comes of it stays out.
            Some(Fate::Lost) => return Taken::default(),
            Some(Fate::Whole) => return self.lost(named, path, MetadataError::Duplicate),
            None => {}
        }
        let blob = *blake3::hash(bytes).as_bytes();
        match self.hashes(&named, bytes, blob) {
            Err(error) => self.lost(named, path, error),
            Ok(hashes) => {
                let file = StagedFile {
                    key: named.key.clone(),
                    path: path.to_owned(),
                    canonical_hash: hashes.canonical,
                    blob,
                    size: bytes.len() as u64,
                };
                let assembled = if named.files == Some(1) {
                    Some(self.single(named, file, &hashes))
                } else {
                    self.part(named, file, hashes.content, path)
                };
                let blob = (!matches!(assembled, Some(Assembled::Unreadable(_)))).then_some(blob);
                Taken { blob, assembled }
            }
        }
    }

    /// The answer is over: the members that waited for more files, by name.
    pub fn finish(mut self) -> Vec<Assembled> {
        let open = std::mem::take(&mut self.open);
        open.into_iter()
            .map(|(key, open)| Assembled::Member(Box::new(member(key, open))))
            .collect()
    }

    fn hashes(&mut self, named: &Named, bytes: &[u8], blob: [u8; 32]) -> Result<Hashes, MetadataError> {
        let rules = match (named.role, named.info) {
            (Role::Whole | Role::Folder, Some(info)) => Rules::of(info),
            (Role::Meta, _) => Rules::PLAIN,
            (Role::Bundle, _) if named.part.ends_with("-meta.xml") => Rules::PLAIN,
            _ => {
                return Ok(Hashes {
                    content: blob,
                    canonical: blob,
                    children: Vec::new(),
                });
            }
        };
        let parsed = parse_with(rules, &named.full_name, bytes, self.limits, &mut self.scratch)?;
        Ok(Hashes {
            content: parsed.content_hash,
            canonical: parsed.canonical_hash,
            children: parsed.children,
        })
    }

    fn single(&mut self, named: Named, file: StagedFile, hashes: &Hashes) -> Assembled {
        self.done.insert(named.key.clone(), Fate::Whole);
        let component = StagedComponent {
            key: named.key.clone(),
            full_name: named.full_name,
            file_name: file.path.clone(),
            parent: None,
            namespace: None,
            content_hash: hashes.content,
            last_modified: None,
            slice: None,
            blob: file.blob,
        };
        let children = hashes
            .children
            .iter()
            .map(|child| child_of(&component, child))
            .collect();
        Assembled::Member(Box::new(Member {
            component,
            children,
            files: vec![file],
            opaque: named.role == Role::Opaque,
        }))
    }

    fn part(&mut self, named: Named, file: StagedFile, hash: [u8; 32], path: &str) -> Option<Assembled> {
        let expected = self.expected.get(&named.key).copied().or(named.files);
        let open = self.open.entry(named.key.clone()).or_insert_with(|| Open {
            full_name: named.full_name.clone(),
            info: named.info,
            opaque: named.role == Role::Opaque,
            files: BTreeMap::new(),
        });
        if open.files.insert(named.part.clone(), (file, hash)).is_some() {
            return self.lost(named, path, MetadataError::Duplicate).assembled;
        }
        if expected.is_none_or(|expected| (open.files.len() as u32) < expected) {
            return None;
        }
        let open = self.open.remove(&named.key)?;
        self.done.insert(named.key.clone(), Fate::Whole);
        Some(Assembled::Member(Box::new(member(named.key, open))))
    }

    fn lost(&mut self, named: Named, path: &str, error: MetadataError) -> Taken {
        self.open.remove(&named.key);
        self.done.insert(named.key.clone(), Fate::Lost);
        let unreadable = Unreadable {
            key: named.key,
            full_name: named.full_name,
            path: path.to_owned(),
            error,
        };
        Taken {
            blob: None,
            assembled: Some(Assembled::Unreadable(Box::new(unreadable))),
        }
    }
}

struct Hashes {
    content: [u8; 32],
    canonical: [u8; 32],
    children: Vec<Child>,
}

fn child_of(parent: &StagedComponent, child: &Child) -> StagedComponent {
    StagedComponent {
        key: child.key.clone(),
        full_name: child.full_name.clone(),
        file_name: parent.file_name.clone(),
        parent: Some(parent.key.clone()),
        namespace: None,
        content_hash: child.content_hash,
        last_modified: None,
        slice: Some(child.slice),
        blob: parent.blob,
    }
}

/// The hash of several files covers each one's place in the member and its hash; not the member's name, which may
/// come in two spellings.
fn member(key: ComponentKey, open: Open) -> Member {
    let mut hasher = blake3::Hasher::new();
    for (part, (_, hash)) in &open.files {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
        hasher.update(hash);
    }
    let content_hash = *hasher.finalize().as_bytes();
    let main = open
        .files
        .iter()
        .min_by_key(|(part, _)| main_rank(open.info, &open.full_name, part))
        .map(|(_, (file, _))| file.clone());
    let main = main.expect("a member is opened by its first file");
    Member {
        component: StagedComponent {
            key,
            full_name: open.full_name,
            file_name: main.path,
            parent: None,
            namespace: None,
            content_hash,
            last_modified: None,
            slice: None,
            blob: main.blob,
        },
        children: Vec::new(),
        files: open.files.into_values().map(|(file, _)| file).collect(),
        opaque: open.opaque,
    }
}

/// Which of a member's files stands for it: the lowest.
fn main_rank(info: Option<&TypeInfo>, full_name: &str, part: &str) -> (usize, usize) {
    let is_bundle = info.is_none_or(|info| matches!(info.kind, TypeKind::Bundle | TypeKind::DeepBundle));
    if !is_bundle || part == "content" || part == "meta" {
        return (usize::from(part == "meta"), 0);
    }
    let suffixes = info.map_or(&[][..], |info| &info.main_suffixes[..]);
    let name = full_name.rsplit('/').next().unwrap_or(full_name);
    let own = part.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let suffix = suffix_of(part).unwrap_or_default();
    let meta = part.ends_with("-meta.xml");
    let rank = suffixes
        .iter()
        .position(|wanted| *wanted == suffix)
        .unwrap_or(suffixes.len() + usize::from(meta));
    (usize::from(!own), rank)
}
