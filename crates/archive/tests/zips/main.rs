//! Zips as servers write them, damaged ones and hostile ones: read whole, or refused with a code of the catalogue.
//!
//! The zips are written by a writer of these tests' own (`writer`), which can lie in every field; a few come from
//! writers of others (`data`), so that reader and writer do not share one misunderstanding.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod damaged;
mod good;
mod hostile;
mod mutated;
mod writer;

use std::io::{self, Read};

use nightshift_archive::{ArchiveError, ArchiveReader, Limits, Summary};

/// Hands out at most `step` bytes a read, as a network does.
struct Drip<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.step.min(into.len()).min(self.bytes.len());
        into[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

type Files = Vec<(String, Vec<u8>)>;

/// Reads all files. Whatever went wrong, reading on must not end well.
fn read_from(source: impl Read, limits: Limits) -> Result<(Files, Summary), ArchiveError> {
    let mut reader = ArchiveReader::new(source, limits);
    let (mut files, mut bytes) = (Vec::new(), Vec::new());
    loop {
        match reader.next_entry(&mut bytes) {
            Ok(Some(name)) => files.push((name, bytes.clone())),
            Ok(None) => {
                assert!(
                    matches!(reader.next_entry(&mut bytes), Ok(None)),
                    "the end stays the end"
                );
                return Ok((files, reader.summary()));
            }
            Err(error) => {
                for _ in 0..3 {
                    let again = reader.next_entry(&mut bytes);
                    assert!(again.is_err(), "after {error}: {again:?}");
                }
                return Err(error);
            }
        }
    }
}

fn read(zip: &[u8]) -> Result<Files, ArchiveError> {
    read_from(zip, Limits::default()).map(|(files, _)| files)
}

/// The failure code of a zip that must be refused, however its bytes come in.
fn refused_by(zip: &[u8], limits: Limits) -> &'static str {
    let error = read_from(zip, limits).unwrap_err();
    let code = error.code().unwrap();
    let slow = read_from(Drip { bytes: zip, step: 1 }, limits).unwrap_err();
    assert_eq!(
        slow.to_string(),
        error.to_string(),
        "byte by byte it is refused for the same"
    );
    let catalogue = include_str!("../../../domain/src/failures.toml");
    assert!(
        catalogue.contains(&format!("\ncode = \"{code}\"\n")),
        "{code} is in no catalogue"
    );
    code
}

fn refused(zip: &[u8]) -> &'static str {
    refused_by(zip, Limits::default())
}
