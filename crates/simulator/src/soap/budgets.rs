//! Types of which Salesforce gives little at a time and little in a day: 100 members a retrieve, 200 retrieves a day.
//!
//! Salesforce's page of limits names the types and both numbers. *nv*: the words and that the day is the last 24 hours, as
//! that of API requests is.

use super::{jobs::Failed, request::Plan};
use crate::org::Org;

const BUDGETED: [&str; 4] = [
    "AiAuthoringBundle",
    "AnalyticsDashboard",
    "AnalyticsVisualization",
    "AnalyticsWorkspace",
];

/// Why the retrieve fails, if it wants more of such a type than there is; else it is counted.
pub(super) fn over_budget(org: &Org, plan: &Plan) -> Option<Failed> {
    let limits = org.limits();
    for kind in BUDGETED {
        let members = plan.delivered.get(kind).map_or(0, Vec::len);
        if members > limits.budgeted_members {
            let most = limits.budgeted_members;
            return Some(failed(&format!(
                "Too many {kind} in retrieve call, limit is: {most}."
            )));
        }
        if members > 0 && !org.spend_retrieve(kind) {
            let most = limits.budgeted_retrieves;
            return Some(failed(&format!(
                "Too many retrieve calls of {kind} in a day, limit is: {most}."
            )));
        }
    }
    None
}

fn failed(words: &str) -> Failed {
    Failed {
        code: "LIMIT_EXCEEDED".to_owned(),
        text: format!("LIMIT_EXCEEDED: {words}"),
    }
}
