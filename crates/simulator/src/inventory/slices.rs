//! Cuts a metadata file into its children and the rest.
//!
//! A field is not a file: it is an element of its object's file. The listing dates it by itself, and a retrieve of
//! the field alone brings the object's file with that one element. Both need the element's bytes as they stand, so
//! the file is cut, not parsed and written again.

use std::ops::Range;

use quick_xml::{Reader, events::Event};

use crate::{mix::mix_bytes, types::TypeId};

/// One child of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slice {
    pub kind: TypeId,
    /// Content of its `fullName`, entities as they stand.
    pub key: String,
    /// Its element, tags included.
    pub range: Range<usize>,
}

/// A file, cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cut {
    /// Up to and with the root's start tag.
    pub head: Range<usize>,
    pub slices: Vec<Slice>,
    /// The root's end tag.
    pub foot: Range<usize>,
}

/// Cuts a file of `parent`'s type. Elements that are no children of the type, or have no name, stay in the rest.
pub(crate) fn cut(text: &str, parent: TypeId) -> Result<Cut, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    let mut depth = 0_usize;
    let mut head = 0..0;
    let mut foot = text.len()..text.len();
    let mut slices = Vec::new();
    let mut open: Option<(TypeId, usize, String)> = None;
    let mut in_name = false;
    loop {
        let from = reader.buffer_position() as usize;
        let event = reader.read_event()?;
        let to = reader.buffer_position() as usize;
        match event {
            Event::Start(start) => {
                let name = start.local_name();
                match (depth, &open) {
                    (0, _) => head = 0..to,
                    (1, _) => {
                        let child = parent.children().iter().find(|child| child.row().element == name.as_ref());
                        open = child.map(|&kind| (kind, from, String::new()));
                    }
                    (2, Some(_)) => in_name = name.as_ref() == "fullName",
                    _ => {}
                }
                depth += 1;
            }
            Event::End(_) => {
                depth -= 1;
                in_name = in_name && depth > 2;
                match (depth, open.take()) {
                    (0, _) => foot = from..to,
                    (1, Some((kind, start, key))) if !key.is_empty() => {
                        slices.push(Slice { kind, key, range: start..to });
                    }
                    (1, _) => {}
                    (_, still_open) => open = still_open,
                }
            }
            Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) if in_name => {
                if let Some((_, _, key)) = &mut open {
                    key.push_str(text[from..to].trim());
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    Ok(Cut { head, slices, foot })
}

impl Cut {
    /// A number for all that is not a child, blind to whitespace between tags (it moves when a child comes or goes).
    pub(crate) fn rest_number(&self, text: &str) -> u64 {
        let mut rest = String::new();
        let mut from = 0;
        for slice in &self.slices {
            rest.push_str(&text[from..slice.range.start]);
            from = slice.range.end;
        }
        rest.push_str(&text[from..]);
        let mut packed = String::with_capacity(rest.len());
        for piece in rest.split_inclusive('>') {
            match piece.find('<') {
                Some(tag) if piece[..tag].trim().is_empty() => packed.push_str(&piece[tag..]),
                _ => packed.push_str(piece),
            }
        }
        mix_bytes(1, packed.trim_end().as_bytes())
    }

    /// The file with only some of its children.
    pub(crate) fn only(&self, text: &str, wanted: impl Fn(&Slice) -> bool) -> String {
        let mut out = text[self.head.clone()].to_owned();
        for slice in self.slices.iter().filter(|slice| wanted(slice)) {
            out.push_str("\n    ");
            out.push_str(&text[slice.range.clone()]);
        }
        out.push('\n');
        out.push_str(&text[self.foot.clone()]);
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str = "<?xml version=\"1.0\"?>\n<CustomObject xmlns=\"x\">\n  <label>A</label>\n  <fields>\n    \
        <fullName>One__c</fullName>\n    <picklist><fullName>no</fullName></picklist>\n  </fields>\n  \
        <fields><fullName>Two__c</fullName></fields>\n  <listViews><fullName>All</fullName></listViews>\n</CustomObject>\n";

    fn object() -> Cut {
        cut(OBJECT, TypeId::named("CustomObject").unwrap()).unwrap()
    }

    #[test]
    fn children_are_found_with_their_own_names() {
        let names: Vec<(&str, String)> =
            object().slices.into_iter().map(|slice| (slice.kind.name(), slice.key)).collect();
        let wanted = [("CustomField", "One__c"), ("CustomField", "Two__c"), ("ListView", "All")];
        assert_eq!(names, wanted.map(|(kind, key)| (kind, key.to_owned())));
    }

    #[test]
    fn a_child_asked_alone_comes_in_its_parents_file() {
        let only = object().only(OBJECT, |slice| slice.key == "Two__c");
        assert!(only.starts_with("<?xml version=\"1.0\"?>\n<CustomObject xmlns=\"x\">"), "{only}");
        assert!(only.contains("Two__c") && !only.contains("One__c") && !only.contains("label"), "{only}");
        assert!(only.trim_end().ends_with("</CustomObject>"), "{only}");
    }

    #[test]
    fn the_rest_does_not_feel_its_children_come_and_go() {
        let kind = TypeId::named("CustomObject").unwrap();
        let without = OBJECT.replace("  <fields><fullName>Two__c</fullName></fields>\n", "");
        let number = |text: &str| cut(text, kind).unwrap().rest_number(text);
        assert_eq!(number(OBJECT), number(&without));
        assert_ne!(number(OBJECT), number(&OBJECT.replace(">A<", ">B<")));
    }
}
