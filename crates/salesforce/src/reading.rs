//! Members as readMetadata answers them: each in full, without files.
//!
//! A reading streams: [`Reading::next`] hands out a record as soon as it came. A member that is not there, or that this
//! user may not see, is an empty record without a name, which is passed over. What a record means is left to
//! `metadata`.

use crate::{
    error::SalesforceError,
    soap::{Envelope, Nil, Subtree},
};

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
        fn a_reading_is_the_same_wherever_its_bytes_are_cut(cuts in prop::collection::vec(0_usize..4_000, 0..8)) {
            let result = format!("<result>{RECORD}<records xsi:nil=\"true\"/>{RECORD}</result>");
            prop_assert_eq!(read(&result, &cuts).unwrap(), read(&result, &[]).unwrap());
        }
    }
}
