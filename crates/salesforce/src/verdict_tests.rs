//! The table of verdicts: whole, reachable, and right about bug reports. What real fleets met (salesforce-facts, section
//! 11) is answered over HTTP and walked in `tests/odd_answers/fleet.rs`.

use std::{collections::BTreeSet, time::Duration};

use super::*;
use crate::error::XmlFault;

const RETRY: &str = "retry";
const WAIT: &str = "wait";
const REAUTH: &str = "reauthenticate";
const PERMANENT: &str = "permanent";
const SPLIT: &str = "split";
const LEAVE_OUT: &str = "leave_out";

fn act(ruled: &Ruled) -> &'static str {
    match ruled {
        Ruled::Step(Verdict::Retry { .. }) => RETRY,
        Ruled::Step(Verdict::Wait { .. }) => WAIT,
        Ruled::Step(Verdict::Reauthenticate) => REAUTH,
        Ruled::Step(Verdict::Permanent) => PERMANENT,
        Ruled::Split => SPLIT,
        Ruled::LeaveOut(_) => LEAVE_OUT,
    }
}

fn refused(call: CallKind, speaker: Speaker, status: u16, code: &str, words: &str) -> SalesforceError {
    SalesforceError::Refused(Box::new(Refusal::new(call, speaker, status, code, words)))
}

fn transport(call: CallKind, broken: Broken) -> SalesforceError {
    SalesforceError::Transport {
        call,
        broken,
        detail: String::new(),
    }
}

fn page(call: CallKind, status: u16) -> SalesforceError {
    SalesforceError::Page {
        call,
        status,
        text: "<html>".to_owned(),
    }
}

#[track_caller]
fn check(rows: &[&str], error: &SalesforceError, code: FailureCode, expected: &str) {
    let ruling = error.ruling();
    assert_eq!(
        (ruling.code, act(&ruling.ruled)),
        (code, expected),
        "{rows:?}: {error}, row {:?}",
        ruling.row
    );
}

#[test]
fn b17_an_unexpected_error_is_tried_once_more_before_it_is_halved() {
    let error = refused(
        CallKind::Poll,
        Speaker::Retrieve,
        200,
        "UNKNOWN_EXCEPTION",
        "An unexpected error occurred.",
    );
    assert_eq!(
        (error.ruling().ruled, error.ruling().tries),
        (Ruled::Split, Some(2))
    );
}

