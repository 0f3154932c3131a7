//! What was made to harm is refused by name, before it has taken memory or a path.

use nightshift_archive::{ArchiveReader, Limits};

use crate::{
    read_from, refused, refused_by,
    writer::{Entry, Said, Zip, every_way, zip},
};

const MIB: usize = 1 << 20;

#[test]
fn names_that_lead_outside_are_refused_in_files_and_folders() {
    for name in [
        &b"../x"[..],
        b"a/../../x",
        b"a/..",
        b"unpackaged/classes/../../../../tmp/escaped.cls",
        b"/etc/passwd",
        b"//host/share",
        b"a\\..\\x",
        b"..\\x",
        b"C:\\x",
        b"C:/x",
        b"a\0b",
        b"a\0../x",
        b"a\rb",
        b"\xff\xfe",
        b"",
        b"./x",
        b"a//b",
        b"../",
        b"/",
        b"a/\0/",
    ] {
        let zip = zip(&[Entry::stored(name, b"")]);
        assert_eq!(
            refused(&zip),
            "archive_bad_path",
            "{:?}",
            String::from_utf8_lossy(name)
        );
    }
}

#[test]
fn names_beyond_their_limits_are_refused() {
    for name in ["x".repeat(1_025), "d/".repeat(16) + "x", "x".repeat(65_535)] {
        assert_eq!(refused(&zip(&[Entry::stored(&name, b"")])), "archive_bad_path");
    }
    for name in ["x".repeat(1_024), "d/".repeat(15) + "x"] {
        assert!(read_from(zip(&[Entry::stored(&name, b"")]).as_slice(), Limits::default()).is_ok());
    }
}

#[test]
fn a_bad_name_in_the_directory_alone_is_refused_too() {
    let entry = Entry::stored("good.xml", b"x").with(|entry| entry.central_name = b"../x".to_vec());
    assert_eq!(refused(&zip(&[entry])), "archive_corrupt");
}

#[test]
fn one_name_twice_is_refused_wherever_it_stands() {
    let other = Entry::stored("other.xml", b"x");
    for second in every_way("a.xml", b"2") {
        let zip = zip(&[Entry::stored("a.xml", b"1"), other.clone(), second]);
        assert_eq!(refused(&zip), "archive_duplicate");
    }
    let folders = zip(&[Entry::stored("a/", b""), Entry::stored("a/", b"")]);
    assert_eq!(refused(&folders), "archive_duplicate");
}

#[test]
fn an_entry_that_unpacks_to_far_more_than_its_size_is_a_bomb() {
    let data = vec![0; 64 * MIB];
    for entry in [
        Entry::deflated("a", &data),
        Entry::deflated("a", &data).streamed(true),
        // It may also lie about its size.
        Entry::deflated("a", &data).with(|entry| entry.header.unpacked = 10),
    ] {
        let zip = zip(&[entry]);
        assert!(zip.len() < 100_000);
        assert_eq!(refused_by(&zip, Limits::default()), "archive_bomb");
    }
}

#[test]
fn many_entries_that_are_harmless_each_are_a_bomb_together() {
    let data = vec![0; MIB];
    let entries: Vec<Entry> = (0..8).map(|n| Entry::deflated(format!("{n}"), &data)).collect();
    assert!(read_from(zip(&entries[..1]).as_slice(), Limits::default()).is_ok());
    assert_eq!(refused(&zip(&entries)), "archive_bomb");
}

#[test]
fn the_ratio_of_an_entry_counts_beyond_its_first_mib_whatever_stands_beside_it() {
    let beside = Entry::stored("noise", &vec![7; MIB]);
    let data = vec![0; 4 * MIB];
    let bomb = Entry::deflated("bomb", &data);
    let ratio = (3 * MIB / bomb.data.len()) as u64;
    let zip = zip(&[beside, bomb]);
    let limits = |ratio| Limits {
        ratio,
        ..Limits::default()
    };
    assert!(read_from(zip.as_slice(), limits(ratio * 21 / 20)).is_ok());
    assert_eq!(refused_by(&zip, limits(ratio * 19 / 20)), "archive_bomb");
    let within = Entry::deflated("small", &data[..MIB]);
    assert!(within.data.len() * 500 < MIB);
    let noise = Entry::stored("noise", &vec![7; MIB]);
    assert!(read_from(crate::writer::zip(&[noise, within]).as_slice(), limits(10)).is_ok());
}

#[test]
fn more_entries_than_the_limit_are_refused_and_as_many_are_not() {
    let entries: Vec<Entry> = (0..5).map(|n| Entry::stored(format!("{n}"), b"")).collect();
    let limits = Limits {
        entries: 5,
        ..Limits::default()
    };
    assert!(read_from(zip(&entries).as_slice(), limits).is_ok());
    let fewer = Limits { entries: 4, ..limits };
    assert_eq!(refused_by(&zip(&entries), fewer), "archive_too_many_entries");
    let folders: Vec<Entry> = (0..5).map(|n| Entry::stored(format!("{n}/"), b"")).collect();
    assert_eq!(refused_by(&zip(&folders), fewer), "archive_too_many_entries");
}

