//! The page of covered types is printed from the registry: every type that the shared table of Salesforce's types
//! names, with its cloud, what is known of its dates, its companions and its children.

use std::fmt::Write as _;

use nightshift_metadata::{Dated, Retrieved, TypeInfo, TypeKind, registry};

use crate::pages::table_of_page;

fn kind(info: &TypeInfo) -> &'static str {
    match info.kind {
        TypeKind::Single => "one file",
        TypeKind::Content => "content and meta file",
        TypeKind::Mixed => "content of any suffix and meta file",
        TypeKind::Bundle | TypeKind::DeepBundle => "bundle",
        TypeKind::InModel => "one file below its model",
        TypeKind::Folder => "folder",
        TypeKind::Child | TypeKind::ChildAlone => "child",
        TypeKind::Alias => "another word",
    }
}

fn dated(info: &TypeInfo) -> &'static str {
    match info.dated {
        Dated::Trusted => "by its date",
        Dated::Never => "always",
        Dated::ByReading => "by what readMetadata says of it",
        Dated::ByChildren => "by its children's dates",
    }
}

fn retrieved(info: &TypeInfo) -> &'static str {
    match info.retrieved {
        Retrieved::Yes => dated(info),
        Retrieved::MayHoldSecrets => "no: may hold secrets",
        Retrieved::DailyBudget => "no: a daily budget",
    }
}

#[test]
fn the_page_of_coverage_is_the_registry() {
    let own: Vec<&TypeInfo> = registry()
        .types()
        .iter()
        .filter(|info| !info.is_child())
        .collect();
    let mut wanted = format!(
        "{} types and folders, {} children that are components of their own.\n\n\
         | type | files | retrieved | children | companions | cloud |\n| --- | --- | --- | --- | --- | --- |\n",
        own.len(),
        registry().types().len() - own.len(),
    );
    for info in own {
        let children: Vec<_> = info.children.iter().map(|child| child.type_name).collect();
        writeln!(
            wanted,
            "| {} | {} | {} | {} | {} | {} |",
            info.name,
            kind(info),
            retrieved(info),
            children.join(", "),
            info.companions.join(", "),
            info.cloud,
        )
        .expect("a string takes it");
    }
    table_of_page("docs/coverage.md", "coverage", &wanted);
}
