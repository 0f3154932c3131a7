//! What broke on the way, or contradicts itself, is never taken for whole.

use std::io::{self, Read};

use nightshift_archive::{ArchiveError, Limits};
use proptest::prelude::*;

use crate::{
    Drip, read, read_from, refused,
    writer::{Entry, Said, Zip, drawn, every_way, samples, zip},
};

const SAMPLE: &[u8] = b"<CustomObject><label>Region</label></CustomObject>";

#[test]
fn a_zip_that_breaks_off_after_any_byte_is_truncated() {
    for sample in samples() {
        let zip = sample.bytes();
        assert!(read(&zip).is_ok());
        for end in 0..zip.len() {
            for step in [1, usize::MAX] {
                let source = Drip {
                    bytes: &zip[..end],
                    step,
                };
                let error = read_from(source, Limits::default()).unwrap_err();
                assert_eq!(error.code(), Some("archive_truncated"), "cut at {end}: {error}");
            }
        }
    }
}

/// Fails after some bytes, as a connection does.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let n = self.0.len().min(into.len()).min(3);
        into[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

#[test]
fn a_stream_that_fails_keeps_its_own_error_and_has_no_code_of_the_zips() {
    let zip = samples().remove(0).bytes();
    for end in 0..=zip.len() {
        let error = read_from(Broken(&zip[..end]), Limits::default()).unwrap_err();
        assert_eq!(error.code(), None, "cut at {end}");
        match error {
            ArchiveError::Io(cause) => assert_eq!(cause.kind(), io::ErrorKind::ConnectionReset),
            other => panic!("cut at {end}: {other}"),
        }
    }
}

#[test]
fn a_wrong_checksum_or_size_is_corrupt_wherever_it_stands() {
    let lies: [fn(&mut Said); 5] = [
        |said| said.crc ^= 1,
        |said| said.packed += 1,
        |said| said.packed -= 1,
        |said| said.unpacked += 1,
        |said| said.unpacked -= 1,
    ];
    for way in every_way("a.xml", SAMPLE) {
        for lie in lies {
            let in_directory = way.clone().with(|entry| lie(&mut entry.central));
            assert_eq!(refused(&zip(&[in_directory])), "archive_corrupt", "{way:?}");
            if let Some(mut descriptor) = way.descriptor {
                lie(&mut descriptor.said);
                let behind = way.clone().with(|entry| entry.descriptor = Some(descriptor));
                assert_eq!(refused(&zip(&[behind])), "archive_corrupt", "{way:?}");
            }
            if way.header.unpacked > 0 {
                let before = way.clone().with(|entry| lie(&mut entry.header));
                let code = refused(&zip(&[before]));
                assert_eq!(code, "archive_corrupt", "{way:?}");
            }
        }
    }
}

#[test]
fn changed_data_is_corrupt_also_where_it_is_stored() {
    let entry = Entry::stored("a.xml", SAMPLE).with(|entry| entry.data[7] ^= 0x20);
    assert_eq!(refused(&zip(&[entry])), "archive_corrupt");
}

#[test]
fn the_directory_must_name_what_there_is_and_nothing_else() {
    let sample = samples().remove(0);
    let ghost = Zip::of(&[Entry::stored("ghost.xml", b"boo")]).records.remove(0);
    for changed in [
        sample.clone().with(|zip| drop(zip.records.pop())),
        sample
            .clone()
            .with(|zip| drop(zip.records.pop()))
            .with(|zip| zip.count -= 1),
        sample.clone().with(|zip| zip.records.clear()),
        sample.clone().with(|zip| zip.records.push(ghost.clone())),
        sample.clone().with(|zip| zip.records[0] = ghost.clone()),
        sample.clone().with(|zip| zip.records[1] = zip.records[0].clone()),
        sample.clone().with(|zip| drop(zip.locals.remove(0))),
        sample.clone().with(|zip| zip.count += 1),
        sample.clone().with(|zip| zip.count = 0),
        sample.clone().with(|zip| zip.count = u16::MAX),
        sample.clone().with(|zip| zip.wide_count = Some(5)),
        sample
            .clone()
            .with(|zip| zip.records.push(b"PK\x05\x05\x02\0ab".to_vec())),
    ] {
        assert_eq!(refused(&changed.bytes()), "archive_corrupt");
    }
    let other_name = Entry::stored("a.xml", b"x").with(|entry| entry.central_name = b"b.xml".to_vec());
    assert_eq!(refused(&zip(&[other_name])), "archive_corrupt");
}

#[test]
fn a_zip64_record_of_impossible_size_is_corrupt() {
    let zip = samples().remove(1).bytes();
    let at = zip.windows(4).position(|four| four == b"PK\x06\x06").unwrap() + 4;
    for size in [0_u64, 43, 1 << 17, u64::MAX] {
        let mut changed = zip.clone();
        changed[at..at + 8].copy_from_slice(&size.to_le_bytes());
        assert_eq!(refused(&changed), "archive_corrupt", "{size}");
    }
}

#[test]
fn bytes_before_between_or_behind_are_corrupt() {
    let sample = samples().remove(0);
    let whole = sample.bytes();
    for behind in [&b"\0"[..], b"\r\n", b"<html>", &whole] {
        let zip = sample.clone().with(|zip| zip.behind = behind.to_vec());
        assert_eq!(refused(&zip.bytes()), "archive_corrupt", "{behind:?}");
    }
    assert_eq!(
        refused(&[b"#!/bin/sh\n", whole.as_slice()].concat()),
        "archive_corrupt"
    );
    let between = sample
        .clone()
        .with(|zip| zip.locals.insert(1, b"garbage".to_vec()));
    assert_eq!(refused(&between.bytes()), "archive_corrupt");
}

#[test]
fn what_is_no_zip_at_all_is_said_to_be_none() {
    for (what, bytes) in [
        (
            "a login page",
            &b"<!DOCTYPE html>\n<html><body>Login</body></html>"[..],
        ),
        ("an answer of SOAP", b"<?xml version=\"1.0\"?><soapenv:Envelope/>"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
        ("spaces", b"          "),
        ("zeros", &[0; 100]),
        (
            "a directory without entries before it",
            b"PK\x01\x02 and more that follows it, forty bytes at least",
        ),
    ] {
        assert_eq!(refused(bytes), "archive_corrupt", "{what}");
        let words = read(bytes).unwrap_err().to_string();
        assert_eq!(
            words, "the zip is damaged: it does not begin as a zip does",
            "{what}"
        );
    }
    assert_eq!(refused(b""), "archive_truncated");
    assert_eq!(refused(b"PK"), "archive_truncated");
}

#[test]
fn a_folder_with_content_is_corrupt() {
    assert_eq!(refused(&zip(&[Entry::stored("a/", b"x")])), "archive_corrupt");
    assert_eq!(
        refused(&zip(&[Entry::deflated("a/", b"x").streamed(true)])),
        "archive_corrupt"
    );
}

proptest! {
    #[test]
    fn no_zip_that_breaks_off_is_whole(
        files in proptest::collection::btree_map(
            "[a-z]{1,5}",
            (proptest::collection::vec(any::<u8>(), 0..500), 0..20_usize),
            1..5,
        ),
        cut in any::<prop::sample::Index>(),
        step in 1..200_usize,
    ) {
        let entries = drawn(&files);
        let zip = zip(&entries);
        let source = Drip { bytes: &zip[..cut.index(zip.len())], step };
        let error = read_from(source, Limits::default()).unwrap_err();
        prop_assert_eq!(error.code(), Some("archive_truncated"), "{}", error);
    }
}
