//! What stands behind the members: the central directory and the end records, both held against what was read.
//!
//! A reader that seeks believes the central directory; this one has seen the members and uses it to find out whether
//! the zip is whole and says one thing only.

use std::io::Read;

use crate::{
    error::{ArchiveError, Damage, Feature},
    members::Members,
    record::{CENTRAL, Central, END, ZIP64_END, ZIP64_LOCATOR, u16_at, u32_at, u64_at},
    source::Source,
};

const ZIP64_END_FIXED: usize = 56;
const LOCATOR: usize = 20;
const END_FIXED: usize = 22;

/// The central directory as it was read.
struct Directory {
    entries: u64,
    offset: u64,
    bytes: u64,
}

/// Reads from the central directory to the end of the source.
pub(crate) fn read<R: Read>(source: &mut Source<R>, members: &mut Members) -> Result<(), ArchiveError> {
    let offset = source.position();
    while signature(source)? == CENTRAL {
        let length = Central::length(source.need(Central::FIXED)?);
        let at = source.position();
        members.list(&Central::parse(source.need(length)?), at)?;
        source.consume(length);
    }
    members.all_listed(source.position())?;
    let directory = Directory {
        entries: members.len() as u64,
        offset,
        bytes: source.position() - offset,
    };
    let zip64 = if signature(source)? == ZIP64_END {
        zip64_end(source, &directory)?;
        Zip64::Present
    } else {
        Zip64::Absent
    };
    end(source, &directory, zip64)?;
    if source.peek(1)?.is_empty() {
        Ok(())
    } else {
        Err(ArchiveError::corrupt(source.position(), Damage::BytesAfterEnd))
    }
}

/// The signature of the next record, not consumed.
pub(crate) fn signature<R: Read>(source: &mut Source<R>) -> Result<u32, ArchiveError> {
    Ok(u32_at(source.need(4)?, 0))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Zip64 {
    Present,
    Absent,
}

/// The end record of zip64 and the locator behind it.
fn zip64_end<R: Read>(source: &mut Source<R>, directory: &Directory) -> Result<(), ArchiveError> {
    let at = source.position();
    let record = source.need(ZIP64_END_FIXED)?;
    let (size, disks) = (u64_at(record, 4), (u32_at(record, 16), u32_at(record, 20)));
    let stated = [24, 32, 40, 48].map(|offset| u64_at(record, offset));
    if disks != (0, 0) {
        return Err(ArchiveError::Unsupported {
            name: None,
            feature: Feature::MultiDisk,
        });
    }
    // its length leaves itself and the signature out; what a newer version adds is short
    let length = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(12);
    let right = [
        directory.entries,
        directory.entries,
        directory.bytes,
        directory.offset,
    ];
    if !(ZIP64_END_FIXED..=usize::from(u16::MAX)).contains(&length) || stated != right {
        return Err(ArchiveError::corrupt(at, Damage::EndRecord));
    }
    source.need(length)?;
    source.consume(length);

    let place = source.position();
    if signature(source)? != ZIP64_LOCATOR {
        return Err(ArchiveError::corrupt(place, Damage::NoRecord));
    }
    let locator = source.need(LOCATOR)?;
    if u32_at(locator, 4) != 0 || u32_at(locator, 16) > 1 {
        return Err(ArchiveError::Unsupported {
            name: None,
            feature: Feature::MultiDisk,
        });
    }
    if u64_at(locator, 8) != at {
        return Err(ArchiveError::corrupt(place, Damage::EndRecord));
    }
    source.consume(LOCATOR);
    Ok(())
}

/// The end record and its comment. With zip64 a field may hold all ones instead of its value.
fn end<R: Read>(source: &mut Source<R>, directory: &Directory, zip64: Zip64) -> Result<(), ArchiveError> {
    let at = source.position();
    if signature(source)? != END {
        return Err(ArchiveError::corrupt(at, Damage::NoRecord));
    }
    let record = source.need(END_FIXED)?;
    let elsewhere = |all_ones: bool| all_ones && zip64 == Zip64::Present;
    let short = |offset, value: u64| {
        let stated = u16_at(record, offset);
        u64::from(stated) == value || elsewhere(stated == u16::MAX)
    };
    let long = |offset, value: u64| {
        let stated = u32_at(record, offset);
        u64::from(stated) == value || elsewhere(stated == u32::MAX)
    };
    if !(short(4, 0) && short(6, 0)) {
        return Err(ArchiveError::Unsupported {
            name: None,
            feature: Feature::MultiDisk,
        });
    }
    let right = short(8, directory.entries)
        && short(10, directory.entries)
        && long(12, directory.bytes)
        && long(16, directory.offset);
    if !right {
        return Err(ArchiveError::corrupt(at, Damage::EndRecord));
    }
    let length = END_FIXED + usize::from(u16_at(record, 20));
    source.need(length)?;
    source.consume(length);
    Ok(())
}
