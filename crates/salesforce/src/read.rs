//! readMetadata: up to ten components whole, without a retrieve.
//!
//! It finds out *which* component of a failed retrieve is to blame, and reads what a retrieve does not bring. A
//! component comes as the tree that Salesforce sent; what its elements mean is left to `metadata`. Salesforce puts an
//! empty record in the place of a name that it does not find or does not show: such a one is absent here.

use crate::{
    counter::CallKind,
    error::{SalesforceError, XmlFault},
    soap::{Envelope, Part, Piece},
};

/// Most names of one call.
const NAMES: usize = 10;

/// Most elements of one answer of readMetadata.
pub const READ_ELEMENTS: usize = 500_000;

/// Names of one type that fit one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRequest {
    type_name: String,
    names: Vec<String>,
}

impl ReadRequest {
    /// Cuts names, in their order and as Salesforce sent them, into as many calls as they need.
    pub fn cut<S: Into<String>>(type_name: &str, names: impl IntoIterator<Item = S>) -> Vec<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let request = |names: &[String]| Self {
            type_name: type_name.to_owned(),
            names: names.to_vec(),
        };
        names.chunks(NAMES).map(request).collect()
    }

    /// What is asked for: one to ten names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn parts(&self) -> Vec<Part> {
        let names = self.names.iter().map(|name| Part::leaf("fullNames", name));
        [Part::leaf("type", &self.type_name)]
            .into_iter()
            .chain(names)
            .collect()
    }
}

/// A component.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// As Salesforce writes it.
    pub full_name: String,
    /// All that it says beside the name, in its order.
    pub elements: Vec<Element>,
}

/// An element of a component: text, or elements.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Its text; empty where elements stand.
    pub text: String,
    /// What stands in it.
    pub elements: Vec<Element>,
}

/// Reads the answer.
pub(crate) async fn read_records(mut envelope: Envelope) -> Result<Vec<Record>, SalesforceError> {
    envelope.enter("readMetadataResponse").await?;
    let (mut records, mut room) = (Vec::new(), READ_ELEMENTS);
    while let Some((name, _)) = envelope.child().await? {
        let whole = element(&mut envelope, name, &mut room).await?;
        let found = whole.elements.into_iter().filter(|inner| inner.name == "records");
        records.extend(found.filter_map(record));
    }
    envelope.finish().await?;
    Ok(records)
}

fn record(mut whole: Element) -> Option<Record> {
    let at = whole.elements.iter().position(|inner| inner.name == "fullName")?;
    let full_name = whole.elements.remove(at).text;
    (!full_name.is_empty()).then_some(Record {
        full_name,
        elements: whole.elements,
    })
}

/// The element that was just opened, to its close.
async fn element(
    envelope: &mut Envelope,
    name: String,
    room: &mut usize,
) -> Result<Element, SalesforceError> {
    let named = |name| Element {
        name,
        ..Element::default()
    };
    let malformed = |fault| SalesforceError::Malformed {
        call: CallKind::Read,
        fault,
    };
    let mut above: Vec<Element> = Vec::new();
    let mut inside = named(name);
    loop {
        match envelope.next().await? {
            Piece::Open { name, .. } => {
                *room = room.checked_sub(1).ok_or_else(|| malformed(XmlFault::TooMany))?;
                above.push(std::mem::replace(&mut inside, named(name)));
            }
            Piece::Text(text) => inside.text.push_str(&text),
            Piece::Close => {
                if !inside.elements.is_empty() {
                    // White space between elements.
                    inside.text.clear();
                }
                let Some(outer) = above.pop() else {
                    return Ok(inside);
                };
                let closed = std::mem::replace(&mut inside, outer);
                inside.elements.push(closed);
            }
            Piece::End => return Err(malformed(XmlFault::Truncated)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::soap::tests::{envelope, pieces, wait};

    fn read(body: &str) -> Result<Vec<Record>, SalesforceError> {
        let text = envelope(body);
        wait(async { read_records(Envelope::of_pieces(CallKind::Read, pieces(&text, &[]))).await })
    }

    #[test]
    fn a_component_comes_with_all_that_stands_in_it_and_a_missing_one_is_absent() {
        let records = read(
            "<readMetadataResponse><result>\n  <records xsi:type=\"CustomObject\"><fullName>A__c</fullName>\
             <fields><fullName>B__c</fullName><length>3</length></fields> <label>a &amp; b</label></records>\
             <records xsi:nil=\"true\"/><records xsi:type=\"CustomObject\"/></result></readMetadataResponse>",
        )
        .unwrap();
        let [record] = &records[..] else {
            panic!("{records:?}");
        };
        assert_eq!(record.full_name, "A__c");
        let names: Vec<&str> = record.elements.iter().map(|inner| inner.name.as_str()).collect();
        assert_eq!(names, ["fields", "label"]);
        assert_eq!(record.elements[1].text, "a & b");
        assert_eq!(record.elements[0].elements[1].text, "3");
    }

    #[test]
    fn an_answer_that_breaks_off_or_has_too_many_elements_is_refused() {
        let cut = read("<readMetadataResponse><result><records><fullName>A");
        assert!(matches!(cut, Err(SalesforceError::Malformed { .. })), "{cut:?}");
        let many = format!(
            "<readMetadataResponse><result><records>{}</records></result></readMetadataResponse>",
            "<a/>".repeat(READ_ELEMENTS + 1)
        );
        let refused = read(&many);
        assert!(
            matches!(
                refused,
                Err(SalesforceError::Malformed {
                    fault: XmlFault::TooMany,
                    ..
                })
            ),
            "{refused:?}"
        );
    }

    proptest! {
        #[test]
        fn no_call_has_more_than_ten_names_and_none_is_lost(names in proptest::collection::vec(".{1,9}", 0..45)) {
            let requests = ReadRequest::cut("Layout", names.clone());
            prop_assert!(requests.iter().all(|request| (1..=10).contains(&request.names().len())));
            let all: Vec<String> = requests.into_iter().flat_map(|request| request.names).collect();
            prop_assert_eq!(all, names);
        }
    }
}
