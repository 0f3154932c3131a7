//! The zip's one transfer: streamed, handed over once, and what is said when it breaks.

use std::{io::Read, time::Duration};

use nightshift_domain::FailureCode;
use nightshift_salesforce::{AsyncId, Broken, SalesforceError, Waited, ZipAnswer};
use nightshift_simulator::{Call, Extra, Fault, FaultKind, OrgSpec};

use crate::desk::{Came, Desk, act, code, entries};

const BIG: &str = "Big";

/// An org with one file that no compression makes smaller.
async fn with_big_file(bytes: usize) -> (Desk, AsyncId) {
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(bytes)
    .collect();
    let spec = OrgSpec::generated("Acme", 1, 50).with(Extra::new("StaticResource", BIG, noise));
    let desk = Desk::open(spec).await;
    let id = desk.ready("StaticResource", &[BIG.to_owned()]).await;
    (desk, id)
}

/// Fetches a zip on whose way a fault lies, and asks for it again.
async fn spoilt(kind: FaultKind) -> (Desk, AsyncId, Came) {
    let (desk, id) = with_big_file(300_000).await;
    desk.fault(Fault::new(kind).times(1));
    let came = desk.fetch(&id).await.unwrap();
    (desk, id, came)
}

#[tokio::test]
async fn b31_polls_leave_the_zip_which_is_handed_over_once() {
    let (desk, id) = with_big_file(300_000).await;
    for _ in 0..3 {
        desk.status(&id).await;
    }
    let came = desk.fetch(&id).await.unwrap();
    came.end.unwrap();
    assert!(entries(&came.zip.unwrap()).is_some());
    assert!(desk.is_gone(&id).await && desk.is_gone(&id).await);
}

#[tokio::test]
async fn b31_a_worker_that_dies_at_60_percent_finds_no_zip_and_asks_anew() {
    let (desk, id) = with_big_file(4 << 20).await;
    let Ok(ZipAnswer::Zip(mut download)) = desk.client.retrieve_zip(&id).await else {
        panic!("no zip");
    };
    tokio::task::spawn_blocking(move || {
        let mut part = vec![0; (4 << 20) * 6 / 10];
        download.reader.read_exact(&mut part).unwrap();
        drop(download);
    })
    .await
    .unwrap();
    assert!(desk.is_gone(&id).await, "neither an empty result nor a failure");
    let again = desk.ready("StaticResource", &[BIG.to_owned()]).await;
    assert!(entries(&desk.fetch(&again).await.unwrap().zip.unwrap()).is_some());
}

#[tokio::test]
async fn the_zip_is_read_while_it_comes_and_waits_for_its_reader() {
    let (desk, id) = with_big_file(8 << 20).await;
    let Ok(ZipAnswer::Zip(download)) = desk.client.retrieve_zip(&id).await else {
        panic!("no zip");
    };
    let mut reader = download.reader;
    let (mut reader, first) = tokio::task::spawn_blocking(move || {
        let mut first = [0; 4];
        reader.read_exact(&mut first).unwrap();
        (reader, first)
    })
    .await
    .unwrap();
    assert_eq!(&first, b"PK\x03\x04");
    let mut end = Box::pin(download.end.wait());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut end).await;
    assert!(early.is_err(), "11 MB of text were taken without a reader");
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).map(|_| rest)
    });
    let zip = [first.to_vec(), rest.await.unwrap().unwrap()].concat();
    end.await.unwrap();
    assert!(zip.len() > 8 << 20 && entries(&zip).is_some());
}

#[tokio::test]
async fn a_reader_that_goes_away_early_abandons_the_zip() {
    let (desk, id) = with_big_file(8 << 20).await;
    let Ok(ZipAnswer::Zip(download)) = desk.client.retrieve_zip(&id).await else {
        panic!("no zip");
    };
    drop(download.reader);
    let error = download.end.wait().await.unwrap_err();
    assert!(
        matches!(error, SalesforceError::Abandoned { .. }) && error.lost_the_zip(),
        "{error}"
    );
    assert_eq!(act(&error), "retry");
}

#[tokio::test]
async fn base64_that_breaks_off_is_named_and_the_zip_is_lost() {
    let (desk, id, came) = spoilt(FaultKind::Base64BrokenOff).await;
    assert!(came.zip.is_err());
    let error = came.end.unwrap_err();
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::Base64Truncated, "retry"),
        "{error}"
    );
    assert!(error.lost_the_zip() && desk.is_gone(&id).await);
}

