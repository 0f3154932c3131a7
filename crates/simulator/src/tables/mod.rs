//! The objects that can be queried, and their rows.
//!
//! Objects and fields are data files (`objects.tsv`, `fields.tsv`); an org's own objects and fields come to them from
//! its inventory (`schema`). Rows are made when somebody looks at them: of the org itself and its user (`people`), of
//! metadata components (`members`), of which component names which other (`dependencies`). What a query means is
//! known by `soql`, how an answer is written by `rest`.

mod dependencies;
mod entities;
mod members;
mod people;
mod rows;
mod schema;

use jiff::{Timestamp, fmt::strtime};

pub(crate) use dependencies::Dependency;
pub(crate) use people::username;
pub(crate) use rows::{Rows, Wanted, rows};
pub(crate) use schema::{Field, Object, object, objects};

/// A time as the REST API writes it.
fn date(at: Option<Timestamp>) -> Option<String> {
    at.and_then(|at| strtime::format("%Y-%m-%dT%H:%M:%S.000+0000", at).ok())
}

/// The two APIs that are queried; each has its own objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Api {
    Data,
    Tooling,
}

impl Api {
    /// What stands in a URL between the version and the resource.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Data => "",
            Self::Tooling => "tooling/",
        }
    }
}
