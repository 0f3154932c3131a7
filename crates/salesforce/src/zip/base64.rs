//! Undoes base64 piece by piece.
//!
//! Salesforce breaks the text into lines or not, and a piece ends anywhere: white space is dropped (also as a
//! character reference, `&#13;`), groups of four are completed across pieces, and padding may stand at the end alone.

use base64::{DecodeError, Engine as _, engine::general_purpose::STANDARD};
use memchr::memchr;

use crate::error::SalesforceError;

/// Longest reference to a white space character (`&#x0D;`).
const REFERENCE: usize = 7;

/// The state between two pieces.
#[derive(Default, Debug)]
pub(super) struct Decoder {
    /// Text without white space that is not decoded yet: after a piece, at most the last group.
    text: Vec<u8>,
    /// A character reference that a piece's end has cut.
    reference: Vec<u8>,
    /// Text decoded so far, white space not counted.
    done: u64,
}

impl Decoder {
    /// Appends the bytes of `piece` to `out`, but for a last group, which may be the end.
    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), SalesforceError> {
        if self.reference.is_empty() && !piece.iter().any(|b| b.is_ascii_whitespace() || *b == b'&') {
            self.text.extend_from_slice(piece);
        } else {
            for byte in piece {
                self.take(*byte)?;
            }
        }
        let whole = self.text.len().saturating_sub(1) / 4 * 4;
        // Each group alone may be padded; text that goes on after a padded one is none.
        if let Some(place) = memchr(b'=', &self.text[..whole]) {
            return Err(SalesforceError::Base64Invalid {
                at: self.done + place as u64,
            });
        }
        self.decode(whole, out)
    }

    /// Decodes the last group.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Result<(), SalesforceError> {
        let at = self.done + self.text.len() as u64;
        if !self.reference.is_empty() || !self.text.len().is_multiple_of(4) {
            return Err(SalesforceError::Base64Truncated { at });
        }
        self.decode(self.text.len(), out)
    }

    /// Text that came, white space not counted.
    pub(super) fn came(&self) -> u64 {
        self.done + self.text.len() as u64
    }

    fn take(&mut self, byte: u8) -> Result<(), SalesforceError> {
        if !self.reference.is_empty() {
            self.reference.push(byte);
            if byte == b';' {
                if !is_white(&self.reference) {
                    return Err(SalesforceError::Base64Invalid { at: self.came() });
                }
                self.reference.clear();
            } else if self.reference.len() > REFERENCE {
                return Err(SalesforceError::Base64Invalid { at: self.came() });
            }
        } else if byte == b'&' {
            self.reference.push(byte);
        } else if !byte.is_ascii_whitespace() {
            self.text.push(byte);
        }
        Ok(())
    }

    fn decode(&mut self, length: usize, out: &mut Vec<u8>) -> Result<(), SalesforceError> {
        STANDARD.decode_vec(&self.text[..length], out).map_err(|error| {
            let place = match error {
                DecodeError::InvalidByte(place, _) | DecodeError::InvalidLastSymbol { offset: place, .. } => {
                    place
                }
                DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => length,
            };
            SalesforceError::Base64Invalid {
                at: self.done + place as u64,
            }
        })?;
        self.done += length as u64;
        self.text.drain(..length);
        Ok(())
    }
}

fn is_white(reference: &[u8]) -> bool {
    let number = reference
        .strip_prefix(b"&#")
        .and_then(|rest| rest.strip_suffix(b";"))
        .and_then(|number| std::str::from_utf8(number).ok());
    let code = number.and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    matches!(code, Some(9 | 10 | 13 | 32))
}
