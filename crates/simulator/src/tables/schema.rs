//! Which objects an org has, and which fields each has.
//!
//! Standard objects stand in the two tables of this folder. The data API adds the custom objects of the inventory and
//! the custom fields of any object, with the types that their own files tell.

use std::{collections::HashMap, sync::LazyLock};

use super::Api;
use crate::{
    inventory::{
        MemberId, Part, is_custom_name,
        layers::{Pick, Snapshot},
    },
    types::TypeId,
    xml::Element,
};

/// One object, with the fields that it has in one org.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub name: String,
    /// First three characters of its ids; empty when its rows have none.
    pub prefix: String,
    pub label: String,
    pub plural: String,
    pub custom: bool,
    pub fields: Vec<Field>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    pub name: String,
    /// In the words of a describe: `string`, `reference`, ...
    pub kind: String,
    /// Of a reference: the object, and the name of the way to it.
    pub target: Option<(String, String)>,
    pub custom: bool,
}

struct Standard {
    apis: &'static str,
    object: Object,
}

static STANDARD: LazyLock<Vec<Standard>> =
    LazyLock::new(|| read(include_str!("objects.tsv"), include_str!("fields.tsv")));

fn read(objects: &'static str, fields: &'static str) -> Vec<Standard> {
    let mut by_owner: HashMap<&str, Vec<Field>> = HashMap::new();
    for line in fields.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let target = (!columns[3].is_empty()).then(|| (columns[3].to_owned(), columns[4].to_owned()));
        by_owner
            .entry(columns[0])
            .or_default()
            .push(field(columns[1], columns[2], target));
    }
    let of = |owner: &str| by_owner.get(owner).cloned().unwrap_or_default();
    objects
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let mut fields = of(columns[0]);
            fields.extend(columns[5].split_whitespace().flat_map(of));
            Standard {
                apis: columns[1],
                object: Object {
                    name: columns[0].to_owned(),
                    prefix: columns[2].to_owned(),
                    label: columns[3].to_owned(),
                    plural: columns[4].to_owned(),
                    custom: false,
                    fields,
                },
            }
        })
        .collect()
}

fn field(name: &str, kind: &str, target: Option<(String, String)>) -> Field {
    Field {
        name: name.to_owned(),
        kind: kind.to_owned(),
        target,
        custom: false,
    }
}

fn standard(api: Api) -> impl Iterator<Item = &'static Object> {
    let word = match api {
        Api::Data => "data",
        Api::Tooling => "tooling",
    };
    STANDARD
        .iter()
        .filter(move |standard| standard.apis == word || standard.apis == "both")
        .map(|standard| &standard.object)
}

/// Every object of an API, without the fields of custom ones: the standard ones, then those of the org.
pub(crate) fn objects(snapshot: &Snapshot, api: Api) -> Vec<Object> {
    let mut all: Vec<Object> = standard(api).cloned().collect();
    if api == Api::Data {
        let own = snapshot.list("CustomObject", None).into_iter();
        all.extend(own.filter_map(|pick| {
            let listed = snapshot.delivered(pick);
            let known = standard(api).any(|object| object.name == listed.full_name);
            (!known).then(|| of_the_org(&listed.full_name, &listed.id))
        }));
    }
    all
}

/// The object of that name, whatever its case, with all its fields.
pub(crate) fn object(snapshot: &Snapshot, api: Api, name: &str) -> Option<Object> {
    let found = standard(api).find(|object| object.name.eq_ignore_ascii_case(name));
    let mut object = match found {
        Some(object) => object.clone(),
        None => objects(snapshot, api)
            .into_iter()
            .find(|object| object.name.eq_ignore_ascii_case(name))?,
    };
    if api == Api::Data {
        object.fields.extend(custom_fields(snapshot, &object.name));
    }
    Some(object)
}

