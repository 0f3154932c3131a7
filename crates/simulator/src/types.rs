//! The simulator's own table of metadata types: where their files stand and what their files hold.
//!
//! It is a data file (`types.tsv`) made from the shared table of types, kept apart from the table of the product on
//! purpose: a row that is wrong in one of them shows up as a difference instead of cancelling itself out. Which
//! types an org has is left to `inventory`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

/// Row of the table; cheap to copy and to compare.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeId(u16);

/// How a type's files lie in the zip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One XML file.
    File,
    /// A content file with `-meta.xml` beside it.
    Meta,
    /// A folder of files.
    Bundle,
    /// A content file of any suffix, which belongs to the name, with `-meta.xml` beside it.
    Document,
    /// The folder of a foldered type: `Name-meta.xml` beside the directory.
    Folder,
    /// Not a file of its own: an element of its parent's file.
    Child,
}

/// Whether the listing dates members of the type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dates {
    Own,
    /// Always 1970-01-01T00:00:00.000Z.
    Epoch,
}

/// One row of the table.
#[derive(Debug)]
pub struct TypeRow {
    pub name: &'static str,
    pub directory: &'static str,
    /// Without the dot; empty for bundles and documents.
    pub suffix: &'static str,
    pub shape: Shape,
    /// The type to list for the folders of this one.
    pub folder_type: Option<TypeId>,
    /// Of a child: the type whose file it stands in. Of a folder: the type it holds.
    pub parent: Option<TypeId>,
    /// Of a child: its element in the parent's file.
    pub element: &'static str,
    /// Every simulated org names it in describeMetadata, whether it has members or not.
    pub always_described: bool,
    pub dates: Dates,
    /// First three characters of its ids.
    pub prefix: &'static str,
}

struct Table {
    rows: Vec<TypeRow>,
    by_name: HashMap<&'static str, TypeId>,
    children: HashMap<TypeId, Vec<TypeId>>,
    by_directory: BTreeMap<&'static str, Vec<TypeId>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| read_table(include_str!("types.tsv")));

fn read_table(text: &'static str) -> Table {
    let lines: Vec<Vec<&'static str>> = text.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let by_name: HashMap<&'static str, TypeId> =
        lines.iter().enumerate().map(|(at, columns)| (columns[0], TypeId(at as u16))).collect();
    let holder_of = |folder: &str| lines.iter().position(|other| other[4] == folder).map(|at| TypeId(at as u16));
    let rows: Vec<TypeRow> = lines
        .iter()
        .map(|columns| TypeRow {
            name: columns[0],
            directory: columns[1],
            suffix: columns[2],
            shape: shape(columns[3]),
            folder_type: by_name.get(columns[4]).copied(),
            parent: by_name.get(columns[5]).copied().or_else(|| holder_of(columns[0])),
            element: columns[6],
            always_described: columns[7] == "usual",
            dates: if columns[8] == "none" { Dates::Epoch } else { Dates::Own },
            prefix: if columns[9].is_empty() { "0zz" } else { columns[9] },
        })
        .collect();
    let mut children: HashMap<TypeId, Vec<TypeId>> = HashMap::new();
    let mut by_directory: BTreeMap<&'static str, Vec<TypeId>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        match (row.shape, row.parent) {
            (Shape::Child, Some(parent)) => children.entry(parent).or_default().push(TypeId(at as u16)),
            (Shape::Folder, _) | (Shape::Child, None) => {}
            _ => by_directory.entry(row.directory).or_default().push(TypeId(at as u16)),
        }
    }
    Table { rows, by_name, children, by_directory }
}

fn shape(word: &str) -> Shape {
    match word {
        "meta" => Shape::Meta,
        "bundle" => Shape::Bundle,
        "document" => Shape::Document,
        "folder" => Shape::Folder,
        "child" => Shape::Child,
        _ => Shape::File,
    }
}

impl TypeId {
    /// The type of that name, as Salesforce writes it.
    pub fn named(name: &str) -> Option<Self> {
        TABLE.by_name.get(name).copied()
    }

    pub fn row(self) -> &'static TypeRow {
        &TABLE.rows[usize::from(self.0)]
    }

    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The types whose elements stand in this one's file.
    pub fn children(self) -> &'static [TypeId] {
        TABLE.children.get(&self).map_or(&[], Vec::as_slice)
    }

    /// The types whose files stand in that directory.
    pub fn in_directory(directory: &str) -> &'static [TypeId] {
        TABLE.by_directory.get(directory).map_or(&[], Vec::as_slice)
    }

    /// All types, in the order of the table.
    pub fn all() -> impl Iterator<Item = TypeId> {
        (0..TABLE.rows.len()).map(|at| TypeId(at as u16))
    }

    /// Types that describeMetadata may name: neither children nor folders.
    pub fn is_top_level(self) -> bool {
        !matches!(self.row().shape, Shape::Child | Shape::Folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_whole() {
        for kind in TypeId::all() {
            let row = kind.row();
            assert!(!row.directory.is_empty(), "{row:?}");
            assert_eq!(row.prefix.len(), 3, "{row:?}");
            match row.shape {
                Shape::Child => assert!(row.parent.is_some() && !row.element.is_empty(), "{row:?}"),
                Shape::Folder => assert!(row.parent.is_some(), "{row:?}"),
                Shape::Bundle | Shape::Document => assert!(row.suffix.is_empty(), "{row:?}"),
                Shape::File | Shape::Meta => assert!(!row.suffix.is_empty(), "{row:?}"),
            }
        }
    }

    #[test]
    fn folders_and_children_know_where_they_belong() {
        let report = TypeId::named("Report").unwrap();
        assert_eq!(report.row().folder_type.unwrap().name(), "ReportFolder");
        assert_eq!(report.row().folder_type.unwrap().row().parent, Some(report));
        let object = TypeId::named("CustomObject").unwrap();
        assert!(object.children().iter().any(|child| child.name() == "CustomField"));
        assert_eq!(TypeId::in_directory("classes")[0].name(), "ApexClass");
    }
}
