//! What the demo tells in the end: a table for each night, the cases, and whether all went as it should.

use nightshift_domain::{
    component::{LeftOut, LeftOutKind},
    failure::FailureCode,
    sync::SyncState,
};
use nightshift_store::{cases::CaseRow, orgs::OrgRow, syncs::SyncRow};
use serde_json::{Value, json};

use super::cast::{Actor, Part};
use crate::output;

/// One night of all orgs.
pub struct Night {
    pub title: &'static str,
    pub orgs: Vec<Played>,
}

/// One org's last sync of a night.
pub struct Played {
    pub actor: Actor,
    pub org: OrgRow,
    pub sync: SyncRow,
    pub left_out: Vec<LeftOut>,
}

impl Played {
    fn gaps(&self) -> usize {
        self.left_out
            .iter()
            .filter(|left| left.reason.kind() == LeftOutKind::Gap)
            .count()
    }

    fn calls(&self) -> i64 {
        self.sync.api_calls.values().sum()
    }
}

/// One document.
pub fn document(nights: &[Night], cases: &[CaseRow]) -> Value {
    let org = |played: &Played| {
        let sync = &played.sync;
        json!({
            "name": played.org.name, "state": sync.state.as_str(), "components": sync.components,
            "added": sync.added, "changed": sync.changed, "deleted": sync.deleted,
            "api_calls": sync.api_calls, "seconds": sync.seconds,
            "time_zone": played.org.schedule.zone().name(), "slot": played.org.schedule.slot().to_string(),
            "gaps": played.gaps(),
        })
    };
    let night = |night: &Night| json!({ "orgs": night.orgs.iter().map(org).collect::<Vec<_>>() });
    json!({
        "nights": nights.iter().map(night).collect::<Vec<_>>(),
        "cases": cases.iter().map(crate::commands::case_summary).collect::<Vec<_>>(),
    })
}

/// Tables for people.
pub fn print(nights: &[Night], cases: &[CaseRow]) {
    let head = [
        "org",
        "zone",
        "slot",
        "components",
        "added",
        "changed",
        "deleted",
        "gaps",
        "calls",
        "seconds",
        "state",
    ];
    for night in nights {
        let rows: Vec<_> = night.orgs.iter().map(row).collect();
        output::line(&format!("\n{}", night.title));
        output::table(&head, &rows);
    }
    output::line("\ncases");
    for case in cases {
        let entry = case.code.entry();
        output::line(&format!(
            "{}: {} ({}): {}",
            case.org_name, case.code, case.state, entry.title
        ));
        output::line(&format!("  first step: {}", entry.first_step()));
    }
}

fn row(played: &Played) -> Vec<String> {
    let sync = &played.sync;
    let number = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
    vec![
        played.org.name.clone(),
        played.org.schedule.zone().name().to_owned(),
        played.org.schedule.slot().to_string(),
        number(sync.components),
        number(sync.added),
        number(sync.changed),
        number(sync.deleted),
        played.gaps().to_string(),
        played.calls().to_string(),
        format!("{:.1}", sync.seconds),
        sync.state.to_string(),
    ]
}

/// What did not end as its part wants it; empty when all is well.
pub fn surprises(nights: &[Night], cases: &[CaseRow]) -> Vec<String> {
    let mut surprises = Vec::new();
    for (n, night) in nights.iter().enumerate() {
        for played in &night.orgs {
            let wanted = match (n, played.actor.part) {
                (1, Part::Revoked) => SyncState::Failed,
                (1, Part::Poisoned) => SyncState::SucceededWithGaps,
                _ => SyncState::Succeeded,
            };
            if played.sync.state != wanted {
                let name = &played.org.name;
                surprises.push(format!(
                    "{}: {name} is {} and not {wanted}",
                    night.title, played.sync.state
                ));
            }
        }
    }
    let revoked = |case: &&CaseRow| case.code == FailureCode::TokenRevoked && case.state == "open";
    if cases.iter().filter(revoked).count() != 1 || cases.len() != 1 {
        surprises.push(format!("{} cases, not the one of the revoked token", cases.len()));
    }
    surprises
}
