//! Orgs made from a project in source format deliver the Metadata API format.

use std::{fs, path::Path};

use nightshift_simulator::OrgSpec;
use serde_json::json;

use crate::client::{Session, unzip};

const SPACE: &str = "xmlns=\"http://soap.sforce.com/2006/04/metadata\"";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn project(root: &Path) {
    write(
        root,
        "sfdx-project.json",
        r#"{ "packageDirectories": [{ "path": "one", "default": true }, { "path": "two" }] }"#,
    );
    let file = |path: &str, kind: &str, inner: &str| {
        write(
            root,
            path,
            &format!("<?xml version=\"1.0\"?>\n<{kind} {SPACE}>{inner}</{kind}>\n"),
        );
    };
    file(
        "one/main/objects/A__c/A__c.object-meta.xml",
        "CustomObject",
        "<label>A</label>",
    );
    file(
        "one/main/objects/A__c/fields/One__c.field-meta.xml",
        "CustomField",
        "<fullName>One__c</fullName><type>Text</type>",
    );
    file(
        "two/main/objects/A__c/listViews/All.listView-meta.xml",
        "ListView",
        "<fullName>All</fullName>",
    );
    file(
        "one/main/objects/A__c/fields/Two__c.field-meta.xml",
        "CustomField",
        "<fullName>Two__c</fullName><type>Text</type>",
    );
    file("two/flows/F.flow-meta.xml", "Flow", "<label>F</label>");
    file(
        "two/staticresources/R.resource-meta.xml",
        "StaticResource",
        "<contentType>application/zip</contentType>",
    );
    write(root, "two/staticresources/R/css/a.css", "b {}");
    file(
        "two/reports/Top.reportFolder-meta.xml",
        "ReportFolder",
        "<name>Top</name>",
    );
    file("two/reports/Top/R.report-meta.xml", "Report", "<name>R</name>");
}

#[tokio::test]
async fn a_project_is_listed_delivered_and_changed_like_any_org() {
    let (before, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    project(before.path());
    project(after.path());
    fs::remove_file(
        after
            .path()
            .join("one/main/objects/A__c/fields/Two__c.field-meta.xml"),
    )
    .unwrap();
    let session = Session::open(OrgSpec::from_folder(
        "Acme",
        before.path(),
        Some(after.path().to_owned()),
    ))
    .await;
    let counts = session.simulator.expected_counts("Acme").unwrap();
    assert_eq!(
        (
            counts["CustomObject"],
            counts["CustomField"],
            counts["ListView"],
            counts["ReportFolder"]
        ),
        (1, 2, 1, 1)
    );
    let fetched = session
        .fetch(&[
            ("CustomObject", &["*"]),
            ("Flow", &["F"]),
            ("StaticResource", &["R"]),
            ("Report", &["Top", "Top/R"]),
        ])
        .await;
    let object = fetched.file("unpackaged/objects/A__c.object");
    for part in [
        "<label>A</label>",
        "<fields><fullName>One__c</fullName>",
        "<listViews><fullName>All</fullName>",
    ] {
        assert!(object.contains(part), "{object}");
    }
    for path in [
        "flows/F.flow",
        "staticresources/R.resource-meta.xml",
        "reports/Top-meta.xml",
        "reports/Top/R.report",
    ] {
        fetched.file(&format!("unpackaged/{path}"));
    }
    assert_eq!(
        unzip(&fetched.files["unpackaged/staticresources/R.resource"])["css/a.css"],
        b"b {}"
    );
    let changes = session.control("next", json!({ "org": "Acme" })).await;
    assert_eq!(
        changes,
        json!([{ "org": "Acme", "type": "CustomField", "full_name": "A__c.Two__c", "change": "deleted" }])
    );
}