#[tokio::test]
async fn a_reset_in_mid_transfer_is_named_and_the_zip_is_lost() {
    let (desk, id, came) = spoilt(FaultKind::ResetInMidTransfer).await;
    assert!(came.zip.is_err(), "half a zip is no zip");
    let error = came.end.unwrap_err();
    let cut = matches!(
        error,
        SalesforceError::Transport {
            broken: Broken::Cut,
            ..
        }
    );
    assert!(cut && error.lost_the_zip(), "{error}");
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::SalesforceUnreachable, "retry")
    );
    assert!(desk.is_gone(&id).await);
}

#[tokio::test]
async fn a_transfer_that_stalls_is_a_time_out_and_the_zip_is_lost() {
    let (desk, id) = with_big_file(2 << 20).await;
    let drip = Fault {
        millis: Some(3_000),
        ..Fault::new(FaultKind::SlowDrip).times(1)
    };
    desk.fault(drip);
    let error = match desk.fetch(&id).await {
        Ok(came) => {
            assert!(came.zip.is_err());
            came.end.unwrap_err()
        }
        Err(error) => error,
    };
    let stalled = matches!(
        error,
        SalesforceError::Timeout {
            waited: Waited::Idle,
            ..
        }
    );
    assert!(stalled && error.lost_the_zip(), "{error}");
    assert_eq!(code(&error), FailureCode::SalesforceUnreachable);
    assert!(desk.is_gone(&id).await);
}

#[tokio::test]
async fn a_zip_that_was_cut_before_it_was_encoded_comes_as_it_is_for_the_archive_to_refuse() {
    for kind in [FaultKind::TruncatedZip, FaultKind::FlippedBit] {
        let (desk, id, came) = spoilt(kind).await;
        came.end.unwrap();
        let zip = came.zip.unwrap();
        let good = desk.ready("StaticResource", &[BIG.to_owned()]).await;
        let good = desk.fetch(&good).await.unwrap().zip.unwrap();
        assert_ne!(zip, good, "{kind:?}");
        assert_eq!(entries(&zip).is_none(), kind == FaultKind::TruncatedZip);
        assert!(desk.is_gone(&id).await);
    }
}

#[tokio::test]
async fn what_refuses_the_fetch_before_it_begins_leaves_the_zip_where_it_is() {
    let (desk, id) = with_big_file(300_000).await;
    for (kind, expected, to_do) in [
        (FaultKind::Html503, FailureCode::SalesforceUnavailable, "retry"),
        (FaultKind::Html200, FailureCode::SalesforceUnavailable, "retry"),
        (
            FaultKind::ServerUnavailable,
            FailureCode::SalesforceUnavailable,
            "retry",
        ),
        (
            FaultKind::RequestLimitExceeded,
            FailureCode::RequestLimitExceeded,
            "wait",
        ),
    ] {
        desk.fault(Fault::new(kind).times(1).on(&[Call::Download]));
        let error = desk.client.retrieve_zip(&id).await.unwrap_err();
        assert_eq!(
            (code(&error), act(&error)),
            (expected, to_do),
            "{kind:?}: {error}"
        );
        assert!(!error.lost_the_zip(), "{kind:?}");
    }
    desk.fault(
        Fault::new(FaultKind::ExpiredSession)
            .times(1)
            .on(&[Call::Download]),
    );
    let came = desk.fetch(&id).await.unwrap();
    came.end.unwrap();
    assert!(
        entries(&came.zip.unwrap()).is_some(),
        "the session was refreshed on the way"
    );
}

#[tokio::test]
async fn a_zip_comes_whole_with_and_without_compression_of_the_answer() {
    for compression in [
        nightshift_simulator::Compressing::WhenAsked,
        nightshift_simulator::Compressing::Never,
    ] {
        let settings = nightshift_simulator::SimulatorSettings {
            compression,
            ..Default::default()
        };
        let desk = Desk::with(OrgSpec::generated("Acme", 7, 2_000), settings).await;
        let names = desk.names("CustomObject").await;
        let id = desk.ready("CustomObject", &names).await;
        let came = desk.fetch(&id).await.unwrap();
        came.end.unwrap();
        assert_eq!(
            entries(&came.zip.unwrap()),
            Some(names.len() + 1),
            "{compression:?}"
        );
        assert_eq!(came.files.len(), names.len());
    }
}
