//! readMetadata: members in full, without files: what is in them tonight, and which of a failed retrieve is to blame.
//!
//! Salesforce takes a few names a call ([`ReadRequest::cut`]). A reading streams: [`Reading::next`] hands out a record
//! as soon as it came. A member that is not there, or that this user may not see, is an empty record without a name,
//! which is passed over. What a record means is left to `metadata`.

use crate::{
    error::SalesforceError,
    soap::{Envelope, Nil, Part, Subtree},
};

/// Most names of one call.
const NAMES: usize = 10;
/// The same for types whose members are small (Metadata API Developer Guide, readMetadata; not seen on a real org).
const NAMES_OF_SMALL: usize = 200;
const SMALL: [&str; 2] = ["CustomMetadata", "CustomApplication"];

/// Names of one type that fit one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRequest<'n> {
    type_name: &'n str,
    names: Vec<&'n str>,
}

impl<'n> ReadRequest<'n> {
    /// Cuts names, in their order and as Salesforce sent them, into as many calls as they need.
    pub fn cut(type_name: &'n str, names: &[&'n str]) -> Vec<Self> {
        let most = if SMALL.contains(&type_name) {
            NAMES_OF_SMALL
        } else {
            NAMES
        };
        let request = |names: &[&'n str]| Self {
            type_name,
            names: names.to_vec(),
        };
        names.chunks(most).map(request).collect()
    }

    /// What is asked for, at least one.
    pub fn names(&self) -> &[&'n str] {
        &self.names
    }

    pub(crate) fn parts(&self) -> Vec<Part> {
        let names = self.names.iter().map(|name| Part::leaf("fullNames", *name));
        std::iter::once(Part::leaf("type", self.type_name))
            .chain(names)
            .collect()
    }
}

/// One member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// `fullName`, escapes kept.
    pub full_name: String,
    /// Its elements, `fullName` among them, below one root element.
    pub xml: String,
}

/// The answer of a readMetadata call, record by record.
pub struct Reading {
    envelope: Envelope,
    over: bool,
}

impl Reading {
    pub(crate) async fn open(mut envelope: Envelope) -> Result<Self, SalesforceError> {
        envelope.enter("readMetadataResponse").await?;
        let over = loop {
            match envelope.child().await? {
                Some((name, Nil::No)) if name == "result" => break false,
                Some(_) => drop(envelope.text().await?),
                None => break true,
            }
        };
        Ok(Self { envelope, over })
    }

    /// The next record; `None` at the end of a whole answer.
    pub async fn next(&mut self) -> Result<Option<Record>, SalesforceError> {
        while !self.over {
            if self.envelope.child().await?.is_none() {
                self.over = true;
                self.envelope.finish().await?;
                break;
            }
            let Subtree { full_name, xml } = self.envelope.subtree("record").await?;
            if !full_name.is_empty() {
                return Ok(Some(Record { full_name, xml }));
            }
        }
        Ok(None)
    }

    /// All records: for callers that asked for few.
    pub async fn collect(mut self) -> Result<Vec<Record>, SalesforceError> {
        let mut all = Vec::new();
        while let Some(record) = self.next().await? {
            all.push(record);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        CallKind, XmlFault,
        soap::tests::{envelope, pieces, wait},
    };

    fn read(result: &str, cuts: &[usize]) -> Result<Vec<Record>, SalesforceError> {
        let text = envelope(&format!("<readMetadataResponse>{result}</readMetadataResponse>"));
        wait(async {
            let mut reading = Reading::open(Envelope::of_pieces(CallKind::Read, pieces(&text, cuts))).await?;
            let mut all = Vec::new();
            while let Some(record) = reading.next().await? {
                all.push(record);
            }
            Ok(all)
        })
    }

    const RECORD: &str = "<records xsi:type=\"CustomMetadata\"><fullName>Setting.A%26B</fullName><label>A &amp; B</label>\
        <values><field>X__c</field><value xsi:type=\"xsd:string\">1</value></values>\
        <values><field>Y__c</field><value xsi:nil=\"true\"/></values></records>";

    #[test]
    fn a_member_that_is_not_there_is_passed_over() {
        let result = format!("<result><records xsi:nil=\"true\"/>{RECORD}<records/></result>");
        let records = read(&result, &[]).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].full_name, "Setting.A%26B");
        let inside = RECORD
            .split_once('>')
            .unwrap()
            .1
            .strip_suffix("</records>")
            .unwrap();
        let inside = inside.replace("\"true\"/>", "\"true\"></value>");
        assert_eq!(records[0].xml, format!("<record>{inside}</record>"));
        for none in ["", "<result/>", "<result></result>"] {
            assert_eq!(read(none, &[]).unwrap(), []);
        }
    }

    #[test]
    fn a_record_without_end_is_refused() {
        let long = format!("<value>{}</value>", "x".repeat(900_000)).repeat(10);
        let result = format!("<result><records><fullName>A</fullName>{long}</records></result>");
        let error = read(&result, &[]).unwrap_err();
        assert!(
            matches!(
                error,
                SalesforceError::Malformed {
                    fault: XmlFault::TooLarge,
                    ..
                }
            ),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn no_call_has_more_names_than_it_may_and_none_is_lost(names in prop::collection::vec(".{1,9}", 0..450)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            for (type_name, most) in [("Layout", 10), ("CustomMetadata", 200)] {
                let requests = ReadRequest::cut(type_name, &names);
                prop_assert!(requests.iter().all(|request| (1..=most).contains(&request.names().len())));
                let all: Vec<&str> = requests.iter().flat_map(|request| request.names().to_vec()).collect();
                prop_assert_eq!(&all, &names);
            }
        }

        #[test]
        fn a_reading_is_the_same_wherever_its_bytes_are_cut(cuts in prop::collection::vec(0_usize..4_000, 0..8)) {
            let result = format!("<result>{RECORD}<records xsi:nil=\"true\"/>{RECORD}</result>");
            prop_assert_eq!(read(&result, &cuts).unwrap(), read(&result, &[]).unwrap());
        }
    }
}
