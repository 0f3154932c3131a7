//! Entries that real listings were seen to hold, each by the id of its report.

use nightshift_simulator::{OrgSpec, Quirk};

use crate::client::{Session, rows};

/// An org with all of them.
pub async fn odd() -> Session {
    let spec = Quirk::ALL
        .into_iter()
        .fold(OrgSpec::generated("Acme", 1, 400), OrgSpec::with_quirk);
    Session::open(spec).await
}

#[tokio::test]
async fn b07_folders_are_listed_with_their_whole_paths_and_content_by_folder() {
    let session = odd().await;
    let folders: Vec<String> = session
        .list("DashboardFolder", None)
        .await
        .into_iter()
        .map(|row| row["fullName"].clone())
        .collect();
    assert!(folders.contains(&"top/su/su1".to_owned()), "{folders:?}");
    let deep = session.list("Dashboard", Some("top/su/su1")).await;
    assert_eq!(deep.len(), 1);
    assert_eq!(deep[0]["fileName"], "dashboards/top/su/su1/Deep.dashboard");
    let fetched = session
        .fetch(&[
            ("Dashboard", &["top", "top/su/su1", "top/su/su1/Deep"]),
            ("Report", &["top"]),
        ])
        .await;
    assert!(
        fetched
            .file("unpackaged/reports/top-meta.xml")
            .contains("folderShares")
    );
    for path in [
        "dashboards/top-meta.xml",
        "dashboards/top/su/su1-meta.xml",
        "dashboards/top/su/su1/Deep.dashboard",
    ] {
        fetched.file(&format!("unpackaged/{path}"));
    }
    assert!(fetched.messages().is_empty());
}

#[tokio::test]
async fn odd_entries_are_listed_as_they_were_seen() {
    let session = odd().await;
    let layouts = session.list("Layout", None).await;
    let managed = layouts
        .iter()
        .find(|row| row.get("namespacePrefix").is_some())
        .unwrap();
    assert_eq!(managed["fullName"], "SBQQ__Quote__c-Quote Layout", "b03");
    let records = session.list("CustomMetadata", None).await;
    let twins: Vec<_> = records
        .iter()
        .filter(|row| row["fullName"] == "Setting.Default")
        .collect();
    assert_eq!(twins.len(), 2, "b05");
    assert_ne!(twins[0]["id"], twins[1]["id"], "b05");
    assert!(
        records
            .iter()
            .all(|row| row["lastModifiedDate"] == "1970-01-01T00:00:00.000Z"),
        "b53"
    );
    let prompt = &session.list("Prompt", None).await[0];
    assert_eq!(
        (prompt.get("fileName"), prompt["type"].as_str()),
        (None, "Prompt"),
        "b11"
    );
    let rule = &session.list("AnimationRule", None).await[0];
    assert_eq!(
        (rule.get("fileName"), rule.get("type"), rule["fullName"].as_str()),
        (None, None, "_Default"),
        "b13"
    );
    let packages = session.list("InstalledPackage", None).await;
    assert_eq!(
        packages.iter().filter(|row| row["fullName"] == "npe01").count(),
        2
    );
    assert_eq!(session.list("NextReleaseThing", None).await.len(), 3, "b47");
}

#[tokio::test]
async fn b03_retrieve_knows_a_managed_layout_only_by_its_right_name() {
    let session = odd().await;
    let names = ["SBQQ__Quote__c-Quote Layout", "SBQQ__Quote__c-SBQQ__Quote Layout"];
    let fetched = session.fetch(&[("Layout", &names)]).await;
    assert_eq!(
        fetched.messages(),
        ["Entity of type 'Layout' named 'SBQQ__Quote__c-Quote Layout' cannot be found"]
    );
    fetched.file("unpackaged/layouts/SBQQ__Quote__c-SBQQ__Quote Layout.layout");
}

#[tokio::test]
async fn b43_a_profile_with_parentheses_is_listed_one_way_and_delivered_another() {
    let session = odd().await;
    assert!(
        session
            .list("Profile", None)
            .await
            .iter()
            .any(|row| row["fullName"] == "My(awesome)profile")
    );
    let fetched = session.fetch(&[("Profile", &["My(awesome)profile"])]).await;
    fetched.file("unpackaged/profiles/My%28awesome%29profile.profile");
    let properties = rows(&fetched.text, "fileProperties");
    assert_eq!(properties[0]["fullName"], "My%28awesome%29profile");
}

#[tokio::test]
async fn b41_b45_names_with_odd_characters_go_round() {
    let session = odd().await;
    for row in session
        .list("Layout", None)
        .await
        .iter()
        .filter(|row| row["fullName"].contains('%'))
    {
        let fetched = session.fetch(&[("Layout", &[&row["fullName"]])]).await;
        fetched.file(&format!("unpackaged/layouts/{}.layout", row["fullName"]));
    }
}
