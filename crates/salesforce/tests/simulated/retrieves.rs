//! Retrieves: started, polled, failed as a whole or in part.

use std::{collections::BTreeSet, time::Duration};

use nightshift_domain::{FailureCode, LeftOutReason};
use nightshift_salesforce::{
    AsyncId, CallKind, RetrieveStatus, Ruled, SalesforceError, ZipAnswer, read_message,
};
use nightshift_simulator::{Call, Extra, Fault, FaultKind, OrgSpec, RetrievePace, SimulatorSettings};

use crate::desk::{Desk, LONG_ENOUGH, act, code, entries};

#[tokio::test]
async fn a_retrieve_goes_from_pending_over_in_progress_to_its_zip() {
    let settings = SimulatorSettings {
        pace: RetrievePace {
            pending: Duration::from_hours(1),
            in_progress: Duration::from_hours(1),
            per_file: Duration::ZERO,
        },
        access_token_lifetime: Duration::from_hours(24),
        ..SimulatorSettings::default()
    };
    let desk = Desk::with(OrgSpec::generated("Acme", 1, 400), settings).await;
    let names = desk.names("ApexClass").await;
    let id = desk.start("ApexClass", &names).await.unwrap();
    assert_eq!(desk.status(&id).await, RetrieveStatus::Pending);
    assert!(matches!(
        desk.client.retrieve_zip(&id).await,
        Ok(ZipAnswer::NotReady(RetrieveStatus::Pending))
    ));
    desk.simulator.advance(Duration::from_mins(61));
    assert_eq!(desk.status(&id).await, RetrieveStatus::InProgress);
    assert!(matches!(
        desk.client.retrieve_zip(&id).await,
        Ok(ZipAnswer::NotReady(RetrieveStatus::InProgress))
    ));
    desk.simulator.advance(Duration::from_hours(1));
    let RetrieveStatus::Succeeded { files, messages } = desk.status(&id).await else {
        panic!("not done");
    };
    assert!(
        files == names.len() && messages.is_empty(),
        "{files} files, {messages:?}"
    );
    let came = desk.fetch(&id).await.unwrap();
    came.end.unwrap();
    // Each class is two files, and there is a package.xml.
    assert_eq!(entries(&came.zip.unwrap()), Some(2 * names.len() + 1));
    let told: BTreeSet<_> = came.files.into_iter().filter_map(|file| file.full_name).collect();
    assert_eq!(told, names.into_iter().collect());
    assert_eq!((desk.made(CallKind::Poll), desk.made(CallKind::Zip)), (3, 3));
}

#[tokio::test]
async fn b25_a_retrieve_that_stays_pending_is_found_again_by_its_stored_id() {
    let desk = Desk::acme().await;
    desk.fault(Fault::new(FaultKind::StaysPending));
    let names = desk.names("ApexClass").await;
    let stored = desk.start("ApexClass", &names[..3]).await.unwrap().to_string();
    for _ in 0..4 {
        desk.simulator.advance(LONG_ENOUGH);
        let id = AsyncId::new(&stored).unwrap();
        assert_eq!(desk.status(&id).await, RetrieveStatus::Pending);
    }
    desk.heal();
    let id = AsyncId::new(&stored).unwrap();
    assert!(matches!(desk.status(&id).await, RetrieveStatus::Succeeded { .. }));
    assert_eq!(entries(&desk.fetch(&id).await.unwrap().zip.unwrap()), Some(7));
    assert_eq!(desk.seen(Call::Retrieve), 1);
}

#[tokio::test]
async fn b33_one_poll_that_does_not_know_the_id_is_a_wait_and_the_retrieve_goes_on() {
    let desk = Desk::acme().await;
    let names = desk.names("ApexClass").await;
    let id = desk.start("ApexClass", &names[..3]).await.unwrap();
    desk.fault(
        Fault::new(FaultKind::InvalidCrossReference)
            .times(1)
            .on(&[Call::Poll]),
    );
    let stumble = desk.client.retrieve_status(&id).await.unwrap_err();
    assert_eq!(stumble.refusal().unwrap().code, "INVALID_CROSS_REFERENCE_KEY");
    assert_eq!(act(&stumble), "wait");
    desk.simulator.advance(LONG_ENOUGH);
    assert!(matches!(desk.status(&id).await, RetrieveStatus::Succeeded { .. }));
    // The same words to the call that fetches the zip are no stumble of a poll.
    desk.fault(
        Fault::new(FaultKind::InvalidCrossReference)
            .times(1)
            .on(&[Call::Download]),
    );
    let error = desk.client.retrieve_zip(&id).await.unwrap_err();
    assert_ne!(act(&error), "wait", "{error}");
}

