//! Orgs that are read from a folder: the small real org against counts and changes that Python computed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use nightshift_simulator::{ChangeKind, OrgSpec, SimulatorError};

use crate::client::{Row, Session};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/small-org")
}

fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(fixture().join(name)).unwrap();
    text.lines()
        .skip(1)
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

async fn small_org() -> Session {
    let next = Some(fixture().join("night-2"));
    Session::open(OrgSpec::from_folder("Small", fixture().join("night-1"), next)).await
}

/// Everything that listings name, by type and full name.
async fn everything(session: &Session) -> BTreeMap<(String, String), Row> {
    let mut all = BTreeMap::new();
    for kind in session.simulator.expected_counts("Small").unwrap().keys() {
        let foldered = match kind.as_str() {
            "Report" => Some("ReportFolder"),
            "Dashboard" => Some("DashboardFolder"),
            "Document" => Some("DocumentFolder"),
            "EmailTemplate" => Some("EmailFolder"),
            _ => None,
        };
        let mut rows = Vec::new();
        match foldered {
            None => rows = session.list(kind, None).await,
            Some(folders) => {
                for folder in session.list(folders, None).await {
                    rows.extend(session.list(kind, Some(&folder["fullName"])).await);
                }
            }
        }
        all.extend(
            rows.into_iter()
                .map(|row| ((row["type"].clone(), row["fullName"].clone()), row)),
        );
    }
    all
}

