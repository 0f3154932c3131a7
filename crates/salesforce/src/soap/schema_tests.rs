//! Every envelope that can be written is valid by Salesforce's own schema, as a real validator sees it.
//!
//! The schema is that of the WSDL which `tests/deps/install schema` fetched; xmllint judges, many envelopes at a time.

use std::{fmt::Write as _, path::Path, process::Command};

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    listing::{self, ListQuery},
    operations::{self, Operation},
    read::ReadRequest,
    rest,
    retrieve::{self, AsyncId, RetrieveRequest, RetrieveTypes},
    soap::{Part, request},
    version::ApiVersion,
};

/// SOAP's own part: whatever the Metadata API declares may stand in header and body, and must be valid there.
const ENVELOPE: &str = r#"<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified"
    targetNamespace="http://schemas.xmlsoap.org/soap/envelope/">
  <xsd:import namespace="http://soap.sforce.com/2006/04/metadata" schemaLocation="SCHEMA"/>
  <xsd:element name="Envelope"><xsd:complexType><xsd:sequence>
    <xsd:element name="Header"><xsd:complexType><xsd:sequence>
      <xsd:any namespace="http://soap.sforce.com/2006/04/metadata" processContents="strict" maxOccurs="unbounded"/>
    </xsd:sequence></xsd:complexType></xsd:element>
    <xsd:element name="Body"><xsd:complexType><xsd:sequence>
      <xsd:any namespace="http://soap.sforce.com/2006/04/metadata" processContents="strict"/>
    </xsd:sequence></xsd:complexType></xsd:element>
  </xsd:sequence></xsd:complexType></xsd:element>
</xsd:schema>"#;

#[expect(
    clippy::disallowed_methods,
    reason = "what tests need of the machine is named by variables"
)]
fn schema() -> String {
    let schema = std::env::var("NIGHTSHIFT_TEST_SCHEMA").unwrap_or_default();
    assert!(
        Path::new(&schema).is_file(),
        "no schema of the Metadata API: `make test` has it, or run tests/deps/install schema and then tests/deps/with"
    );
    schema
}

/// What xmllint says about envelopes: the words of those that are not valid.
fn faults(envelopes: &[Vec<u8>]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let of_soap = dir.path().join("soap.xsd");
    std::fs::write(&of_soap, ENVELOPE.replace("SCHEMA", &schema())).unwrap();
    let mut xmllint = Command::new("xmllint");
    xmllint.args(["--noout", "--nonet", "--schema"]).arg(&of_soap);
    for (at, envelope) in envelopes.iter().enumerate() {
        let file = dir.path().join(format!("{at}.xml"));
        std::fs::write(&file, envelope).unwrap();
        xmllint.arg(file);
    }
    let output = xmllint.output().expect("xmllint is there where the schema is");
    let words = String::from_utf8_lossy(&output.stderr);
    let valid = words.lines().filter(|line| line.ends_with(" validates")).count();
    if output.status.success() {
        assert_eq!(valid, envelopes.len(), "{words}");
        return String::new();
    }
    let mut told = String::new();
    for line in words
        .lines()
        .filter(|line| !line.ends_with(" validates"))
        .take(10)
    {
        let _ = writeln!(told, "{line}");
    }
    told
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z][A-Za-z0-9_]{0,20}(__c)?",
        "[A-Za-z]{1,8}-[A-Za-z]{1,8} %28[a-z]{1,5}%29",
        "\\PC{1,20}",
        ".{1,20}",
        Just("<a>&amp;]]>\u{0}\u{1f}\u{fffe}".to_owned()),
    ]
}

fn version() -> impl Strategy<Value = ApiVersion> {
    (31_u16..=67).prop_map(|number| format!("{number}.0").parse().unwrap())
}

fn query() -> impl Strategy<Value = ListQuery> {
    (text(), proptest::option::of(text())).prop_map(|(type_name, folder)| ListQuery { type_name, folder })
}

fn types() -> impl Strategy<Value = RetrieveTypes> {
    (text(), vec(text(), 0..6)).prop_map(|(type_name, members)| RetrieveTypes { type_name, members })
}