#[tokio::test]
async fn polls_that_fail_for_salesforces_reasons_are_waits() {
    let desk = Desk::acme().await;
    let names = desk.names("ApexClass").await;
    let id = desk.ready("ApexClass", &names[..3]).await;
    for kind in [
        FaultKind::Html503,
        FaultKind::Html200,
        FaultKind::Reset,
        FaultKind::ServerUnavailable,
        FaultKind::RequestLimitExceeded,
    ] {
        desk.fault(Fault::new(kind).times(1).on(&[Call::Poll]));
        let error = desk.client.retrieve_status(&id).await.unwrap_err();
        assert_eq!(act(&error), "wait", "{kind:?}: {error}");
    }
    assert!(matches!(desk.status(&id).await, RetrieveStatus::Succeeded { .. }));
}

/// Fails as a whole: the poll says so, and so does the call for the zip.
async fn failure(desk: &Desk, type_name: &str, members: &[String]) -> Option<SalesforceError> {
    let id = desk.ready(type_name, members).await;
    match desk.status(&id).await {
        RetrieveStatus::Succeeded { .. } => None,
        RetrieveStatus::Failed(failure) => {
            let Ok(ZipAnswer::Failed(at_zip)) = desk.client.retrieve_zip(&id).await else {
                panic!("a failed retrieve has a zip");
            };
            assert_eq!(at_zip.refusal().code, failure.refusal().code);
            Some(failure.into())
        }
        early => panic!("{early:?}"),
    }
}

#[tokio::test]
async fn b15_too_many_files_are_halved() {
    let desk = Desk::acme().await;
    desk.fault(Fault::new(FaultKind::LimitExceeded).over_files(6));
    let names = desk.names("ApexClass").await;
    let error = failure(&desk, "ApexClass", &names[..6]).await.unwrap();
    assert_eq!((code(&error), act(&error)), (FailureCode::TooLarge, "split"));
    assert!(failure(&desk, "ApexClass", &names[..3]).await.is_none());
}

#[tokio::test]
async fn b17_a_poisonous_member_is_found_by_halving_and_keeps_its_number() {
    let desk = Desk::acme().await;
    let names = desk.names("ApexClass").await;
    let poison = names[5].clone();
    desk.fault(
        Fault::new(FaultKind::PoisonousComponent)
            .of_type("ApexClass")
            .named(&poison),
    );
    let mut suspects = names[..8].to_vec();
    let (mut halvings, mut events) = (0, BTreeSet::new());
    while suspects.len() > 1 {
        let half = suspects.split_off(suspects.len() / 2);
        if let Some(error) = failure(&desk, "ApexClass", &half).await {
            let ruling = error.ruling();
            assert_eq!(ruling.code, FailureCode::SalesforceUnexpected);
            let refusal = error.refusal().unwrap();
            assert_eq!(refusal.stack.as_deref(), Some("-1073734177"));
            events.insert(refusal.error_id.clone().unwrap());
            suspects = half;
        }
        halvings += 1;
    }
    assert_eq!((suspects, halvings), (vec![poison.clone()], 3));
    let alone = failure(&desk, "ApexClass", &[poison]).await.unwrap();
    events.insert(alone.refusal().unwrap().error_id.clone().unwrap());
    assert!(
        events.len() > 1,
        "the event's number is new each time: {events:?}"
    );
    assert_eq!(alone.evidence()["stack"], "-1073734177");
    assert!(
        failure(&desk, "ApexClass", &names[6..9]).await.is_none(),
        "the others come"
    );
}