fn counted(column: usize) -> BTreeMap<String, u64> {
    let rows = table("expected-counts.tsv").into_iter();
    rows.map(|row| (row[0].clone(), row[column].parse().unwrap()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[tokio::test]
async fn the_small_org_has_the_counts_that_python_counted() {
    let session = small_org().await;
    assert_eq!(session.simulator.expected_counts("Small").unwrap(), counted(1));
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, _) in everything(&session).await.into_keys() {
        *listed.entry(kind).or_default() += 1;
    }
    let mut wanted = counted(1);
    wanted.remove("StandardValueSet");
    assert_eq!(listed, wanted);
    session.simulator.next_night("Small").unwrap();
    assert_eq!(session.simulator.expected_counts("Small").unwrap(), counted(2));
}

#[tokio::test]
async fn the_next_night_moves_the_dates_of_what_changed_and_of_nothing_else() {
    let session = small_org().await;
    let before = everything(&session).await;
    session.simulator.next_night("Small").unwrap();
    let after = everything(&session).await;
    let expected = table("expected-changes.tsv");
    let epoch = "1970-01-01T00:00:00.000Z";
    let mut seen: BTreeSet<(String, String, &str)> = BTreeSet::new();
    for (name, row) in &after {
        match before.get(name) {
            None => seen.insert((name.0.clone(), name.1.clone(), "added")),
            Some(old) => {
                old["lastModifiedDate"] < row["lastModifiedDate"]
                    && seen.insert((name.0.clone(), name.1.clone(), "changed"))
            }
        };
        assert!(
            before
                .get(name)
                .is_none_or(|old| old["lastModifiedDate"] <= row["lastModifiedDate"])
        );
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        seen.insert((name.0.clone(), name.1.clone(), "deleted"));
    }
    // What has no date cannot show a change in it; what was only moved about changed its bytes and so its date.
    let dated = |kind: &str, name: &str| {
        let key = (kind.to_owned(), name.to_owned());
        after.get(&key).is_none_or(|row| row["lastModifiedDate"] != epoch)
    };
    for row in expected
        .iter()
        .filter(|row| row[2] != "changed" || dated(&row[0], &row[1]))
    {
        let change = ["added", "changed", "deleted"]
            .into_iter()
            .find(|word| *word == row[2])
            .unwrap();
        assert!(
            seen.contains(&(row[0].clone(), row[1].clone(), change)),
            "{row:?}"
        );
    }
    let extra: Vec<_> = seen
        .iter()
        .filter(|(kind, name, change)| {
            !expected
                .iter()
                .any(|row| (&row[0], &row[1], row[2].as_str()) == (kind, name, change))
        })
        .collect();
    assert!(
        extra.iter().all(|(.., change)| *change == "changed") && extra.len() < 6,
        "{extra:?}"
    );
}

#[tokio::test]
async fn the_list_of_changes_holds_every_change_that_python_found() {
    let session = small_org().await;
    let changes = session.simulator.next_night("Small").unwrap();
    let word = |change| match change {
        ChangeKind::Added => "added",
        ChangeKind::Changed => "changed",
        ChangeKind::Deleted => "deleted",
    };
    let found: BTreeSet<Vec<String>> = changes
        .into_iter()
        .map(|change| vec![change.kind, change.full_name, word(change.change).to_owned()])
        .collect();
    let expected: BTreeSet<Vec<String>> = table("expected-changes.tsv").into_iter().collect();
    assert_eq!(
        expected.difference(&found).collect::<Vec<_>>(),
        Vec::<&Vec<String>>::new()
    );
    // By bytes there may be more (an order, a space), but nothing that comes or goes.
    assert!(found.difference(&expected).all(|row| row[2] == "changed"));
    assert!(matches!(
        session.simulator.next_night("Small"),
        Err(SimulatorError::NoNextNight(_))
    ));
}

#[tokio::test]
async fn b55_a_deleted_field_is_gone_from_the_listing_and_moves_no_date() {
    let session = small_org().await;
    let before = everything(&session).await;
    session.simulator.next_night("Small").unwrap();
    let after = everything(&session).await;
    let field = ("CustomField".to_owned(), "Engagement_Plan__c.Case__c".to_owned());
    assert!(before.contains_key(&field) && !after.contains_key(&field));
    let object = ("CustomObject".to_owned(), "Engagement_Plan__c".to_owned());
    assert_eq!(
        before[&object]["lastModifiedDate"],
        after[&object]["lastModifiedDate"]
    );
}

#[tokio::test]
async fn files_come_byte_for_byte_and_a_field_alone_comes_in_its_object() {
    let session = small_org().await;
    let fetched = session
        .fetch(&[
            ("CustomObject", &["Error__c"]),
            ("LightningComponentBundle", &["bdiFieldMappings"]),
            (
                "Document",
                &[
                    "NPSP_Documents",
                    "NPSP_Documents/NPSP_Data_Import_Template_csv.csv",
                ],
            ),
            ("CustomLabels", &["CustomLabels"]),
            ("Report", &["NPSP_Health_Check/Contacts_Without_Accounts"]),
        ])
        .await;
    let mut compared = 0;
    for (path, bytes) in fetched
        .files
        .iter()
        .filter(|(path, _)| !path.ends_with("package.xml"))
    {
        let file = fixture()
            .join("night-1")
            .join(path.strip_prefix("unpackaged/").unwrap());
        assert_eq!(*bytes, std::fs::read(file).unwrap(), "{path}");
        compared += 1;
    }
    assert!(
        compared >= 7 && fetched.messages().is_empty(),
        "{compared} {:?}",
        fetched.messages()
    );
    let fields = ["Engagement_Plan__c.Case__c", "Engagement_Plan__c.Account__c"];
    let fetched = session
        .fetch(&[("CustomField", &fields), ("ListView", &["Nobody.All"])])
        .await;
    let object = fetched.file("unpackaged/objects/Engagement_Plan__c.object");
    assert_eq!(object.matches("<fields>").count(), 2, "{object}");
    assert_eq!(fetched.messages().len(), 1);
}

#[tokio::test]
async fn a_folder_without_components_is_refused() {
    let session = small_org().await;
    let empty = tempfile::tempdir().unwrap();
    let refused = session
        .simulator
        .add_org(OrgSpec::from_folder("Empty", empty.path(), None))
        .unwrap_err();
    assert!(refused.to_string().contains("holds no component"), "{refused}");
    let again = session
        .simulator
        .add_org(OrgSpec::from_folder("Small", fixture().join("night-1"), None))
        .unwrap_err();
    assert!(matches!(again, SimulatorError::DuplicateOrg(_)));
}
