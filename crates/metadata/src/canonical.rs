//! The canonical form of an XML file: equal for two files exactly when nobody would call their difference a change.
//!
//! Ignored: comments, white space between elements, the order of differently named siblings, and that of siblings of
//! one name when each has a distinct key. Everything else counts: attributes, texts as they stand in leaves, the
//! order of what has no keys. The form is written into one buffer while the tokens pass; children are moved only where
//! they are out of order. Lengths stand before names and texts, so no two trees share a form.
//!
//! Which elements are components is said by the rules; names and hashes are `parse.rs`'s.

use std::{borrow::Cow, cmp::Ordering};

use crate::{
    error::MetadataError,
    limits::XmlLimits,
    registry::{ChildInfo, KeyedElement, Order, TypeInfo},
    tokens::{Token, Tokens, attributes, is_blank},
};

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

const OPEN: u8 = 1;
const ATTRIBUTE: u8 = 2;
const TEXT: u8 = 3;
const CLOSE: u8 = 4;

/// What a type says about its files.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'r> {
    /// Whether every order counts.
    pub order: Order,
    /// Elements with a key of their own rule.
    pub keyed: &'r [KeyedElement],
    /// Elements below the root that are components.
    pub children: &'r [ChildInfo],
}

impl Rules<'static> {
    /// For files of which nothing is known, and for `-meta.xml` files beside a body.
    pub const PLAIN: Self = Self {
        order: Order::Keyed,
        keyed: &[],
        children: &[],
    };
}

impl<'r> Rules<'r> {
    /// Those of a type.
    pub fn of(info: &'r TypeInfo) -> Self {
        Self {
            order: info.order,
            keyed: &info.keyed,
            children: &info.children,
        }
    }
}

/// Buffers that are kept from file to file.
#[derive(Default, Debug)]
pub struct Scratch {
    form: Vec<u8>,
    moved: Vec<u8>,
}

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
    bytes: &'s [u8],
    /// Where the root's children begin: before it stand its name and attributes.
    body: usize,
    pieces: Vec<Piece>,
    pub(crate) children: Vec<Found<'a, 'r>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Piece {
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
    fn whole(&self) -> Vec<u8> {
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

/// The canonical bytes of a whole file: for comparing files; hashes come from [`crate::parse_file`].
pub fn canonical_form(bytes: &[u8], rules: Rules<'_>, limits: XmlLimits) -> Result<Vec<u8>, MetadataError> {
    Ok(read(bytes, rules, limits, &mut Scratch::default())?.whole())
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key<'a> {
    rank: usize,
    value: Cow<'a, str>,
}

/// An open element.
struct Frame<'a, 'r> {
    name: &'a str,
    at: usize,
    form_from: usize,
    body: usize,
    kids_from: usize,
    key: Option<Key<'a>>,
    keyed: Option<&'r KeyedElement>,
    key_parts: Vec<Option<Cow<'a, str>>>,
    child: Option<&'r ChildInfo>,
    child_name: Option<Cow<'a, str>>,
    /// Text stands between its children: then all order counts.
    mixed: bool,
}

/// A closed child of an open element.
#[derive(Debug)]
struct Kid<'a> {
    name: &'a str,
    key: Option<Key<'a>>,
    form: Span,
    /// An index into the components found.
    child: Option<usize>,
}

/// Reads a file into its canonical form.
pub(crate) fn read<'s, 'a, 'r>(
    bytes: &'a [u8],
    rules: Rules<'r>,
    limits: XmlLimits,
    scratch: &'s mut Scratch,
) -> Result<Form<'s, 'a, 'r>, MetadataError> {
    let mut tokens = Tokens::new(bytes, limits)?;
    let Scratch { form, moved } = scratch;
    form.clear();
    form.reserve(bytes.len());
    let mut frames: Vec<Frame<'a, 'r>> = Vec::with_capacity(16);
    let mut kids: Vec<Kid<'a>> = Vec::with_capacity(64);
    let mut found: Vec<Found<'a, 'r>> = Vec::new();
    let mut run: Cow<'a, str> = Cow::Borrowed("");
    let mut root = None;
    loop {
        match tokens.next()? {
            Token::Text(text) => {
                if run.is_empty() {
                    run = text;
                } else {
                    run.to_mut().push_str(&text);
                }
            }
            Token::Open { name, attributes, at } => {
                if let Some(parent) = frames.last_mut() {
                    text_between(form, parent, &mut run);
                }
                let form_from = form.len();
                open(form, name, attributes, at, &limits)?;
                let below_the_root = frames.len() == 1;
                frames.push(Frame {
                    name,
                    at,
                    form_from,
                    body: form.len(),
                    kids_from: kids.len(),
                    key: None,
                    keyed: rules.keyed.iter().find(|keyed| keyed.element == name),
                    key_parts: Vec::new(),
                    child: rules
                        .children
                        .iter()
                        .find(|child| below_the_root && child.element == name),
                    child_name: None,
                    mixed: false,
                });
            }
            Token::Close { to, .. } => {
                let mut frame = frames.pop().expect("tokens close only what they opened");
                let is_leaf = kids.len() == frame.kids_from && !frame.mixed;
                if is_leaf {
                    text(form, &run);
                } else {
                    text_between(form, &mut frame, &mut run);
                }
                let leaf_text = std::mem::replace(&mut run, Cow::Borrowed(""));
                let Some(parent) = frames.last_mut() else {
                    root = Some(frame);
                    continue;
                };
                if is_leaf {
                    note_key(parent, frame.name, leaf_text);
                } else {
                    let own = &mut kids[frame.kids_from..];
                    if rules.order == Order::Keyed && !frame.mixed && !in_order(own) {
                        arrange(own);
                        move_forms(form, moved, frame.body, own);
                    }
                    kids.truncate(frame.kids_from);
                }
                form.push(CLOSE);
                let span = Span {
                    from: frame.form_from,
                    to: form.len(),
                };
                let child = frame.child.zip(frame.child_name.take()).map(|(info, name)| {
                    found.push(Found {
                        info,
                        name,
                        slice: (frame.at, to),
                        form: span,
                    });
                    found.len() - 1
                });
                kids.push(Kid {
                    name: frame.name,
                    key: key_of(frame),
                    form: span,
                    child,
                });
            }
            Token::End => break,
        }
    }
    let root = root.expect("tokens end only after a root was closed");
    let children = first_of_each_name(found, &mut kids);
    if rules.order == Order::Keyed && !root.mixed && !in_order(&kids) {
        arrange(&mut kids);
    }
    let pieces = pieces(&root, &kids, form.len());
    Ok(Form {
        bytes: form,
        body: root.body,
        pieces,
        children,
    })
}

