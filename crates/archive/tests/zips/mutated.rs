//! Bytes that nobody wrote: no panic, no more memory than the limits allow, and never another content than the one
//! that was packed.

use nightshift_archive::{ArchiveReader, Limits};
use proptest::{prelude::*, sample::Index};

use crate::{read, writer::samples};

/// So small that a mutated zip reaches them.
const SMALL: Limits = Limits {
    entries: 8,
    entry_bytes: 64 << 10,
    entry_compressed_bytes: 64 << 10,
    unpacked_bytes: 256 << 10,
    compressed_bytes: 16 << 10,
    ratio: 200,
    name_bytes: 64,
    depth: 4,
};

/// Reads to the end or to an error, and looks at the buffer on the way.
fn survive(zip: &[u8]) -> bool {
    let mut reader = ArchiveReader::new(zip, SMALL);
    let mut bytes = Vec::new();
    loop {
        let read = reader.next_entry(&mut bytes);
        // The buffer grows by doubling, and by 64 KiB at least.
        assert!(
            bytes.capacity() as u64 <= 4 * SMALL.entry_bytes,
            "{} bytes are held",
            bytes.capacity()
        );
        match read {
            Ok(Some(name)) => assert!(
                !name.starts_with('/') && name.split('/').all(|part| part != ".."),
                "{name}"
            ),
            Ok(None) => return true,
            Err(error) => {
                assert!(error.code().is_some() && !error.to_string().is_empty());
                return false;
            }
        }
    }
}

#[test]
fn one_flipped_bit_anywhere_is_refused_or_changes_nothing() {
    for sample in samples() {
        let zip = sample.bytes();
        let whole = read(&zip).unwrap();
        let mut harmless = 0;
        for at in 0..zip.len() {
            for bit in 0..8 {
                let mut flipped = zip.clone();
                flipped[at] ^= 1 << bit;
                match read(&flipped) {
                    Ok(files) => {
                        assert_eq!(files, whole, "byte {at}, bit {bit}");
                        harmless += 1;
                    }
                    Err(error) => assert!(error.code().is_some(), "byte {at}, bit {bit}: {error}"),
                }
            }
        }
        // Versions, times, attributes, offsets and the comment carry nothing that is used.
        assert!(
            harmless < zip.len() * 4,
            "{harmless} of {} flips pass",
            zip.len() * 8
        );
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    /// A piece is repeated elsewhere: entries twice, directories in the middle.
    Copy(Index, Index, usize),
    Fill(Index, usize, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Mutation::Set(at, value)),
        1 => (any::<Index>(), 1..40_usize).prop_map(|(at, n)| Mutation::Remove(at, n)),
        1 => (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (any::<Index>(), any::<Index>(), 1..200_usize).prop_map(|(from, to, n)| Mutation::Copy(from, to, n)),
        2 => (any::<Index>(), 1..9_usize, prop_oneof![Just(0), Just(0xff), any::<u8>()])
            .prop_map(|(at, n, value)| Mutation::Fill(at, n, value)),
    ]
}

impl Mutation {
    fn apply(self, zip: &mut Vec<u8>) {
        if zip.is_empty() {
            return;
        }
        let length = zip.len();
        match self {
            Self::Set(at, value) => zip[at.index(length)] = value,
            Self::Remove(at, n) => {
                let at = at.index(length);
                zip.drain(at..(at + n).min(length));
            }
            Self::Insert(at, bytes) => {
                let at = at.index(length);
                zip.splice(at..at, bytes);
            }
            Self::Copy(from, to, n) => {
                let from = from.index(length);
                let piece = zip[from..(from + n).min(length)].to_vec();
                let to = to.index(length);
                zip.splice(to..to, piece);
            }
            Self::Fill(at, n, value) => {
                let at = at.index(length);
                let end = (at + n).min(length);
                zip[at..end].fill(value);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_mutated_zip_never_panics_and_holds_little(
        which in 0..2_usize,
        mutations in proptest::collection::vec(mutation(), 1..8),
    ) {
        let mut zip = samples()[which].bytes();
        for mutation in mutations {
            mutation.apply(&mut zip);
        }
        survive(&zip);
    }

    #[test]
    fn bytes_out_of_nowhere_are_no_zip(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(!survive(&bytes));
    }

    #[test]
    fn rubbish_behind_a_good_header_is_no_entry(
        flags in prop_oneof![Just(0_u16), Just(8), any::<u16>()],
        method in prop_oneof![Just(0_u16), Just(8), any::<u16>()],
        numbers in proptest::collection::vec(prop_oneof![Just(0_u32), Just(u32::MAX), any::<u32>()], 3),
        data in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut zip = b"PK\x03\x04\x14\0".to_vec();
        zip.extend(flags.to_le_bytes());
        zip.extend(method.to_le_bytes());
        zip.extend([0; 4]);
        zip.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        zip.extend([1, 0, 0, 0, b'a']);
        zip.extend(data);
        prop_assert!(!survive(&zip));
    }
}
