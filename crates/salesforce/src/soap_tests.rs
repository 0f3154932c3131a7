//! Envelopes: escaping, bounded reading, faults.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{listing::Listing, operations::Operation};

pub(crate) fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns=\"http://soap.sforce.com/2006/04/metadata\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

/// Cut at every one of `cuts`.
pub(crate) fn pieces(text: &str, cuts: &[usize]) -> Vec<Bytes> {
    let all = Bytes::copy_from_slice(text.as_bytes());
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (all.len() + 1)).collect();
    cuts.extend([0, all.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| all.slice(pair[0]..pair[1])).collect()
}

pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn list(text: &str) -> Result<Vec<crate::RawListing>, SalesforceError> {
    wait(async {
        let envelope = Envelope::of_pieces(CallKind::List, pieces(text, &[]));
        Listing::open(envelope).await?.collect().await
    })
}

fn fault_of(text: &str) -> XmlFault {
    match list(text) {
        Err(SalesforceError::Malformed { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

const ENTRY: &str = "<result><fullName>A</fullName><type>ApexClass</type></result>";

#[test]
fn b09_none_one_and_two_entries_are_lists() {
    for count in 0..3 {
        let body = format!(
            "<listMetadataResponse>{}</listMetadataResponse>",
            ENTRY.repeat(count)
        );
        assert_eq!(list(&envelope(&body)).unwrap().len(), count);
    }
    assert!(list(&envelope("<listMetadataResponse/>")).unwrap().is_empty());
}

#[test]
fn b11_and_b13_nil_values_are_absent_and_the_rest_is_kept() {
    let odd =
        "<result><fileName xsi:nil=\"true\"/><fullName>_Default</fullName><type xsi:nil=\"true\"/></result>";
    let body = format!(
        "<listMetadataResponse>{odd}{}</listMetadataResponse>",
        ENTRY.repeat(500)
    );
    let entries = list(&envelope(&body)).unwrap();
    assert_eq!(entries.len(), 501);
    assert_eq!((&entries[0].file_name, &entries[0].type_name), (&None, &None));
    assert_eq!(entries[0].full_name.as_deref(), Some("_Default"));
}

#[test]
fn text_with_references_is_read_whole() {
    let body = "<listMetadataResponse><result><fullName>A &amp; B&#32;&lt;C&gt; <![CDATA[<D>]]></fullName></result>\
                </listMetadataResponse>";
    assert_eq!(
        list(&envelope(body)).unwrap()[0].full_name.as_deref(),
        Some("A & B <C> <D>")
    );
}

#[test]
fn what_no_honest_answer_has_is_refused_by_name() {
    let open = "<listMetadataResponse>";
    assert_eq!(
        fault_of(&format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{}", envelope(open))),
        XmlFault::Doctype
    );
    assert_eq!(
        fault_of(&envelope(&format!("{open}<result><a>&b;</a></result>"))),
        XmlFault::Entity
    );
    assert_eq!(
        fault_of(&envelope(&format!("{open}<result><a>&#0;</a></result>"))),
        XmlFault::Entity
    );
    let deep = format!("{open}{}{}", "<a>".repeat(10_000), "</a>".repeat(10_000));
    assert_eq!(fault_of(&envelope(&deep)), XmlFault::TooDeep);
    let large = format!(
        "{open}<result><fullName>{}</fullName></result>",
        "x".repeat(3 << 20)
    );
    assert_eq!(fault_of(&envelope(&large)), XmlFault::TooLarge);
    let whole = envelope(&format!("{open}{ENTRY}</listMetadataResponse>"));
    assert_eq!(fault_of(&whole[..whole.len() - 40]), XmlFault::Truncated);
    assert_eq!(
        fault_of(&whole[..whole.find("</fullName>").unwrap()]),
        XmlFault::Truncated
    );
}

#[test]
fn a_fault_with_status_200_is_a_refusal_and_an_empty_body_is_unexpected() {
    let fault = "<soapenv:Fault><faultcode>sf:INVALID_TYPE</faultcode><faultstring>INVALID_TYPE: Cannot use: X in this \
                 organization</faultstring></soapenv:Fault>";
    let Err(SalesforceError::Refused(refusal)) = list(&envelope(fault)) else {
        panic!("no refusal");
    };
    assert_eq!(
        (refusal.code.as_str(), refusal.text.as_str()),
        ("INVALID_TYPE", "Cannot use: X in this organization")
    );
    assert!(matches!(
        list(&envelope("")),
        Err(SalesforceError::Unexpected { .. })
    ));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_whatever_the_names(
        name in "[ -~äß漢\u{1F600}\t&<>\"']{1,40}",
        cuts in prop::collection::vec(0_usize..2000, 0..6),
    ) {
        prop_assume!(!name.contains('\r'));
        let session = "00Dxx!<&>".into();
        let arguments = vec![Part::Node("queries", vec![Part::leaf("type", &name)])];
        let text = String::from_utf8(request(Operation::ListMetadata, &session, "Night & shift", arguments)).unwrap();
        let read = wait(async {
            let mut envelope = Envelope::of_pieces(CallKind::List, pieces(&text, &cuts));
            envelope.enter("listMetadata").await.unwrap();
            envelope.child().await.unwrap().unwrap();
            let fields = envelope.fields().await.unwrap();
            envelope.finish().await.unwrap();
            fields.get("type").unwrap().to_owned()
        });
        prop_assert_eq!(read, name);
    }
}

#[test]
fn characters_that_no_xml_can_hold_are_left_out_of_a_request() {
    let arguments = vec![Part::leaf("type", "A\u{0}\u{1b}B")];
    let text = request(Operation::ListMetadata, &"s".into(), "n", arguments);
    assert!(String::from_utf8(text).unwrap().contains("<type>AB</type>"));
}
