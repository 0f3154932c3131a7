//! How many components of each type a generated org of a size has: exactly the size in all.
//!
//! Members, folders and children all count, as the dictionary counts them. Small orgs get one of each type as far
//! as they go (parents stand before their children in the list), larger ones follow the weights, which are those of
//! a middling sales org: half of it fields, classes and reports.

use crate::{spec::Cloud, types::TypeId};

/// What may happen to the members of a type at night.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Come, change and go.
    Free,
    /// The names are Salesforce's own: they only change.
    Fixed,
    /// Nothing but their children: they never change by themselves.
    Hollow,
}

pub(crate) struct Planned {
    pub name: &'static str,
    weight: u64,
    /// Most members, 0 for no bound.
    cap: u64,
    pub life: Life,
    /// Only in orgs that have it.
    pub cloud: Option<Cloud>,
}

const fn of(cloud: Cloud, name: &'static str, weight: u64) -> Planned {
    Planned {
        name,
        weight,
        cap: 400,
        life: Life::Free,
        cloud: Some(cloud),
    }
}

const fn free(name: &'static str, weight: u64) -> Planned {
    Planned {
        name,
        weight,
        cap: 0,
        life: Life::Free,
        cloud: None,
    }
}

const fn capped(name: &'static str, weight: u64, cap: u64) -> Planned {
    Planned {
        name,
        weight,
        cap,
        life: Life::Free,
        cloud: None,
    }
}

const fn fixed(name: &'static str, weight: u64, cap: u64) -> Planned {
    Planned {
        name,
        weight,
        cap,
        life: Life::Fixed,
        cloud: None,
    }
}

const fn hollow(name: &'static str, weight: u64, cap: u64) -> Planned {
    Planned {
        name,
        weight,
        cap,
        life: Life::Hollow,
        cloud: None,
    }
}

/// Every type of a generated org, parents and folders first, those of the clouds last.
pub(crate) const PLAN: &[Planned] = &[
    free("CustomObject", 15),
    free("CustomField", 250),
    free("ApexClass", 120),
    free("ApexTrigger", 15),
    free("Layout", 25),
    capped("Profile", 3, 20),
    free("Flow", 30),
    free("PermissionSet", 10),
    fixed("ReportFolder", 5, 400),
    free("Report", 80),
    fixed("DashboardFolder", 2, 100),
    free("Dashboard", 10),
    fixed("EmailFolder", 2, 50),
    free("EmailTemplate", 20),
    fixed("DocumentFolder", 1, 30),
    free("Document", 8),
    hollow("Workflow", 5, 200),
    free("WorkflowRule", 15),
    free("WorkflowFieldUpdate", 10),
    free("WorkflowAlert", 8),
    free("WorkflowTask", 2),
    hollow("CustomLabels", 1, 1),
    free("CustomLabel", 60),
    free("CustomMetadata", 40),
    fixed("StandardValueSet", 5, 24),
    fixed("Translations", 1, 4),
    free("LightningComponentBundle", 30),
    free("AuraDefinitionBundle", 15),
    free("StaticResource", 10),
    free("ApexPage", 25),
    free("ApexComponent", 8),
    free("ValidationRule", 25),
    free("RecordType", 10),
    free("ListView", 20),
    free("WebLink", 5),
    free("CompactLayout", 5),
    free("FieldSet", 5),
    free("BusinessProcess", 2),
    free("CustomTab", 10),
    free("CustomApplication", 4),
    free("FlexiPage", 15),
    free("QuickAction", 15),
    free("RemoteSiteSetting", 4),
    free("Queue", 5),
    free("Group", 5),
    free("Role", 6),
    free("CustomPermission", 4),
    free("PermissionSetGroup", 2),
    free("GlobalValueSet", 4),
    fixed("CustomObjectTranslation", 6, 200),
    fixed("Settings", 5, 16),
    free("ReportType", 5),
    hollow("SharingRules", 3, 100),
    free("SharingCriteriaRule", 6),
    free("SharingOwnerRule", 4),
    hollow("AssignmentRules", 1, 2),
    free("AssignmentRule", 1),
    hollow("MatchingRules", 1, 50),
    free("MatchingRule", 2),
    free("DuplicateRule", 2),
    free("ApprovalProcess", 4),
    free("CspTrustedSite", 2),
    free("CustomNotificationType", 1),
    free("HomePageLayout", 1),
    free("LightningMessageChannel", 1),
    free("NamedCredential", 1),
    free("PathAssistant", 1),
    free("PlatformEventChannel", 1),
    free("EmailServicesFunction", 1),
    free("Letterhead", 1),
    free("ContentAsset", 3),
    free("ApexTestSuite", 1),
    capped("InstalledPackage", 1, 10),
    of(Cloud::Service, "EntitlementProcess", 2),
    of(Cloud::Service, "MilestoneType", 2),
    of(Cloud::Service, "QueueRoutingConfig", 2),
    of(Cloud::Service, "ServiceChannel", 1),
    of(Cloud::Service, "PresenceUserConfig", 1),
    of(Cloud::Service, "LiveChatButton", 1),
    of(Cloud::Experience, "Network", 1),
    of(Cloud::Experience, "CustomSite", 1),
    of(Cloud::Experience, "NavigationMenu", 2),
    of(Cloud::Experience, "Audience", 3),
    of(Cloud::Revenue, "DecisionTable", 6),
    of(Cloud::Revenue, "ExpressionSetDefinition", 6),
    of(Cloud::Revenue, "ContextDefinition", 3),
    of(Cloud::Revenue, "PricingRecipe", 1),
    of(Cloud::Revenue, "ProcedurePlanDefinition", 1),
    of(Cloud::Omnistudio, "OmniScript", 12),
    of(Cloud::Omnistudio, "OmniDataTransform", 25),
    of(Cloud::Omnistudio, "OmniIntegrationProcedure", 15),
    of(Cloud::Omnistudio, "OmniUiCard", 12),
    of(Cloud::FieldService, "Skill", 4),
    of(Cloud::FieldService, "TimeSheetTemplate", 1),
    of(Cloud::FieldService, "WorkSkillRouting", 1),
    of(Cloud::FieldService, "FieldServiceMobileExtension", 1),
    of(Cloud::Agentforce, "GenAiPlugin", 4),
    of(Cloud::Agentforce, "GenAiPromptTemplate", 6),
    of(Cloud::Agentforce, "Bot", 2),
];

