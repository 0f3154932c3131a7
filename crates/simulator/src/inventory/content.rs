//! The files of generated components: one to four kilobytes each unless the org is to weigh more, worked out from
//! seed, night and number.
//!
//! A file depends only on its own component's night and on names of the first night, never on what became of other
//! components: else one deletion would change files that nobody touched. Objects and other files with children are
//! written by `objects`, the longer single files here.

use super::{
    Inventory, MemberId, Part, SourceFile, documents,
    generated::GeneratedOrg,
    markup::{Markup, talk},
    objects,
    place::file_name,
    references::References,
};
use crate::{
    mix::{Numbers, mix},
    types::{Shape, TypeId},
};

const LIGHTNING: [&str; 4] = [".js", ".html", ".css", ".js-meta.xml"];
const AURA: [&str; 4] = [".cmp", ".cmp-meta.xml", "Controller.js", "Helper.js"];

/// How many files a member of the type has.
pub(crate) fn file_count(kind: TypeId) -> usize {
    match kind.row().shape {
        Shape::Bundle => 4,
        Shape::Meta | Shape::Document => 2,
        Shape::File | Shape::Folder | Shape::Child => 1,
    }
}

/// The files of a member, or of the asked part of it.
pub(crate) fn files(org: &GeneratedOrg, member: MemberId, part: &Part) -> Vec<SourceFile> {
    let name = org.describe(member).full_name;
    let kind = member.kind;
    let path = file_name(kind, &name);
    let one = |path: String, bytes: Vec<u8>| SourceFile { path, bytes };
    let mut numbers = Numbers::new(mix(org.number(member), u64::from(org.generation_of(member))));
    match kind.row().shape {
        Shape::Folder => vec![one(format!("{path}-meta.xml"), folder(kind, &name, &mut numbers))],
        Shape::Meta | Shape::Document => vec![
            one(path.clone(), body(kind, &name, org, member, &mut numbers)),
            one(format!("{path}-meta.xml"), meta(kind, &name, &mut numbers)),
        ],
        Shape::Bundle => bundle(kind, &name, org, member, &mut numbers),
        Shape::Child => Vec::new(),
        Shape::File if kind.children().is_empty() => {
            vec![one(path, documents::document(org, member, &name, &mut numbers))]
        }
        Shape::File => vec![one(path, objects::file(org, member, part, &mut numbers))],
    }
}

fn folder(kind: TypeId, name: &str, numbers: &mut Numbers) -> Vec<u8> {
    let mut xml = Markup::document(kind.name());
    xml.leaf("accessType", "Public");
    if matches!(kind.name(), "ReportFolder" | "DashboardFolder") {
        let share = [
            ("accessLevel", "Manage"),
            ("sharedTo", "AllInternalUsers"),
            ("sharedToType", "Group"),
        ];
        xml.group("folderShares", &share);
    }
    xml.leaf(
        "name",
        &format!(
            "{} {}",
            name.rsplit('/').next().unwrap_or(name),
            talk(numbers, 40)
        ),
    );
    if kind.name() != "ReportFolder" {
        xml.leaf("publicFolderAccess", "ReadOnly");
    }
    xml.finish()
}

fn meta(kind: TypeId, name: &str, numbers: &mut Numbers) -> Vec<u8> {
    let mut xml = Markup::document(if kind.row().shape == Shape::Document {
        "Document"
    } else {
        kind.name()
    });
    match kind.name() {
        "ApexClass" | "ApexTrigger" => xml.leaf("apiVersion", "60.0").leaf("status", "Active"),
        "EmailTemplate" => {
            xml.leaf("available", "true")
                .leaf("description", &talk(numbers, 120))
                .leaf("encodingKey", "UTF-8");
            xml.leaf("name", name)
                .leaf("style", "none")
                .leaf("subject", &talk(numbers, 40))
                .leaf("type", "text")
        }
        "StaticResource" => xml
            .leaf("cacheControl", "Public")
            .leaf("contentType", "text/plain"),
        _ => xml.leaf("description", &talk(numbers, 120)).leaf("label", name),
    };
    xml.finish()
}

