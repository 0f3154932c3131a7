//! The part of SOQL that clients of metadata use: what a query says, and what is wrong with one that says nothing.
//!
//! `SELECT` fields or `COUNT()` `FROM` one object `WHERE` comparisons, `IN` and `LIKE` under `AND`, `OR` and `NOT`,
//! `ORDER BY`, `LIMIT`, `OFFSET`. Sub-selects, groups and aggregates are not read: they are refused as Salesforce
//! refuses a word that it does not expect. Which objects and fields there are is left to `tables`; here a query is
//! text (`words`), then a [`Query`] (`parse`), then a choice among rows (`choose`).

mod choose;
mod parse;
mod words;

use jiff::Timestamp;

pub(crate) use choose::{Row, choose, value_at};

/// A name in a query, with the place where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub text: String,
    pub at: usize,
}

/// What a query asks for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Query {
    pub select: Select,
    pub object: Name,
    pub filter: Option<Condition>,
    pub order: Vec<Order>,
    pub limit: Option<usize>,
    pub offset: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Select {
    Fields(Vec<Name>),
    Count,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        field: Name,
        operator: Operator,
        value: Literal,
    },
    In {
        field: Name,
        values: Vec<Literal>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Like,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Literal {
    Null,
    Boolean(bool),
    Number(f64),
    Text(String),
    Time(Timestamp),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    pub field: Name,
    pub descending: bool,
    pub nulls_last: bool,
}

/// Why a query is refused, with the place in its text where there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SoqlError {
    pub code: &'static str,
    pub at: Option<usize>,
    pub text: String,
}

impl SoqlError {
    pub(crate) fn at(code: &'static str, at: usize, text: String) -> Self {
        Self {
            code,
            at: Some(at),
            text,
        }
    }

    /// The message as Salesforce writes it: the line with the place marked, then what is wrong.
    pub(crate) fn message(&self, soql: &str) -> String {
        let Some(at) = self.at else {
            return self.text.clone();
        };
        let before = soql.get(..at).unwrap_or(soql);
        let row = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let column = before[line_start..].chars().count() + 1;
        let line = soql[line_start..].lines().next().unwrap_or("");
        // A long query is shown around the place only.
        let hidden = column.saturating_sub(1 + SHOWN_BEFORE);
        let shown: String = line.chars().skip(hidden).take(SHOWN).collect();
        let marked = " ".repeat(column - 1 - hidden);
        format!(
            "\n{shown}\n{marked}^\nERROR at Row:{row}:Column:{column}\n{}",
            self.text
        )
    }
}

const SHOWN_BEFORE: usize = 40;
const SHOWN: usize = 80;

impl Query {
    /// Reads a query.
    pub(crate) fn read(soql: &str) -> Result<Self, SoqlError> {
        parse::query(soql)
    }

    /// What the filter compares; nothing without one.
    pub(crate) fn comparisons(&self) -> Vec<(&Name, &[Literal])> {
        let mut comparisons = Vec::new();
        if let Some(filter) = &self.filter {
            filter.comparisons(&mut comparisons);
        }
        comparisons
    }

    /// The fields that decide which rows come, and in which order.
    pub(crate) fn deciding(&self) -> Vec<&Name> {
        let compared = self.comparisons().into_iter().map(|(field, _)| field);
        compared
            .chain(self.order.iter().map(|order| &order.field))
            .collect()
    }
}

impl Condition {
    /// The fields that the condition looks at, each with the values that it is compared with.
    pub(crate) fn comparisons<'a>(&'a self, out: &mut Vec<(&'a Name, &'a [Literal])>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.comparisons(out)),
            Self::Not(part) => part.comparisons(out),
            Self::Compare { field, value, .. } => out.push((field, std::slice::from_ref(value))),
            Self::In { field, values } => out.push((field, values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_marks_its_place_in_the_line() {
        let error = Query::read("SELECT Id\nFORM Account").unwrap_err();
        assert_eq!(error.code, "MALFORMED_QUERY");
        assert_eq!(
            error.message("SELECT Id\nFORM Account"),
            "\nFORM Account\n^\nERROR at Row:2:Column:1\nunexpected token: 'FORM'"
        );
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let soql = format!("SELECT {} FORM x", vec!["Name"; 100].join(","));
        let error = Query::read(&soql).unwrap_err();
        let message = error.message(&soql);
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines[2].len(), SHOWN_BEFORE + 1);
        assert_eq!(&lines[1][SHOWN_BEFORE..], "FORM x");
    }
}