/// Two elements of one type and name cannot be two components: the second stays in its parent's own content.
fn first_of_each_name<'a, 'r>(found: Vec<Found<'a, 'r>>, kids: &mut [Kid<'a>]) -> Vec<Found<'a, 'r>> {
    let mut seen = std::collections::HashSet::new();
    let twice: Vec<bool> = found
        .iter()
        .map(|found| found.name.is_empty() || !seen.insert((found.info.type_name, &found.name)))
        .collect();
    if !twice.contains(&true) {
        return found;
    }
    for kid in kids {
        kid.child = kid.child.filter(|at| !twice[*at]);
    }
    found
}

/// The root's form as pieces: runs of its own content, and its components, in canonical order.
fn pieces(root: &Frame<'_, '_>, kids: &[Kid<'_>], end: usize) -> Vec<Piece> {
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

fn open(
    form: &mut Vec<u8>,
    name: &str,
    raw: &str,
    at: usize,
    limits: &XmlLimits,
) -> Result<(), MetadataError> {
    form.push(OPEN);
    prefixed(form, name);
    if !raw.is_empty() {
        for (name, value) in attributes(raw, at, limits)? {
            form.push(ATTRIBUTE);
            prefixed(form, name);
            prefixed(form, &value);
        }
    }
    Ok(())
}

fn text(form: &mut Vec<u8>, text: &str) {
    if !text.is_empty() {
        form.push(TEXT);
        prefixed(form, text);
    }
}

/// Text beside child elements: white space there is layout, anything else is content whose place counts.
fn text_between<'a>(form: &mut Vec<u8>, parent: &mut Frame<'a, '_>, run: &mut Cow<'a, str>) {
    if !is_blank(run) {
        parent.mixed = true;
        text(form, run);
    }
    *run = Cow::Borrowed("");
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
fn note_key<'a>(parent: &mut Frame<'a, '_>, name: &'a str, value: Cow<'a, str>) {
    if let Some(child) = parent.child
        && parent.child_name.is_none()
        && child.key_element == name
    {
        parent.child_name = Some(value.clone());
    }
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

fn key_of<'a>(frame: Frame<'a, '_>) -> Option<Key<'a>> {
    if frame.key_parts.is_empty() {
        return frame.key;
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

/// `fullName` comes first, as Salesforce writes it: fewer files need moving.
fn by_name(one: &str, other: &str) -> Ordering {
    (one != "fullName", one).cmp(&(other != "fullName", other))
}

/// Whether siblings stand in canonical order already, as far as one look at neighbours can tell.
fn in_order(kids: &[Kid<'_>]) -> bool {
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
fn arrange(kids: &mut [Kid<'_>]) {
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
fn move_forms(form: &mut Vec<u8>, moved: &mut Vec<u8>, body: usize, kids: &[Kid<'_>]) {
    moved.clear();
    for kid in kids {
        moved.extend_from_slice(&form[kid.form.from..kid.form.to]);
    }
    form.truncate(body);
    form.extend_from_slice(moved);
}