/// The plan of a type.
pub(crate) fn planned(kind: TypeId) -> Option<&'static Planned> {
    PLAN.iter().find(|planned| planned.name == kind.name())
}

/// Spreads `size` components over the types that an org with these clouds has.
pub(crate) fn spread(size: u64, clouds: &[Cloud]) -> Vec<(TypeId, u32)> {
    let has = |planned: &&Planned| planned.cloud.is_none_or(|cloud| clouds.contains(&cloud));
    let plan: Vec<&Planned> = PLAN.iter().filter(has).collect();
    let mut counts = vec![0_u64; plan.len()];
    let mut left = size;
    for count in counts.iter_mut().take(size.min(plan.len() as u64) as usize) {
        *count = 1;
        left -= 1;
    }
    let weights: u64 = plan.iter().map(|planned| planned.weight).sum();
    let whole = left;
    for (count, planned) in counts.iter_mut().zip(&plan) {
        let room = if planned.cap == 0 {
            u64::MAX
        } else {
            planned.cap - *count
        };
        let share = (whole * planned.weight / weights).min(room);
        *count += share;
        left -= share;
    }
    // What rounding and bounds have left over: fields and classes take it in turn.
    let fields = left / 2;
    counts[1] += fields;
    counts[2] += left - fields;
    plan.iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .filter_map(|(planned, count)| Some((TypeId::named(planned.name)?, count as u32)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_size_is_met_exactly() {
        for size in [
            1, 2, 10, 72, 73, 74, 200, 201, 999, 5_000, 20_000, 100_000, 1_000_000,
        ] {
            for clouds in [&[][..], &Cloud::ALL] {
                let sum: u64 = spread(size, clouds)
                    .iter()
                    .map(|(_, count)| u64::from(*count))
                    .sum();
                assert_eq!(sum, size);
            }
        }
    }

    #[test]
    fn an_org_of_two_hundred_has_more_than_forty_types_of_members() {
        let members = spread(200, &[])
            .into_iter()
            .filter(|(kind, _)| kind.is_top_level())
            .count();
        assert!(members > 40, "{members}");
    }

    #[test]
    fn files_named_after_objects_are_never_more_than_the_objects() {
        for size in [73, 200, 5_000, 100_000] {
            let counts: BTreeMap<&str, u32> = spread(size, &[])
                .into_iter()
                .map(|(kind, count)| (kind.name(), count))
                .collect();
            for named in ["Workflow", "SharingRules", "MatchingRules"] {
                assert!(counts[named] <= counts["CustomObject"], "{named} of {size}");
            }
            assert!(counts["CustomObjectTranslation"] <= 4 * counts["CustomObject"]);
        }
    }
}
