//! The names of a generated org's components, and the way back from a name to its number.
//!
//! A name ends in its number wherever Salesforce leaves the choice, so that neither direction needs a list in
//! memory; the words before it only make it readable. Where Salesforce owns the names (settings, value sets) they
//! stand here. Whether the component still exists is left to `generated`.

use std::collections::BTreeMap;

use crate::{
    mix::{mix, mix_text},
    types::{Shape, TypeId},
};

const WORDS: &[&str] = &[
    "Account",
    "Amount",
    "Audit",
    "Batch",
    "Billing",
    "Budget",
    "Campaign",
    "Carrier",
    "Claim",
    "Contract",
    "Credit",
    "Delivery",
    "Discount",
    "Donation",
    "Entitlement",
    "Event",
    "Forecast",
    "Fund",
    "Invoice",
    "Journal",
    "Ledger",
    "Market",
    "Member",
    "Milestone",
    "Order",
    "Partner",
    "Payment",
    "Period",
    "Pledge",
    "Price",
    "Program",
    "Quota",
    "Rebate",
    "Region",
    "Renewal",
    "Route",
    "Service",
    "Shipment",
    "Stage",
    "Supply",
    "Survey",
    "Target",
    "Tax",
    "Territory",
    "Ticket",
    "Vendor",
    "Volunteer",
    "Warranty",
];
const STANDARD_OBJECTS: &[&str] = &[
    "Account",
    "Contact",
    "Opportunity",
    "Case",
    "Lead",
    "Campaign",
    "Product2",
    "Contract",
    "Order",
    "Task",
];
const LANGUAGES: &[&str] = &["de", "fr", "es", "ja"];
const RULE_OBJECTS: &[&str] = &["Case", "Lead"];
const VALUE_SETS: &[&str] = &[
    "AccountContactRole",
    "AccountOwnership",
    "AccountRating",
    "AccountType",
    "CampaignMemberStatus",
    "CampaignStatus",
    "CampaignType",
    "CaseContactRole",
    "CaseOrigin",
    "CasePriority",
    "CaseReason",
    "CaseStatus",
    "CaseType",
    "ContactRole",
    "ContractStatus",
    "Industry",
    "LeadSource",
    "LeadStatus",
    "OpportunityStage",
    "OpportunityType",
    "PartnerRole",
    "Salutation",
    "TaskPriority",
    "TaskStatus",
];
const SETTINGS: &[&str] = &[
    "Account",
    "Activities",
    "Apex",
    "Case",
    "Chatter",
    "Company",
    "Contract",
    "Currency",
    "Email",
    "Flow",
    "Language",
    "LightningExperience",
    "Mobile",
    "Opportunity",
    "Security",
    "UserInterface",
];

/// Names by number, for an org of these counts on its first night.
pub(crate) struct Names<'a> {
    pub seed: u64,
    pub base: &'a BTreeMap<TypeId, u32>,
}