#[tokio::test]
async fn b17_a_failure_that_passes_is_over_when_the_same_is_asked_again() {
    let desk = Desk::acme().await;
    let names = desk.names("ApexClass").await;
    desk.fault(
        Fault::new(FaultKind::PoisonousComponent)
            .of_type("ApexClass")
            .named(&names[0])
            .times(1),
    );
    let error = failure(&desk, "ApexClass", &names).await.unwrap();
    let ruling = error.ruling();
    let once_more = Some(2);
    assert_eq!((ruling.ruled, ruling.tries), (Ruled::Split, once_more));
    assert!(failure(&desk, "ApexClass", &names).await.is_none());
}

#[tokio::test]
async fn a_type_without_access_is_named_from_inside_an_unknown_exception() {
    let desk = Desk::acme().await;
    let names = desk.names("Layout").await;
    desk.fault(Fault::new(FaultKind::InsufficientAccess).of_type("Layout"));
    let error = failure(&desk, "Layout", &names[..2]).await.unwrap();
    assert_eq!(
        error.refusal().unwrap().nested.as_deref(),
        Some("INSUFFICIENT_ACCESS")
    );
    let Ruled::LeaveOut(Some(culprit)) = error.ruling().ruled else {
        panic!("{error}");
    };
    assert_eq!(
        (code(&error), culprit.type_name.as_str()),
        (FailureCode::PermissionMissing, "Layout")
    );
}

#[tokio::test]
async fn b21_one_that_cannot_be_loaded_is_named_in_the_poll_and_beside_the_zip() {
    let package = Extra::new("InstalledPackage", "Test2", "<InstalledPackage/>").in_package("Test2");
    let desk = Desk::open(OrgSpec::generated("Acme", 1, 400).with(package)).await;
    desk.fault(
        Fault::new(FaultKind::LoadFromDbFailed)
            .of_type("InstalledPackage")
            .named("Test2"),
    );
    let id = desk.ready("InstalledPackage", &["Test2".to_owned()]).await;
    let RetrieveStatus::Succeeded { messages, .. } = desk.status(&id).await else {
        panic!("it fails as a whole");
    };
    let came = desk.fetch(&id).await.unwrap();
    assert_eq!(came.messages, messages);
    let reading = read_message(&messages[0].problem);
    let culprit = reading.culprit.unwrap();
    assert_eq!(reading.reason, Some(LeftOutReason::CannotBeLoaded));
    assert_eq!(
        (culprit.type_name.as_str(), culprit.name.as_deref()),
        ("InstalledPackage", Some("Test2"))
    );
}

#[tokio::test]
async fn b23_of_many_that_cannot_be_found_each_is_named_and_what_exists_comes() {
    let desk = Desk::acme().await;
    let exists = desk.names("ApexClass").await[0].clone();
    let gone: Vec<String> = (0..201).map(|n| format!("Gone{n}")).collect();
    let asked: Vec<String> = gone.iter().cloned().chain([exists.clone()]).collect();
    let id = desk.ready("ApexClass", &asked).await;
    let came = desk.fetch(&id).await.unwrap();
    let told: Vec<String> = came
        .messages
        .iter()
        .map(|message| read_message(&message.problem))
        .inspect(|reading| assert_eq!(reading.reason, Some(LeftOutReason::CannotBeFound)))
        .filter_map(|reading| reading.culprit?.name)
        .collect();
    assert_eq!(told, gone);
    assert_eq!(came.files.len(), 1);
    assert_eq!(came.files[0].full_name.as_deref(), Some(exists.as_str()));
}

#[tokio::test]
async fn an_id_that_salesforce_does_not_know_is_never_a_zip() {
    let desk = Desk::acme().await;
    let id = AsyncId::new("09S000000000001AAA").unwrap();
    let poll = desk.client.retrieve_status(&id).await.unwrap_err();
    assert_eq!(act(&poll), "wait", "it may not be known yet: {poll}");
    let zip = desk.client.retrieve_zip(&id).await.unwrap_err();
    assert_eq!(code(&zip), FailureCode::SalesforceUnexpected);
    assert!(!zip.lost_the_zip());
}
