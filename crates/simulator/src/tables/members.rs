//! Metadata components as rows: what a listing tells of them, and from their files what only a file tells.

use serde_json::{Map, Value, json};

use super::{
    date,
    entities::{durable_id, entity_row, namespace},
    people::record,
    rows::Wanted,
    schema::file_of,
};
use crate::{
    ids::id18,
    inventory::{
        Listed, Part,
        layers::{Pick, Snapshot},
    },
    mix::mix_text,
    org::Org,
    soap::envelope::USER_NAME,
    soql::Row,
    types::Shape,
    xml::Element,
    zip::is_meta,
};

const WITH_FILE: [&str; 14] = [
    "Body",
    "Markup",
    "ApiVersion",
    "Status",
    "LengthWithoutComments",
    "ContentType",
    "CacheControl",
    "BodyLength",
    "Metadata",
    "ErrorMessage",
    "Active",
    "IsActive",
    "MasterLabel",
    "ProcessType",
];

/// Objects of the data API whose rows are metadata.
pub(super) fn in_data_api(object: &str) -> bool {
    matches!(
        object,
        "ApexClass"
            | "ApexTrigger"
            | "ApexPage"
            | "ApexComponent"
            | "StaticResource"
            | "Profile"
            | "PermissionSet"
    )
}

/// One component as a row of `object`.
pub(super) fn row(org: &Org, snapshot: &Snapshot, object: &str, pick: Pick, wanted: &Wanted) -> Row {
    let listed = snapshot.delivered(pick);
    let files = if wanted.any(&WITH_FILE) {
        Files::read(snapshot, pick)
    } else {
        Files::default()
    };
    let (owner, key) = owner_and_key(&listed);
    let mut row = usual(org, &listed, key, &files);
    if let Some(owner) = owner {
        let durable = durable_id(snapshot, owner);
        row.insert("TableEnumOrId".to_owned(), durable.clone().into());
        row.insert("EntityDefinitionId".to_owned(), durable.into());
        row.insert("SobjectType".to_owned(), owner.into());
        if wanted.has("EntityDefinition") {
            row.insert(
                "EntityDefinition".to_owned(),
                entity_row(org, snapshot, owner).into(),
            );
        }
    }
    if listed.kind == "Flow" {
        row.extend(flow(&listed, object, &files));
    }
    row
}

/// What all rows have from the listing, and the few fields of one type that a file tells.
fn usual(org: &Org, listed: &Listed, key: &str, files: &Files) -> Row {
    let bare = super::entities::developer_name(key);
    let label = files.xml.text_of("label");
    record(json!({
        "Id": listed.id,
        "DurableId": listed.full_name,
        "FullName": listed.full_name,
        "Name": key,
        "DeveloperName": bare,
        "ValidationName": key,
        "MasterLabel": if listed.kind == "StandardValueSet" || label.is_empty() { key } else { label },
        "Label": if label.is_empty() { key } else { label },
        "NamespacePrefix": listed.namespace.as_deref().or_else(|| namespace(key)),
        "ManageableState": listed.manageable_state,
        "CreatedDate": date(listed.created),
        "CreatedById": org.user_id,
        "LastModifiedDate": date(listed.modified),
        "LastModifiedById": org.user_id,
        "SystemModstamp": date(listed.modified),
        "ApiVersion": files.xml.text_of("apiVersion").parse::<f64>().ok(),
        "Status": Some(files.xml.text_of("status")).filter(|status| !status.is_empty()).unwrap_or("Active"),
        "IsValid": true,
        "Body": files.body,
        "Markup": files.body,
        "BodyLength": files.body.as_ref().map(String::len),
        "LengthWithoutComments": files.body.as_ref().map(String::len),
        "ContentType": files.xml.text_of("contentType"),
        "CacheControl": files.xml.text_of("cacheControl"),
        "Active": files.xml.text_of("active") == "true",
        "IsActive": files.xml.text_of("active") == "true",
        "IsCustom": true,
        "IsOwnedByProfile": false,
        "ErrorMessage": files.xml.text_of("errorMessage"),
        "LayoutType": "Standard",
        "Type": files.xml.text_of("type"),
        "Metadata": as_metadata(&files.xml),
    }))
}