impl Names<'_> {
    /// How many of a type the first night had; at least 1, so that it can divide.
    fn base(&self, name: &str) -> u32 {
        TypeId::named(name)
            .and_then(|kind| self.base.get(&kind))
            .copied()
            .unwrap_or(0)
            .max(1)
    }

    /// How many of the objects are Salesforce's own; they come first.
    pub(crate) fn standard_objects(&self) -> u32 {
        (self.base("CustomObject") / 2).min(STANDARD_OBJECTS.len() as u32)
    }

    pub(crate) fn word(&self, kind: TypeId, slot: u32) -> &'static str {
        let number = mix(mix_text(self.seed, kind.name()), u64::from(slot));
        WORDS[(number % WORDS.len() as u64) as usize]
    }

    pub(crate) fn object(&self, slot: u32) -> String {
        match STANDARD_OBJECTS.get(slot as usize) {
            Some(standard) if slot < self.standard_objects() => (*standard).to_owned(),
            _ => match TypeId::named("CustomObject") {
                Some(kind) => format!("{}_{slot}__c", self.word(kind, slot)),
                None => format!("Object_{slot}__c"),
            },
        }
    }

    /// The number of the parent in whose file a child stands.
    pub(crate) fn parent_slot(&self, kind: TypeId, slot: u32) -> u32 {
        kind.row()
            .parent
            .map_or(0, |parent| slot % self.base(parent.name()))
    }

    /// The folder of a foldered component.
    pub(crate) fn folder(&self, kind: TypeId, slot: u32) -> String {
        match kind.row().folder_type {
            Some(folder) => self.name(folder, slot % self.base(folder.name())),
            None => String::new(),
        }
    }

    /// The name of a child within its parent.
    pub(crate) fn key(&self, kind: TypeId, slot: u32) -> String {
        let word = self.word(kind, slot);
        if kind.name() == "CustomField" {
            format!("{word}_{slot}__c")
        } else {
            format!("{word}_{slot}")
        }
    }

    /// The full name of a component.
    pub(crate) fn name(&self, kind: TypeId, slot: u32) -> String {
        let word = self.word(kind, slot);
        let at = slot as usize;
        let listed = |names: &[&str]| {
            names
                .get(at)
                .map_or_else(|| format!("{word}_{slot}"), |n| (*n).to_owned())
        };
        match kind.name() {
            "CustomObject" | "Workflow" | "SharingRules" | "MatchingRules" => self.object(slot),
            "CustomLabels" => "CustomLabels".to_owned(),
            "StandardValueSet" => listed(VALUE_SETS),
            "Settings" => listed(SETTINGS),
            "Translations" => listed(LANGUAGES),
            "AssignmentRules" => listed(RULE_OBJECTS),
            "CustomObjectTranslation" => format!("{}-{}", self.object(slot / 4), LANGUAGES[at % 4]),
            "CustomLabel" => self.key(kind, slot),
            "CustomMetadata" => format!("Setting_{}.{word}_{slot}", slot % 5),
            "Layout" => {
                let object = self.object(slot % self.base("CustomObject"));
                let word = if slot % 7 == 3 {
                    format!("%28{word}%29")
                } else {
                    word.to_owned()
                };
                format!("{object}-{word} Layout {slot}")
            }
            "QuickAction" if slot.is_multiple_of(2) => {
                format!(
                    "{}.New_{word}_{slot}",
                    self.object(slot % self.base("CustomObject"))
                )
            }
            "DuplicateRule" | "ApprovalProcess" => {
                format!("{}.{word}_{slot}", self.object(slot % self.base("CustomObject")))
            }
            "LightningComponentBundle" => format!("{}Tile{slot}", word.to_lowercase()),
            "PlatformEventChannel" => format!("{word}_{slot}__chn"),
            "ReportFolder" | "DashboardFolder" if slot % 4 > 1 => {
                format!("{}/{word}_{slot}", self.name(kind, slot - 1))
            }
            _ if kind.row().shape == Shape::Child => {
                let parent = kind
                    .row()
                    .parent
                    .map(|parent| self.name(parent, self.parent_slot(kind, slot)));
                format!("{}.{}", parent.unwrap_or_default(), self.key(kind, slot))
            }
            _ if kind.row().shape == Shape::Document => {
                format!("{}/{word}_{slot}.txt", self.folder(kind, slot))
            }
            _ if kind.row().folder_type.is_some() => format!("{}/{word}_{slot}", self.folder(kind, slot)),
            _ => format!("{word}_{slot}"),
        }
    }

    /// The number of a name, when the name is that number's.
    pub(crate) fn slot(&self, kind: TypeId, full_name: &str) -> Option<u32> {
        let by_digits = || {
            let stem = full_name.trim_end_matches(|c: char| !c.is_ascii_digit());
            let digits = stem
                .rfind(|c: char| !c.is_ascii_digit())
                .map_or(stem, |at| &stem[at + 1..]);
            digits
                .parse::<u32>()
                .ok()
                .filter(|&slot| self.name(kind, slot) == full_name)
        };
        let by_translation = || {
            let (object, language) = full_name.rsplit_once('-')?;
            let language = LANGUAGES.iter().position(|known| *known == language)? as u32;
            let slot = self.slot(TypeId::named("CustomObject")?, object)? * 4 + language;
            (self.name(kind, slot) == full_name).then_some(slot)
        };
        let by_list = || (0..VALUE_SETS.len() as u32).find(|&slot| self.name(kind, slot) == full_name);
        match kind.name() {
            "CustomObjectTranslation" => by_translation(),
            _ => by_digits().or_else(by_list),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::plan::spread;

    #[test]
    fn every_name_leads_back_to_its_number_and_no_two_are_alike() {
        let base: BTreeMap<TypeId, u32> = spread(12_000, &crate::spec::Cloud::ALL).into_iter().collect();
        let names = Names { seed: 5, base: &base };
        for (&kind, &count) in &base {
            let mut seen = std::collections::HashSet::new();
            for slot in 0..count {
                let name = names.name(kind, slot);
                assert_eq!(names.slot(kind, &name), Some(slot), "{} {name}", kind.name());
                assert!(seen.insert(name.clone()), "{} {name}", kind.name());
            }
        }
        assert_eq!(names.slot(TypeId::named("ApexClass").unwrap(), "Nobody_1"), None);
    }
}