/// An object that only the inventory knows: a custom one, or a standard one that people have changed.
fn of_the_org(name: &str, id: &str) -> Object {
    let custom = is_custom_name(name);
    let label = name.trim_end_matches("__c").replace('_', " ");
    let mut fields = vec![
        field("Id", "id", None),
        field("Name", "string", None),
        field("IsDeleted", "boolean", None),
        field(
            "OwnerId",
            "reference",
            Some(("User".to_owned(), "Owner".to_owned())),
        ),
    ];
    let audited = standard(Api::Data).find(|object| object.name == "Account");
    fields.extend(
        audited
            .into_iter()
            .flat_map(|object| &object.fields)
            .filter(|field| field.name.ends_with("Date") || field.name.ends_with("ById"))
            .cloned(),
    );
    Object {
        name: name.to_owned(),
        prefix: format!("a{}", id.get(13..15).unwrap_or("00")),
        plural: format!("{label}s"),
        label,
        custom,
        fields,
    }
}

/// The custom fields of an object, with their types, as its file tells them.
fn custom_fields(snapshot: &Snapshot, object: &str) -> Vec<Field> {
    let Some(Pick::Base(parent)) = snapshot.find("CustomObject", object) else {
        return Vec::new();
    };
    // Of a standard object only the custom fields are wanted; the file of either holds them all.
    let text = file_of(snapshot, parent, &Part::Whole);
    let Some(file) = text.and_then(|text| Element::parse(&text).ok()) else {
        return Vec::new();
    };
    file.all("fields")
        .filter(|element| is_custom_name(element.text_of("fullName")))
        .map(|element| Field {
            name: element.text_of("fullName").to_owned(),
            kind: described_type(element.text_of("type")).to_owned(),
            target: target_of(element),
            custom: true,
        })
        .collect()
}

/// The only file of a member, or of a part of it.
pub(super) fn file_of(snapshot: &Snapshot, member: MemberId, part: &Part) -> Option<String> {
    let file = snapshot
        .files(Pick::Base(member), part)
        .ok()?
        .into_iter()
        .next()?;
    String::from_utf8(file.bytes).ok()
}

fn target_of(element: &Element) -> Option<(String, String)> {
    let target = element.text_of("referenceTo");
    let way = element.text_of("fullName").replace("__c", "__r");
    (!target.is_empty()).then(|| (target.to_owned(), way))
}

/// A field's type in a file, in the words of a describe.
fn described_type(kind: &str) -> &'static str {
    match kind {
        "Checkbox" => "boolean",
        "Number" | "Summary" => "double",
        "Currency" => "currency",
        "Percent" => "percent",
        "Date" => "date",
        "DateTime" => "datetime",
        "Lookup" | "MasterDetail" | "Hierarchy" | "MetadataRelationship" => "reference",
        "Picklist" => "picklist",
        "MultiselectPicklist" => "multipicklist",
        "LongTextArea" | "TextArea" | "Html" => "textarea",
        "Email" => "email",
        "Phone" => "phone",
        "Url" => "url",
        _ => "string",
    }
}

/// The type of that name, when the simulator's table has it.
pub(super) fn metadata_type(object: &str) -> Option<TypeId> {
    TypeId::named(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_to_an_object_of_the_same_api() {
        for api in [Api::Data, Api::Tooling] {
            for object in standard(api) {
                assert!(!object.fields.is_empty(), "{} has no field", object.name);
                for (target, way) in object.fields.iter().filter_map(|field| field.target.as_ref()) {
                    let there = standard(api).any(|other| other.name == *target);
                    assert!(there && !way.is_empty(), "{}: {target}", object.name);
                }
            }
        }
    }

    #[test]
    fn every_owner_of_a_field_is_an_object_or_a_group() {
        let owners: Vec<&str> = include_str!("fields.tsv")
            .lines()
            .skip(1)
            .filter_map(|line| line.split('\t').next())
            .collect();
        for owner in owners {
            let known = owner.starts_with('+') || STANDARD.iter().any(|one| one.object.name == owner);
            assert!(known, "{owner}");
        }
    }
}
