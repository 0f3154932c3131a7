//! Generated files that hold children: objects with their fields, workflows with their rules, labels.
//!
//! Each child is written from its own number and its own night, so that its element stays the same, byte for byte,
//! whatever happens to its parent and its siblings.

use super::{
    MemberId, Part,
    generated::GeneratedOrg,
    markup::{Markup, talk},
    references::References,
};
use crate::mix::{Numbers, mix};

/// The file of a member with children, or of the asked ones alone.
pub(crate) fn file(org: &GeneratedOrg, member: MemberId, part: &Part, numbers: &mut Numbers) -> Vec<u8> {
    let mut xml = Markup::document(member.kind.name());
    let children = match part {
        Part::Whole => {
            own_elements(org, member, numbers, &mut xml);
            org.children_of(member)
        }
        Part::Children(children) => children.clone(),
    };
    for child in children {
        element(org, child, &mut xml);
    }
    xml.finish()
}

/// What belongs to the parent itself: only objects have anything.
fn own_elements(org: &GeneratedOrg, member: MemberId, numbers: &mut Numbers, xml: &mut Markup) {
    if member.kind.name() != "CustomObject" {
        return;
    }
    let name = org.names().object(member.slot);
    xml.leaf(
        "description",
        &format!("Night {}: {}", org.generation_of(member), talk(numbers, 200)),
    );
    xml.leaf("enableReports", "true");
    if name.ends_with("__c") {
        xml.leaf("deploymentStatus", "Deployed")
            .leaf("label", &name)
            .leaf("pluralLabel", &format!("{name}s"));
        xml.group("nameField", &[("label", "Name"), ("type", "Text")]);
        xml.leaf("sharingModel", "ReadWrite");
    }
    xml.fill(org.weight, numbers);
}

fn element(org: &GeneratedOrg, child: MemberId, xml: &mut Markup) {
    let night = org.generation_of(child);
    let mut numbers = Numbers::new(mix(org.number(child), u64::from(night)));
    let key = org.names().key(child.kind, child.slot);
    let parent = org.names().parent_slot(child.kind, child.slot);
    let references = References::of(org);
    let field = references
        .field(parent, numbers.below(50) as u32)
        .unwrap_or_else(|| "Name".to_owned());
    let told = format!("Night {night}: {}", talk(&mut numbers, 120));
    xml.open(child.kind.row().element).leaf("fullName", &key);
    match child.kind.name() {
        "CustomField" => {
            xml.leaf("description", &told)
                .leaf("label", &key.replace("__c", "").replace('_', " "));
            match numbers.below(4) {
                0 => xml.leaf("length", "80").leaf("type", "Text"),
                1 => xml
                    .leaf("precision", "18")
                    .leaf("scale", "2")
                    .leaf("type", "Currency"),
                2 => xml
                    .leaf("referenceTo", &references.object(numbers.below(10_000) as u32))
                    .leaf("relationshipName", &key.replace("__c", ""))
                    .leaf("type", "Lookup"),
                _ => xml
                    .leaf("formula", &format!("IF(ISBLANK({field}), \"a\", 'b')"))
                    .leaf("type", "Text"),
            };
        }
        "ValidationRule" => {
            xml.leaf("active", "true").leaf("description", &told);
            xml.leaf(
                "errorConditionFormula",
                &format!("ISBLANK({field}) && NOT(ISNEW())"),
            );
            xml.leaf("errorMessage", &talk(&mut numbers, 60));
        }
        "ListView" => {
            xml.leaf("columns", "NAME")
                .leaf("filterScope", "Everything")
                .leaf("label", &told);
        }
        "CustomLabel" => {
            xml.leaf("language", "en_US")
                .leaf("protected", "false")
                .leaf("shortDescription", &key);
            xml.leaf("value", &told);
        }
        "WorkflowRule" => {
            xml.leaf("active", "true")
                .leaf("description", &told)
                .leaf("formula", "true");
            xml.leaf("triggerType", "onCreateOnly");
        }
        _ => {
            xml.leaf("description", &told).leaf("label", &key);
        }
    }
    xml.close();
}
