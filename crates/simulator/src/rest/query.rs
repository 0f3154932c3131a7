//! Queries over REST: the first page, further pages by locator, and single records.
//!
//! A result of several pages is kept as the numbers of its rows, for two days or until its last page is fetched;
//! after that its locator is none.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::{
    RestRequest, error, not_found,
    records::{Found, by_id, find},
};
use crate::{
    calls::Call,
    faults::FaultKind,
    http::Answer,
    ids::id18,
    org::Org,
    server::Shared,
    soql::SoqlError,
    tables::{Api, object},
};

/// Rows of a page, and the least that a client may ask for.
const PAGE: usize = 2_000;
const SMALLEST_PAGE: usize = 200;
const LIFE_OF_A_LOCATOR: Duration = Duration::from_hours(48);

/// A result whose later pages wait to be fetched.
pub(crate) struct Cursor {
    found: Found,
    ends: Duration,
    /// Pages that were fetched, by their first row.
    fetched: HashSet<usize>,
}

/// GET .../query and .../queryAll with `q`. Nothing is ever deleted here, so both bring the same.
pub(super) fn first(shared: &Shared, org: &Org, request: &RestRequest<'_>, api: Api) -> Answer {
    let soql = request.of("q");
    if soql.is_empty() {
        return error(400, "MALFORMED_QUERY", "A query string has to be specified");
    }
    let found = match find(org, api, soql).and_then(|found| bounded(found, soql)) {
        Ok(found) => found,
        Err(refused) => return error(400, refused.code, &refused.message(soql)),
    };
    if request.of("columns") == "true" {
        return columns(&found);
    }
    if found.count_only {
        let answer = json!({ "totalSize": found.chosen.len(), "done": true, "records": [] });
        return Answer::json(200, &answer);
    }
    let id = id18("0r8", shared.next_number());
    let (answer, done) = page(org, request, &found, &id, 0);
    if !done {
        let now = shared.clock.now();
        let ends = now + LIFE_OF_A_LOCATOR;
        let mut cursors = org.cursors();
        cursors.retain(|_, cursor| cursor.ends > now);
        cursors.insert(
            id,
            Cursor {
                found,
                ends,
                fetched: HashSet::new(),
            },
        );
    }
    answer
}

/// What `columns=true` asks for instead of rows: how the columns are called. The CLI makes its tables by it.
fn columns(found: &Found) -> Answer {
    let columns: Vec<Value> = found
        .columns
        .iter()
        .map(|column| {
            let ways = column.steps.iter().rev();
            ways.fold(column_named(&column.field, &[]), |inner, (way, _)| {
                column_named(way, &[inner])
            })
        })
        .collect();
    let id_selected = found.columns.iter().any(|column| column.path() == "Id");
    Answer::json(
        200,
        &json!({ "columnMetadata": columns, "entityName": found.object, "groupBy": false, "idSelected": id_selected }),
    )
}

fn column_named(name: &str, joined: &[Value]) -> Value {
    json!({ "aggregate": false, "columnName": name, "displayName": name, "joinColumns": joined, "custom": name.ends_with("__c") })
}

/// GET .../query/{locator}.
pub(super) fn next(shared: &Shared, org: &Org, request: &RestRequest<'_>, api: Api, locator: &str) -> Answer {
    let invalid = || error(400, "INVALID_QUERY_LOCATOR", "invalid query locator");
    let Some((id, from)) = locator.split_once('-') else {
        return invalid();
    };
    let Ok(from) = from.parse::<usize>() else {
        return invalid();
    };
    let mut cursors = org.cursors();
    let good = cursors.get_mut(id).filter(|cursor| {
        cursor.ends > shared.clock.now() && cursor.found.api == api && from < cursor.found.chosen.len()
    });
    let Some(cursor) = good else {
        return invalid();
    };
    let again = !cursor.fetched.insert(from);
    if again
        && org
            .fault(Call::QueryMore, &[FaultKind::SpentLocators], |_| true)
            .is_some()
    {
        return invalid();
    }
    let (answer, done) = page(org, request, &cursor.found, id, from);
    if done {
        cursors.remove(id);
    }
    answer
}

/// Rows that one query may bring, where an object has a bound of its own.
fn bounded(mut found: Found, soql: &str) -> Result<Found, SoqlError> {
    let refused = |code, text: String| SoqlError { code, at: None, text };
    match found.object.as_str() {
        "MetadataComponentDependency" => found.chosen.truncate(PAGE),
        "EntityDefinition" | "FieldDefinition" if found.chosen.len() > PAGE && !found.count_only => {
            let text = format!(
                "{} does not support queryMore(), use LIMIT to restrict the results to a single batch",
                found.object
            );
            return Err(refused("EXCEEDED_ID_LIMIT", text));
        }
        _ => {}
    }
    if found.whole_definitions() && found.chosen.len() > 1 {
        let text = format!(
            "\n{soql}\n^\nERROR at Row:1:Column:1\nWhen retrieving results with Metadata or FullName fields, the query \
             qualifications must specify no more than one row for retrieval. Result size: {}",
            found.chosen.len()
        );
        return Err(refused("MALFORMED_QUERY", text));
    }
    Ok(found)
}

fn page(org: &Org, request: &RestRequest<'_>, found: &Found, id: &str, from: usize) -> (Answer, bool) {
    let size = request.page.unwrap_or(PAGE).clamp(SMALLEST_PAGE, PAGE);
    let total = found.chosen.len();
    let to = total.min(from + size);
    let version = request.version();
    let records: Vec<Value> = (from..to)
        .map(|place| found.record(org, version, place))
        .collect();
    let done = to == total;
    let mut answer = json!({ "totalSize": total, "done": done, "records": records });
    if found.api == Api::Tooling {
        answer["size"] = (to - from).into();
        answer["queryLocator"] = if done { Value::Null } else { id.into() };
        answer["entityTypeName"] = found.object.as_str().into();
    }
    if !done {
        let url = format!("/services/data/v{version}/{}query/{id}-{to}", found.api.path());
        answer["nextRecordsUrl"] = url.into();
    }
    (Answer::json(200, &answer), done)
}

/// GET .../sobjects/X/{id}, with all fields or those of `fields`.
pub(super) fn record(org: &Org, request: &RestRequest<'_>, api: Api, name: &str, id: &str) -> Answer {
    let Some(mut object) = object(&org.snapshot(), api, name) else {
        return not_found();
    };
    let wanted: Vec<&str> = request
        .of("fields")
        .split(',')
        .filter(|field| !field.is_empty())
        .collect();
    if !wanted.is_empty() {
        object
            .fields
            .retain(|field| wanted.iter().any(|name| name.eq_ignore_ascii_case(&field.name)));
    }
    match find(org, api, &by_id(&object, id)) {
        Ok(found) if found.chosen.len() == 1 => Answer::json(200, &found.record(org, request.version(), 0)),
        Ok(_) => not_found(),
        Err(refused) => error(400, refused.code, &refused.text),
    }
}
