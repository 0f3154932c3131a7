//! Versions, the org's facts, limits, description, listings.

use std::collections::BTreeMap;

use nightshift_domain::FailureCode;
use nightshift_salesforce::{ApiVersion, ListQuery, Ruled, SalesforceError};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec, SimulatorSettings};

use crate::desk::{Desk, act, code};

#[tokio::test]
async fn the_lesser_of_what_we_tested_and_what_the_org_offers_is_spoken() {
    for (greatest, expected) in [
        (670, Some("67.0")),
        (640, Some("64.0")),
        (720, Some("67.0")),
        (300, None),
    ] {
        let settings = SimulatorSettings {
            greatest_version: greatest,
            ..SimulatorSettings::default()
        };
        let desk = Desk::with(OrgSpec::generated("Acme", 1, 50), settings).await;
        match (desk.client.choose_version().await, expected) {
            (Ok(version), Some(expected)) => assert_eq!(version, expected.parse::<ApiVersion>().unwrap()),
            (Err(error), None) => {
                assert!(
                    matches!(error, SalesforceError::NoCommonVersion { .. }),
                    "{error}"
                );
                assert_eq!(act(&error), "permanent");
            }
            (came, _) => panic!("{greatest}: {came:?}"),
        }
    }
}

#[tokio::test]
async fn the_org_and_its_user_tell_their_facts() {
    let spec = OrgSpec::generated("Acme", 1, 50)
        .in_time_zone("Pacific/Apia")
        .as_sandbox();
    let desk = Desk::open(spec).await;
    let organization = desk.client.organization().await.unwrap();
    assert_eq!(organization.id.as_str(), desk.access.organization_id);
    assert_eq!(organization.time_zone_sid_key.as_deref(), Some("Pacific/Apia"));
    assert!(organization.is_sandbox);
    assert_eq!(organization.instance_name.as_deref(), Some("SIM1"));
    let identity = desk.client.identity().await.unwrap();
    assert_eq!(identity.organization_id, organization.id);
    assert_eq!(identity.user_id, desk.access.user_id);
    let user = desk.client.user(&identity.user_id).await.unwrap();
    assert_eq!(user.username, identity.username);
    assert_eq!(user.is_active, Some(true));
}

#[tokio::test]
async fn the_days_requests_are_known_from_limits_and_from_any_rest_answer() {
    let desk = Desk::acme().await;
    assert!(desk.client.usage().is_none());
    desk.client.organization().await.unwrap();
    let before = desk.client.usage().unwrap();
    let limits = desk.client.limits().await.unwrap();
    let daily = limits.daily_api_requests().unwrap();
    assert_eq!((before.used, before.allowed, daily.max), (1, 15_000, 15_000));
    assert_eq!(daily.remaining, 15_000 - 2);
    assert_eq!(desk.client.usage().unwrap().used, 2);
}

#[tokio::test]
async fn the_description_names_directories_folders_and_children() {
    let desk = Desk::acme().await;
    let describe = desk.client.describe_metadata().await.unwrap();
    let by_name: BTreeMap<_, _> = describe
        .types
        .iter()
        .map(|row| (row.name.as_str(), row))
        .collect();
    assert!(by_name.len() >= 40, "{} types", by_name.len());
    let object = by_name["CustomObject"];
    assert_eq!(
        (object.directory.as_str(), object.suffix.as_deref()),
        ("objects", Some("object"))
    );
    for child in ["CustomField", "ListView", "ValidationRule"] {
        assert!(object.children.iter().any(|name| name == child), "{child}");
    }
    assert!(by_name["Report"].in_folder && !object.in_folder);
    assert!(by_name["ApexClass"].meta_file && !by_name["Layout"].meta_file);
}

#[tokio::test]
async fn listings_have_all_that_the_org_holds_one_two_and_three_types_a_call() {
    let desk = Desk::acme().await;
    let expected = desk.simulator.expected_counts("Acme").unwrap();
    let types = ["ApexClass", "CustomField", "Layout"];
    for asked in 1..=types.len() {
        let queries: Vec<ListQuery> = types[..asked].iter().map(|name| ListQuery::of(*name)).collect();
        let listed = desk
            .client
            .list_metadata(&queries)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        for name in &types[..asked] {
            let of_type = listed
                .iter()
                .filter(|entry| entry.type_name.as_deref() == Some(name));
            assert_eq!(of_type.count() as u64, expected[*name], "{name} of {asked}");
        }
        assert!(
            listed
                .iter()
                .all(|entry| entry.full_name.is_some() && entry.file_name.is_some())
        );
    }
    assert_eq!(desk.seen(Call::List), 3);
}

