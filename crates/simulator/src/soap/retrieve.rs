//! retrieve: takes the request, decides what it will give or why it will fail, and gives an id.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    budgets::over_budget,
    envelope::{fault, response},
    jobs::{Failed, Load, Retrieve},
    request::{Asked, Plan, plan},
    size::too_large,
};
use crate::{
    calls::Call,
    faults::{Fault, FaultKind},
    http::Answer,
    ids::id18,
    inventory::layers::Snapshot,
    org::Org,
    server::Shared,
    settings::RetrievePace,
    xml::Element,
};

/// After that nobody asks for a result any more.
const LIFE_OF_A_RESULT: Duration = Duration::from_hours(24);
const UNKNOWN: &str =
    "UNKNOWN_EXCEPTION: An unexpected error occurred. Please include this ErrorId if you contact support:";

pub(crate) fn answer(shared: &Shared, org: &Org, body: &Element) -> Answer {
    let Some(asked) = Asked::read(body) else {
        return fault("INVALID_FIELD", "retrieve needs a retrieveRequest");
    };
    let snapshot = org.snapshot();
    let mut plan = plan(&asked, &snapshot, &spoilt(org, &asked));
    leave_out(org, &mut plan, &snapshot);
    let files = plan.files;
    let failed = failure(shared, org, &asked, files).or_else(|| over_budget(org, &plan));
    let outcome = match failed {
        Some(failed) => Err(failed),
        None => within_size(
            org,
            Load {
                plan: Arc::new(plan),
                snapshot,
                version: asked.version,
                single_package: asked.single_package,
                sparse_profiles: org
                    .fault(Call::Retrieve, &[FaultKind::SparseProfiles], |_| true)
                    .is_some(),
            },
        ),
    };
    let stuck = org
        .fault(
            Call::Retrieve,
            &[FaultKind::StaysPending, FaultKind::StaysInProgress],
            |fault| fault.files.is_none_or(|bound| files > bound),
        )
        .map(|fault| fault.kind);
    let number = shared.next_number();
    let id = id18("09S", number);
    let started = shared.clock.now();
    let pace = slowed(org, shared.settings.latency.pace(number, shared.settings.pace));
    let lost = org
        .fault(Call::Retrieve, &[FaultKind::RetrieveLost], |_| true)
        .is_some();
    let retrieve = Retrieve {
        started,
        pace,
        files,
        stuck,
        outcome,
        seen_working: false,
    };
    if !lost {
        let mut retrieves = org.retrieves();
        retrieves.retain(|_, old| started < old.started + LIFE_OF_A_RESULT);
        retrieves.insert(id.clone(), retrieve);
    }
    response(
        "retrieve",
        &format!("<result><done>false</done><id>{id}</id><state>Queued</state></result>"),
    )
}

fn within_size(org: &Org, load: Load) -> Result<Option<Load>, Failed> {
    match too_large(&load, &org.limits()) {
        Some(failed) => Err(failed),
        None => Ok(Some(load)),
    }
}

/// Members that a fault keeps from being loaded, with the message for each.
fn spoilt(org: &Org, asked: &Asked) -> HashMap<(String, String), String> {
    let mut spoilt = HashMap::new();
    loop {
        let hit = org.fault(Call::Retrieve, &[FaultKind::LoadFromDbFailed], |fault| {
            names(fault, asked).is_some_and(|named| !spoilt.contains_key(&named))
        });
        let Some(named) = hit.as_ref().and_then(|fault| names(fault, asked)) else {
            return spoilt;
        };
        let message = format!(
            "Metadata API received improper input. Please ensure file name and capitalization is correct. \
             Load of metadata from db failed for metadata of type:{} and file name:{}.",
            named.0, named.1
        );
        spoilt.insert(named, message);
    }
}

