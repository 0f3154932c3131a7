//! The zip's bytes as a blocking reader.
//!
//! For the thread that unpacks: `read` waits for the network. Its errors are echoes, `ZipEnd::wait` has the cause.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;

use super::{Pumped, base64::Decoder};
use crate::{error::SalesforceError, soap::Slot};

/// Reads the zip while it comes. Must be read on a blocking thread (`spawn_blocking`), never on an async one.
#[derive(Debug)]
pub struct ZipReader {
    pieces: mpsc::Receiver<Pumped>,
    decoder: Decoder,
    decoded: Vec<u8>,
    at: usize,
    over: Over,
    slot: Slot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Over {
    No,
    Whole,
    Broken,
}

impl ZipReader {
    pub(super) fn new(pieces: mpsc::Receiver<Pumped>, slot: Slot) -> Self {
        Self {
            pieces,
            decoder: Decoder::default(),
            decoded: Vec::new(),
            at: 0,
            over: Over::No,
            slot,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.decoded.clear();
        self.at = 0;
        while self.decoded.is_empty() && self.over == Over::No {
            let step = match self.pieces.blocking_recv() {
                Some(Pumped::Text(piece)) => self.decoder.feed(&piece, &mut self.decoded),
                Some(Pumped::Whole) => {
                    self.over = Over::Whole;
                    self.decoder.end(&mut self.decoded)
                }
                None => {
                    // The pump knows why.
                    self.over = Over::Broken;
                    Ok(())
                }
            };
            if let Err(error) = step {
                self.over = Over::Broken;
                let kind = match error {
                    SalesforceError::Base64Truncated { .. } => io::ErrorKind::UnexpectedEof,
                    _ => io::ErrorKind::InvalidData,
                };
                let echo = io::Error::new(kind, error.to_string());
                self.slot.put(error);
                return Err(echo);
            }
        }
        if self.over == Over::Broken {
            let at = self.decoder.came();
            let words = format!("the zip's text broke off after {at} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, words));
        }
        Ok(())
    }
}

impl BufRead for ZipReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.decoded.len() {
            self.refill()?;
        }
        Ok(&self.decoded[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.decoded.len());
    }
}

impl Read for ZipReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let taken = bytes.len().min(buf.len());
        buf[..taken].copy_from_slice(&bytes[..taken]);
        self.consume(taken);
        Ok(taken)
    }
}
