//! checkRetrieveStatus: how far a retrieve is, and its zip, once.
//!
//! The answer with the zip is written while it is sent: properties, messages, then the zip in base64, one file at a
//! time. Whoever asks a second time gets a nil zip, whether the first transfer came through or not.

use std::{collections::HashSet, io};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{
    envelope::{Nil, XML, fault, foot, head, properties, response},
    jobs::{Failed, Load, State},
    sparse::sparse,
};
use crate::{
    calls::Call,
    faults::{Fault, FaultKind},
    http::{Answer, Pieces},
    inventory::{
        SourceFile,
        layers::{Pick, Snapshot},
    },
    org::Org,
    server::Shared,
    soap::request::Plan,
    spoil,
    types::Shape,
    xml::escape,
    zip::{Content, ZipEntry, ZipPieces, is_meta},
};

const CALL: &str = "checkRetrieveStatus";
const NO_ZIP: &str = "<zipFile xsi:nil=\"true\"/>";

/// What there is to say about a retrieve.
enum Said {
    Unknown,
    Working(&'static str),
    Failed(Failed),
    /// Done; `None` when the zip was handed over before.
    Done(Option<Load>),
}

pub(crate) fn answer(shared: &Shared, org: &Org, call: Call, id: &str) -> Answer {
    let id_element = format!("<id>{}</id>", escape(id));
    if leaves_pending(shared, org, id)
        && org
            .fault(call, &[FaultKind::CrossReferenceLeavingPending], |_| true)
            .is_some()
    {
        return fault("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
    }
    match look(shared, org, call, id) {
        Said::Unknown => fault("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"),
        Said::Working(status) => response(
            CALL,
            &format!(
                "<result><done>false</done>{id_element}<status>{status}</status><success>false</success>{NO_ZIP}</result>"
            ),
        ),
        Said::Failed(failed) => response(
            CALL,
            &format!(
                "<result><done>true</done><errorMessage>{}</errorMessage><errorStatusCode>{}</errorStatusCode>{id_element}\
                 <status>Failed</status><success>false</success>{NO_ZIP}</result>",
                escape(&failed.text),
                escape(&failed.code)
            ),
        ),
        Said::Done(None) => response(
            CALL,
            &format!(
                "<result><done>true</done>{id_element}<status>Succeeded</status><success>true</success>{NO_ZIP}</result>"
            ),
        ),
        Said::Done(Some(load)) => {
            let told = told(&load, &org.user_id, &id_element);
            if call == Call::Poll {
                let whole = told.map(|piece| piece.map(Bytes::from)).chain(tail(NO_ZIP));
                return Answer::pieces(XML, Box::new(whole));
            }
            let spoil = org.fault(call, spoil::KINDS, |_| true);
            deliver(
                &load,
                Box::new(told.map(|piece| piece.map(Bytes::from))),
                spoil.as_ref(),
            )
        }
    }
}

fn tail(end: &'static str) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    std::iter::once(Ok(Bytes::from(format!("{end}</result>{}", foot(CALL)))))
}

/// Whether this is the first poll that finds the retrieve beyond Pending.
fn leaves_pending(shared: &Shared, org: &Org, id: &str) -> bool {
    let mut retrieves = org.retrieves();
    let Some(retrieve) = retrieves.get_mut(id) else {
        return false;
    };
    let working = retrieve.state(shared.clock.now()) != State::Pending;
    working && !std::mem::replace(&mut retrieve.seen_working, true)
}

/// Looks the retrieve up; asking for the zip of one that is done hands it over.
fn look(shared: &Shared, org: &Org, call: Call, id: &str) -> Said {
    let mut retrieves = org.retrieves();
    // Ids are accepted in their short form too.
    let found = retrieves
        .iter_mut()
        .find(|(known, _)| known.as_str() == id || (id.len() == 15 && known.starts_with(id)));
    let Some((_, retrieve)) = found else {
        return Said::Unknown;
    };
    match (retrieve.state(shared.clock.now()), &mut retrieve.outcome) {
        (State::Pending, _) => Said::Working("Pending"),
        (State::InProgress, _) => Said::Working("InProgress"),
        (State::Done, Err(failed)) => Said::Failed(failed.clone()),
        (State::Done, Ok(load)) if call == Call::Poll => Said::Done(load.clone()),
        // The record lives on to answer "nil"; what it would have given goes with this answer.
        (State::Done, Ok(load)) => Said::Done(load.take()),
    }
}

/// The answer up to the zip.
fn told(
    load: &Load,
    user_id: &str,
    id_element: &str,
) -> impl Iterator<Item = io::Result<String>> + Send + use<> {
    let top = top(load);
    let plan = load.plan.clone();
    let snapshot = load.snapshot.clone();
    let user_id = user_id.to_owned();
    let begin = format!("{}<result><done>true</done>", head(CALL));
    let mut end = String::from(id_element);
    for message in &load.plan.messages {
        let problem = escape(message);
        for part in [
            "<messages><fileName>",
            &top,
            "package.xml</fileName><problem>",
            &problem,
            "</problem></messages>",
        ] {
            end.push_str(part);
        }
    }
    end.push_str("<status>Succeeded</status><success>true</success>");
    let properties_of = {
        let top = top.clone();
        move |at: usize| {
            let mut out = String::new();
            let pick = plan.items[at].0;
            let listed = snapshot.delivered(pick);
            for file in named_files(&snapshot, pick) {
                properties(
                    "fileProperties",
                    &listed,
                    &format!("{top}{file}"),
                    &user_id,
                    Nil::default(),
                    &mut out,
                );
            }
            Ok(out)
        }
    };
    let count = load.plan.items.len();
    std::iter::once(Ok(begin))
        .chain((0..count).map(properties_of))
        .chain(std::iter::once(Ok(end)))
}

/// The files that a result names: all of a bundle, else the main one.
fn named_files(snapshot: &Snapshot, pick: Pick) -> Vec<String> {
    let listed = snapshot.delivered(pick);
    let bundle = matches!(pick, Pick::Base(member) if member.kind.row().shape == Shape::Bundle);
    if !bundle {
        return vec![listed.file_name];
    }
    let files = snapshot
        .files(pick, &crate::inventory::Part::Whole)
        .unwrap_or_default();
    files
        .into_iter()
        .map(|file| file.path)
        .filter(|path| !is_meta(path))
        .collect()
}

fn top(load: &Load) -> String {
    if load.single_package {
        String::new()
    } else {
        "unpackaged/".to_owned()
    }
}

/// The answer with its zip, spoilt when a fault says so.
fn deliver(load: &Load, told: Pieces, spoil: Option<&Fault>) -> Answer {
    let top = top(load);
    let entries = entries(load, &top);
    let zip: Pieces = match spoil {
        Some(fault) => spoil::zip(fault, &top, entries),
        None => Box::new(ZipPieces::new(entries)),
    };
    let begin = std::iter::once(Ok(Bytes::from_static(b"<zipFile>")));
    let text: Pieces = match spoil.map(|fault| fault.kind) {
        Some(FaultKind::Base64BrokenOff) => spoil::broken_base64(encode(zip)),
        _ => Box::new(encode(zip)),
    };
    let mut answer = Answer::pieces(
        XML,
        Box::new(told.chain(begin).chain(text).chain(tail("</zipFile>"))),
    );
    if let Some(millis) = spoil
        .filter(|fault| fault.kind == FaultKind::SlowDrip)
        .and_then(|fault| fault.millis)
    {
        answer.drip = Some(std::time::Duration::from_millis(millis));
    }
    answer
}

/// The entries of the zip, package.xml first, each made when it is its turn.
pub(super) fn entries(
    load: &Load,
    top: &str,
) -> Box<dyn Iterator<Item = Result<ZipEntry, crate::SimulatorError>> + Send> {
    let manifest = ZipEntry {
        path: format!("{top}package.xml"),
        content: Content::Bytes(manifest(&load.plan, &load.version).into_bytes()),
    };
    let (plan, snapshot, top) = (load.plan.clone(), load.snapshot.clone(), top.to_owned());
    let sparse_profiles = load.sparse_profiles;
    let asked: HashSet<(String, String)> = plan
        .delivered
        .iter()
        .flat_map(|(kind, names)| names.iter().map(|name| (kind.clone(), name.clone())))
        .collect();
    let members = (0..plan.items.len()).flat_map(move |at| {
        let (pick, part) = &plan.items[at];
        match snapshot.files(*pick, part) {
            Ok(files) => files
                .into_iter()
                .map(|file| {
                    if sparse_profiles {
                        beside(file, &|kind: &str, _: &str| kind == "CustomObject")
                    } else {
                        beside(file, &|kind: &str, name: &str| {
                            !asked.contains(&(kind.to_owned(), name.to_owned()))
                                && snapshot.find(kind, name).is_some()
                        })
                    }
                })
                .map(|file| {
                    let entry = ZipEntry::from(file);
                    Ok(ZipEntry {
                        path: format!("{top}{}", entry.path),
                        ..entry
                    })
                })
                .collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        }
    });
    Box::new(std::iter::once(Ok(manifest)).chain(members))
}

/// A profile says nothing about what is `absent`.
fn beside(file: SourceFile, absent: &dyn Fn(&str, &str) -> bool) -> SourceFile {
    if !file.path.ends_with(".profile") {
        return file;
    }
    let sparse = std::str::from_utf8(&file.bytes)
        .ok()
        .and_then(|text| sparse(text, absent).ok());
    match sparse {
        Some(text) => SourceFile {
            bytes: text.into_bytes(),
            ..file
        },
        None => file,
    }
}

fn manifest(plan: &Plan, version: &str) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Package xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n",
    );
    for (kind, members) in &plan.delivered {
        out.push_str("    <types>\n");
        for member in members {
            for part in ["        <members>", &escape(member), "</members>\n"] {
                out.push_str(part);
            }
        }
        for part in ["        <name>", kind, "</name>\n    </types>\n"] {
            out.push_str(part);
        }
    }
    for part in ["    <version>", &escape(version), "</version>\n</Package>\n"] {
        out.push_str(part);
    }
    out
}

/// Base64 of pieces of any size.
fn encode(mut zip: Pieces) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    let mut rest: Vec<u8> = Vec::new();
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        match zip.next() {
            Some(Ok(piece)) => {
                rest.extend_from_slice(&piece);
                let whole = rest.len() / 3 * 3;
                let text = STANDARD.encode(&rest[..whole]);
                rest.drain(..whole);
                Some(Ok(Bytes::from(text)))
            }
            Some(Err(error)) => {
                ended = true;
                Some(Err(error))
            }
            None => {
                ended = true;
                Some(Ok(Bytes::from(STANDARD.encode(&rest))))
            }
        }
    })
}
