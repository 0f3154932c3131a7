//! The org, its one user, and the records that the data API has without any metadata: accounts and contacts.

use serde_json::{Value, json};

use crate::{calls::Call, ids::id18, mix::mix_text, oauth::shown_organization, org::Org, soql::Row};

/// Records of Account; enough for three pages.
pub(super) const ACCOUNTS: usize = 4_500;
/// Records of Contact: two of every third account.
pub(super) const CONTACTS: usize = 3_000;

const CREATED: &str = "2020-01-01T00:00:00.000+0000";
const INDUSTRIES: [&str; 5] = ["Banking", "Education", "Energy", "Not For Profit", "Technology"];

/// The name with which the org's user logs in.
pub(crate) fn username(org: &Org) -> String {
    let name: String = org
        .spec
        .name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    format!("admin@{}.example.com", name.to_lowercase())
}

/// Who created and changed things, and when nothing else is known, then.
pub(super) fn audited(org: &Org, mut row: Row) -> Row {
    for (name, value) in [
        ("CreatedDate", json!(CREATED)),
        ("CreatedById", json!(org.user_id)),
        ("LastModifiedDate", json!(CREATED)),
        ("LastModifiedById", json!(org.user_id)),
        ("SystemModstamp", json!(CREATED)),
    ] {
        row.entry(name).or_insert(value);
    }
    row
}

pub(super) fn organization(org: &Org) -> Row {
    record(json!({
        "Id": shown_organization(org, Call::Query),
        "Name": org.spec.name,
        "OrganizationType": org.spec.edition().organization_type(),
        "IsSandbox": org.spec.sandbox,
        "InstanceName": org.spec.instance_name,
        "TimeZoneSidKey": org.spec.time_zone,
        "LanguageLocaleKey": "en_US",
        "DefaultLocaleSidKey": "en_US",
        "NamespacePrefix": org.spec.namespace,
        "TrialExpirationDate": null,
        "IsReadOnly": false,
        "PrimaryContact": "Sim Admin",
        "Country": "US",
    }))
}

pub(super) fn user(org: &Org) -> Row {
    record(json!({
        "Id": org.user_id,
        "Username": username(org),
        "Name": "Sim Admin",
        "FirstName": "Sim",
        "LastName": "Admin",
        "Email": "admin@example.com",
        "Alias": "sadmin",
        "IsActive": true,
        "UserType": "Standard",
        "ProfileId": null,
        "TimeZoneSidKey": org.spec.time_zone,
        "LanguageLocaleKey": "en_US",
        "LocaleSidKey": "en_US",
        "EmailEncodingKey": "UTF-8",
    }))
}

/// What the user may do: all that a sync needs.
pub(super) fn permissions(org: &Org) -> Row {
    record(json!({
        "Id": org.user_id,
        "PermissionsApiEnabled": true,
        "PermissionsModifyMetadata": true,
        "PermissionsModifyAllData": true,
        "PermissionsViewSetup": true,
        "PermissionsViewAllData": true,
        "PermissionsAuthorApex": true,
    }))
}

pub(super) fn account(org: &Org, at: usize) -> Row {
    record(json!({
        "Id": id_of(org, "001", at),
        "Name": format!("Account {at:05}"),
        "Type": if at.is_multiple_of(4) { json!("Prospect") } else { json!("Customer") },
        "Industry": INDUSTRIES[at % INDUSTRIES.len()],
        "AnnualRevenue": (at * 1_000) as f64,
        "NumberOfEmployees": at % 500,
        "Description": if at.is_multiple_of(10) { json!("says \"yes\",\nand more") } else { Value::Null },
        "IsDeleted": false,
        "OwnerId": org.user_id,
    }))
}

pub(super) fn contact(org: &Org, at: usize) -> Row {
    record(json!({
        "Id": id_of(org, "003", at),
        "Name": format!("Ada Number{at}"),
        "FirstName": "Ada",
        "LastName": format!("Number{at}"),
        "Email": format!("ada{at}@example.com"),
        "IsDeleted": false,
        "AccountId": account_of(org, at)["Id"],
        "OwnerId": org.user_id,
    }))
}

/// The account of a contact: two contacts share one, and of three accounts one has contacts.
pub(super) fn account_of(org: &Org, contact: usize) -> Row {
    account(org, contact / 2 * 3)
}

fn id_of(org: &Org, prefix: &str, at: usize) -> String {
    id18(prefix, mix_text(at as u64, &org.organization_id))
}

pub(super) fn record(value: Value) -> Row {
    match value {
        Value::Object(row) => row,
        _ => Row::new(),
    }
}
