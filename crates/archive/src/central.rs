//! The directory at the end of a zip, compared with the entries that were read.
//!
//! A stream is believed entry by entry; the directory is the writer's own summary. If they differ, something was cut
//! out or put in on the way.

use std::{collections::HashMap, io::Read};

use crate::{error::ArchiveError, input::Input};

/// What was read of one entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    pub crc: u32,
    pub compressed: u64,
    pub unpacked: u64,
}

const PLACE: &str = "the central directory";
const CENTRAL: u32 = 0x0201_4b50;
pub(crate) const END: u32 = 0x0605_4b50;
pub(crate) const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
/// Bytes of a zip64 end record behind its own size: without and with the longest extensible part that is read.
const RECORD64: std::ops::RangeInclusive<u64> = 44..=1 << 16;

/// Reads from the first record (its signature `first` is taken already) to the end of the stream.
pub(crate) fn compare<R: Read>(
    input: &mut Input<R>,
    first: u32,
    mut entries: HashMap<Vec<u8>, Facts>,
) -> Result<(), ArchiveError> {
    let total = entries.len() as u64;
    let mut wide_total = None;
    let mut signature = first;
    loop {
        match signature {
            CENTRAL => record(input, &mut entries)?,
            END64 => wide_total = Some(wide_end(input)?),
            LOCATOR64 => {
                input.bytes(16, PLACE)?;
            }
            END => {
                end(input, total, wide_total)?;
                if !entries.is_empty() {
                    return Err(corrupt("an entry is missing from it"));
                }
                return match input.fill()? {
                    [] => Ok(()),
                    _ => Err(corrupt("bytes follow its end")),
                };
            }
            _ => return Err(corrupt("bytes that are no record")),
        }
        signature = input.u32(PLACE)?;
    }
}

fn corrupt(reason: &'static str) -> ArchiveError {
    ArchiveError::Corrupt {
        name: PLACE.to_owned(),
        reason,
    }
}

/// The zip64 end record: how many entries it counts.
fn wide_end<R: Read>(input: &mut Input<R>) -> Result<u64, ArchiveError> {
    let mut size = [0; 8];
    input.exact(&mut size, PLACE)?;
    let size = u64::from_le_bytes(size);
    if !RECORD64.contains(&size) {
        return Err(corrupt("a record of impossible size"));
    }
    let record = input.bytes(size as usize, PLACE)?;
    let total = record[20..28].try_into().expect("a record has 44 bytes or more");
    Ok(u64::from_le_bytes(total))
}

fn record<R: Read>(input: &mut Input<R>, entries: &mut HashMap<Vec<u8>, Facts>) -> Result<(), ArchiveError> {
    let header = input.bytes(42, PLACE)?;
    let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (crc, compressed, unpacked) = (u32_at(12), u32_at(16), u32_at(20));
    let name = input.bytes(usize::from(u16_at(24)), PLACE)?;
    let extra = input.bytes(usize::from(u16_at(26)), PLACE)?;
    input.bytes(usize::from(u16_at(28)), PLACE)?;
    let shown = String::from_utf8_lossy(&name).escape_debug().to_string();
    let Some(facts) = entries.remove(&name) else {
        return Err(ArchiveError::Corrupt {
            name: shown,
            reason: "the central directory names it, the zip has no such entry",
        });
    };
    let mut wide = wide_sizes(&extra).into_iter();
    let mut size = |narrow: u32| {
        if narrow == u32::MAX {
            wide.next()
        } else {
            Some(u64::from(narrow))
        }
    };
    let (unpacked, compressed) = (size(unpacked), size(compressed));
    if facts.crc != crc || Some(facts.unpacked) != unpacked || Some(facts.compressed) != compressed {
        let reason = "the central directory gives another checksum or size";
        return Err(ArchiveError::Corrupt { name: shown, reason });
    }
    Ok(())
}

fn end<R: Read>(input: &mut Input<R>, total: u64, wide_total: Option<u64>) -> Result<(), ArchiveError> {
    let record = input.bytes(18, PLACE)?;
    let u16_at = |at: usize| u16::from_le_bytes([record[at], record[at + 1]]);
    if u16_at(0) != 0 || u16_at(2) != 0 {
        return Err(ArchiveError::Unsupported {
            name: "the zip".to_owned(),
            feature: "being one of several disks",
        });
    }
    // A count that has no room in 16 bits stands in the zip64 record alone.
    let count = match u16_at(6) {
        u16::MAX => wide_total.unwrap_or(u64::from(u16::MAX)),
        count => u64::from(count),
    };
    if count != total || wide_total.is_some_and(|wide| wide != total) {
        return Err(corrupt("it counts other entries than there are"));
    }
    input.bytes(usize::from(u16_at(16)), "the comment")?;
    Ok(())
}

/// The 64-bit numbers of a zip64 extra field, in their order.
pub(crate) fn wide_sizes(mut extra: &[u8]) -> Vec<u64> {
    while let [a, b, c, d, rest @ ..] = extra {
        let (id, length) = (
            u16::from_le_bytes([*a, *b]),
            usize::from(u16::from_le_bytes([*c, *d])),
        );
        let Some((field, after)) = rest.split_at_checked(length) else {
            break;
        };
        if id == 1 {
            let (numbers, _) = field.as_chunks::<8>();
            return numbers.iter().map(|number| u64::from_le_bytes(*number)).collect();
        }
        extra = after;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wide_numbers_are_found_among_other_extra_fields() {
        let mut extra = vec![0x55, 0x54, 1, 0, 9];
        extra.extend([1, 0, 16, 0]);
        extra.extend(7_u64.to_le_bytes());
        extra.extend(8_u64.to_le_bytes());
        assert_eq!(wide_sizes(&extra), [7, 8]);
    }

    #[test]
    fn extra_fields_that_lie_about_their_length_hold_nothing() {
        for extra in [
            &[1, 0, 16, 0, 1, 2][..],
            &[1, 0, 0xff],
            &[1, 0, 4, 0, 1, 2, 3, 4],
            &[],
        ] {
            assert!(wide_sizes(extra).is_empty(), "{extra:?}");
        }
    }
}