/// A flow's versions: the simulator's flows have one, which is active unless the file says otherwise.
fn flow(listed: &Listed, object: &str, files: &Files) -> Row {
    let version = id18("301", mix_text(5, &listed.full_name));
    let definition = id18("300", mix_text(6, &listed.full_name));
    let status = Some(files.xml.text_of("status")).filter(|status| !status.is_empty());
    let active = status
        .is_none_or(|status| status == "Active")
        .then(|| version.clone());
    let mut row = record(json!({
        "Id": if object == "Flow" { &version } else { &definition },
        "DurableId": definition,
        "ApiName": listed.full_name,
        "DeveloperName": listed.full_name,
        "DefinitionId": definition,
        "VersionNumber": 1,
        "Status": status.unwrap_or("Active"),
        "ProcessType": files.xml.text_of("processType"),
        "ActiveVersionId": active,
        "LatestVersionId": version,
        "IsActive": active.is_some(),
    }));
    if object == "FlowDefinitionView" {
        // A name here, where other objects have a way to the user.
        row.insert("LastModifiedBy".to_owned(), USER_NAME.into());
    } else {
        row.insert(
            "Definition".to_owned(),
            json!({ "Id": definition, "DeveloperName": listed.full_name }),
        );
    }
    row
}

/// The object that a component belongs to, and its name within.
fn owner_and_key(listed: &Listed) -> (Option<&str>, &str) {
    let mark = match &*listed.kind {
        "Layout" => '-',
        "CustomField" | "ValidationRule" | "RecordType" | "WorkflowRule" => '.',
        _ => return (None, &listed.full_name),
    };
    match listed.full_name.split_once(mark) {
        Some((owner, key)) => (Some(owner), key),
        None => (None, &listed.full_name),
    }
}

/// What the files of a component say.
#[derive(Default)]
struct Files {
    /// The content beside the XML.
    body: Option<String>,
    xml: Element,
}

impl Files {
    /// Reads them; what is no text or no XML says nothing.
    fn read(snapshot: &Snapshot, pick: Pick) -> Self {
        if let (Some(parent), Pick::Base(child)) = (snapshot.parent(pick), pick) {
            let element = child.kind.row().element;
            let text = file_of(snapshot, parent, &Part::Children(vec![child]));
            let file = text
                .and_then(|text| Element::parse(&text).ok())
                .unwrap_or_default();
            let xml = file.children.into_iter().find(|child| child.name == element);
            return Self {
                body: None,
                xml: xml.unwrap_or_default(),
            };
        }
        let plain = matches!(pick, Pick::Base(member) if member.kind.row().shape == Shape::File);
        let mut read = Self::default();
        for file in snapshot.files(pick, &Part::Whole).unwrap_or_default() {
            let Ok(text) = String::from_utf8(file.bytes) else {
                continue;
            };
            if plain || is_meta(&file.path) {
                read.xml = Element::parse(&text).unwrap_or_default();
            } else if read.body.is_none() {
                read.body = Some(text);
            }
        }
        read
    }
}

/// A component's XML as the Tooling API's `Metadata`: an object; what comes more than once is a list.
fn as_metadata(element: &Element) -> Value {
    if element.children.is_empty() {
        return match element.text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "" => Value::Null,
            text => text.into(),
        };
    }
    let mut object = Map::new();
    for child in &element.children {
        let value = as_metadata(child);
        match object.get_mut(&child.name) {
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = json!([one.take(), value]),
            // A value set's values are a list even when there is one.
            None if child.name == "standardValue" => {
                object.insert(child.name.clone(), json!([value]));
            }
            None => {
                object.insert(child.name.clone(), value);
            }
        }
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_set_with_one_value_is_a_list() {
        let xml =
            Element::parse("<S><sorted>false</sorted><standardValue><label>A</label></standardValue></S>");
        assert_eq!(
            as_metadata(&xml.unwrap()),
            json!({ "sorted": false, "standardValue": [{ "label": "A" }] })
        );
    }

    #[test]
    fn what_repeats_becomes_a_list() {
        let xml = Element::parse("<S><a>1</a><a>2</a><a>3</a></S>");
        assert_eq!(as_metadata(&xml.unwrap()), json!({ "a": ["1", "2", "3"] }));
    }
}
