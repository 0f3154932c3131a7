//! What a query may name: its object, its columns, and values of the right type to compare them with.
//!
//! Each refusal reads as Salesforce writes it. A query that passes here can be answered.

use crate::{
    inventory::layers::Snapshot,
    soql::{Literal, Name, Query, SoqlError},
    tables::{Api, Field, Object, object},
};

/// A column of an answer: its path in Salesforce's own spelling, with the object that each step leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub steps: Vec<(String, String)>,
    pub field: String,
}

impl Column {
    /// As a header of a CSV file has it.
    pub(super) fn path(&self) -> String {
        let mut path: String = self.steps.iter().flat_map(|(way, _)| [way, "."]).collect();
        path.push_str(&self.field);
        path
    }
}

/// The object that a query is about.
pub(super) fn object_of(snapshot: &Snapshot, api: Api, name: &Name) -> Result<Object, SoqlError> {
    object(snapshot, api, &name.text).ok_or_else(|| unknown_object(name))
}

fn unknown_object(name: &Name) -> SoqlError {
    let text = format!(
        "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the \
         '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
        name.text
    );
    SoqlError::at("INVALID_TYPE", name.at, text)
}

/// Finds a field, through references where its path has dots.
pub(super) fn column(snapshot: &Snapshot, api: Api, of: &Object, name: &Name) -> Result<Column, SoqlError> {
    walk(snapshot, api, of, name).map(|(column, _)| column)
}

fn walk(snapshot: &Snapshot, api: Api, of: &Object, name: &Name) -> Result<(Column, Field), SoqlError> {
    let mut steps = Vec::new();
    let mut parts: Vec<&str> = name.text.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    // The object's own name may stand in front.
    if parts
        .first()
        .is_some_and(|first| first.eq_ignore_ascii_case(&of.name))
    {
        parts.remove(0);
    }
    let mut at = of.clone();
    for part in parts {
        let way = at.fields.iter().find_map(|field| {
            let (target, way) = field.target.as_ref()?;
            way.eq_ignore_ascii_case(part)
                .then(|| (way.clone(), target.clone()))
        });
        let next = way.and_then(|(way, target)| Some((way, object(snapshot, api, &target)?)));
        let Some((way, next)) = next else {
            let text = format!(
                "Didn't understand relationship '{part}' in field path. If you are attempting to use a custom \
                 relationship, be sure to append the '__r' after the custom relationship name. Please reference \
                 your WSDL or the describe call for the appropriate names."
            );
            return Err(SoqlError::at("INVALID_FIELD", name.at, text));
        };
        steps.push((way, next.name.clone()));
        at = next;
    }
    let Some(field) = at
        .fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(last))
    else {
        let text = format!(
            "No such column '{last}' on entity '{}'. If you are attempting to use a custom field, be sure to append \
             the '__c' after the custom field name. Please reference your WSDL or the describe call for the \
             appropriate names.",
            at.name
        );
        return Err(SoqlError::at("INVALID_FIELD", name.at, text));
    };
    let column = Column {
        steps,
        field: field.name.clone(),
    };
    Ok((column, field.clone()))
}

/// Every field of filter and order is there and is compared with values of its type.
pub(super) fn check(snapshot: &Snapshot, api: Api, of: &Object, query: &Query) -> Result<(), SoqlError> {
    for order in &query.order {
        column(snapshot, api, of, &order.field)?;
    }
    for (name, values) in query.comparisons() {
        let (_, field) = walk(snapshot, api, of, name)?;
        if let Some(advice) = values.iter().find_map(|value| misfit(&field.kind, value)) {
            let text = format!(
                "value of filter criterion for field '{}' must be of type {advice}",
                field.name
            );
            return Err(SoqlError::at("INVALID_FIELD", name.at, text));
        }
    }
    check_reified(&of.name, query)
}

/// What a value should be, when it is not of the field's type.
fn misfit(kind: &str, value: &Literal) -> Option<&'static str> {
    match (kind, value) {
        (_, Literal::Null)
        | ("boolean", Literal::Boolean(_))
        | ("int" | "double" | "currency" | "percent", Literal::Number(_))
        | ("date" | "datetime", Literal::Time(_)) => None,
        ("boolean", _) => Some("boolean and should not be enclosed in quotes"),
        ("int", _) => Some("int and should not be enclosed in quotes"),
        ("double" | "currency" | "percent", _) => Some("double and should not be enclosed in quotes"),
        ("date", _) => Some("date and should not be enclosed in quotes"),
        ("datetime", _) => Some("dateTime and should not be enclosed in quotes"),
        (_, Literal::Text(_)) => None,
        _ => Some("string and should be enclosed in quotes"),
    }
}

/// Objects that exist only while they are asked for by what they belong to.
const REIFIED: [(&str, &[&str]); 2] = [
    ("FieldDefinition", &["EntityDefinitionId", "DurableId"]),
    ("StandardValueSet", &["MasterLabel", "DurableId"]),
];

fn check_reified(object: &str, query: &Query) -> Result<(), SoqlError> {
    let Some((_, columns)) = REIFIED.iter().find(|(name, _)| *name == object) else {
        return Ok(());
    };
    let fits = |name: &Name| {
        let way = name.text.split('.').next().unwrap_or_default();
        columns.iter().any(|column| {
            column.eq_ignore_ascii_case(way) || column.trim_end_matches("Id").eq_ignore_ascii_case(way)
        })
    };
    if query.comparisons().into_iter().any(|(name, _)| fits(name)) {
        return Ok(());
    }
    Err(SoqlError {
        code: "MALFORMED_QUERY",
        at: None,
        text: format!(
            "{object}: a filter on a reified column is required [{}]",
            columns.join(",")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_told_what_it_should_be() {
        assert_eq!(misfit("string", &Literal::Text("a".into())), None);
        assert_eq!(misfit("boolean", &Literal::Null), None);
        assert_eq!(
            misfit("boolean", &Literal::Text("true".into())),
            Some("boolean and should not be enclosed in quotes")
        );
        assert_eq!(
            misfit("id", &Literal::Number(1.0)),
            Some("string and should be enclosed in quotes")
        );
    }

    #[test]
    fn what_is_reified_wants_a_filter() {
        let check = |object: &str, soql: &str| {
            let query = Query::read(soql).unwrap();
            check_reified(object, &query).is_ok()
        };
        assert!(check(
            "FieldDefinition",
            "SELECT Id FROM F WHERE EntityDefinition.QualifiedApiName = 'A'"
        ));
        assert!(check(
            "StandardValueSet",
            "SELECT Id FROM S WHERE MasterLabel = 'A'"
        ));
        assert!(!check("FieldDefinition", "SELECT Id FROM F WHERE Label = 'A'"));
        assert!(check("Account", "SELECT Id FROM Account"));
    }
}
