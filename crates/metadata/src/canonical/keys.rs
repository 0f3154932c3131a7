//! What names an element among its siblings: a child leaf by a general rule, or several by the type's own.
//!
//! Without a key the place of an element is all that tells it from its brothers, so its order counts (`order.rs`).

use std::borrow::Cow;

use super::Rules;
use crate::registry::KeyedElement;

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
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key<'a> {
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

/// What names an open element, as far as its leaves have closed.
pub(crate) struct Naming<'a, 'r> {
    keyed: Option<&'r KeyedElement>,
    key: Option<Key<'a>>,
    parts: Vec<Option<Cow<'a, str>>>,
}

impl<'a, 'r> Naming<'a, 'r> {
    /// For an element that has just opened.
    pub(crate) fn of(element: &str, rules: Rules<'r>) -> Self {
        Self {
            keyed: rules.keyed.iter().find(|keyed| keyed.element == element),
            key: None,
            parts: Vec::new(),
        }
    }

    /// A leaf of it has closed: does it name it?
    pub(crate) fn note(&mut self, leaf: &'a str, value: Cow<'a, str>) {
        if let Some(keyed) = self.keyed {
            if let Some(at) = keyed.by.iter().position(|part| *part == leaf) {
                self.parts.resize(keyed.by.len(), None);
                self.parts[at].get_or_insert(value);
            }
            return;
        }
        if let Some(rank) = key_rank(leaf)
            && self.key.as_ref().is_none_or(|key| key.rank > rank)
        {
            self.key = Some(Key { rank, value });
        }
    }

    /// The key, once the element closes.
    pub(crate) fn take(&mut self) -> Option<Key<'a>> {
        if self.parts.is_empty() {
            return self.key.take();
        }
        // Several parts make one text in which each part's length and absence can be told.
        let mut value = String::new();
        for part in &self.parts {
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
}
