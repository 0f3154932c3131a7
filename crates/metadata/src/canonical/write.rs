//! The bytes of the canonical form. Lengths stand before names and texts, so no two trees share a form.

use std::borrow::Cow;

use super::read::Frame;
use crate::{
    error::MetadataError,
    limits::XmlLimits,
    tokens::{attributes, is_blank},
};

const OPEN: u8 = 1;
const ATTRIBUTE: u8 = 2;
const TEXT: u8 = 3;
/// The end of an element.
pub(super) const CLOSE: u8 = 4;

/// An element begins: its name, and its attributes in the order of their names.
pub(super) fn open(
    form: &mut Vec<u8>,
    name: &str,
    raw: &str,
    at: usize,
    limits: &XmlLimits,
) -> Result<(), MetadataError> {
    marked(form, OPEN, name);
    if !raw.is_empty() {
        for (name, value) in attributes(raw, at, limits)? {
            // Which prefixes a file declares, and where, says nothing about the org.
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            marked(form, ATTRIBUTE, name);
            prefixed(form, &value);
        }
    }
    Ok(())
}

/// The text of a leaf.
pub(super) fn text(form: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        marked(form, TEXT, text);
    }
}

/// Text beside child elements: white space there is layout, anything else is content whose place counts.
pub(super) fn text_between<'a>(form: &mut Vec<u8>, parent: &mut Frame<'a, '_>, run: &mut Cow<'a, str>) {
    if !is_blank(run) {
        parent.mixed = true;
        text(form, run);
    }
    *run = Cow::Borrowed("");
}

/// A mark before a text: in one piece where the length has one byte.
fn marked(form: &mut Vec<u8>, mark: u8, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 0x80 => {
            form.extend_from_slice(&[mark, length]);
            form.extend_from_slice(text.as_bytes());
        }
        _ => {
            form.push(mark);
            prefixed(form, text);
        }
    }
}

/// Length, then bytes. Seven bits a byte, the low ones first: most names and texts need one.
fn prefixed(form: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length >= 0x80 {
        form.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    form.push(length as u8);
    form.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_size_read_back() {
        for length in [0_usize, 1, 127, 128, 300, 16_383, 16_384, 3_000_000] {
            let mut form = Vec::new();
            prefixed(&mut form, &"x".repeat(length));
            let head = form.len() - length;
            let read = form[..head]
                .iter()
                .rev()
                .fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
            assert_eq!(read, length);
            let (last, more) = form[..head].split_last().unwrap();
            assert!(last & 0x80 == 0 && more.iter().all(|byte| byte & 0x80 != 0));
        }
    }

    #[test]
    fn namespace_declarations_are_left_out_and_other_attributes_stand_in_order() {
        let written = |raw: &str| {
            let mut form = Vec::new();
            open(&mut form, "a", raw, 0, &XmlLimits::DEFAULT).unwrap();
            form
        };
        assert_eq!(written(" xmlns='x' xmlns:y='z'"), written(""));
        assert_eq!(written(" c='2' xmlns='x' b='1'"), written(" b='1' c='2'"));
        assert_ne!(written(" xmlnsy='z'"), written(""));
    }
}