/// A call with its arguments.
#[derive(Debug, Clone)]
enum Call {
    Describe(ApiVersion),
    List(Vec<ListQuery>, ApiVersion),
    Read(String, Vec<String>),
    Retrieve(Vec<RetrieveTypes>, ApiVersion),
    Status(String, &'static str),
}

impl Call {
    /// As the client writes it.
    fn parts(&self) -> (Operation, Vec<Part>) {
        match self {
            Self::Describe(version) => (Operation::DescribeMetadata, rest::describe_arguments(*version)),
            Self::List(queries, version) => (Operation::ListMetadata, listing::arguments(queries, *version)),
            Self::Read(type_name, names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let requests = ReadRequest::cut(type_name, &names);
                (Operation::ReadMetadata, requests[0].parts())
            }
            Self::Retrieve(types, version) => {
                let request = RetrieveRequest { types: types.clone() };
                (Operation::Retrieve, request.parts(*version))
            }
            Self::Status(id, zip) => {
                let id = AsyncId::new(id).unwrap();
                (
                    Operation::CheckRetrieveStatus,
                    retrieve::status_arguments(&id, zip),
                )
            }
        }
    }
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        version().prop_map(Call::Describe),
        (vec(query(), 1..=3), version()).prop_map(|(queries, version)| Call::List(queries, version)),
        (text(), vec(text(), 1..=10)).prop_map(|(type_name, names)| Call::Read(type_name, names)),
        (vec(types(), 0..5), version()).prop_map(|(types, version)| Call::Retrieve(types, version)),
        ("09S[A-Za-z0-9]{15}", select(vec!["true", "false"])).prop_map(|(id, zip)| Call::Status(id, zip)),
    ]
}

fn envelope() -> impl Strategy<Value = Vec<u8>> {
    (call(), "00D[A-Za-z0-9]{12}![A-Za-z0-9._]{8,90}", text()).prop_map(|(call, session, client_name)| {
        let (operation, parts) = call.parts();
        request(operation, &session.into(), &client_name, parts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_envelope_is_valid_by_salesforces_schema(envelopes in vec(envelope(), 60)) {
        prop_assert_eq!(faults(&envelopes), "");
    }
}

#[test]
fn the_validator_sees_an_element_out_of_its_order_and_one_that_is_unknown() {
    let session = "00Dxx0000001gER!AQEAQ".into();
    let leaf = |name| Part::leaf(name, "x");
    let wrong = [
        // `folder` stands before `type`.
        (
            Operation::ListMetadata,
            vec![
                Part::Node("queries", vec![leaf("type"), leaf("folder")]),
                Part::leaf("asOfVersion", "67.0"),
            ],
        ),
        (Operation::ReadMetadata, vec![leaf("fullNames"), leaf("type")]),
        (Operation::ReadMetadata, vec![leaf("type"), leaf("fullName")]),
        (Operation::DescribeMetadata, vec![leaf("asOfVersion")]),
        (
            Operation::CheckRetrieveStatus,
            vec![leaf("asyncProcessId"), Part::leaf("includeZip", "false")],
        ),
    ];
    for (operation, parts) in wrong {
        let envelope = request(operation, &session, "Nightshift", parts);
        let told = faults(std::slice::from_ref(&envelope));
        assert!(told.contains("Schemas validity error"), "{operation:?}: {told:?}");
    }
}

#[test]
fn the_list_of_the_ports_operations_is_that_of_the_wsdl() {
    let wsdl = Path::new(&schema()).with_file_name("metadata.wsdl");
    let wsdl = std::fs::read_to_string(wsdl).unwrap();
    let (_, port) = wsdl.split_once("<portType ").unwrap();
    let (port, _) = port.split_once("</portType>").unwrap();
    let declared: Vec<&str> = port
        .split("<operation name=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let listed: Vec<&str> = include_str!("../../tests/metadata-operations.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').next().unwrap())
        .collect();
    assert_eq!(declared, listed);
    for operation in operations::ALL {
        assert!(declared.contains(&operation.as_str()), "{operation:?}");
    }
}
