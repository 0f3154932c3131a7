//! The canonical order of an element's children, and the way there.
//!
//! Salesforce writes most files in this order already, so each group is looked at first and moved only when it must be.
//! What the order of a type's elements means to people is said by its registry row.

use std::cmp::Ordering;

use super::{form::Span, keys::Key};

/// A closed child of an open element.
#[derive(Debug)]
pub(super) struct Kid<'a> {
    pub(super) name: &'a str,
    pub(super) key: Option<Key<'a>>,
    pub(super) form: Span,
    /// An index into the components found.
    pub(super) child: Option<usize>,
}

/// `fullName` comes first, as Salesforce writes it: fewer files need moving.
fn by_name(one: &str, other: &str) -> Ordering {
    (one != "fullName", one).cmp(&(other != "fullName", other))
}

/// Whether siblings stand in canonical order already, as far as one look at neighbours can tell.
pub(super) fn in_order(kids: &[Kid<'_>]) -> bool {
    kids.windows(2)
        .all(|pair| match by_name(pair[0].name, pair[1].name) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => match (&pair[0].key, &pair[1].key) {
                (None, None) => true,
                (Some(one), Some(other)) => one < other,
                _ => false,
            },
        })
}

/// Brings siblings into canonical order: by name; those of one name by key where each has one of its own.
pub(super) fn arrange(kids: &mut [Kid<'_>]) {
    kids.sort_by(|one, other| by_name(one.name, other.name));
    for group in kids.chunk_by_mut(|one, other| one.name == other.name) {
        if group.iter().any(|kid| kid.key.is_none()) {
            continue;
        }
        group.sort_by(|one, other| one.key.cmp(&other.key));
        if group.windows(2).any(|pair| pair[0].key == pair[1].key) {
            group.sort_by_key(|kid| kid.form.from);
        }
    }
}

/// Moves the forms of an element's children into the order of `kids`. They fill the buffer from `body` to its end.
pub(super) fn move_forms(form: &mut Vec<u8>, moved: &mut Vec<u8>, body: usize, kids: &[Kid<'_>]) {
    moved.clear();
    for kid in kids {
        moved.extend_from_slice(&form[kid.form.from..kid.form.to]);
    }
    form.truncate(body);
    form.extend_from_slice(moved);
}
