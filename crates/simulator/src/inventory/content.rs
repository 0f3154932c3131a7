//! The files of generated components: one to four kilobytes each unless the org is to weigh more, worked out from
//! seed, night and number.
//!
//! A file depends only on its own component's night and on names of the first night, never on what became of other
//! components: else one deletion would change files that nobody touched. Objects and other files with children are
//! written by `objects`, the longer single files here.

use super::{
    Inventory, MemberId, Part, SourceFile,
    generated::GeneratedOrg,
    markup::{Markup, talk},
    objects,
    place::file_name,
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
            vec![one(path, document(org, member, &name, &mut numbers))]
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
    let mut text = match kind.name() {
        "ApexClass" => format!("/** night {generation} */\npublic with sharing class {plain} {{\n"),
        "ApexTrigger" => {
            format!("/** night {generation} */\ntrigger {plain} on Account (before insert) {{\n")
        }
        "ApexPage" => format!("<apex:page>\n<!-- night {generation} -->\n"),
        "ApexComponent" => format!("<apex:component>\n<!-- night {generation} -->\n"),
        _ => format!("{plain}, night {generation}\n"),
    };
    while text.len() < length {
        let number = numbers.below(1_000);
        let sentence = talk(numbers, 50);
        let line = match kind.name() {
            "ApexClass" => format!(
                "    // {sentence}\n    public Integer step{number}(Integer given) {{\n        return given + {number};\n    }}\n"
            ),
            "ApexTrigger" => format!("    // {sentence}\n    System.debug({number});\n"),
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

/// A single XML file without children.
fn document(org: &GeneratedOrg, member: MemberId, name: &str, numbers: &mut Numbers) -> Vec<u8> {
    let kind = member.kind;
    let names = org.names();
    let root = if kind.name() == "Settings" {
        format!("{name}Settings")
    } else {
        kind.name().to_owned()
    };
    let mut xml = Markup::document(&root);
    xml.leaf(
        "description",
        &format!("Night {}: {}", org.generation_of(member), talk(numbers, 200)),
    );
    let many = |wanted: &str, at_most: u32| {
        let kind = TypeId::named(wanted);
        let have = kind
            .and_then(|kind| org.base.get(&kind))
            .copied()
            .unwrap_or(0)
            .min(at_most);
        kind.into_iter()
            .flat_map(move |kind| (0..have).map(move |slot| (kind, slot)))
            .collect::<Vec<_>>()
    };
    match kind.name() {
        "Profile" | "PermissionSet" => {
            let rows = if kind.name() == "Profile" { 12 } else { 6 };
            for (of, slot) in many("ApexClass", rows) {
                xml.group(
                    "classAccesses",
                    &[("apexClass", &names.name(of, slot)), ("enabled", yes(numbers))],
                );
            }
            for (of, slot) in many("CustomField", rows) {
                let field = names.name(of, slot);
                xml.group(
                    "fieldPermissions",
                    &[
                        ("editable", yes(numbers)),
                        ("field", &field),
                        ("readable", "true"),
                    ],
                );
            }
            for (of, slot) in many("CustomObject", rows) {
                let object = names.name(of, slot);
                let rights = [
                    ("allowCreate", yes(numbers)),
                    ("allowRead", "true"),
                    ("object", object.as_str()),
                ];
                xml.group("objectPermissions", &rights);
            }
            xml.leaf("label", name);
        }
        "Layout" => {
            let object = names.object(member.slot);
            for section in 0..3 {
                xml.open("layoutSections")
                    .leaf("customLabel", "true")
                    .leaf("label", &format!("Part {section} of {object}"));
                xml.open("layoutColumns");
                for _ in 0..4 {
                    let field = format!("{}_{}__c", names.word(kind, member.slot), numbers.below(500));
                    xml.group("layoutItems", &[("behavior", "Edit"), ("field", &field)]);
                }
                xml.close().leaf("style", "TwoColumnsTopToBottom").close();
            }
        }
        "Report" | "Dashboard" => {
            for _ in 0..6 {
                xml.group("columns", &[("field", &talk(numbers, 14).replace(' ', "_"))]);
            }
            xml.leaf("format", "Summary")
                .leaf("name", name.rsplit('/').next().unwrap_or(name));
        }
        "Flow" => {
            for step in 0..4 {
                let label = talk(numbers, 60);
                xml.open("assignments")
                    .leaf("name", &format!("step_{step}"))
                    .leaf("label", &label);
                xml.group(
                    "assignmentItems",
                    &[("assignToReference", "amount"), ("operator", "Add")],
                );
                xml.close();
            }
            xml.leaf("label", name)
                .leaf("processType", "AutoLaunchedFlow")
                .leaf("status", "Active");
        }
        "CustomMetadata" => {
            xml.leaf("label", name);
            for field in 0..4 {
                xml.group(
                    "values",
                    &[
                        ("field", &format!("Field_{field}__c")),
                        ("value", &talk(numbers, 60)),
                    ],
                );
            }
        }
        "StandardValueSet" | "GlobalValueSet" => {
            for value in 0..6 {
                let label = format!("{} {value}", talk(numbers, 12));
                xml.group(
                    "standardValue",
                    &[("fullName", &label), ("default", "false"), ("label", &label)],
                );
            }
        }
        _ => {
            xml.leaf("label", name);
            for _ in 0..5 {
                xml.leaf("note", &talk(numbers, 120));
            }
        }
    }
    // records, settings and value sets are short in every org: Salesforce bounds what they may hold
    if !matches!(kind.name(), "CustomMetadata" | "Settings" | "StandardValueSet") {
        xml.fill(org.weight, numbers);
    }
    xml.finish()
}

pub(super) fn yes(numbers: &mut Numbers) -> &'static str {
    if numbers.below(2) == 0 { "true" } else { "false" }
}
