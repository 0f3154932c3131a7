//! What names an element among its siblings: a child leaf by a general rule, or several by the type's own.
//!
//! Without a key the place of an element is all that tells it from its brothers, so its order counts (`order.rs`).

use std::borrow::Cow;

use super::read::Frame;

/// The elements that may name a repeated one, in the order in which they are tried.
pub const KEY_ELEMENTS: [&str; 12] = [
    "fullName",
    "name",
    "field",
    "apexClass",
    "apexPage",
    "object",
    "tab",
    "recordType",
    "application",
    "layout",
    "flow",
    "customPermission",
];

/// What tells an element from siblings of its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key<'a> {
    pub(super) rank: usize,
    pub(super) value: Cow<'a, str>,
}

fn key_rank(name: &str) -> Option<usize> {
    // Most elements are none of these; their lengths and first letters say so without a comparison.
    if !matches!(
        name.as_bytes().first()?,
        b'f' | b'n' | b'a' | b'o' | b't' | b'r' | b'l' | b'c'
    ) {
        return None;
    }
    KEY_ELEMENTS.iter().position(|key| *key == name)
}

/// A leaf has closed: does it name its parent?
pub(super) fn note_key<'a>(parent: &mut Frame<'a, '_>, name: &'a str, value: Cow<'a, str>) {
    if let Some(keyed) = parent.keyed {
        if let Some(at) = keyed.by.iter().position(|part| *part == name) {
            parent.key_parts.resize(keyed.by.len(), None);
            parent.key_parts[at].get_or_insert(value);
        }
        return;
    }
    if let Some(rank) = key_rank(name)
        && parent.key.as_ref().is_none_or(|key| key.rank > rank)
    {
        parent.key = Some(Key { rank, value });
    }
}

/// The key of an element that closes.
pub(super) fn key_of<'a>(frame: &mut Frame<'a, '_>) -> Option<Key<'a>> {
    if frame.key_parts.is_empty() {
        return frame.key.take();
    }
    // Several parts make one text in which each part's length and absence can be told.
    let mut value = String::new();
    for part in &frame.key_parts {
        match part {
            Some(part) => value.extend([&part.len().to_string(), ":", part, ";"]),
            None => value.push('-'),
        }
    }
    Some(Key {
        rank: 0,
        value: Cow::Owned(value),
    })
}