#[tokio::test]
async fn a_type_in_folders_is_listed_folder_by_folder() {
    let desk = Desk::acme().await;
    let mut reports = 0;
    for folder in desk.names("ReportFolder").await {
        let query = ListQuery {
            type_name: "Report".to_owned(),
            folder: Some(folder.clone()),
        };
        for entry in desk
            .client
            .list_metadata(&[query])
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
        {
            assert!(entry.full_name.unwrap().starts_with(&format!("{folder}/")));
            reports += 1;
        }
    }
    let expected = desk.simulator.expected_counts("Acme").unwrap();
    assert_eq!(reports, expected["Report"]);
}

#[tokio::test]
async fn b01_one_bad_type_of_three_is_named_and_the_others_are_listed_without_it() {
    let desk = Desk::acme().await;
    desk.fault(Fault::new(FaultKind::TypeMayNotBeListed).of_type("Layout"));
    let queries = ["ApexClass", "Layout", "CustomField"].map(ListQuery::of);
    let Err(error) = desk.client.list_metadata(&queries).await else {
        panic!("listed");
    };
    let Ruled::LeaveOut(Some(culprit)) = error.ruling().ruled else {
        panic!("{error}");
    };
    assert_eq!((culprit.type_name.as_str(), culprit.name), ("Layout", None));
    let rest: Vec<ListQuery> = queries
        .into_iter()
        .filter(|query| query.type_name != culprit.type_name)
        .collect();
    let listed = desk
        .client
        .list_metadata(&rest)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert!(!listed.is_empty());
}

#[tokio::test]
async fn a_user_that_may_not_read_metadata_is_no_matter_of_one_type() {
    let desk = Desk::acme().await;
    let fault = Fault {
        code: Some("INSUFFICIENT_ACCESS".to_owned()),
        ..Fault::new(FaultKind::TypeMayNotBeListed).of_type("Layout")
    };
    desk.fault(fault);
    let error = desk.list("Layout").await.unwrap_err();
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::PermissionMissing, "permanent")
    );
}

#[tokio::test]
async fn what_is_wrong_with_all_of_salesforce_is_told_alike_by_rest_and_soap() {
    let desk = Desk::acme().await;
    desk.client.versions().await.unwrap();
    for (kind, expected, to_do) in [
        (FaultKind::Html503, FailureCode::SalesforceUnavailable, "retry"),
        (FaultKind::Html200, FailureCode::SalesforceUnavailable, "retry"),
        (FaultKind::Html420, FailureCode::SalesforceUnavailable, "retry"),
        (
            FaultKind::ServerUnavailable,
            FailureCode::SalesforceUnavailable,
            "retry",
        ),
        (FaultKind::Reset, FailureCode::SalesforceUnreachable, "retry"),
        (
            FaultKind::RequestLimitExceeded,
            FailureCode::RequestLimitExceeded,
            "wait",
        ),
        (
            FaultKind::ConcurrentLimitExceeded,
            FailureCode::RequestLimitExceeded,
            "retry",
        ),
    ] {
        desk.fault(Fault::new(kind).times(2));
        let rest = desk.client.limits().await.unwrap_err();
        let soap = desk.list("ApexClass").await.unwrap_err();
        for error in [rest, soap] {
            assert_eq!(
                (code(&error), act(&error)),
                (expected, to_do),
                "{kind:?}: {error}"
            );
        }
        assert!(desk.client.limits().await.is_ok(), "{kind:?} is over");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_tried_again() {
    let desk = Desk::acme().await;
    desk.client.versions().await.unwrap();
    desk.fault(Fault::new(FaultKind::Empty406).times(2));
    for error in [
        desk.client.limits().await.unwrap_err(),
        desk.list("ApexClass").await.unwrap_err(),
    ] {
        assert_eq!(act(&error), "retry", "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_begin_is_a_time_out() {
    let spec = OrgSpec::generated("Acme", 1, 400);
    let settings = SimulatorSettings::default();
    let desk = Desk::waiting(spec, settings, std::time::Duration::from_secs(2)).await;
    desk.client.versions().await.unwrap();
    let slow = Fault {
        millis: Some(5_000),
        ..Fault::new(FaultKind::Slow).times(1).on(&[Call::Limits])
    };
    desk.fault(slow);
    let error = desk.client.limits().await.unwrap_err();
    assert!(matches!(error, SalesforceError::Timeout { .. }), "{error}");
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::SalesforceUnreachable, "retry")
    );
}