#[test]
fn b33_an_unknown_reference_while_polling_passes_and_elsewhere_stays() {
    let refused = |call| {
        refused(
            call,
            Speaker::Soap,
            500,
            "sf:INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        )
    };
    assert_eq!(act(&refused(CallKind::Poll).ruling().ruled), WAIT);
    assert_eq!(act(&refused(CallKind::Retrieve).ruling().ruled), LEAVE_OUT);
    assert_eq!(
        refused(CallKind::Retrieve).step_error().verdict,
        Verdict::Permanent
    );
}

#[test]
fn b33_no_stumble_of_a_poll_ends_the_retrieve_by_itself() {
    let poll = CallKind::Poll;
    let stumbles = [
        page(poll, 503),
        page(poll, 200),
        page(poll, 420),
        transport(poll, Broken::Cut),
        transport(poll, Broken::Dns),
        refused(
            poll,
            Speaker::Soap,
            500,
            "sf:UNKNOWN_EXCEPTION",
            "An unexpected error occurred.",
        ),
        refused(poll, Speaker::Soap, 503, "", ""),
        refused(poll, Speaker::Soap, 406, "", ""),
        SalesforceError::BodyTooLarge { call: poll, limit: 1 },
    ];
    for stumble in stumbles {
        assert_eq!(act(&stumble.ruling().ruled), WAIT, "{stumble}");
    }
}

#[test]
fn b63_a_revoked_grant_needs_a_person_at_once() {
    let error = refused(
        CallKind::Token,
        Speaker::Token,
        400,
        "invalid_grant",
        "expired access/refresh token",
    );
    assert_eq!(error.step_error().verdict, Verdict::Reauthenticate);
}

#[test]
fn b65_an_app_that_must_be_installed_has_a_code_of_its_own() {
    let error = refused(
        CallKind::Token,
        Speaker::Token,
        400,
        "invalid_client",
        "app must be installed into org",
    );
    check(&[], &error, FailureCode::AppNotApproved, PERMANENT);
}

#[test]
fn b69_two_refreshes_at_once_are_a_short_wait_and_never_a_case() {
    let words = "token request is already being processed";
    let error = refused(CallKind::Token, Speaker::Token, 400, "invalid_grant", words);
    let Verdict::Wait { why, after } = error.step_error().verdict else {
        panic!("{:?}", error.ruling());
    };
    assert_eq!(why, WaitReason::TokenBeingRefreshed);
    assert!(after <= Duration::from_secs(5));
}

#[test]
fn what_nobody_has_seen_is_tried_a_few_times_and_reported_with_all_that_was_said() {
    let error = refused(CallKind::List, Speaker::Soap, 501, "sf:BRAND_NEW", "never seen");
    let ruling = error.ruling();
    assert_eq!(
        (ruling.code, ruling.tries, act(&ruling.ruled)),
        (FailureCode::SalesforceUnexpected, Some(3), RETRY)
    );
    assert_eq!(error.step_error().evidence["salesforce_code"], "BRAND_NEW");
    assert_eq!(error.step_error().evidence["salesforce_text"], "never seen");
}

#[test]
fn each_kind_of_broken_answer_has_its_own_code() {
    let code = |error: SalesforceError| error.step_error().code;
    assert_eq!(
        code(SalesforceError::Base64Invalid { at: 4 }),
        FailureCode::Base64Invalid
    );
    assert_eq!(
        code(SalesforceError::Base64Truncated { at: 4 }),
        FailureCode::Base64Truncated
    );
    let call = CallKind::List;
    assert_eq!(
        code(SalesforceError::BodyTooLarge { call, limit: 1 }),
        FailureCode::HttpBodyTooLarge
    );
    let fault = XmlFault::Doctype;
    assert_eq!(
        code(SalesforceError::Malformed { call, fault }),
        FailureCode::XmlMalformed
    );
    assert_eq!(code(SalesforceError::JwtToken), FailureCode::JwtAccessToken);
    let source = Box::new(std::io::Error::other("down"));
    assert_eq!(code(SalesforceError::TokenStore(source)), FailureCode::Internal);
}

#[test]
fn trouble_of_our_own_network_is_told_apart_and_never_ends_a_retrieve_that_is_polled() {
    for (broken, expected) in [
        (Broken::Resolver, FailureCode::NetworkDns),
        (Broken::ProxyUnreachable, FailureCode::ProxyUnreachable),
        (Broken::ProxyAuthorization, FailureCode::ProxyAuthentication),
        (Broken::ProxyRefused, FailureCode::ProxyRefused),
        (Broken::UnknownAuthority, FailureCode::TlsUntrusted),
        (Broken::CertificateExpired, FailureCode::TlsCertificate),
        (Broken::CertificateName, FailureCode::TlsCertificate),
        (Broken::Dns, FailureCode::HostNotFound),
        (Broken::Connect, FailureCode::SalesforceUnreachable),
        (Broken::Tls, FailureCode::SalesforceUnreachable),
    ] {
        let ruling = transport(CallKind::List, broken).ruling();
        assert_eq!((ruling.code, act(&ruling.ruled)), (expected, RETRY), "{broken:?}");
        let poll = transport(CallKind::Poll, broken).ruling();
        assert_eq!(act(&poll.ruled), WAIT, "{broken:?}");
    }
}

#[test]
fn the_culprit_is_read_from_the_words() {
    let named = |problem: &str| {
        let reading = read_message(problem);
        let culprit = reading
            .culprit
            .map(|culprit| (culprit.type_name, culprit.name.unwrap_or_default()));
        (reading.reason, culprit)
    };
    let culprit = |type_name: &str, name: &str| Some((type_name.to_owned(), name.to_owned()));
    assert_eq!(
        named("Entity of type 'CustomObject' named 'It's__c' cannot be found"),
        (
            Some(LeftOutReason::CannotBeFound),
            culprit("CustomObject", "It's__c")
        )
    );
    assert_eq!(
        named("Entity type: 'GlobalPicklist' is unknown"),
        (
            Some(LeftOutReason::TypeNotDescribed),
            culprit("GlobalPicklist", "")
        )
    );
    assert_eq!(
        named("You do not have the proper permissions to access X."),
        (Some(LeftOutReason::NoAccess), None)
    );
    assert_eq!(named("words of tomorrow"), (None, None));
}

#[test]
fn b21_one_that_cannot_be_loaded_is_named_by_the_message() {
    let problem = "Metadata API received improper input. Please ensure file name and capitalization is correct. Load of \
                   metadata from db failed for metadata of type:InstalledPackage and file name:Test2.";
    let reading = read_message(problem);
    assert_eq!(reading.reason, Some(LeftOutReason::CannotBeLoaded));
    let culprit = Culprit {
        type_name: "InstalledPackage".to_owned(),
        name: Some("Test2".to_owned()),
    };
    assert_eq!(reading.culprit, Some(culprit));
}

#[test]
fn every_row_is_whole_and_says_what_it_must() {
    let calls: BTreeSet<&str> = CallKind::ALL.into_iter().map(CallKind::as_str).collect();
    let mut names = BTreeSet::new();
    for row in table() {
        assert!(names.insert(&row.name), "two rows are named {:?}", row.name);
        assert!(
            row.calls.iter().all(|call| calls.contains(call.as_str())),
            "{:?}",
            row.name
        );
        if row.stage == Stage::Message {
            assert!(row.reason.is_some(), "{:?}", row.name);
        } else {
            assert!(
                row.ruling("").is_some(),
                "{:?} lacks its code, its act or the details of it",
                row.name
            );
        }
    }
}

#[test]
fn no_row_stands_behind_one_that_takes_all_of_its_questions() {
    for (place, row) in table().iter().enumerate() {
        for earlier in table()[..place]
            .iter()
            .filter(|earlier| earlier.stage == row.stage)
        {
            let takes =
                |all: &[String], some: &[String]| all.is_empty() || some.iter().all(|one| all.contains(one));
            let hides = earlier.text.is_empty()
                && takes(&earlier.codes, &row.codes)
                && (!row.codes.is_empty() || earlier.codes.is_empty())
                && takes(&earlier.calls, &row.calls)
                && (!row.calls.is_empty() || earlier.calls.is_empty())
                && (earlier.statuses.is_empty()
                    || (!row.statuses.is_empty()
                        && row.statuses.iter().all(|s| earlier.statuses.contains(s))));
            assert!(
                !hides,
                "{:?} is never reached, {:?} takes it",
                row.name, earlier.name
            );
        }
    }
}

#[test]
fn the_rows_of_section_11_that_concern_these_calls_are_covered() {
    let covered: BTreeSet<&str> = table()
        .iter()
        .flat_map(|row| row.seen.iter().map(String::as_str))
        .collect();
    // Not here: 2-4 (patience and rhythm of polls), 15 (nothing stored), 52 (metadata), 54 (companions), 55 (rest.rs).
    let concern = "1 5 6 7 8 9 10 11 12 13 14 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 \
                   42 43 44 44b 44c 45 46 47 48 49 50 51 53 56 57 58";
    for number in concern.split_whitespace() {
        assert!(covered.contains(number), "row {number}");
    }
}
