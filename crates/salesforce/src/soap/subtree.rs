//! Takes one element out of an answer as XML of its own.
//!
//! What readMetadata answers has another shape for each type, so it is handed on as it is, to be judged by
//! `metadata`. Names are local, since the prefixes are declared outside; attributes stand as they came.

use quick_xml::escape::escape;

use super::{Envelope, Piece};
use crate::{
    bounds::RECORD_BYTES,
    error::{SalesforceError, XmlFault},
};

/// An element that was taken out.
#[derive(Default)]
pub(crate) struct Subtree {
    /// The text of its child `fullName`; empty if it has none.
    pub full_name: String,
    /// The element whole.
    pub xml: String,
}

impl Envelope {
    /// What is in the element that was just opened, to its close, inside an element called `root`.
    pub(crate) async fn subtree(&mut self, root: &str) -> Result<Subtree, SalesforceError> {
        let mut tree = Subtree::default();
        let mut path: Vec<String> = Vec::new();
        put(&mut tree.xml, &["<", root, ">"]);
        loop {
            match self.next().await? {
                Piece::Open { name, attributes, .. } => {
                    let space = if attributes.is_empty() { "" } else { " " };
                    put(&mut tree.xml, &["<", &name, space, &attributes, ">"]);
                    path.push(name);
                }
                Piece::Text(text) => {
                    if path == ["fullName"] {
                        tree.full_name.push_str(&text);
                    }
                    tree.xml.push_str(&escape(text));
                }
                Piece::Close | Piece::End => match path.pop() {
                    Some(name) => put(&mut tree.xml, &["</", &name, ">"]),
                    None => break,
                },
            }
            if tree.xml.len() > RECORD_BYTES {
                return Err(self.malformed(XmlFault::TooLarge));
            }
        }
        put(&mut tree.xml, &["</", root, ">"]);
        Ok(tree)
    }
}

fn put(xml: &mut String, parts: &[&str]) {
    for part in parts {
        xml.push_str(part);
    }
}
