//! A file in canonical form as its reader hands it on: the parent's own content, and the components inside it.
//!
//! The parent's hash leaves its components out, so the form is kept as pieces of one buffer: runs of own content and
//! components, in canonical order. Which elements are components was told by the rules; what is hashed is `parse.rs`'s.

use std::{borrow::Cow, collections::HashSet};

use nightshift_domain::fold::decode;

use super::{order::Kid, read::Frame, write::CLOSE};
use crate::registry::ChildInfo;

/// Where an element's form begins and ends in the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// An element below the root that is a component of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found<'a, 'r> {
    pub(crate) info: &'r ChildInfo,
    pub(crate) name: Cow<'a, str>,
    pub(crate) slice: (usize, usize),
    pub(crate) form: Span,
}

/// A file in canonical form: pieces of the buffer, in canonical order.
#[derive(Debug)]
pub(crate) struct Form<'s, 'a, 'r> {
    pub(super) bytes: &'s [u8],
    /// Where the root's children begin: before it stand its name and attributes.
    pub(super) body: usize,
    pub(super) pieces: Vec<Piece>,
    pub(crate) children: Vec<Found<'a, 'r>>,
}

/// A run of the buffer, or a component in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    Own(Span),
    /// An index into `children`.
    Child(usize),
}

impl Form<'_, '_, '_> {
    /// Feeds the form without its components, in few long pieces.
    pub(crate) fn own(&self, mut feed: impl FnMut(&[u8])) {
        feed(&self.bytes[..self.body]);
        for piece in &self.pieces {
            if let Piece::Own(span) = piece {
                feed(&self.bytes[span.from..span.to]);
            }
        }
        feed(&[CLOSE]);
    }

    /// The components in canonical order, as indices into `children`.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = usize> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Child(at) => Some(*at),
            Piece::Own(_) => None,
        })
    }

    pub(crate) fn child_bytes(&self, at: usize) -> &[u8] {
        let span = self.children[at].form;
        &self.bytes[span.from..span.to]
    }

    /// The whole form, components in their places.
    pub(super) fn whole(&self) -> Vec<u8> {
        let mut all = self.bytes[..self.body].to_vec();
        for piece in &self.pieces {
            match piece {
                Piece::Own(span) => all.extend_from_slice(&self.bytes[span.from..span.to]),
                Piece::Child(at) => all.extend_from_slice(self.child_bytes(*at)),
            }
        }
        all.push(CLOSE);
        all
    }
}

/// Two elements of one type and name, in whatever spelling, cannot be two components: the second stays in its parent's
/// own content.
pub(super) fn first_of_each_name<'a, 'r>(
    found: Vec<Found<'a, 'r>>,
    kids: &mut [Kid<'a>],
) -> Vec<Found<'a, 'r>> {
    let mut seen = HashSet::new();
    let twice: Vec<bool> = found
        .iter()
        .map(|found| found.name.is_empty() || !seen.insert((found.info.type_name, readable(&found.name))))
        .collect();
    if !twice.contains(&true) {
        return found;
    }
    for kid in kids {
        kid.child = kid.child.filter(|at| !twice[*at]);
    }
    found
}

/// Escapes undone, as a component's key has its name; most names have none.
fn readable(name: &str) -> Cow<'_, str> {
    if name.contains('%') {
        Cow::Owned(decode(name))
    } else {
        Cow::Borrowed(name)
    }
}

/// The root's form as pieces: runs of its own content, and its components, in canonical order.
pub(super) fn pieces(root: &Frame<'_, '_>, kids: &[Kid<'_>], end: usize) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let own = |from: usize, to: usize, pieces: &mut Vec<Piece>| match pieces.last_mut() {
        Some(Piece::Own(last)) if last.to == from => last.to = to,
        _ if from == to => {}
        _ => pieces.push(Piece::Own(Span { from, to })),
    };
    let mut cursor = root.body;
    for kid in kids {
        if root.mixed {
            own(cursor, kid.form.from, &mut pieces);
        }
        match kid.child {
            Some(at) => pieces.push(Piece::Child(at)),
            None => own(kid.form.from, kid.form.to, &mut pieces),
        }
        cursor = kid.form.to;
    }
    if root.mixed || kids.is_empty() {
        own(cursor, end, &mut pieces);
    }
    pieces
}