#[test]
fn the_default_limit_of_entries_holds() {
    let limit = Limits::default().entries as usize;
    let entries: Vec<Entry> = (0..=limit).map(|n| Entry::stored(format!("{n}"), b"")).collect();
    assert!(read_from(zip(&entries[..limit]).as_slice(), Limits::default()).is_ok());
    let error = read_from(zip(&entries).as_slice(), Limits::default()).unwrap_err();
    assert_eq!(error.code(), Some("archive_too_many_entries"));
}

#[test]
fn an_entry_larger_than_the_limit_is_refused_however_it_is_written() {
    let limits = Limits {
        entry_bytes: 999,
        ..Limits::default()
    };
    let data: Vec<u8> = (0..1_000_u32).map(|n| (n * n % 251) as u8).collect();
    for way in every_way("a.xml", &data) {
        assert_eq!(
            refused_by(&zip(std::slice::from_ref(&way)), limits),
            "archive_entry_too_large"
        );
        let enough = Limits {
            entry_bytes: 1_000,
            ..limits
        };
        assert!(read_from(zip(&[way]).as_slice(), enough).is_ok());
    }
}

#[test]
fn the_whole_is_bounded_unpacked_and_compressed() {
    let data: Vec<u8> = (0..1_000_u32).map(|n| (n * n % 251) as u8).collect();
    let zip = zip(&[
        Entry::stored("a", &data),
        Entry::stored("b", &data),
        Entry::stored("c", &data),
    ]);
    let unpacked = |bytes| Limits {
        unpacked_bytes: bytes,
        ..Limits::default()
    };
    let compressed = |bytes| Limits {
        compressed_bytes: bytes,
        ..Limits::default()
    };
    assert!(read_from(zip.as_slice(), unpacked(3_000)).is_ok());
    assert_eq!(refused_by(&zip, unpacked(2_999)), "archive_too_large");
    let size = zip.len() as u64;
    assert!(read_from(zip.as_slice(), compressed(size)).is_ok());
    assert_eq!(refused_by(&zip, compressed(size - 1)), "archive_too_large");
}

#[test]
fn sizes_beyond_all_measure_are_refused_before_anything_is_reserved() {
    let huge = Said {
        crc: 0,
        packed: u64::MAX - 1,
        unpacked: u64::MAX - 1,
    };
    let stored = Entry::stored("a", b"x").wide().with(|entry| entry.header = huge);
    assert_eq!(refused(&zip(&[stored])), "archive_entry_too_large");
    let deflated = Entry::deflated("a", b"x")
        .wide()
        .with(|entry| entry.header = huge);
    assert_eq!(refused(&zip(&[deflated])), "archive_entry_too_large");
}

#[test]
fn an_entry_of_more_compressed_bytes_than_the_limit_is_refused_however_it_is_written() {
    let data: Vec<u8> = (0..1_000_u32).map(|n| (n * n % 251) as u8).collect();
    for way in every_way("a.xml", &data) {
        let limits = |bytes| Limits {
            entry_compressed_bytes: bytes,
            ..Limits::default()
        };
        let (zip, packed) = (zip(std::slice::from_ref(&way)), way.data.len() as u64);
        assert!(read_from(zip.as_slice(), limits(packed)).is_ok());
        assert_eq!(refused_by(&zip, limits(packed - 1)), "archive_entry_too_large");
    }
}

#[test]
fn a_large_entry_is_handed_out_only_if_all_that_is_said_of_it_is_true() {
    let data = b"<label>Region</label>".repeat(MIB);
    let good = Entry::deflated("a", &data).streamed(true);
    let bad = |change: fn(&mut Said)| {
        let entry = good
            .clone()
            .with(|entry| change(&mut entry.descriptor.as_mut().unwrap().said));
        zip(&[entry])
    };
    let limits = Limits {
        ratio: 2_000,
        ..Limits::default()
    };
    for zip in [
        bad(|said| said.crc ^= 1),
        bad(|said| said.unpacked += 1),
        bad(|said| said.packed -= 1),
    ] {
        let mut reader = ArchiveReader::new(zip.as_slice(), limits);
        let mut bytes = Vec::new();
        assert_eq!(
            reader.next_entry(&mut bytes).unwrap_err().code(),
            Some("archive_corrupt")
        );
        assert_eq!(bytes.capacity(), 0, "nothing of it was held");
    }
}

#[test]
fn what_is_encrypted_or_packed_in_an_unknown_way_is_unsupported() {
    for flag in [0x0001, 0x0040, 0x0041, 0x2000] {
        let entry = Entry::deflated("a", b"x").with(|entry| entry.flags |= flag);
        assert_eq!(refused(&zip(&[entry])), "archive_unsupported", "flag {flag:#x}");
    }
    for method in [1, 6, 9, 12, 14, 93, 95, 98, 99, u16::MAX] {
        let entry = Entry::deflated("a", b"x").with(|entry| entry.method = method);
        assert_eq!(refused(&zip(&[entry])), "archive_unsupported", "method {method}");
    }
    let disks = Zip::of(&[Entry::stored("a", b"x")]).with(|zip| zip.disk = 1);
    assert_eq!(refused(&disks.bytes()), "archive_unsupported");
}
