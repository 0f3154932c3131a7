//! What stands in the files of a generated tree: elements, names and proportions as in a real org's.

use std::fmt::Write;

use super::noise::{Noise, Xml};

pub fn object(noise: &mut Noise, fields: usize) -> Vec<u8> {
    let mut xml = Xml::new("CustomObject");
    xml.leaf("deploymentStatus", "Deployed")
        .leaf("description", &noise.sentence(12));
    xml.leaf("enableActivities", noise.yes())
        .leaf("enableReports", "true");
    for n in 0..fields {
        let name = format!("{}__c", noise.nth_name(n * 7));
        xml.open("fields").leaf("fullName", &name);
        xml.leaf("description", &noise.sentence(9))
            .leaf("externalId", "false");
        match noise.below(3) {
            0 => {
                let formula = format!(
                    "IF({} &gt; {}, {}, 0)",
                    noise.custom_name(),
                    noise.below(900),
                    noise.custom_name()
                );
                xml.leaf("formula", &formula)
                    .leaf("formulaTreatBlanksAs", "BlankAsZero");
                xml.leaf("label", &noise.sentence(2))
                    .leaf("precision", "18")
                    .leaf("scale", "2");
                xml.leaf("required", "false").leaf("type", "Currency");
            }
            1 => {
                xml.leaf("label", &noise.sentence(3))
                    .leaf("length", &noise.below(255).to_string());
                xml.leaf("required", noise.yes())
                    .leaf("trackHistory", noise.yes());
                xml.leaf("type", "Text").leaf("unique", "false");
            }
            _ => {
                xml.leaf("inlineHelpText", &noise.sentence(6))
                    .leaf("label", &noise.sentence(2));
                xml.leaf("referenceTo", &noise.custom_name())
                    .leaf("relationshipName", &noise.nth_name(n));
                xml.leaf("required", "false").leaf("type", "Lookup");
            }
        }
        xml.close();
    }
    let label = noise.sentence(2);
    xml.leaf("label", &label)
        .group("nameField", &[("label", "Name"), ("type", "Text")]);
    xml.leaf("pluralLabel", &label).leaf("sharingModel", "ReadWrite");
    xml.finish()
}

/// A profile or a permission set: sorted rows of rights, as Salesforce writes them.
pub fn rights(root: &'static str, noise: &mut Noise, bytes: usize) -> Vec<u8> {
    let mut xml = Xml::new(root);
    let mut n = 0;
    while xml.text.len() < bytes / 6 {
        let class = noise.nth_name(n);
        xml.group(
            "classAccesses",
            &[("apexClass", &class), ("enabled", noise.yes())],
        );
        n += 1;
    }
    xml.leaf("custom", "true");
    while xml.text.len() < bytes * 4 / 5 {
        let field = format!("{}.{}", noise.nth_name(n), noise.custom_name());
        let rights = [
            ("editable", noise.yes()),
            ("field", &field),
            ("readable", noise.yes()),
        ];
        xml.group("fieldPermissions", &rights);
        n += 1;
    }
    xml.leaf("label", &noise.sentence(3));
    while xml.text.len() < bytes {
        let object = format!("{}__c", noise.nth_name(n));
        let rights = [
            ("allowCreate", noise.yes()),
            ("allowDelete", noise.yes()),
            ("allowEdit", noise.yes()),
            ("allowRead", "true"),
            ("modifyAllRecords", "false"),
            ("object", &object),
            ("viewAllRecords", noise.yes()),
        ];
        xml.group("objectPermissions", &rights);
        n += 1;
    }
    xml.finish()
}

pub fn layout(noise: &mut Noise, bytes: usize) -> Vec<u8> {
    let mut xml = Xml::new("Layout");
    xml.leaf("excludeButtons", "Submit");
    while xml.text.len() < bytes {
        xml.open("layoutSections")
            .leaf("customLabel", "true")
            .leaf("detailHeading", noise.yes());
        xml.leaf("label", &noise.sentence(3));
        for _ in 0..2 {
            xml.open("layoutColumns");
            for _ in 0..6 {
                let field = noise.custom_name();
                let behavior = ["Edit", "Readonly", "Required"][noise.below(3)];
                xml.group("layoutItems", &[("behavior", behavior), ("field", &field)]);
            }
            xml.close();
        }
        xml.leaf("style", "TwoColumnsLeftToRight").close();
    }
    xml.leaf("showEmailCheckbox", "false");
    xml.finish()
}

pub fn flow(noise: &mut Noise, bytes: usize) -> Vec<u8> {
    let mut xml = Xml::new("Flow");
    xml.leaf("apiVersion", "60.0");
    let mut n = 0;
    while xml.text.len() < bytes {
        xml.open("decisions")
            .leaf("name", &noise.nth_name(n))
            .leaf("label", &noise.sentence(4));
        xml.leaf("locationX", &noise.below(2_000).to_string())
            .leaf("locationY", &noise.below(9_000).to_string());
        xml.leaf("defaultConnectorLabel", "Default Outcome");
        xml.open("rules")
            .leaf("name", &noise.nth_name(n))
            .leaf("conditionLogic", "and");
        xml.open("conditions")
            .leaf("leftValueReference", &format!("$Record.{}", noise.custom_name()));
        xml.leaf("operator", "EqualTo")
            .group("rightValue", &[("stringValue", &noise.sentence(2))])
            .close();
        xml.group("connector", &[("targetReference", &noise.nth_name(n + 1))]);
        xml.leaf("label", &noise.sentence(3)).close().close();
        n += 1;
    }
    xml.leaf("label", &noise.sentence(4))
        .leaf("processType", "AutoLaunchedFlow")
        .leaf("status", "Active");
    xml.finish()
}

pub fn class(noise: &mut Noise, name: &str, bytes: usize) -> Vec<u8> {
    let mut text = format!(
        "/**\n * {}\n */\npublic with sharing class {name} {{\n",
        noise.sentence(12)
    );
    while text.len() < bytes {
        let (method, field, limit) = (noise.nth_name(0), noise.custom_name(), noise.below(10_000));
        let comment = noise.sentence(8);
        let _ = write!(
            text,
            "\n    // {comment}\n    public static Decimal {method}(List<SObject> records) {{\n        Decimal total = 0;\n        \
             for (SObject each : records) {{\n            Decimal value = (Decimal) each.get('{field}');\n            \
             if (value != null && value < {limit}) {{\n                total += value;\n            }}\n        }}\n        \
             return total;\n    }}\n"
        );
    }
    text.push_str("}\n");
    text.into_bytes()
}

pub fn class_meta() -> Vec<u8> {
    let mut xml = Xml::new("ApexClass");
    xml.leaf("apiVersion", "60.0").leaf("status", "Active");
    xml.finish()
}
