//! Zips that are broken, hostile or no zips, and their text in base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nightshift_archive::Limits;

use crate::{
    Judged, Prepared, judged,
    retrieves::{Brought, answer, answer_with, prepared},
    writer::{Entry, Said, Zip, zip},
};

const MIB: usize = 1 << 20;
const PATH: &str = "unpackaged/classes/A.cls";

pub fn prepare(name: &str) -> Prepared {
    let limits = match name {
        // 4 GiB and 400 MiB are more than a test has time for: what counts them is the same
        "zip_larger_than_its_limit" => Limits {
            unpacked_bytes: 100_000,
            ..Limits::default()
        },
        "zip_with_more_bytes_than_its_limit" => Limits {
            compressed_bytes: 100_000,
            ..Limits::default()
        },
        _ => Limits::default(),
    };
    prepared(
        text(name).unwrap_or_else(|| answer_with(&archive(name))),
        limits,
        judge,
    )
}

/// What stood before the fault has come, and nothing behind it.
fn judge(brought: Brought) -> Judged {
    let (code, text) = brought.end.err().unwrap_or_default();
    // files that lie where no type's do have no type
    let mut come = brought.members.iter().filter(|name| !name.starts_with(' '));
    let harm = if brought.lost.is_empty() && come.all(|name| name == "ApexClass First") {
        String::new()
    } else {
        format!("it brought {:?} and lost {:?}", brought.members, brought.lost)
    };
    judged(code, &text, harm)
}

/// A good member, then the bad entry.
fn behind_a_good_one(bad: Entry) -> Vec<u8> {
    let [class, meta] = first();
    zip(&[class, meta, bad])
}

fn first() -> [Entry; 2] {
    [
        Entry::deflated("unpackaged/classes/First.cls", b"class First {}").streamed(true),
        Entry::deflated("unpackaged/classes/First.cls-meta.xml", b"<ApexClass/>"),
    ]
}

fn named(name: impl AsRef<[u8]>) -> Vec<u8> {
    behind_a_good_one(Entry::stored(name, b"x"))
}

fn good() -> Entry {
    Entry::deflated(PATH, &b"class A {}".repeat(50)).streamed(true)
}