/// The pace with what faults add to it.
fn slowed(org: &Org, pace: RetrievePace) -> RetrievePace {
    let more = |kind| {
        let fault = org.fault(Call::Retrieve, &[kind], |_| true);
        Duration::from_millis(fault.and_then(|fault| fault.millis).unwrap_or(0))
    };
    RetrievePace {
        pending: pace.pending + more(FaultKind::LongPending),
        in_progress: pace.in_progress + more(FaultKind::LongInProgress),
        ..pace
    }
}

/// Takes out of the plan what faults leave out of it, with a message for each.
fn leave_out(org: &Org, plan: &mut Plan, snapshot: &Snapshot) {
    let hit = |kind, plan: &Plan| {
        org.fault(Call::Retrieve, &[kind], |fault| {
            let names = fault.metadata_type.as_ref().and_then(|of| plan.delivered.get(of));
            names.is_some_and(|names| fault.name.as_ref().is_none_or(|name| names.contains(name)))
        })
    };
    let faults = [
        hit(FaultKind::LeftOut, plan),
        hit(FaultKind::WrongCaseMessage, plan),
    ];
    for fault in faults.into_iter().flatten() {
        let Some(kind) = fault.metadata_type else { continue };
        let is_it = |name: &str| fault.name.as_deref().is_none_or(|wanted| wanted == name);
        let gone = plan.remove(&kind, snapshot, is_it);
        plan.messages.extend(gone.iter().map(|name| match &fault.text {
            Some(text) => text.replace("{type}", &kind).replace("{name}", name),
            // The server forgets how it was written.
            None => format!(
                "Entity of type '{kind}' named '{}' cannot be found",
                name.to_lowercase()
            ),
        }));
    }
}

/// The member of the fault, when the request names it.
fn names(fault: &Fault, asked: &Asked) -> Option<(String, String)> {
    let (kind, name) = (fault.metadata_type.as_ref()?, fault.name.as_ref()?);
    asked.names(kind, name).then(|| (kind.clone(), name.clone()))
}

/// Why the retrieve will fail as a whole, if it will.
fn failure(shared: &Shared, org: &Org, asked: &Asked, files: usize) -> Option<Failed> {
    let failed = org.fault(Call::Retrieve, &[FaultKind::RetrieveFails], |_| true);
    if let Some(fault) = failed {
        let code = fault.code.unwrap_or_else(|| "UNKNOWN_EXCEPTION".to_owned());
        let text = fault.text.unwrap_or_else(|| code.clone());
        return Some(Failed { code, text });
    }
    let poison = org.fault(Call::Retrieve, &[FaultKind::PoisonousComponent], |fault| {
        names(fault, asked).is_some()
    });
    if let Some(poison) = poison {
        // The second number tells the place in Salesforce's code and stays; the first is new each time.
        let number = shared.next_number() % 1_000_000;
        let told = format!("{UNKNOWN} 1486965398-{number} (-1073734177)");
        let code = poison.code.unwrap_or_else(|| "UNKNOWN_EXCEPTION".to_owned());
        return Some(Failed {
            code,
            text: poison.text.unwrap_or(told),
        });
    }
    let nested = org.fault(Call::Retrieve, &[FaultKind::InsufficientAccess], |fault| {
        fault
            .metadata_type
            .as_deref()
            .is_some_and(|kind| asked.names_type(kind))
    });
    if let Some(kind) = nested.and_then(|fault| fault.metadata_type) {
        let text =
            format!("UNKNOWN_EXCEPTION: INSUFFICIENT_ACCESS: insufficient access rights on entity: {kind}");
        return Some(Failed {
            code: "UNKNOWN_EXCEPTION".to_owned(),
            text,
        });
    }
    let ordered = org.fault(Call::Retrieve, &[FaultKind::LimitExceeded], |fault| {
        fault.files.is_some_and(|bound| files > bound)
    });
    let most = ordered
        .and_then(|fault| fault.files)
        .unwrap_or(shared.settings.most_files);
    (files > most).then(|| Failed {
        code: "LIMIT_EXCEEDED".to_owned(),
        text: format!("LIMIT_EXCEEDED: Too many files in retrieve call, limit is: {most}."),
    })
}
