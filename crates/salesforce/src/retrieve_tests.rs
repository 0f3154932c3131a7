//! Statuses of retrieves, in every order and with nil in odd places.

use super::*;
use crate::soap::tests::{envelope, pieces, wait};

fn status(result: &str) -> Result<RetrieveStatus, SalesforceError> {
    let text = envelope(&format!(
        "<checkRetrieveStatusResponse><result>{result}</result></checkRetrieveStatusResponse>"
    ));
    wait(read_status(Envelope::of_pieces(
        CallKind::Poll,
        pieces(&text, &[50, 300]),
    )))
}

#[test]
fn the_statuses_are_read_in_any_order_of_elements() {
    let pending = "<done>false</done><id>09S000000000001</id><status>Pending</status><success>false</success>\
                   <zipFile xsi:nil=\"true\"/>";
    assert_eq!(status(pending).unwrap(), RetrieveStatus::Pending);
    let working = "<zipFile xsi:nil=\"true\"/><status>InProgress</status><done>false</done>";
    assert_eq!(status(working).unwrap(), RetrieveStatus::InProgress);
    assert_eq!(status("<done>false</done>").unwrap(), RetrieveStatus::InProgress);
    assert!(matches!(
        status("<status>Strange</status>"),
        Err(SalesforceError::Unexpected { .. })
    ));
}

#[test]
fn b09_messages_and_file_properties_are_lists_of_none_one_and_many() {
    for count in 0..3 {
        let result = format!(
            "<done>true</done>{}<status>Succeeded</status>{}<zipFile xsi:nil=\"true\"/>",
            "<fileProperties><fileName>unpackaged/a</fileName></fileProperties>".repeat(count),
            "<messages><fileName>f</fileName><problem>p</problem></messages>".repeat(count),
        );
        let Ok(RetrieveStatus::Succeeded { files, messages }) = status(&result) else {
            panic!("{count}");
        };
        assert_eq!((files, messages.len()), (count, count));
    }
}

#[test]
fn a_failed_retrieve_says_why() {
    let result = "<done>true</done><errorMessage>LIMIT_EXCEEDED: Too many files in retrieve call, limit is: \
                  10000.</errorMessage><errorStatusCode>LIMIT_EXCEEDED</errorStatusCode><status>Failed</status>\
                  <zipFile xsi:nil=\"true\"/>";
    let Ok(RetrieveStatus::Failed(failure)) = status(result) else {
        panic!("not failed");
    };
    assert_eq!(failure.refusal().code, "LIMIT_EXCEEDED");
    assert_eq!(SalesforceError::from(failure).ruling().ruled, crate::Ruled::Split);
}

#[test]
fn a_zip_that_nobody_asked_for_is_passed_over() {
    let result = "<zipFile>UEsFBgAA</zipFile><done>true</done><status>Succeeded</status>";
    assert!(matches!(
        status(result).unwrap(),
        RetrieveStatus::Succeeded { .. }
    ));
}

#[test]
fn an_id_is_18_letters_and_digits() {
    assert!(AsyncId::new("09S000000000001AAA").is_some());
    for text in [
        "",
        "09S",
        "09S00000000000<",
        "09S000000000001",
        "09S0000000000011",
    ] {
        assert!(AsyncId::new(text).is_none(), "{text}");
    }
}

#[test]
fn a_request_names_members_by_type_and_has_no_package_names() {
    let request = RetrieveRequest {
        types: vec![RetrieveTypes {
            type_name: "Layout".to_owned(),
            members: vec!["Account-A %26 B & C".to_owned()],
        }],
    };
    let parts = request.parts(ApiVersion::NEWEST_TESTED);
    let text = crate::soap::request(crate::operations::Operation::Retrieve, &"s".into(), "n", parts);
    let text = String::from_utf8(text).unwrap();
    let types =
        "<types><members>Account-A %26 B &amp; C</members><name>Layout</name></types><version>67.0</version>";
    assert!(text.contains(types), "{text}");
    assert!(!text.contains("packageNames"));
}
