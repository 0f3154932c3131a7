//! From tokens to the canonical form in one pass: no recursion, memory for open elements and their direct children.
//!
//! Well-formedness and limits are `tokens.rs`'s: a token that comes here is in order.

use std::borrow::Cow;

use super::{
    Rules, Scratch,
    form::{Form, Found, Span, first_of_each_name, pieces},
    keys::Naming,
    order::{Kid, arrange, in_order, move_forms},
    write::{CLOSE, open, text, text_between},
};
use crate::{
    error::MetadataError,
    limits::XmlLimits,
    registry::{ChildInfo, Order},
    tokens::{Token, Tokens},
};

/// An open element.
pub(super) struct Frame<'a, 'r> {
    pub(super) name: &'a str,
    pub(super) form_from: usize,
    pub(super) body: usize,
    pub(super) kids_from: usize,
    naming: Naming<'a, 'r>,
    /// Text stands between its children: then all order counts.
    pub(super) mixed: bool,
}

/// The open element below the root, when it is a component of its own.
struct Component<'a, 'r> {
    info: &'r ChildInfo,
    at: usize,
    name: Option<Cow<'a, str>>,
}

impl Component<'_, '_> {
    /// Whether a leaf of it is the one that names it.
    fn is_named_by(&self, leaf: &str) -> bool {
        self.name.is_none() && self.info.key_element == leaf
    }
}

/// Reads a file into its canonical form.
pub(crate) fn read<'s, 'a, 'r>(
    bytes: &'a [u8],
    rules: Rules<'r>,
    limits: XmlLimits,
    scratch: &'s mut Scratch,
) -> Result<Form<'s, 'a, 'r>, MetadataError> {
    refuse_too_many(bytes, limits)?;
    let mut tokens = Tokens::new(bytes, limits)?;
    let Scratch { form, moved } = scratch;
    form.clear();
    form.reserve(bytes.len());
    let mut frames: Vec<Frame<'a, 'r>> = Vec::with_capacity(16);
    let mut kids: Vec<Kid<'a>> = Vec::with_capacity(64);
    let mut found: Vec<Found<'a, 'r>> = Vec::new();
    let mut run: Cow<'a, str> = Cow::Borrowed("");
    let mut component: Option<Component<'a, 'r>> = None;
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
                if frames.len() == 1 {
                    let info = rules.children.iter().find(|child| child.element == name);
                    component = info.map(|info| Component { info, at, name: None });
                }
                frames.push(Frame {
                    name,
                    form_from,
                    body: form.len(),
                    kids_from: kids.len(),
                    naming: Naming::of(name, rules),
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
                let depth = frames.len();
                let Some(parent) = frames.last_mut() else {
                    root = Some(frame);
                    continue;
                };
                if is_leaf {
                    if let Some(component) = component.as_mut()
                        && depth == 2
                        && component.is_named_by(frame.name)
                    {
                        component.name = Some(leaf_text.clone());
                    }
                    parent.naming.note(frame.name, leaf_text);
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
                let child = component.take_if(|_| depth == 1).and_then(|component| {
                    found.push(Found {
                        info: component.info,
                        name: component.name?,
                        slice: (component.at, to),
                        form: span,
                    });
                    Some(found.len() - 1)
                });
                kids.push(Kid {
                    name: frame.name,
                    key: frame.naming.take(),
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

/// Bytes of the smallest element: `<a/>`.
const SMALLEST: usize = 4;

/// Walks a file that has room for too many elements before anything of it is kept: what is kept for two million of
/// them is twenty times such a file.
fn refuse_too_many(bytes: &[u8], limits: XmlLimits) -> Result<(), MetadataError> {
    if bytes.len() / SMALLEST <= limits.elements {
        return Ok(());
    }
    let mut tokens = Tokens::new(bytes, limits)?;
    while tokens.next()? != Token::End {}
    Ok(())
}
