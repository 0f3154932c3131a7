//! Zips as servers write them, damaged ones, hostile ones: read whole, or refused with a code of the catalogue.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::io::Write;

use flate2::{Compression, Crc, write::DeflateEncoder};
use nightshift_archive::{ArchiveError, ArchiveReader, Limits};
use proptest::prelude::*;

/// How an entry is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Style {
    Stored,
    Deflated,
    /// Sizes and CRC behind the data, with or without the signature (B35, B37).
    Streamed {
        signature: bool,
    },
    /// Bit 3 set and real sizes in the header all the same (B39).
    StreamedWithSizes {
        signature: bool,
    },
}

#[derive(Default)]
struct Zip {
    bytes: Vec<u8>,
    central: Vec<u8>,
    entries: u16,
}

fn crc(data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum()
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

impl Zip {
    fn entry(mut self, name: &str, data: &[u8], style: Style) -> Self {
        let streamed = matches!(style, Style::Streamed { .. } | Style::StreamedWithSizes { .. });
        let packed = if style == Style::Stored {
            data.to_vec()
        } else {
            deflated(data)
        };
        let (flags, method) = (
            if streamed { 8_u16 } else { 0 },
            if style == Style::Stored { 0_u16 } else { 8 },
        );
        let sizes = [crc(data), packed.len() as u32, data.len() as u32];
        let hidden = matches!(style, Style::Streamed { .. });
        let offset = self.bytes.len() as u32;
        let header = |bytes: &mut Vec<u8>, sizes: [u32; 3]| {
            for half in [20_u16, flags, method, 0, 0] {
                bytes.extend(half.to_le_bytes());
            }
            for word in sizes {
                bytes.extend(word.to_le_bytes());
            }
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend(0_u16.to_le_bytes());
        };
        self.bytes.extend(0x0403_4b50_u32.to_le_bytes());
        header(&mut self.bytes, if hidden { [0; 3] } else { sizes });
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(&packed);
        if let Style::Streamed { signature } | Style::StreamedWithSizes { signature } = style {
            if signature {
                self.bytes.extend(0x0807_4b50_u32.to_le_bytes());
            }
            for word in sizes {
                self.bytes.extend(word.to_le_bytes());
            }
        }
        self.central.extend(0x0201_4b50_u32.to_le_bytes());
        self.central.extend(20_u16.to_le_bytes());
        header(&mut self.central, sizes);
        self.central.extend([0; 10]);
        self.central.extend(offset.to_le_bytes());
        self.central.extend(name.as_bytes());
        self.entries += 1;
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let (start, size) = (self.bytes.len() as u32, self.central.len() as u32);
        self.bytes.append(&mut self.central);
        self.bytes.extend(0x0605_4b50_u32.to_le_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(size.to_le_bytes());
        self.bytes.extend(start.to_le_bytes());
        self.bytes.extend([0; 2]);
        self.bytes
    }
}

fn read_with(zip: &[u8], limits: Limits) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    let mut reader = ArchiveReader::new(zip, limits);
    let (mut entries, mut bytes) = (Vec::new(), Vec::new());
    while let Some(name) = reader.next_entry(&mut bytes)? {
        entries.push((name, bytes.clone()));
    }
    Ok(entries)
}

fn read(zip: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ArchiveError> {
    read_with(zip, Limits::default())
}

fn code(zip: &[u8]) -> &'static str {
    read(zip).unwrap_err().code().unwrap_or("io")
}

const SAMPLE: &[u8] = b"<CustomObject><label>Region</label></CustomObject>";

fn sample() -> Vec<u8> {
    Zip::default()
        .entry(
            "unpackaged/objects/A__c.object",
            SAMPLE,
            Style::Streamed { signature: true },
        )
        .entry("unpackaged/classes/B.cls", b"class B {}", Style::Stored)
        .entry("unpackaged/package.xml", b"<Package/>", Style::Deflated)
        .finish()
}

#[test]
fn every_way_to_write_an_entry_is_read() {
    let styles = [
        Style::Stored,
        Style::Deflated,
        Style::Streamed { signature: true },
        Style::Streamed { signature: false },
        Style::StreamedWithSizes { signature: true },
        Style::StreamedWithSizes { signature: false },
    ];
    for style in styles {
        let zip = Zip::default()
            .entry("a/b.xml", SAMPLE, style)
            .entry("c.xml", b"", style)
            .finish();
        let entries = read(&zip).unwrap_or_else(|error| panic!("{style:?}: {error}"));
        assert_eq!(
            entries,
            [
                ("a/b.xml".to_owned(), SAMPLE.to_vec()),
                ("c.xml".to_owned(), vec![])
            ],
            "{style:?}"
        );
    }
    assert!(read(&Zip::default().finish()).unwrap().is_empty());
}

#[test]
fn b35_sizes_behind_the_data_are_read() {
    let zip = Zip::default()
        .entry("a.xml", SAMPLE, Style::Streamed { signature: true })
        .finish();
    assert_eq!(read(&zip).unwrap()[0].1, SAMPLE);
}

#[test]
fn b37_the_crc_that_counts_is_the_one_behind_the_data() {
    let zip = Zip::default()
        .entry("a.xml", SAMPLE, Style::Streamed { signature: true })
        .finish();
    assert!(read(&zip).is_ok());
    let data = 30 + "a.xml".len();
    let flipped: Vec<bool> = (data..data + 20)
        .map(|at| {
            let mut bad = zip.clone();
            bad[at] ^= 1;
            read(&bad).is_err()
        })
        .collect();
    assert!(flipped.iter().all(|refused| *refused), "{flipped:?}");
}

#[test]
fn b39_sizes_before_and_behind_the_data_are_read() {
    for signature in [true, false] {
        let zip = Zip::default()
            .entry("a.xml", SAMPLE, Style::StreamedWithSizes { signature })
            .finish();
        assert_eq!(read(&zip).unwrap()[0].1, SAMPLE);
    }
}

#[test]
fn a_zip_that_breaks_off_anywhere_is_never_whole() {
    let zip = sample();
    for end in 0..zip.len() {
        let refused = read(&zip[..end]).unwrap_err();
        assert_eq!(
            refused.code(),
            Some("archive_truncated"),
            "cut at {end}: {refused}"
        );
    }
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a\\..\\x",
        "C:\\x",
        "a\0b",
        "",
        "./x",
        "a//b",
    ] {
        let zip = Zip::default().entry(name, b"x", Style::Stored).finish();
        assert_eq!(code(&zip), "archive_bad_path", "{name:?}");
    }
}

