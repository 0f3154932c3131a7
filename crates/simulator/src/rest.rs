//! The few REST resources that a sync needs: versions, limits, and queries on Organization and User.

use serde_json::{Map, Value, json};

use crate::{calls::Call, http::Answer, oauth::{shown_organization, username}, org::Org, server::Shared};

const OLDEST: u32 = 310;
const DAILY_REQUESTS: u64 = 15_000;

/// GET /services/data.
pub(crate) fn versions(shared: &Shared) -> Answer {
    let list: Vec<Value> = (OLDEST..=shared.settings.greatest_version)
        .step_by(10)
        .map(|version| {
            let version = format!("{}.{}", version / 10, version % 10);
            json!({ "label": format!("Release {version}"), "url": format!("/services/data/v{version}"), "version": version })
        })
        .collect();
    Answer::json(200, &Value::from(list))
}

/// GET /services/data/vXX.X.
pub(crate) fn resources(shared: &Shared, org: &Org, version: &str) -> Answer {
    let at = |name: &str| format!("/services/data/v{version}/{name}");
    let identity = format!("{}/id/{}/{}", shared.base_url(), org.organization_id, org.user_id);
    Answer::json(
        200,
        &json!({ "limits": at("limits"), "query": at("query"), "sobjects": at("sobjects"), "tooling": at("tooling"), "identity": identity }),
    )
}

/// GET /services/data/vXX.X/limits.
pub(crate) fn limits(org: &Org) -> Answer {
    let left = DAILY_REQUESTS.saturating_sub(used(org));
    Answer::json(
        200,
        &json!({
            "DailyApiRequests": { "Max": DAILY_REQUESTS, "Remaining": left },
            "DailyBulkV2QueryJobs": { "Max": 10_000, "Remaining": 10_000 },
            "DataStorageMB": { "Max": 1_024, "Remaining": 1_000 },
            "FileStorageMB": { "Max": 1_024, "Remaining": 1_000 },
        }),
    )
}

/// Value of the header that every REST answer carries.
pub(crate) fn limit_info(org: &Org) -> String {
    format!("api-usage={}/{DAILY_REQUESTS}", used(org))
}

fn used(org: &Org) -> u64 {
    org.calls().iter().filter(|(call, _)| !call.is_oauth()).map(|(_, count)| count).sum()
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    Answer::json(status, &json!([{ "message": message, "errorCode": code }]))
}

/// GET .../query: `SELECT a, b FROM Organization` or User; each has one row.
pub(crate) fn query(org: &Org, version: &str, soql: &str) -> Answer {
    let Some((fields, object)) = parse(soql) else {
        return error(400, "MALFORMED_QUERY", "unexpected token: the simulator reads SELECT fields FROM object");
    };
    let Some(record) = record(org, object) else {
        return error(400, "INVALID_TYPE", &format!("sObject type '{object}' is not supported."));
    };
    let id = record.get("Id").and_then(Value::as_str).unwrap_or_default();
    let url = format!("/services/data/v{version}/sobjects/{object}/{id}");
    let mut row = Map::from_iter([("attributes".to_owned(), json!({ "type": object, "url": url }))]);
    for field in fields {
        match record.iter().find(|(name, _)| name.eq_ignore_ascii_case(field)) {
            Some((name, value)) => row.insert(name.clone(), value.clone()),
            None => {
                let message = format!("No such column '{field}' on entity '{object}'.");
                return error(400, "INVALID_FIELD", &message);
            }
        };
    }
    Answer::json(200, &json!({ "totalSize": 1, "done": true, "records": [row] }))
}

/// GET .../tooling/query: nothing is kept there, so nothing is found.
pub(crate) fn tooling_query() -> Answer {
    Answer::json(200, &json!({ "size": 0, "totalSize": 0, "done": true, "records": [] }))
}

/// GET .../sobjects/User/{id}.
pub(crate) fn sobject(org: &Org, object: &str) -> Answer {
    match record(org, object) {
        Some(record) => Answer::json(200, &Value::from(record)),
        None => error(404, "NOT_FOUND", "The requested resource does not exist"),
    }
}

pub(crate) fn not_found() -> Answer {
    error(404, "NOT_FOUND", "The requested resource does not exist")
}

fn parse(soql: &str) -> Option<(Vec<&str>, &str)> {
    let lower = soql.to_ascii_lowercase();
    let from = lower.find(" from ")?;
    let fields = soql.get(..from)?.trim();
    let fields = fields.get(6..).filter(|_| lower.trim_start().starts_with("select"))?;
    let object = soql.get(from + 6..)?.split_whitespace().next()?;
    Some((fields.split(',').map(str::trim).collect(), object))
}

fn record(org: &Org, object: &str) -> Option<Map<String, Value>> {
    let record = match object.to_ascii_lowercase().as_str() {
        "organization" => json!({
            "Id": shown_organization(org, Call::Query),
            "Name": org.spec.name,
            "OrganizationType": if org.spec.sandbox { "Enterprise Edition" } else { "Developer Edition" },
            "IsSandbox": org.spec.sandbox,
            "InstanceName": org.spec.instance_name,
            "TimeZoneSidKey": org.spec.time_zone,
            "LanguageLocaleKey": "en_US",
            "DefaultLocaleSidKey": "en_US",
            "NamespacePrefix": org.spec.namespace,
            "TrialExpirationDate": null,
            "CreatedDate": "2020-01-01T00:00:00.000+0000",
            "IsReadOnly": false,
            "PrimaryContact": "Sim Admin",
            "Country": "US",
        }),
        "user" => json!({
            "Id": org.user_id,
            "Username": username(org),
            "Name": "Sim Admin",
            "FirstName": "Sim",
            "LastName": "Admin",
            "Email": "admin@example.com",
            "IsActive": true,
            "UserType": "Standard",
            "ProfileId": null,
            "TimeZoneSidKey": org.spec.time_zone,
            "LanguageLocaleKey": "en_US",
            "LocaleSidKey": "en_US",
        }),
        _ => return None,
    };
    match record {
        Value::Object(record) => Some(record),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_fields_and_object() {
        assert_eq!(parse("SELECT Id, Name FROM Organization LIMIT 1"), Some((vec!["Id", "Name"], "Organization")));
        assert_eq!(parse("select Id from User where Id = 'x'"), Some((vec!["Id"], "User")));
        assert_eq!(parse("DELETE x FROM y"), None);
        assert_eq!(parse("SELECT Id"), None);
    }
}
