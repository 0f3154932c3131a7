//! The rows of one object in one org, made one at a time.
//!
//! [`Rows`] knows how many there are and can make any of them, as often as asked, so that a query of a hundred
//! thousand rows holds their numbers and nothing else. It keeps the inventory of its beginning, as a cursor must.

use std::sync::Arc;

use super::{
    Api, Dependency, dependencies, entities, members,
    people::{self, ACCOUNTS, CONTACTS},
    schema::metadata_type,
};
use crate::{
    inventory::layers::{Pick, Snapshot},
    org::Org,
    soql::{Name, Row},
};

/// The fields that somebody will look at, so that files are read only for those that need it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(Vec<String>);

impl Wanted {
    pub(crate) fn fields<'a>(names: impl IntoIterator<Item = &'a Name>) -> Self {
        Self(names.into_iter().map(|name| name.text.clone()).collect())
    }

    /// Whether the field, or a field behind it, is looked at.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.iter().any(|path| {
            path.split('.')
                .next()
                .is_some_and(|first| first.eq_ignore_ascii_case(field))
        })
    }

    pub(crate) fn any(&self, fields: &[&str]) -> bool {
        fields.iter().any(|field| self.has(field))
    }
}

#[derive(Clone)]
enum Source {
    None,
    Organization,
    User,
    Permissions,
    Accounts,
    Contacts,
    Members {
        object: &'static str,
        picks: Arc<[Pick]>,
    },
    Entities(Arc<[entities::Entity]>),
    Fields(Arc<[entities::EntityField]>),
    Dependencies(Arc<[Dependency]>),
}

/// The rows of an object.
#[derive(Clone)]
pub(crate) struct Rows {
    source: Source,
    snapshot: Snapshot,
}

/// The rows of the object of that name, which the schema knows.
pub(crate) fn rows(org: &Org, snapshot: Snapshot, api: Api, object: &str) -> Rows {
    let source = match object {
        "Organization" => Source::Organization,
        "User" => Source::User,
        "UserPermissionAccess" => Source::Permissions,
        "Account" => Source::Accounts,
        "Contact" => Source::Contacts,
        "EntityDefinition" => Source::Entities(entities::entities(&snapshot).into()),
        "FieldDefinition" => Source::Fields(entities::fields(&snapshot).into()),
        "MetadataComponentDependency" => Source::Dependencies(dependencies::of(org, &snapshot)),
        "FlowDefinitionView" => of_type("FlowDefinitionView", "Flow", &snapshot),
        "FlowDefinition" => of_type("FlowDefinition", "Flow", &snapshot),
        other => match metadata_type(other) {
            Some(kind) if api == Api::Tooling || members::in_data_api(other) => {
                of_type(kind.name(), kind.name(), &snapshot)
            }
            _ => Source::None,
        },
    };
    Rows { source, snapshot }
}

fn of_type(object: &'static str, kind: &str, snapshot: &Snapshot) -> Source {
    let picks = snapshot.list(kind, None).into();
    Source::Members { object, picks }
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        match &self.source {
            Source::None => 0,
            Source::Organization | Source::User | Source::Permissions => 1,
            Source::Accounts => ACCOUNTS,
            Source::Contacts => CONTACTS,
            Source::Members { picks, .. } => picks.len(),
            Source::Entities(all) => all.len(),
            Source::Fields(all) => all.len(),
            Source::Dependencies(all) => all.len(),
        }
    }

    /// One row: all its fields but those that cost a look into a file and are not wanted.
    pub(crate) fn row(&self, org: &Org, at: usize, wanted: &Wanted) -> Row {
        let row = match &self.source {
            Source::None => Row::new(),
            Source::Organization => people::organization(org),
            Source::User => people::user(org),
            Source::Permissions => people::permissions(org),
            Source::Accounts => people::account(org, at),
            Source::Contacts => people::contact(org, at),
            Source::Members { object, picks } => members::row(org, &self.snapshot, object, picks[at], wanted),
            Source::Entities(all) => all[at].row(org),
            Source::Fields(all) => all[at].row(),
            Source::Dependencies(all) => all[at].row(),
        };
        self.related(org, at, people::audited(org, row), wanted)
    }

    /// The records behind the row's references, where somebody looks at them.
    fn related(&self, org: &Org, at: usize, mut row: Row, wanted: &Wanted) -> Row {
        let user = ["CreatedBy", "LastModifiedBy", "Owner"].into_iter();
        for way in user.filter(|way| wanted.has(way)) {
            if !row.contains_key(way) {
                row.insert(way.to_owned(), people::user(org).into());
            }
        }
        if wanted.has("Account")
            && let Source::Contacts = self.source
        {
            row.insert("Account".to_owned(), people::account_of(org, at).into());
        }
        row
    }
}
