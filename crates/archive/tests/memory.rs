//! A zip of any size is read in flat memory, and a hostile one does not get more.
//!
//! One test alone in its process: the kernel's high-water mark is the process's.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::io::{self, Read, Write};

use flate2::{Compression, Crc, write::DeflateEncoder};
use nightshift_archive::{ArchiveReader, Limits};

/// Peak resident memory of this process so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Writes a zip while it is read: `count` entries of one content, as a server streams them.
struct Stream {
    packed: Vec<u8>,
    crc: u32,
    unpacked: u32,
    count: u32,
    at: u32,
    ready: io::Cursor<Vec<u8>>,
}

impl Stream {
    /// Each entry is `piece`, so many times.
    fn new(piece: &[u8], times: u32, count: u32) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        let mut crc = Crc::new();
        for _ in 0..times {
            encoder.write_all(piece).unwrap();
            crc.update(piece);
        }
        Self {
            packed: encoder.finish().unwrap(),
            crc: crc.sum(),
            unpacked: piece.len() as u32 * times,
            count,
            at: 0,
            ready: io::Cursor::default(),
        }
    }

    fn said(&self, into: &mut Vec<u8>) {
        for number in [self.crc, self.packed.len() as u32, self.unpacked] {
            into.extend(number.to_le_bytes());
        }
    }

    /// Entries, then records, then the end.
    fn next(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let name = format!("unpackaged/{:08}", self.at % self.count);
        if self.at < self.count {
            bytes.extend(b"PK\x03\x04\x14\0\x08\0\x08\0");
            bytes.extend([0; 16]);
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend(&self.packed);
            bytes.extend(b"PK\x07\x08");
            self.said(&mut bytes);
        } else if self.at < 2 * self.count {
            bytes.extend(b"PK\x01\x02\x14\0\x14\0\x08\0\x08\0\0\0\0\0");
            self.said(&mut bytes);
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend([0; 14]);
            bytes.extend(name.as_bytes());
        } else if self.at == 2 * self.count {
            bytes.extend(b"PK\x05\x06\0\0\0\0");
            bytes.extend((self.count as u16).to_le_bytes());
            bytes.extend((self.count as u16).to_le_bytes());
            bytes.extend([0; 10]);
        }
        bytes
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ready.position() == self.ready.get_ref().len() as u64 {
            self.ready = io::Cursor::new(self.next());
            self.at += 1;
        }
        self.ready.read(into)
    }
}

/// Files that came, or the code it ended with.
fn read(stream: Stream) -> Result<u64, &'static str> {
    let mut reader = ArchiveReader::new(stream, Limits::default());
    let mut bytes = Vec::new();
    loop {
        match reader.next_entry(&mut bytes) {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(reader.summary().entries),
            Err(error) => return Err(error.code().unwrap()),
        }
    }
}

#[test]
fn memory_stays_flat_while_zips_grow_and_bombs_are_refused_at_their_first_mib() {
    let text: Vec<u8> = (0..64_000_u64)
        .flat_map(|n| format!("<{}>", n * 2_654_435 % 9_973).into_bytes())
        .collect();
    assert_eq!(read(Stream::new(&text, 1, 10)), Ok(10));
    let small = peak();
    // From 4 MB to 110 MB unpacked.
    assert_eq!(read(Stream::new(&text, 1, 300)), Ok(300));
    let large = peak();
    assert!(
        large - small < 2 << 20,
        "{small} bytes for 10 files, {large} for 300"
    );
    // Names and sums are kept to be compared with the directory: 10,000 of them cost less than 8 MiB.
    assert_eq!(read(Stream::new(b"<a/>", 1, 10_000)), Ok(10_000));
    let many = peak();
    assert!(
        many - large < 8 << 20,
        "{large} bytes for 300 files, {many} for 10,000"
    );
    // 120 MiB would be let in by their size alone.
    let bomb = Stream::new(&[0; 8 << 10], 120 << 7, 1);
    let before = peak();
    assert_eq!(read(bomb), Err("archive_bomb"));
    let behind = peak();
    assert!(
        behind - before < 40 << 20,
        "{before} bytes before the bomb, {behind} behind it"
    );
}