/// A body of code or text that says in which night it was written.
fn body(kind: TypeId, name: &str, org: &GeneratedOrg, member: MemberId, numbers: &mut Numbers) -> Vec<u8> {
    let generation = org.generation_of(member);
    let plain = name.rsplit('/').next().unwrap_or(name);
    let length = (600 + numbers.below(1_800)).max(org.weight);
    let references = References::of(org);
    let mut text = match kind.name() {
        "ApexClass" => format!("/** night {generation} */\npublic with sharing class {plain} {{\n"),
        "ApexTrigger" => {
            let object = references.object(member.slot);
            format!("/** night {generation} */\ntrigger {plain} on {object} (before insert) {{\n")
        }
        "ApexPage" => {
            let controller = references.one("ApexClass", numbers).unwrap_or_default();
            format!("<apex:page controller=\"{controller}\">\n<!-- night {generation} -->\n")
        }
        "ApexComponent" => format!("<apex:component>\n<!-- night {generation} -->\n"),
        _ => format!("{plain}, night {generation}\n"),
    };
    while text.len() < length {
        let number = numbers.below(1_000);
        let sentence = talk(numbers, 50);
        let line = match kind.name() {
            "ApexClass" => method(&references, number as u32, &sentence, numbers),
            "ApexTrigger" => {
                let called = references.one("ApexClass", numbers).unwrap_or_default();
                format!("    // {sentence}\n    new {called}().step{number}({number});\n")
            }
            "ApexPage" | "ApexComponent" => {
                format!("<p title=\"{number}\">{}</p>\n", sentence.replace('&', "and"))
            }
            _ => format!("{sentence}\n"),
        };
        text.push_str(&line);
    }
    text.push_str(match kind.name() {
        "ApexClass" | "ApexTrigger" => "}\n",
        "ApexPage" => "</apex:page>\n",
        "ApexComponent" => "</apex:component>\n",
        _ => "\n",
    });
    text.into_bytes()
}

/// A method that works with a record of the org and calls another class.
fn method(references: &References<'_>, number: u32, sentence: &str, numbers: &mut Numbers) -> String {
    let object = references.object(number);
    let field = references
        .field(number, number / 7)
        .unwrap_or_else(|| "Name".to_owned());
    let called = references.one("ApexClass", numbers).unwrap_or_default();
    format!(
        "    // {sentence}\n    public Integer step{number}(Integer given) {{\n        {object} record = [SELECT {field} FROM {object} LIMIT 1];\n        \
         return new {called}().step{number}(given + {number});\n    }}\n"
    )
}

fn bundle(
    kind: TypeId,
    name: &str,
    org: &GeneratedOrg,
    member: MemberId,
    numbers: &mut Numbers,
) -> Vec<SourceFile> {
    let generation = org.generation_of(member);
    let endings = if kind.name() == "AuraDefinitionBundle" {
        AURA
    } else {
        LIGHTNING
    };
    endings
        .iter()
        .map(|ending| {
            let main = *ending == endings[0];
            let sentence = talk(numbers, if main { org.weight.max(500) } else { 500 });
            let bytes = match *ending {
                ".js-meta.xml" | ".cmp-meta.xml" => {
                    let aura = kind.name() == "AuraDefinitionBundle";
                    let mut xml = Markup::document(kind.name());
                    xml.leaf("apiVersion", "60.0").leaf("description", &sentence);
                    if !aura {
                        xml.leaf("isExposed", "true").leaf("masterLabel", name);
                    }
                    xml.finish()
                }
                ".html" => format!(
                    "<template>\n    <p>{}</p>\n</template>\n",
                    sentence.replace('&', "and")
                )
                .into(),
                ".cmp" => format!(
                    "<aura:component>\n    <p>{}</p>\n</aura:component>\n",
                    sentence.replace('&', "and")
                )
                .into(),
                ".css" => format!(".tile {{ margin: {}px; }} /* {sentence} */\n", numbers.below(40)).into(),
                _ => format!(
                    "// night {generation}: {sentence}\nexport default {};\n",
                    numbers.below(1_000)
                )
                .into(),
            };
            SourceFile {
                path: format!("{}/{name}/{name}{ending}", kind.row().directory),
                bytes,
            }
        })
        .collect()
}

pub(super) fn yes(numbers: &mut Numbers) -> &'static str {
    if numbers.below(2) == 0 { "true" } else { "false" }
}
