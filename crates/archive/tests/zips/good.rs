//! What servers write is read, byte for byte, however it comes in.

use std::collections::BTreeMap;

use nightshift_archive::Limits;
use proptest::prelude::*;

use crate::{
    Drip, read, read_from, refused,
    writer::{DESCRIPTOR, Entry, NOTHING, Zip, crc, deflate, drawn, every_way, samples, zip},
};

const SAMPLE: &[u8] = b"<CustomObject><label>Region</label></CustomObject>";

#[test]
fn every_way_to_write_an_entry_is_read_in_pieces_of_any_size() {
    for (first, second) in every_way("a/b.xml", SAMPLE).iter().zip(every_way("c.xml", b"")) {
        let zip = zip(&[first.clone(), second]);
        for step in [1, 2, 3, 5, 7, 64, usize::MAX] {
            let (files, summary) = read_from(Drip { bytes: &zip, step }, Limits::default())
                .unwrap_or_else(|error| panic!("{first:?} in pieces of {step}: {error}"));
            assert_eq!(
                files,
                [
                    ("a/b.xml".to_owned(), SAMPLE.to_vec()),
                    ("c.xml".to_owned(), vec![])
                ]
            );
            assert_eq!((summary.entries, summary.unpacked), (2, SAMPLE.len() as u64));
        }
    }
}

/// Up to 16 MiB an entry is inflated once, beyond that twice.
#[test]
fn large_entries_are_read_whole_on_both_sides_of_where_they_are_counted_first() {
    let border = 16 << 20;
    let noise: Vec<u8> = (0..border as u32 + 100)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 26) as u8)
        .collect();
    for size in [border - 1, border, border + 1, border + 100] {
        let large = Entry::deflated("a", &noise[..size]);
        for entry in [large.clone(), large.streamed(true)] {
            let files = read(&zip(&[entry, Entry::deflated("b", SAMPLE)])).unwrap();
            assert!(files[0].1 == noise[..size], "{size}");
            assert_eq!(files[1].1, SAMPLE);
        }
    }
}

#[test]
fn an_entry_of_nearly_the_limit_is_good_whether_its_size_was_said_or_not() {
    let data = SAMPLE.repeat((120 << 20) / SAMPLE.len());
    let limits = Limits {
        ratio: 2_000,
        ..Limits::default()
    };
    for entry in [
        Entry::deflated("a", &data),
        Entry::deflated("a", &data).streamed(false),
    ] {
        let (files, summary) = read_from(zip(&[entry]).as_slice(), limits).unwrap();
        assert!(files[0].1 == data);
        assert_eq!(summary.unpacked, data.len() as u64);
    }
}

#[test]
fn writers_of_others_are_read_each_with_its_manners() {
    let expected = [
        ("unpackaged/package.xml".to_owned(), b"<Package/>\n".to_vec()),
        (
            "unpackaged/classes/Größe.cls".to_owned(),
            b"public class A {}\n".repeat(40),
        ),
        ("unpackaged/empty.txt".to_owned(), Vec::new()),
    ];
    for (writer, zip) in [
        (
            "java.util.zip.ZipOutputStream",
            &include_bytes!("data/java.zip")[..],
        ),
        (
            "python zipfile, no seeking",
            include_bytes!("data/python-unseekable.zip"),
        ),
        (
            "python zipfile, zip64",
            include_bytes!("data/python-unseekable-zip64.zip"),
        ),
        ("Info-ZIP into a pipe", include_bytes!("data/infozip-pipe.zip")),
    ] {
        assert_eq!(
            read(zip).unwrap_or_else(|error| panic!("{writer}: {error}")),
            expected,
            "{writer}"
        );
    }
}

#[test]
fn b35_an_entry_whose_sizes_stand_behind_its_data_is_read() {
    let entry = Entry::deflated("a.xml", SAMPLE).streamed(true);
    assert_eq!(entry.header, NOTHING);
    assert_eq!(
        read(&zip(&[entry])).unwrap(),
        [("a.xml".to_owned(), SAMPLE.to_vec())]
    );
}

