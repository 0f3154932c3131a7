//! listMetadata: at most three queries, one flat list, all or nothing.

use std::io;

use bytes::Bytes;

use super::envelope::{Nil, XML, fault, foot, head, properties};
use crate::{
    calls::Call,
    faults::FaultKind,
    http::{Answer, PIECE},
    inventory::{
        is_custom_name,
        layers::{Entry, Known, Pick, Snapshot},
    },
    org::Org,
    xml::Element,
};

const MOST_QUERIES: usize = 3;
/// Salesforce never lists them, though it delivers its value sets by name and versions with their bots.
const LISTED_NEVER: [&str; 2] = ["StandardValueSet", "BotVersion"];
const MAY_NOT: &str =
    "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata permissions";

pub(crate) fn answer(org: &Org, body: &Element) -> Answer {
    let queries: Vec<(&str, Option<&str>)> = body
        .all("queries")
        .map(|query| {
            (
                query.text_of("type"),
                Some(query.text_of("folder")).filter(|folder| !folder.is_empty()),
            )
        })
        .collect();
    if queries.len() > MOST_QUERIES {
        return fault("LIMIT_EXCEEDED", "No more than 3 allowed in request");
    }
    let snapshot = org.snapshot();
    let mut picks = Vec::new();
    let mut nil_types = Vec::new();
    for (kind, folder) in queries {
        let ordered = org.fault(Call::List, &[FaultKind::TypeMayNotBeListed], |fault| {
            fault.metadata_type.as_deref() == Some(kind)
        });
        if let Some(ordered) = ordered {
            let code = ordered.code.as_deref().unwrap_or("INVALID_TYPE");
            let told = format!("Cannot use: {kind} in this organization");
            let usual = if code == "INSUFFICIENT_ACCESS" {
                MAY_NOT
            } else {
                told.as_str()
            };
            return fault(code, ordered.text.as_deref().unwrap_or(usual));
        }
        if let Some(refused) = no_such_type(&snapshot, kind) {
            return refused;
        }
        if !LISTED_NEVER.contains(&kind) {
            picks.extend(snapshot.list(kind, folder));
        }
        let nil = org.fault(Call::List, &[FaultKind::NilTypeListed], |fault| {
            fault.metadata_type.as_deref() == Some(kind)
        });
        nil_types.extend(nil.and_then(|fault| fault.metadata_type));
    }
    Answer::pieces(
        XML,
        Box::new(pieces(snapshot, picks, org.user_id.clone(), nil_types)),
    )
}

/// The refusal of a type that this org has not, or that nobody has.
pub(super) fn no_such_type(snapshot: &Snapshot, kind: &str) -> Option<Answer> {
    let told = match snapshot.knows(kind) {
        Known::Here => return None,
        Known::Elsewhere => format!("Cannot use: {kind} in this organization"),
        Known::Nowhere => format!("Unknown type:{kind}"),
    };
    Some(fault("INVALID_TYPE", &told))
}

/// The answer, a piece at a time: a large listing is never whole in memory.
fn pieces(
    snapshot: Snapshot,
    picks: Vec<Pick>,
    user_id: String,
    nil_types: Vec<String>,
) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    let mut picks = picks.into_iter();
    let mut begun = false;
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut out = String::with_capacity(PIECE + 1_024);
        if !begun {
            begun = true;
            out.push_str(&head("listMetadata"));
        }
        while out.len() < PIECE {
            let Some(pick) = picks.next() else {
                ended = true;
                out.push_str(&foot("listMetadata"));
                break;
            };
            let entry = snapshot.entry(pick);
            let file_name = listed_file_name(&entry);
            let ordered = nil_types.iter().any(|kind| *kind == entry.listed.kind);
            let nil = Nil {
                kind: entry.nil_type || ordered,
                file_name: entry.nil_file_name || ordered,
                dates: entry.nil_dates,
            };
            properties("result", &entry.listed, &file_name, &user_id, nil, &mut out);
        }
        Some(Ok(Bytes::from(out)))
    })
}

/// A listing names the workflow of a custom object by another directory than the zip does.
fn listed_file_name(entry: &Entry) -> String {
    let listed = &entry.listed;
    if listed.kind == "Workflow" && is_custom_name(&listed.full_name) {
        format!("Workflow/{}.workflow", listed.full_name)
    } else {
        listed.file_name.clone()
    }
}
