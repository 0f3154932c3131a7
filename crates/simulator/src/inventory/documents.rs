//! Generated files that are a single XML document without children: profiles, layouts, reports, flows and the like.
//!
//! Of the sizes that such files have in a middling org, and with references that exist (`references`).

use super::{
    MemberId,
    content::yes,
    generated::GeneratedOrg,
    markup::{Markup, talk},
    references::References,
};
use crate::mix::Numbers;

/// Rows of a profile about classes, fields and objects; a permission set has a quarter of them.
const CLASS_ROWS: u32 = 40;
const FIELD_ROWS: u32 = 120;
const OBJECT_ROWS: u32 = 40;

/// A single XML file without children.
pub(super) fn document(org: &GeneratedOrg, member: MemberId, name: &str, numbers: &mut Numbers) -> Vec<u8> {
    let kind = member.kind;
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
    let references = References::of(org);
    match kind.name() {
        "Profile" => permissions(&references, 1, name, numbers, &mut xml),
        "PermissionSet" => permissions(&references, 4, name, numbers, &mut xml),
        "Layout" => layout(&references, member.slot, numbers, &mut xml),
        "Report" | "Dashboard" => report(&references, member.slot, name, numbers, &mut xml),
        "Flow" => flow(&references, member.slot, name, numbers, &mut xml),
        "QuickAction" => {
            xml.leaf("label", name)
                .leaf("targetObject", &references.object(member.slot + 1))
                .leaf("type", "Create");
            for nth in 0..4 {
                if let Some(field) = references.field(member.slot + 1, nth) {
                    xml.group("fieldOverrides", &[("field", &field)]);
                }
            }
        }
        "FlexiPage" => {
            for region in 0..4 {
                xml.open("flexiPageRegions")
                    .leaf("name", &format!("region_{region}"))
                    .leaf("type", "Region");
                if let Some(tile) = references.one("LightningComponentBundle", numbers) {
                    xml.open("itemInstances");
                    xml.group("componentInstance", &[("componentName", &tile)]);
                    xml.close();
                }
                xml.close();
            }
            xml.leaf("masterLabel", name)
                .leaf("sobjectType", &references.object(member.slot))
                .leaf("type", "RecordPage");
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

/// What a profile or, with a quarter of it, a permission set allows.
fn permissions(references: &References<'_>, part: u32, name: &str, numbers: &mut Numbers, xml: &mut Markup) {
    for class in references.first("ApexClass", CLASS_ROWS / part) {
        xml.group(
            "classAccesses",
            &[("apexClass", &class), ("enabled", yes(numbers))],
        );
    }
    for field in references.first("CustomField", FIELD_ROWS / part) {
        let rights = [
            ("editable", yes(numbers)),
            ("field", field.as_str()),
            ("readable", "true"),
        ];
        xml.group("fieldPermissions", &rights);
    }
    for object in references.first("CustomObject", OBJECT_ROWS / part) {
        let rights = [
            ("allowCreate", yes(numbers)),
            ("allowRead", "true"),
            ("object", object.as_str()),
        ];
        xml.group("objectPermissions", &rights);
    }
    xml.leaf("label", name);
}

/// Sections with the fields of the layout's object.
fn layout(references: &References<'_>, slot: u32, numbers: &mut Numbers, xml: &mut Markup) {
    let object = references.object(slot);
    for section in 0..4 {
        xml.open("layoutSections")
            .leaf("customLabel", "true")
            .leaf("label", &format!("Part {section} of {object}"));
        xml.open("layoutColumns");
        for nth in 0..6 {
            let field = references
                .field(slot, section * 6 + nth)
                .unwrap_or_else(|| "OwnerId".to_owned());
            xml.group(
                "layoutItems",
                &[
                    (
                        "behavior",
                        if numbers.below(9) == 0 { "Required" } else { "Edit" },
                    ),
                    ("field", &field),
                ],
            );
        }
        xml.close().leaf("style", "TwoColumnsTopToBottom").close();
    }
}

/// Columns and filters on an object's fields.
fn report(references: &References<'_>, slot: u32, name: &str, numbers: &mut Numbers, xml: &mut Markup) {
    let object = references.object(slot);
    let column = |nth: u32| {
        let field = references.field(slot, nth).unwrap_or_else(|| "Name".to_owned());
        format!("{object}.{field}")
    };
    for nth in 0..8 {
        xml.group("columns", &[("field", &column(nth))]);
    }
    xml.open("filter");
    for nth in 0..3 {
        let items = [
            ("column", column(nth)),
            ("operator", "equals".to_owned()),
            ("value", talk(numbers, 20)),
        ];
        let items = items.each_ref().map(|(leaf, text)| (*leaf, text.as_str()));
        xml.group("criteriaItems", &items);
    }
    xml.close();
    xml.leaf("format", "Summary")
        .leaf("name", name.rsplit('/').next().unwrap_or(name))
        .leaf("reportType", &format!("CustomEntity${object}"));
}

/// Steps that look a record up, set its fields and call a class.
fn flow(references: &References<'_>, slot: u32, name: &str, numbers: &mut Numbers, xml: &mut Markup) {
    let object = references.object(slot);
    for step in 0..6 {
        let (label, next) = (talk(numbers, 60), format!("step_{}", step + 1));
        xml.open("recordUpdates")
            .leaf("name", &format!("step_{step}"))
            .leaf("label", &label);
        xml.group("connector", &[("targetReference", &next)]);
        for nth in 0..3 {
            let field = references
                .field(slot, step * 3 + nth)
                .unwrap_or_else(|| "Name".to_owned());
            xml.group(
                "inputAssignments",
                &[("field", &field), ("value", "$Flow.CurrentDate")],
            );
        }
        xml.leaf("object", &object).close();
    }
    if let Some(class) = references.one("ApexClass", numbers) {
        xml.group(
            "actionCalls",
            &[
                ("name", "step_6"),
                ("label", "Call"),
                ("actionName", &class),
                ("actionType", "apex"),
            ],
        );
    }
    xml.leaf("label", name).leaf("processType", "AutoLaunchedFlow");
    xml.group(
        "start",
        &[
            ("object", &object),
            ("recordTriggerType", "Create"),
            ("triggerType", "RecordAfterSave"),
        ],
    );
    xml.leaf("status", "Active");
}