#[test]
fn b37_the_checksum_that_counts_stands_behind_the_data_and_one_flipped_bit_names_the_member() {
    let entry = Entry::deflated("a.xml", SAMPLE).streamed(true);
    assert!(read(&zip(std::slice::from_ref(&entry))).is_ok());
    for at in 0..entry.data.len() {
        for bit in 0..8 {
            let flipped = entry.clone().with(|entry| entry.data[at] ^= 1 << bit);
            let error = match read(&zip(&[flipped])) {
                Err(error) => error,
                Ok(files) => {
                    // Bits behind the stream's end mean nothing.
                    assert!(at + 1 == entry.data.len() && files[0].1 == SAMPLE, "{at}/{bit}");
                    continue;
                }
            };
            let code = error.code().unwrap();
            // A flipped bit may also make the deflate stream longer than all that follows.
            assert!(
                ["archive_corrupt", "archive_truncated"].contains(&code),
                "{at}/{bit}: {error}"
            );
            assert!(error.to_string().contains("a.xml"), "{at}/{bit}: {error}");
        }
    }
}

#[test]
fn b39_sizes_before_and_behind_the_data_are_read_with_and_without_signature() {
    for signature in [true, false] {
        for entry in [Entry::deflated("a.xml", SAMPLE), Entry::stored("a.xml", SAMPLE)] {
            let zip = zip(&[entry.described(signature)]);
            assert_eq!(read(&zip).unwrap()[0].1, SAMPLE);
        }
    }
}

#[test]
fn an_empty_zip_is_whole_and_has_nothing() {
    let plain = Zip::of(&[]);
    let with_comment = plain.clone().with(|zip| zip.comment = vec![b'x'; 65_535]);
    let wide = plain.clone().with(|zip| zip.wide_count = Some(0));
    for zip in [plain, with_comment, wide] {
        let (files, summary) = read_from(zip.bytes().as_slice(), Limits::default()).unwrap();
        assert!(files.is_empty() && summary.entries == 0 && summary.unpacked == 0);
    }
}

#[test]
fn folders_are_counted_and_not_handed_out() {
    let zip = zip(&[
        Entry::stored("a/", b""),
        Entry::stored("a/empty/", b"").described(true),
        Entry::deflated("a/java/", b"").streamed(true),
        Entry::stored("a/b.xml", SAMPLE),
        Entry::stored("last/", b""),
    ]);
    let (files, summary) = read_from(zip.as_slice(), Limits::default()).unwrap();
    assert_eq!(files, [("a/b.xml".to_owned(), SAMPLE.to_vec())]);
    assert_eq!(summary.entries, 5);
}

#[test]
fn the_zip64_end_record_is_read_where_it_stands_and_where_it_must() {
    let [_, wide] = &samples()[..] else {
        panic!("two samples")
    };
    assert_eq!(read(&wide.bytes()).unwrap().len(), 3);
    let also_narrow = wide.clone().with(|zip| zip.count = 3);
    assert_eq!(read(&also_narrow.bytes()).unwrap().len(), 3);
}

#[test]
fn the_directory_may_stand_in_another_order_than_the_entries() {
    let sample = samples().remove(0);
    let turned = sample.clone().with(|zip| zip.records.reverse());
    assert_eq!(read(&turned.bytes()).unwrap(), read(&sample.bytes()).unwrap());
}

#[test]
fn a_zip_inside_a_zip_and_other_signatures_in_the_data_are_data() {
    let inner = samples().remove(0).bytes();
    for entry in [
        Entry::stored("inner.resource", &inner),
        Entry::stored("inner.resource", &inner).described(true),
        Entry::stored("inner.resource", &inner).described(false),
        Entry::deflated("inner.resource", &inner).streamed(false),
    ] {
        assert_eq!(read(&zip(&[entry])).unwrap()[0].1, inner);
    }
}

#[test]
fn extra_fields_are_passed_over() {
    let extra = [b"UT\x05\x00\x03\x01\x02\x03\x04".as_slice(), b"ux\x00\x00"].concat();
    for way in every_way("a.xml", SAMPLE) {
        let zip = zip(&[way.with(|entry| entry.extra.clone_from(&extra))]);
        assert_eq!(read(&zip).unwrap()[0].1, SAMPLE);
    }
}

