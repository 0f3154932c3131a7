//! The zip's way through the envelope: wherever it stands, however it is cut.

use std::io::Read;

use ::base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;
use crate::soap::tests::{envelope, pieces, wait};

const FILE: &str =
    "<fileProperties><fileName>unpackaged/classes/A.cls</fileName><fullName>A</fullName></fileProperties>";
const MESSAGE: &str = "<messages><fileName>f</fileName><problem>p</problem></messages>";

fn result(inner: &str) -> String {
    envelope(&format!(
        "<checkRetrieveStatusResponse><result>{inner}</result></checkRetrieveStatusResponse>"
    ))
}

struct Came {
    bytes: Vec<u8>,
    echo: Option<std::io::Error>,
    files: usize,
    messages: usize,
    end: Result<(), SalesforceError>,
}

async fn read(text: &str, cuts: &[usize]) -> Came {
    let mut download = match open(Envelope::of_pieces(CallKind::Zip, pieces(text, cuts))).await {
        Ok(ZipAnswer::Zip(download)) => download,
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            return Came {
                bytes: Vec::new(),
                echo: Some(std::io::Error::other("not begun")),
                files: 0,
                messages: 0,
                end: Err(error),
            };
        }
    };
    let reading = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let echo = download.reader.read_to_end(&mut bytes).err();
        (bytes, echo)
    });
    let (bytes, echo) = reading.await.unwrap();
    let end = download.end.wait().await;
    let (files, messages) = end
        .as_ref()
        .map_or((0, 0), |(files, messages)| (files.len(), messages.len()));
    Came {
        bytes,
        echo,
        files: download.files.len() + files,
        messages: download.messages.len() + messages,
        end: end.map(|_| ()),
    }
}

/// Base64 in lines, as mail programs and Java write it.
fn lines(bytes: &[u8], width: usize, end: &str) -> String {
    let text = STANDARD.encode(bytes);
    text.as_bytes()
        .chunks(width)
        .map(|line| format!("{}{end}", std::str::from_utf8(line).unwrap()))
        .collect()
}

proptest! {
    #[test]
    fn the_zip_comes_out_whole_wherever_it_stands_and_however_it_is_cut(
        bytes in prop::collection::vec(any::<u8>(), 1..3000),
        width in 1_usize..100,
        end in prop::sample::select(vec!["", "\n", "\r\n", " ", "&#13;\n", "&#xD;"]),
        before in 0_usize..4,
        after in 0_usize..4,
        cuts in prop::collection::vec(0_usize..20_000, 0..12),
    ) {
        let inner = format!(
            "<done>true</done>{}{}<status>Succeeded</status><zipFile>{}</zipFile>{}{}",
            FILE.repeat(before), MESSAGE.repeat(before), lines(&bytes, width, end), FILE.repeat(after), MESSAGE.repeat(after),
        );
        let read = wait(read(&result(&inner), &cuts));
        prop_assert!(read.echo.is_none() && read.end.is_ok(), "{:?} {:?}", read.echo, read.end);
        prop_assert_eq!(read.bytes, bytes);
        prop_assert_eq!((read.files, read.messages), (before + after, before + after));
    }

    #[test]
    fn a_cut_answer_is_never_taken_for_a_whole_one(
        bytes in prop::collection::vec(any::<u8>(), 30..300),
        cut in 0_usize..10_000,
    ) {
        let whole = result(&format!("<done>true</done><zipFile>{}</zipFile><status>Succeeded</status>", STANDARD.encode(&bytes)));
        let begin = whole.find("<zipFile>").unwrap() + "<zipFile>".len() + 8;
        let at = begin + cut % (whole.len() - begin);
        let read = wait(read(&whole[..at], &[]));
        prop_assert!(read.end.is_err());
        let in_text = at <= whole.find("</zipFile>").unwrap();
        if in_text {
            prop_assert!(read.echo.is_some());
            let truncated = matches!(read.end, Err(SalesforceError::Base64Truncated { .. }));
            prop_assert!(truncated, "{:?}", read.end);
        }
    }
}

#[test]
fn text_that_is_no_base64_is_named_with_its_place() {
    for (text, place) in [
        ("QUJD*UJD", 4),
        ("QUI=QUJD", 3),
        ("QUJD&amp;", 4),
        ("QUJDQUJ_", 7),
        ("QUJDQR==", 5),
    ] {
        let read = wait(read(&result(&format!("<zipFile>{text}</zipFile>")), &[]));
        assert!(read.echo.is_some(), "{text}");
        match read.end {
            Err(SalesforceError::Base64Invalid { at }) => assert_eq!(at, place, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn base64_that_breaks_off_in_a_group_is_truncated() {
    let read = wait(read(&result("<zipFile>QUJDQUJ</zipFile>"), &[]));
    assert!(
        matches!(read.end, Err(SalesforceError::Base64Truncated { at: 7 })),
        "{:?}",
        read.end
    );
    assert!(read.end.unwrap_err().lost_the_zip());
}

#[test]
fn b31_a_zip_that_was_handed_over_before_is_gone_and_no_error() {
    for zip in [
        "<zipFile xsi:nil=\"true\"/>",
        "<zipFile></zipFile>",
        "<zipFile/>",
        "",
    ] {
        let text = result(&format!("{zip}<done>true</done>{FILE}<status>Succeeded</status>"));
        let answer = wait(open(Envelope::of_pieces(CallKind::Zip, pieces(&text, &[])))).unwrap();
        assert!(matches!(answer, ZipAnswer::Gone), "{zip}: {answer:?}");
    }
}

#[test]
fn a_retrieve_that_is_not_done_or_failed_has_no_zip() {
    let answer = |inner: &str| {
        wait(open(Envelope::of_pieces(
            CallKind::Zip,
            pieces(&result(inner), &[]),
        )))
        .unwrap()
    };
    let early = answer("<done>false</done><status>InProgress</status><zipFile xsi:nil=\"true\"/>");
    assert!(matches!(early, ZipAnswer::NotReady(RetrieveStatus::InProgress)));
    let failed = answer("<done>true</done><status>Failed</status><errorMessage>x</errorMessage>");
    assert!(matches!(failed, ZipAnswer::Failed(_)));
}

#[test]
fn a_reader_that_stops_before_the_end_loses_nothing_that_stands_behind() {
    let text = result(&format!(
        "<zipFile>{}</zipFile>{FILE}",
        STANDARD.encode([7; 200_000])
    ));
    let files = wait(async {
        let ZipAnswer::Zip(download) = open(Envelope::of_pieces(CallKind::Zip, pieces(&text, &[])))
            .await
            .unwrap()
        else {
            panic!("no zip");
        };
        drop(download.reader);
        download.end.wait().await.unwrap().0
    });
    assert_eq!(files.len(), 1);
}
