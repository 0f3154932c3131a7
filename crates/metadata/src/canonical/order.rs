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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn kid(name: &'static str, key: Option<&'static str>, from: usize) -> Kid<'static> {
        Kid {
            name,
            key: key.map(|value| Key {
                rank: 0,
                value: Cow::Borrowed(value),
            }),
            form: Span { from, to: from + 1 },
            child: None,
        }
    }

    fn arranged(kids: &[(&'static str, Option<&'static str>)]) -> Vec<usize> {
        let mut kids: Vec<Kid<'_>> = kids
            .iter()
            .enumerate()
            .map(|(at, (name, key))| kid(name, *key, at))
            .collect();
        let ordered = in_order(&kids);
        arrange(&mut kids);
        let places: Vec<usize> = kids.iter().map(|kid| kid.form.from).collect();
        assert!(
            !ordered || places.is_sorted(),
            "what is in order stays where it is"
        );
        places
    }

    #[test]
    fn the_full_name_comes_first_then_names_then_keys() {
        let kids = [
            ("b", Some("2")),
            ("a", None),
            ("b", Some("1")),
            ("fullName", None),
        ];
        assert_eq!(arranged(&kids), [3, 1, 2, 0]);
    }

    #[test]
    fn a_group_with_a_missing_or_a_double_key_keeps_its_order() {
        assert_eq!(
            arranged(&[("b", Some("2")), ("b", None), ("b", Some("1"))]),
            [0, 1, 2]
        );
        assert_eq!(
            arranged(&[("b", Some("2")), ("b", Some("1")), ("b", Some("2"))]),
            [0, 1, 2]
        );
        assert_eq!(arranged(&[("b", None), ("b", None)]), [0, 1]);
    }

    #[test]
    fn forms_are_moved_as_wholes() {
        let mut form = b"head[B][A]".to_vec();
        let kids = [kid("a", None, 7), kid("b", None, 4)].map(|kid| Kid {
            form: Span {
                from: kid.form.from,
                to: kid.form.from + 3,
            },
            ..kid
        });
        move_forms(&mut form, &mut Vec::new(), 4, &kids);
        assert_eq!(form, b"head[A][B]");
    }
}