#[test]
fn names_that_differ_in_case_or_unicode_form_alone_are_read_and_told() {
    let zip = zip(&[
        Entry::stored("a/É.xml", b"1"),
        Entry::stored("a/E\u{301}.xml", b"2"),
        Entry::stored("a/é.xml", b"3"),
        Entry::stored("a/e.xml", b"4"),
    ]);
    let (files, summary) = read_from(zip.as_slice(), Limits::default()).unwrap();
    assert_eq!(files.len(), 4);
    assert_eq!(summary.alike, ["a/E\u{301}.xml", "a/é.xml"]);
}

/// Appends four bytes so that the whole has the checksum `wanted`: checksums are linear.
fn forged(start: &[u8], wanted: u32) -> Vec<u8> {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| (crc >> 1) ^ (0xEDB8_8320 * (crc & 1))))
        .collect();
    let mut backwards = Vec::new();
    let mut value = !wanted;
    for _ in 0..4 {
        let place = table.iter().position(|entry| entry >> 24 == value >> 24).unwrap();
        backwards.push(place as u32);
        value = (value ^ table[place]) << 8;
    }
    let mut data = start.to_vec();
    let mut register = !crc(start);
    for place in backwards.into_iter().rev() {
        data.push(((register ^ place) & 0xff) as u8);
        register = (register >> 8) ^ table[place as usize];
    }
    data
}

#[test]
fn a_checksum_that_looks_like_the_descriptors_signature_is_told_from_it() {
    let data = forged(SAMPLE, DESCRIPTOR);
    assert_eq!(crc(&data), DESCRIPTOR);
    for signature in [true, false] {
        let entry = Entry::deflated("a.xml", &data).streamed(signature);
        for entry in [entry.clone(), entry.wide()] {
            let zip = zip(&[entry]);
            for step in [1, 3, usize::MAX] {
                let (files, _) = read_from(Drip { bytes: &zip, step }, Limits::default())
                    .unwrap_or_else(|error| panic!("signature: {signature}, step {step}: {error}"));
                assert_eq!(files[0].1, data);
            }
        }
    }
}

#[test]
fn an_empty_file_that_is_stored_in_a_stream_is_read_and_one_with_content_is_refused() {
    let empty = Entry::stored("empty.txt", b"").streamed(true);
    assert_eq!(read(&zip(&[empty, Entry::stored("b", b"2")])).unwrap().len(), 2);
    let unknown = Entry::stored("a.xml", SAMPLE).streamed(true);
    assert_eq!(refused(&zip(&[unknown])), "archive_unsupported");
    // Data that begins as an empty file's descriptor does not smuggle a shorter file in.
    let smuggled = [DESCRIPTOR.to_le_bytes().as_slice(), &[0; 12], SAMPLE].concat();
    let unknown = Entry::stored("a.xml", &smuggled).streamed(true);
    assert_eq!(refused(&zip(&[unknown])), "archive_corrupt");
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(
        files in proptest::collection::btree_map(
            "[a-z]{1,8}(/[A-Za-z0-9_%ä製 -]{1,12}){0,3}\\.x",
            (proptest::collection::vec(any::<u8>(), 0..3_000), 0..20_usize),
            0..8,
        ),
        step in 1..5_000_usize,
    ) {
        let entries = drawn(&files);
        let bytes = zip(&entries);
        let read = read_from(Drip { bytes: &bytes, step }, Limits::default());
        let (read, summary) = read.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let expected: Vec<_> = files.iter().map(|(name, (data, _))| (name.clone(), data.clone())).collect();
        prop_assert_eq!(read, expected);
        prop_assert_eq!(summary.entries, files.len() as u64);
    }

    #[test]
    fn the_reader_inflates_what_any_level_of_compression_made(
        data in proptest::collection::vec(0..4_u8, 0..200_000),
        level in 0..10_u32,
    ) {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        std::io::Write::write_all(&mut encoder, &data).unwrap();
        let packed = encoder.finish().unwrap();
        let entry = Entry::deflated("a", &data).with(|entry| {
            entry.central.packed = packed.len() as u64;
            entry.header.packed = packed.len() as u64;
            entry.data = packed;
        });
        let by_name: BTreeMap<_, _> = read(&zip(&[entry.streamed(true)])).unwrap().into_iter().collect();
        prop_assert_eq!(&by_name["a"], &data);
        prop_assert!(deflate(&data).len() <= data.len() + 100);
    }
}
