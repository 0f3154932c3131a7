//! The describes of objects: all of them in short, one in full.

use serde_json::{Value, json};

use super::not_found;
use crate::{
    http::Answer,
    org::Org,
    tables::{Api, Field, Object, object, objects},
};

/// GET .../sobjects.
pub(super) fn all(org: &Org, version: &str, api: Api) -> Answer {
    let all: Vec<Value> = objects(&org.snapshot(), api)
        .iter()
        .map(|object| short(object, version, api))
        .collect();
    Answer::json(
        200,
        &json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": all }),
    )
}

/// GET .../sobjects/X.
pub(super) fn basic(org: &Org, version: &str, api: Api, name: &str) -> Answer {
    match object(&org.snapshot(), api, name) {
        Some(object) => Answer::json(
            200,
            &json!({ "objectDescribe": short(&object, version, api), "recentItems": [] }),
        ),
        None => not_found(),
    }
}

/// GET .../sobjects/X/describe.
pub(super) fn one(org: &Org, version: &str, api: Api, name: &str) -> Answer {
    let snapshot = org.snapshot();
    let Some(object) = object(&snapshot, api, name) else {
        return not_found();
    };
    let mut whole = short(&object, version, api);
    whole["fields"] = object.fields.iter().map(field).collect();
    whole["childRelationships"] = children(&objects(&snapshot, api), &object.name).into();
    whole["recordTypeInfos"] = json!([{
        "active": true, "available": true, "defaultRecordTypeMapping": true, "developerName": "Master",
        "master": true, "name": "Master", "recordTypeId": "012000000000000AAA",
    }]);
    for (name, value) in [
        ("actionOverrides", json!([])),
        ("compactLayoutable", json!(true)),
        ("listviewable", Value::Null),
        ("lookupLayoutable", Value::Null),
        ("namedLayoutInfos", json!([])),
        ("networkScopeFieldName", Value::Null),
        ("searchLayoutable", json!(true)),
        ("sobjectDescribeOption", json!("FULL")),
        (
            "supportedScopes",
            json!([{ "label": "All", "name": "everything" }]),
        ),
    ] {
        whole[name] = value;
    }
    Answer::json(200, &whole)
}

fn short(object: &Object, version: &str, api: Api) -> Value {
    let name = &object.name;
    let url = format!("/services/data/v{version}/{}sobjects/{name}", api.path());
    let mut short = json!({
        "custom": object.custom,
        "keyPrefix": (!object.prefix.is_empty()).then_some(&object.prefix),
        "label": object.label,
        "labelPlural": object.plural,
        "name": name,
        "urls": { "rowTemplate": format!("{url}/{{ID}}"), "describe": format!("{url}/describe"), "sobject": url },
    });
    // The simulator's user reads and never writes; what it could do in a real org stands here all the same.
    for (flag, value) in [
        ("activateable", false),
        ("createable", true),
        ("customSetting", false),
        ("deletable", true),
        ("deprecatedAndHidden", false),
        ("feedEnabled", false),
        ("hasSubtypes", false),
        ("isInterface", false),
        ("isSubtype", false),
        ("layoutable", true),
        ("mergeable", false),
        ("mruEnabled", false),
        ("queryable", true),
        ("replicateable", true),
        ("retrieveable", true),
        ("searchable", true),
        ("triggerable", true),
        ("undeletable", true),
        ("updateable", true),
    ] {
        short[flag] = value.into();
    }
    short
}

fn children(all: &[Object], name: &str) -> Vec<Value> {
    let refers = |field: &Field| field.target.as_ref().is_some_and(|(target, _)| target == name);
    all.iter()
        .flat_map(|child| child.fields.iter().map(move |field| (child, field)))
        .filter(|(_, field)| refers(field))
        .map(|(child, field)| {
            json!({
                "cascadeDelete": false, "childSObject": child.name, "deprecatedAndHidden": false,
                "field": field.name, "junctionIdListNames": [], "junctionReferenceTo": [],
                "relationshipName": null, "restrictedDelete": false,
            })
        })
        .collect()
}

fn field(field: &Field) -> Value {
    let kind = field.kind.as_str();
    let text = matches!(
        kind,
        "string" | "textarea" | "picklist" | "multipicklist" | "email" | "url" | "phone"
    );
    let number = matches!(kind, "double" | "currency" | "percent");
    let length = match kind {
        "id" | "reference" => 18,
        "textarea" => 32_000,
        _ if text => 255,
        _ => 0,
    };
    let (targets, way) = match &field.target {
        Some((target, way)) => (json!([target]), json!(way)),
        None => (json!([]), Value::Null),
    };
    let mut whole = json!({
        "byteLength": length * 3,
        "custom": field.custom,
        "digits": if kind == "int" { 8 } else { 0 },
        "label": field.name.trim_end_matches("__c").replace('_', " "),
        "length": length,
        "name": field.name,
        "nillable": kind != "id",
        "picklistValues": [],
        "precision": if number { 18 } else { 0 },
        "referenceTo": targets,
        "relationshipName": way,
        "scale": if number { 2 } else { 0 },
        "soapType": soap_type(kind),
        "type": kind,
    });
    for (name, value) in [
        ("aggregatable", true),
        ("autoNumber", false),
        ("calculated", false),
        ("cascadeDelete", false),
        ("caseSensitive", false),
        ("createable", false),
        ("defaultedOnCreate", kind == "id"),
        ("dependentPicklist", false),
        ("deprecatedAndHidden", false),
        ("externalId", false),
        ("filterable", kind != "textarea"),
        ("groupable", text && kind != "textarea"),
        ("htmlFormatted", false),
        ("idLookup", kind == "id"),
        ("nameField", field.name == "Name"),
        ("namePointing", false),
        ("permissionable", field.custom),
        ("polymorphicForeignKey", false),
        ("queryByDistance", false),
        ("restrictedDelete", false),
        ("restrictedPicklist", false),
        ("sortable", kind != "textarea"),
        ("unique", false),
        ("updateable", false),
        ("writeRequiresMasterRead", false),
    ] {
        whole[name] = value.into();
    }
    for name in [
        "calculatedFormula",
        "compoundFieldName",
        "controllerName",
        "defaultValue",
        "defaultValueFormula",
        "extraTypeInfo",
        "filteredLookupInfo",
        "inlineHelpText",
        "mask",
        "maskType",
        "referenceTargetField",
        "relationshipOrder",
    ] {
        whole[name] = Value::Null;
    }
    whole
}

fn soap_type(kind: &str) -> &'static str {
    match kind {
        "id" | "reference" => "tns:ID",
        "boolean" => "xsd:boolean",
        "int" => "xsd:int",
        "double" | "currency" | "percent" => "xsd:double",
        "date" => "xsd:date",
        "datetime" => "xsd:dateTime",
        _ => "xsd:string",
    }
}
