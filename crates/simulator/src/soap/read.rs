//! readMetadata: members of one type in full, ten a call (200 of some types), an empty record for each that is not there.
//!
//! Only types whose members are one XML file are read here, from the same file that a retrieve would bring: bundles,
//! code and documents are refused, as Salesforce refuses most of them.

use quick_xml::{Reader, events::Event};

use super::envelope::{fault, response};
use crate::{
    calls::Call,
    faults::FaultKind,
    http::Answer,
    inventory::{
        Part,
        layers::{Known, Pick, Snapshot},
    },
    org::Org,
    types::{Shape, TypeId},
    xml::{Element, escape},
};

const MOST: usize = 10;
const MOST_OF_SOME: usize = 200;
const SOME: [&str; 2] = ["CustomMetadata", "CustomApplication"];
const ABSENT: &str = "<records xsi:nil=\"true\"/>";

pub(crate) fn answer(org: &Org, body: &Element) -> Answer {
    let kind = body.text_of("type");
    let names: Vec<&str> = body.all("fullNames").map(|name| name.text.trim()).collect();
    let most = if SOME.contains(&kind) { MOST_OF_SOME } else { MOST };
    if names.len() > most {
        let text = format!("record limit reached. cannot submit more than {most} records into this call");
        return fault("EXCEEDED_ID_LIMIT", &text);
    }
    let snapshot = org.snapshot();
    let single = TypeId::named(kind).is_some_and(|kind| kind.row().shape == Shape::File);
    if !single || snapshot.knows(kind) != Known::Here {
        return fault(
            "INVALID_TYPE",
            &format!("Cannot use: {kind} in this organization"),
        );
    }
    let denied = org.fault(Call::Read, &[FaultKind::InsufficientAccess], |fault| {
        fault.metadata_type.as_deref() == Some(kind)
    });
    if denied.is_some() {
        return fault("INSUFFICIENT_ACCESS", "insufficient access rights on entity");
    }
    let records: String = names
        .into_iter()
        .map(|name| record(&snapshot, kind, name).unwrap_or_else(|| ABSENT.to_owned()))
        .collect();
    response("readMetadata", &format!("<result>{records}</result>"))
}

fn record(snapshot: &Snapshot, kind: &str, name: &str) -> Option<String> {
    let pick: Pick = snapshot.find(kind, name)?;
    let full_name = snapshot.delivered(pick).full_name;
    let file = snapshot.files(pick, &Part::Whole).ok()?.into_iter().next()?;
    let text = String::from_utf8(file.bytes).ok()?;
    Some(format!(
        "<records xsi:type=\"{kind}\"><fullName>{}</fullName>{}</records>",
        escape(&full_name),
        content(&text)?
    ))
}

/// What is in the root element of a file.
fn content(text: &str) -> Option<&str> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let root = start.to_end().into_owned();
                let from = usize::try_from(reader.buffer_position()).ok()?;
                let span = reader.read_to_end(root.name()).ok()?;
                return text.get(from..usize::try_from(span.end).ok()?);
            }
            Event::Empty(_) => return Some(""),
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_stands_in_the_files_root() {
        let file = "<?xml version=\"1.0\"?>\n<A xmlns=\"m\"><!-- a --><b>1 &lt; 2</b><A/></A>\n";
        assert_eq!(content(file), Some("<!-- a --><b>1 &lt; 2</b><A/>"));
        assert_eq!(content("<A/>"), Some(""));
        assert_eq!(content(""), None);
    }
}