#[test]
fn one_name_twice_is_refused() {
    let zip = Zip::default()
        .entry("a.xml", b"1", Style::Stored)
        .entry("a.xml", b"2", Style::Stored)
        .finish();
    assert_eq!(code(&zip), "archive_duplicate");
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let zip = Zip::default()
        .entry("a.xml", &vec![0; 64 << 20], Style::Deflated)
        .finish();
    assert!(zip.len() < 100_000);
    assert_eq!(code(&zip), "archive_bomb");
    let limits = Limits {
        entry_bytes: 1_000,
        ratio: u64::MAX,
        ..Limits::default()
    };
    let refused = read_with(&zip, limits).unwrap_err();
    assert_eq!(refused.code(), Some("archive_entry_too_large"));
    let limits = Limits {
        entries: 2,
        ..Limits::default()
    };
    assert_eq!(
        read_with(&sample(), limits).unwrap_err().code(),
        Some("archive_too_many_entries")
    );
}

#[test]
fn what_is_no_zip_is_named() {
    for text in [
        "<html><body>Login</body></html>",
        "PK\x05\x06 but not really a zip at all, at least 30 bytes",
    ] {
        let code = code(text.as_bytes());
        assert!(code.starts_with("archive_"), "{text}: {code}");
    }
}

#[test]
fn the_directory_at_the_end_must_tell_the_same() {
    let zip = sample();
    let central = zip
        .windows(4)
        .position(|four| four == 0x0201_4b50_u32.to_le_bytes())
        .unwrap();
    for at in [central + 16, central + 20, central + 24, central + 46] {
        let mut bad = zip.clone();
        bad[at] ^= 1;
        assert_eq!(code(&bad), "archive_corrupt", "byte {}", at - central);
    }
}

proptest! {
    #[test]
    fn mutated_bytes_never_panic(at in 0..400_usize, value: u8) {
        let mut zip = sample();
        let at = at % zip.len();
        zip[at] = value;
        if let Ok(entries) = read(&zip) {
            prop_assert_eq!(entries.len(), 3);
        }
    }
}
