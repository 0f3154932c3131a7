//! EntityDefinition and FieldDefinition: the org's objects and fields as rows.
//!
//! A custom object is known by the first fifteen characters of its id, a standard one by its name; a field by its
//! object and its own.

use serde_json::json;

use super::{
    Api, date,
    people::record,
    schema::{Object, objects},
};
use crate::{
    inventory::{is_custom_name, layers::Snapshot},
    org::Org,
    soql::Row,
};

/// One row of EntityDefinition.
pub(crate) struct Entity {
    object: Object,
    durable: String,
    modified: Option<String>,
}

/// One row of FieldDefinition.
pub(crate) struct EntityField {
    object: String,
    object_durable: String,
    name: String,
    durable: String,
    kind: String,
    modified: Option<String>,
}

pub(super) fn entities(snapshot: &Snapshot) -> Vec<Entity> {
    let mut all: Vec<Entity> = objects(snapshot, Api::Data)
        .into_iter()
        .map(|object| {
            let listed = snapshot
                .find("CustomObject", &object.name)
                .map(|pick| snapshot.delivered(pick));
            let modified = listed.as_ref().and_then(|listed| date(listed.modified));
            let durable = match listed {
                Some(listed) if object.custom => listed.id[..15].to_owned(),
                _ => object.name.clone(),
            };
            Entity {
                object,
                durable,
                modified,
            }
        })
        .collect();
    // Clients page by it.
    all.sort_by(|a, b| a.durable.cmp(&b.durable));
    all
}

/// The row of EntityDefinition of one object, for what refers to it.
pub(super) fn entity_row(org: &Org, snapshot: &Snapshot, name: &str) -> Row {
    let durable = durable_id(snapshot, name);
    let object = Object {
        name: name.to_owned(),
        prefix: String::new(),
        label: name.trim_end_matches("__c").replace('_', " "),
        plural: name.to_owned(),
        custom: is_custom_name(name),
        fields: Vec::new(),
    };
    let entity = Entity {
        object,
        durable,
        modified: None,
    };
    entity.row(org)
}

/// How the Tooling API names an object in references.
pub(super) fn durable_id(snapshot: &Snapshot, name: &str) -> String {
    match snapshot.find("CustomObject", name) {
        Some(pick) if is_custom_name(name) => snapshot.delivered(pick).id[..15].to_owned(),
        _ => name.to_owned(),
    }
}

impl Entity {
    pub(super) fn row(&self, org: &Org) -> Row {
        let name = &self.object.name;
        record(json!({
            "Id": "000000000000000AAA",
            "DurableId": self.durable,
            "QualifiedApiName": name,
            "DeveloperName": developer_name(name),
            "MasterLabel": self.object.label,
            "Label": self.object.label,
            "PluralLabel": self.object.plural,
            "KeyPrefix": (!self.object.prefix.is_empty()).then_some(&self.object.prefix),
            "NamespacePrefix": namespace(name),
            "IsCustomSetting": false,
            "IsCustomizable": true,
            "IsQueryable": true,
            "LastModifiedDate": self.modified,
            "LastModifiedById": self.modified.as_ref().map(|_| &org.user_id),
        }))
    }
}

pub(super) fn fields(snapshot: &Snapshot) -> Vec<EntityField> {
    let standard = objects(snapshot, Api::Data).into_iter().flat_map(|object| {
        let object_durable = durable_id(snapshot, &object.name);
        let fields = object.fields.into_iter().map(|field| EntityField {
            object: object.name.clone(),
            durable: format!("{object_durable}.{}", field.name),
            object_durable: object_durable.clone(),
            name: field.name,
            kind: field.kind,
            modified: None,
        });
        fields.collect::<Vec<_>>()
    });
    let custom = snapshot.list("CustomField", None).into_iter().filter_map(|pick| {
        let listed = snapshot.delivered(pick);
        let (object, name) = listed.full_name.split_once('.')?;
        let object_durable = durable_id(snapshot, object);
        Some(EntityField {
            durable: format!("{object_durable}.{}", &listed.id[..15]),
            object: object.to_owned(),
            object_durable,
            name: name.to_owned(),
            kind: "string".to_owned(),
            modified: date(listed.modified),
        })
    });
    standard.chain(custom).collect()
}

impl EntityField {
    pub(super) fn row(&self) -> Row {
        record(json!({
            "Id": "000000000000000AAA",
            "DurableId": self.durable,
            "QualifiedApiName": self.name,
            "DeveloperName": developer_name(&self.name),
            "Label": developer_name(&self.name).replace('_', " "),
            "DataType": self.kind,
            "NamespacePrefix": namespace(&self.name),
            "EntityDefinitionId": self.object_durable,
            "EntityDefinition": { "QualifiedApiName": self.object, "DurableId": self.object_durable },
            "LastModifiedDate": self.modified,
        }))
    }
}

/// A name without namespace and suffix.
pub(super) fn developer_name(name: &str) -> String {
    let (bare, _) = name
        .rsplit_once("__")
        .filter(|_| is_custom_name(name))
        .unwrap_or((name, ""));
    bare.split_once("__").map_or(bare, |(_, rest)| rest).to_owned()
}

/// The namespace of a name that has one: `ns__Name__c`.
pub(super) fn namespace(name: &str) -> Option<&str> {
    let parts: Vec<&str> = name.split("__").collect();
    (parts.len() > 2).then(|| parts[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(developer_name("Region__c"), "Region");
        assert_eq!(developer_name("SBQQ__Quote__c"), "Quote");
        assert_eq!(developer_name("Account"), "Account");
        assert_eq!(
            (namespace("SBQQ__Quote__c"), namespace("Region__c")),
            (Some("SBQQ"), None)
        );
    }
}
