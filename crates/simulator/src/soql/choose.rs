//! Which rows a query means, and in which order.
//!
//! Texts are compared without case, ids by their first fifteen characters with it, as Salesforce does. A row that has
//! no value is smaller than any that has one, and no comparison but `=` and `!=` meets it.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Condition, Literal, Operator, Query};

pub(crate) type Row = Map<String, Value>;

/// The numbers of the rows that the query means, in its order, within its limit.
pub(crate) fn choose(query: &Query, count: usize, row: impl Fn(usize) -> Row) -> Vec<u32> {
    let meets = |row: &Row| query.filter.as_ref().is_none_or(|filter| meets(filter, row));
    let enough = match (query.limit, query.order.is_empty()) {
        (Some(limit), true) => limit.saturating_add(query.offset),
        _ => usize::MAX,
    };
    let mut found: Vec<(Vec<Value>, u32)> = (0..count)
        .filter_map(|at| {
            let row = row(at);
            meets(&row).then(|| {
                let keys = query.order.iter().map(|order| value_at(&row, &order.field.text));
                (keys.collect(), at as u32)
            })
        })
        .take(enough)
        .collect();
    found.sort_by(|(a, at), (b, bt)| {
        query
            .order
            .iter()
            .zip(a.iter().zip(b))
            .map(|(order, (a, b))| {
                let nulls = match (a.is_null(), b.is_null()) {
                    (true, true) => return Ordering::Equal,
                    (true, false) => Some(Ordering::Less),
                    (false, true) => Some(Ordering::Greater),
                    (false, false) => None,
                };
                match nulls {
                    Some(nulls) if order.nulls_last => nulls.reverse(),
                    Some(nulls) => nulls,
                    None if order.descending => ordered(b, a),
                    None => ordered(a, b),
                }
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(at.cmp(bt))
    });
    let limit = query.limit.unwrap_or(usize::MAX);
    found
        .into_iter()
        .skip(query.offset)
        .take(limit)
        .map(|(_, at)| at)
        .collect()
}

/// The value at a dotted path, whatever the case of its names; null where the way ends early.
pub(crate) fn value_at(row: &Row, path: &str) -> Value {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let value = row
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    match (value, rest) {
        (Some(value), None) => value.clone(),
        (Some(Value::Object(inner)), Some(rest)) => value_at(inner, rest),
        _ => Value::Null,
    }
}

fn meets(condition: &Condition, row: &Row) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| meets(part, row)),
        Condition::Any(parts) => parts.iter().any(|part| meets(part, row)),
        Condition::Not(part) => !meets(part, row),
        Condition::In { field, values } => {
            let value = value_at(row, &field.text);
            values.iter().any(|wanted| equal(&value, wanted))
        }
        Condition::Compare {
            field,
            operator,
            value: wanted,
        } => {
            let value = value_at(row, &field.text);
            let ordering = || compared(&value, wanted);
            match operator {
                Operator::Equal => equal(&value, wanted),
                Operator::Unequal => !equal(&value, wanted),
                Operator::Less => ordering().is_some_and(Ordering::is_lt),
                Operator::AtMost => ordering().is_some_and(Ordering::is_le),
                Operator::Greater => ordering().is_some_and(Ordering::is_gt),
                Operator::AtLeast => ordering().is_some_and(Ordering::is_ge),
                Operator::Like => match (&value, wanted) {
                    (Value::String(text), Literal::Text(pattern)) => {
                        like(&text.to_lowercase(), &pattern.to_lowercase())
                    }
                    _ => false,
                },
            }
        }
    }
}

fn equal(value: &Value, wanted: &Literal) -> bool {
    match (value, wanted) {
        (Value::Null, Literal::Null) => true,
        (Value::String(text), Literal::Text(wanted)) if is_id(text) && matches!(wanted.len(), 15 | 18) => {
            text.get(..15) == wanted.get(..15)
        }
        _ => compared(value, wanted) == Some(Ordering::Equal),
    }
}

/// Ids are the only texts of eighteen characters whose last three follow from the others.
fn is_id(text: &str) -> bool {
    text.len() == 18 && text.get(15..) == text.get(..15).map(crate::ids::check).as_deref()
}