/// Bytes that pack badly enough to be no bomb.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut piece = Vec::new();
    // ten zeros for each of them keep it quick to make
    while piece.len() < bytes.min(MIB) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        piece.extend([(state >> 24) as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    piece.into_iter().cycle().take(bytes).collect()
}

fn archive(name: &str) -> Vec<u8> {
    match name {
        "zip_name_that_climbs_out" => named("unpackaged/classes/../../../../tmp/escaped.cls"),
        "zip_absolute_name" => named("/etc/passwd"),
        "zip_name_with_backslashes" => named("unpackaged\\classes\\..\\..\\A.cls"),
        "zip_name_with_a_drive" => named("C:/Windows/A.cls"),
        "zip_name_with_a_nul" => named("unpackaged/classes/A.cls\0.txt"),
        "zip_name_that_is_no_utf8" => named(b"unpackaged/classes/\xff\xfe.cls"),
        "zip_name_without_a_segment" => named("unpackaged//A.cls"),
        "zip_name_longer_than_its_limit" => named("x".repeat(1_025)),
        "zip_name_deeper_than_its_limit" => named("d/".repeat(16) + "A.cls"),
        "zip_more_entries_than_its_limit" => zip(&(0..=20_000)
            .map(|n| Entry::stored(format!("unpackaged/{n}"), b""))
            .collect::<Vec<_>>()),
        "zip_entry_that_says_it_is_too_large" => {
            let said = Said {
                crc: 0,
                packed: 1 << 40,
                unpacked: 1 << 40,
            };
            behind_a_good_one(Entry::stored(PATH, b"x").wide().with(|entry| entry.header = said))
        }
        "zip_entry_larger_than_its_limit" => {
            behind_a_good_one(Entry::deflated(PATH, &noise(129 * MIB)).streamed(true))
        }
        "zip_entry_that_says_it_is_larger_than_its_limit" => {
            behind_a_good_one(Entry::deflated(PATH, &noise(129 * MIB)))
        }
        "zip_entry_with_more_compressed_bytes_than_its_limit" => {
            let tiny_blocks = [0, 0, 0, 0xff, 0xff].repeat(9 * MIB);
            behind_a_good_one(good().with(|entry| entry.data = tiny_blocks))
        }
        "zip_large_entry_with_another_checksum" => {
            let good = Entry::deflated(PATH, &noise(120 * MIB)).streamed(true);
            behind_a_good_one(good.with(|entry| entry.descriptor.as_mut().unwrap().said.crc ^= 1))
        }
        "zip_larger_than_its_limit" | "zip_with_more_bytes_than_its_limit" => {
            behind_a_good_one(Entry::stored("unpackaged/documents/x.bin", &noise(100_001)))
        }
        "zip_bomb" => behind_a_good_one(Entry::deflated(PATH, &vec![0; 256 * MIB]).streamed(true)),
        "zip_bomb_that_says_it_is_small" => behind_a_good_one(
            Entry::deflated(PATH, &vec![0; 16 * MIB]).with(|entry| entry.header.unpacked = 10),
        ),
        "zip_bomb_of_many_small_files" => zip(&(0..8)
            .map(|n| Entry::deflated(format!("unpackaged/{n}"), &vec![0; MIB]))
            .collect::<Vec<_>>()),
        "zip_name_twice" => {
            behind_a_good_one(Entry::stored("unpackaged/classes/First.cls", b"class Second {}"))
        }
        "zip_encrypted" => behind_a_good_one(good().with(|entry| entry.flags |= 1)),
        "zip_unknown_method" => behind_a_good_one(good().with(|entry| entry.method = 93)),
        "zip_stored_without_its_length" => {
            behind_a_good_one(Entry::stored(PATH, b"class A {}").streamed(true))
        }
        "zip_on_two_disks" => Zip::of(&[good()]).with(|zip| zip.disk = 1).bytes(),
        "zip_one_bit_flipped" => {
            behind_a_good_one(Entry::stored(PATH, b"class A {}").with(|entry| entry.data[3] ^= 1))
        }
        "zip_data_that_is_no_deflate" => behind_a_good_one(good().with(|entry| entry.data.fill(0xff))),
        "zip_size_that_does_not_fit" => behind_a_good_one(good().with(|entry| {
            entry.descriptor.as_mut().unwrap().said.unpacked += 1;
        })),
        "zip_directory_names_another_file" => {
            behind_a_good_one(good().with(|entry| entry.central_name = b"unpackaged/classes/B.cls".to_vec()))
        }
        "zip_directory_lacks_a_file" => Zip::of(&[good(), Entry::stored("x", b"x")])
            .with(|zip| {
                zip.records.pop();
                zip.count = 1;
            })
            .bytes(),
        "zip_bytes_behind_its_end" => Zip::of(&[good()])
            .with(|zip| zip.behind = b"<html>".to_vec())
            .bytes(),
        "zip_that_is_a_web_page" => b"<!DOCTYPE html><html><body>Login</body></html>".to_vec(),
        "zip_of_zeros" => vec![0; 4_096],
        "zip_cut_in_a_file" => cut(|whole| whole.len() / 3),
        "zip_cut_before_its_directory" => cut(|whole| place(whole, *b"PK\x01\x02")),
        "zip_cut_before_its_end" => cut(|whole| place(whole, *b"PK\x05\x06")),
        "zip_folder_with_much_content" => {
            behind_a_good_one(Entry::deflated("unpackaged/classes/", &noise(120 * MIB)))
        }
        "zip_folder_with_content" => behind_a_good_one(Entry::stored("unpackaged/classes/", b"x")),
        other => panic!("{other} is not made here"),
    }
}

fn cut(at: fn(&[u8]) -> usize) -> Vec<u8> {
    let mut whole = behind_a_good_one(good());
    whole.truncate(at(&whole));
    whole
}

fn place(whole: &[u8], signature: [u8; 4]) -> usize {
    whole.windows(4).position(|four| four == signature).unwrap()
}

/// A text of which the last byte is written with bits that belong to no byte.
fn with_bits_behind_its_end() -> String {
    let texts =
        (0..3).map(|n| STANDARD.encode(Zip::of(&[good()]).with(|zip| zip.comment = vec![b'x'; n]).bytes()));
    let mut text = texts.into_iter().find(|text| text.ends_with("==")).unwrap();
    let at = text.len() - 3;
    text.replace_range(at..=at, "B");
    text
}

/// Answers whose text, and not whose zip, is bad.
fn text(name: &str) -> Option<Vec<u8>> {
    let mut text = STANDARD.encode(behind_a_good_one(good()));
    let length = text.len();
    match name {
        "base64_with_a_foreign_character" => text.replace_range(length - 40..length - 39, "*"),
        "base64_padded_in_the_middle" => text.replace_range(length - 40..length - 38, "=="),
        "base64_with_bits_behind_its_end" => text = with_bits_behind_its_end(),
        "base64_cut_in_a_group" => text.truncate(length / 4 * 4 - 5),
        "base64_with_an_element_inside" => text.insert_str(length - 40, "<b/>AAAA"),
        "base64_answer_that_breaks_off" => {
            let mut whole = answer(text.as_bytes());
            whole.truncate(whole.len() - 200);
            return Some(whole);
        }
        "zip_twice_in_one_answer" => text = STANDARD.encode(zip(&first())) + "</zipFile><zipFile>AAAA",
        _ => return None,
    }
    Some(answer(text.as_bytes()))
}
