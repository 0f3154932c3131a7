//! A query made ready: its rows chosen, to be written as records or as lines.
//!
//! Used alike by REST pages and by Bulk results; how much of it is sent at once is left to them, what a query may name
//! to `columns`.

use serde_json::{Map, Value, json};

use super::columns::{Column, check, column, object_of};
use crate::{
    org::Org,
    soql::{Query, Row, Select, SoqlError, choose, value_at},
    tables::{Api, Object, Rows, Wanted, rows},
};

/// A query whose rows are chosen.
#[derive(Clone)]
pub(crate) struct Found {
    pub api: Api,
    pub object: String,
    pub columns: Vec<Column>,
    wanted: Wanted,
    rows: Rows,
    /// Numbers of the rows, in the order of the answer.
    pub chosen: Vec<u32>,
    pub count_only: bool,
}

/// Reads a query and chooses its rows.
pub(super) fn find(org: &Org, api: Api, soql: &str) -> Result<Found, SoqlError> {
    let query = Query::read(soql)?;
    let snapshot = org.snapshot();
    let object = object_of(&snapshot, api, &query.object)?;
    let columns = match &query.select {
        Select::Count => Vec::new(),
        Select::Fields(fields) => fields
            .iter()
            .map(|name| column(&snapshot, api, &object, name))
            .collect::<Result<_, _>>()?,
    };
    check(&snapshot, api, &object, &query)?;
    let wanted = match &query.select {
        Select::Count => Wanted::default(),
        Select::Fields(fields) => Wanted::fields(fields),
    };
    let deciding = Wanted::fields(query.deciding());
    let rows = rows(org, snapshot, api, &object.name);
    let chosen = choose(&query, rows.len(), |at| rows.row(org, at, &deciding));
    Ok(Found {
        api,
        object: object.name,
        columns,
        wanted,
        rows,
        chosen,
        count_only: query.select == Select::Count,
    })
}

impl Found {
    /// The row of that place in the answer.
    pub(super) fn row(&self, org: &Org, place: usize) -> Row {
        self.rows.row(org, self.chosen[place] as usize, &self.wanted)
    }

    /// One row as a record of an answer.
    pub(super) fn record(&self, org: &Org, version: &str, place: usize) -> Value {
        let row = self.row(org, place);
        let mut record = Map::new();
        record.insert(
            "attributes".to_owned(),
            attributes(self.api, version, &self.object, &row),
        );
        for column in &self.columns {
            put(self.api, version, &mut record, &row, &column.steps, &column.field);
        }
        record.into()
    }

    /// One value of a row, as CSV writes it.
    pub(super) fn text(row: &Row, column: &Column) -> String {
        match value_at(row, &column.path()) {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// Whether the answer holds a component's definition, which comes for one row alone.
    pub(super) fn whole_definitions(&self) -> bool {
        self.api == Api::Tooling
            && self.columns.iter().any(|column| {
                column.steps.is_empty() && matches!(column.field.as_str(), "Metadata" | "FullName")
            })
    }
}

fn attributes(api: Api, version: &str, object: &str, row: &Row) -> Value {
    let id = row.get("Id").and_then(Value::as_str).unwrap_or_default();
    json!({ "type": object, "url": format!("/services/data/v{version}/{}sobjects/{object}/{id}", api.path()) })
}

/// Puts the value of a path into a record, with the records on the way to it.
fn put(
    api: Api,
    version: &str,
    into: &mut Map<String, Value>,
    row: &Row,
    steps: &[(String, String)],
    field: &str,
) {
    let Some(((way, object), rest)) = steps.split_first() else {
        into.insert(field.to_owned(), row.get(field).cloned().unwrap_or_default());
        return;
    };
    let Some(Value::Object(behind)) = row.get(way) else {
        into.insert(way.clone(), Value::Null);
        return;
    };
    let inner = into
        .entry(way.clone())
        .or_insert_with(|| json!({ "attributes": attributes(api, version, object, behind) }));
    if let Value::Object(inner) = inner {
        put(api, version, inner, behind, rest, field);
    }
}

/// A query for one record by its id.
pub(super) fn by_id(object: &Object, id: &str) -> String {
    let fields: Vec<&str> = object.fields.iter().map(|field| field.name.as_str()).collect();
    let id = id.replace(['\\', '\''], "");
    format!(
        "SELECT {} FROM {} WHERE Id = '{id}'",
        fields.join(", "),
        object.name
    )
}