fn compared(value: &Value, wanted: &Literal) -> Option<Ordering> {
    match (value, wanted) {
        (Value::String(text), Literal::Text(wanted)) => Some(text.to_lowercase().cmp(&wanted.to_lowercase())),
        (Value::String(text), Literal::Time(wanted)) => time(text).map(|time| time.cmp(wanted)),
        (Value::Number(number), Literal::Number(wanted)) => number.as_f64()?.partial_cmp(wanted),
        (Value::Bool(value), Literal::Boolean(wanted)) => Some(value.cmp(wanted)),
        _ => None,
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.replace("+0000", "Z").parse().ok()
}

fn ordered(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.to_lowercase().cmp(&b.to_lowercase()).then(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// Whether a text fits a pattern of `%` (any text) and `_` (any character); a backslash takes their meaning away.
fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    let mut pattern = pattern.chars();
    while let Some(c) = pattern.next() {
        let one = |wanted: Option<char>| {
            let mut next = vec![false; text.len() + 1];
            for (at, c) in text.iter().enumerate() {
                next[at + 1] = fits[at] && wanted.is_none_or(|wanted| wanted == *c);
            }
            next
        };
        fits = match c {
            '%' => {
                let first = fits.iter().position(|fit| *fit).unwrap_or(fits.len());
                (0..fits.len()).map(|at| at >= first).collect()
            }
            '_' => one(None),
            '\\' => one(pattern.next()),
            c => one(Some(c)),
        };
    }
    fits[text.len()]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows() -> Vec<Row> {
        let rows = json!([
            { "Id": "01p000000000001AAA", "Name": "beta", "Length": 20, "IsValid": true, "CreatedBy": { "Name": "Ann" } },
            { "Id": "01p000000000002AAA", "Name": "Alpha", "Length": 3, "IsValid": false, "CreatedBy": null },
            { "Id": "01p000000000003AAA", "Name": null, "Length": 3, "IsValid": true, "CreatedBy": { "Name": "Bob" } },
        ]);
        let Value::Array(rows) = rows else { panic!() };
        rows.into_iter()
            .filter_map(|row| row.as_object().cloned())
            .collect()
    }

    fn chosen(rest: &str, wanted: &[u32]) {
        let rows = rows();
        let query = Query::read(&format!("SELECT Id FROM ApexClass {rest}")).unwrap();
        assert_eq!(
            choose(&query, rows.len(), |at| rows[at].clone()),
            wanted,
            "{rest}"
        );
    }

    #[test]
    fn comparisons_follow_salesforces_rules() {
        chosen("", &[0, 1, 2]);
        chosen("WHERE Name = 'ALPHA'", &[1]);
        chosen("WHERE Name = null", &[2]);
        chosen("WHERE Name != 'alpha'", &[0, 2]);
        chosen("WHERE Name > 'alpha'", &[0]);
        chosen("WHERE Length <= 3 AND IsValid = true", &[2]);
        chosen("WHERE Id = '01p000000000002'", &[1]);
        chosen("WHERE NOT (Length = 3 OR Name LIKE 'b%')", &[]);
        chosen("WHERE Name IN ('alpha', 'beta')", &[0, 1]);
        chosen("WHERE Name NOT IN ('alpha')", &[0, 2]);
        chosen("WHERE CreatedBy.Name LIKE '_nn'", &[0]);
    }

    #[test]
    fn order_limit_and_offset_come_after_the_filter() {
        chosen("ORDER BY Name", &[2, 1, 0]);
        chosen("ORDER BY Name NULLS LAST", &[1, 0, 2]);
        chosen("ORDER BY Length DESC, Name", &[0, 2, 1]);
        chosen("ORDER BY Length LIMIT 1 OFFSET 1", &[2]);
        chosen("LIMIT 2", &[0, 1]);
    }

    #[test]
    fn patterns_know_their_signs_and_those_that_were_taken_away() {
        assert!(like("a_b", "a\\_b") && !like("axb", "a\\_b") && like("axb", "a_b"));
        assert!(like("", "%") && like("abc", "%c") && like("abc", "a%%c") && !like("abc", "b%"));
    }

    #[test]
    fn times_are_compared_as_times() {
        let row = json!({ "At": "2026-01-01T00:00:00.000+0000" });
        let query = Query::read("SELECT At FROM X WHERE At >= 2026-01-01T01:00:00+01:00").unwrap();
        let row = row.as_object().unwrap().clone();
        assert_eq!(choose(&query, 1, |_| row.clone()), [0]);
    }
}
