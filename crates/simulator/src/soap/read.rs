//! readMetadata and describeValueType: definitions by name, without a retrieve.
//!
//! A record holds what the member's file holds below its root; a member that is not there leaves an empty record in its
//! place. Members of code and of bundles bring the content of their main file in base64. A child is cut out of its
//! parent's file.

use super::{
    envelope::{fault, response},
    list::no_such_type,
};
use crate::{
    http::Answer,
    inventory::{
        Part, SourceFile,
        layers::{Pick, Snapshot},
    },
    org::Org,
    types::{Shape, TypeId},
    xml::{Element, escape, inside},
};
use base64::{Engine, engine::general_purpose::STANDARD};

const MOST_NAMES: usize = 10;
/// Of the types that are short.
const MOST_SHORT: usize = 200;
const SHORT: [&str; 2] = ["CustomMetadata", "CustomApplication"];

/// Answers readMetadata.
pub(crate) fn answer(org: &Org, body: &Element) -> Answer {
    let kind = body.text_of("type");
    let names: Vec<&str> = body.all("fullNames").map(|name| name.text.trim()).collect();
    let most = if SHORT.contains(&kind) {
        MOST_SHORT
    } else {
        MOST_NAMES
    };
    if names.len() > most {
        let text = format!("record limit reached. cannot submit more than {most} records in this operation");
        return fault("EXCEEDED_ID_LIMIT", &text);
    }
    let snapshot = org.snapshot();
    if let Some(refused) = no_such_type(&snapshot, kind) {
        return refused;
    }
    let records: String = names
        .iter()
        .map(|name| record(&snapshot, kind, name).unwrap_or_else(|| NONE.to_owned()))
        .collect();
    response("readMetadata", &format!("<result>{records}</result>"))
}

/// What stands for a member that is not there.
const NONE: &str = "<records xsi:nil=\"true\"/>";

fn record(snapshot: &Snapshot, kind: &str, name: &str) -> Option<String> {
    let pick = snapshot.find(kind, name)?;
    let full_name = snapshot.delivered(pick).full_name;
    let inner = match (snapshot.parent(pick), pick) {
        (Some(parent), Pick::Base(child)) => {
            let files = snapshot
                .files(Pick::Base(parent), &Part::Children(vec![child]))
                .ok()?;
            let text = String::from_utf8(files.into_iter().next()?.bytes).ok()?;
            let element = inside(&text)?;
            without_full_name(inside(element.trim())?)
        }
        _ => definition(snapshot, pick, kind)?,
    };
    Some(format!(
        "<records xsi:type=\"{}\"><fullName>{}</fullName>{inner}</records>",
        escape(kind),
        escape(&full_name)
    ))
}

/// What a member's files say: the XML below its root, and the content of its main file where that is no XML of ours.
fn definition(snapshot: &Snapshot, pick: Pick, kind: &str) -> Option<String> {
    let files = snapshot.files(pick, &Part::Whole).ok()?;
    let shape = TypeId::named(kind).map(|kind| kind.row().shape);
    let has_content = matches!(shape, Some(Shape::Meta | Shape::Document | Shape::Bundle));
    if !has_content {
        let text = String::from_utf8(files.into_iter().next()?.bytes).ok()?;
        return inside(&text).map(without_full_name);
    }
    let is_meta = |file: &&SourceFile| file.path.ends_with("-meta.xml");
    let content = files.iter().find(|file| !is_meta(file));
    let meta = files
        .iter()
        .find(is_meta)
        .and_then(|file| std::str::from_utf8(&file.bytes).ok());
    let mut out = content.map_or_else(String::new, |file| {
        format!("<content>{}</content>", STANDARD.encode(&file.bytes))
    });
    out.push_str(meta.and_then(inside).unwrap_or_default());
    Some(out)
}

/// The record has its name once, in front.
fn without_full_name(inner: &str) -> String {
    let trimmed = inner.trim_start();
    match trimmed
        .strip_prefix("<fullName>")
        .and_then(|rest| rest.split_once("</fullName>"))
    {
        Some((_, rest)) => rest.to_owned(),
        None => inner.to_owned(),
    }
}

/// Answers describeValueType: how members of a type may be handled, and which type their folders are.
pub(crate) fn value_type(body: &Element) -> Answer {
    let asked = body.text_of("type");
    let name = asked.rsplit('}').next().unwrap_or(asked);
    let Some(kind) = TypeId::named(name) else {
        return fault("INVALID_TYPE", &format!("Unknown type:{name}"));
    };
    let field = |name: &str, soap_type: &str, more: &str| {
        format!(
            "<isForeignKey>false</isForeignKey><isNameField>{}</isNameField><minOccurs>0</minOccurs><name>{name}</name>\
             <soapType>{soap_type}</soapType><valueRequired>false</valueRequired>{more}",
            name == "fullName"
        )
    };
    let parent = kind.row().folder_type.map_or_else(String::new, |folder| {
        format!(
            "<parentField><foreignKeyDomain>{}</foreignKeyDomain><isForeignKey>true</isForeignKey>\
             <isNameField>false</isNameField><minOccurs>0</minOccurs><name>folder</name><soapType>string</soapType>\
             <valueRequired>false</valueRequired></parentField>",
            folder.name()
        )
    });
    response(
        "describeValueType",
        &format!(
            "<result><apiCreatable>true</apiCreatable><apiDeletable>true</apiDeletable><apiReadable>true</apiReadable>\
             <apiUpdatable>true</apiUpdatable>{parent}<valueTypeFields>{}</valueTypeFields></result>",
            field("fullName", "string", "")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_its_name_once() {
        assert_eq!(
            without_full_name("\n  <fullName>N</fullName><label>L</label>"),
            "<label>L</label>"
        );
    }
}
