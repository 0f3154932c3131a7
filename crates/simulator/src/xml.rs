//! Reads and writes the little XML that requests and answers need.
//!
//! Requests come from several clients with several habits of prefixes, so a request is read into a tree of local
//! names and looked at without namespaces. Metadata files are not read here: `inventory::slices` cuts them.

use std::borrow::Cow;

use quick_xml::{Reader, events::Event};

/// Deepest element of a request; Salesforce's own need six.
const DEEPEST: usize = 64;

/// One element of a request: its local name, its text, its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

/// Why a request is not XML that can be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("unparsable xml: {0}")]
    Syntax(#[from] quick_xml::Error),
    #[error("unparsable xml: no element")]
    Empty,
    #[error("unparsable xml: elements are nested deeper than {DEEPEST}")]
    Deep,
    #[error("unparsable xml: entity {0} is not known")]
    Entity(String),
    #[error("unparsable xml: an element is not closed")]
    Unclosed,
}

impl Element {
    /// Reads a document.
    pub(crate) fn parse(text: &str) -> Result<Element, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Element> = vec![Element::default()];
        loop {
            let event = reader.read_event()?;
            let last = open.len() - 1;
            match event {
                Event::Start(start) => {
                    if open.len() > DEEPEST {
                        return Err(XmlError::Deep);
                    }
                    open.push(named(start.local_name().as_ref()));
                }
                Event::Empty(start) => open[last].children.push(named(start.local_name().as_ref())),
                Event::End(_) => {
                    let closed = open.pop().ok_or(XmlError::Unclosed)?;
                    open.last_mut().ok_or(XmlError::Unclosed)?.children.push(closed);
                }
                Event::Text(text) => open[last].text.push_str(&text),
                Event::CData(text) => open[last].text.push_str(&text),
                Event::GeneralRef(entity) => open[last].text.push(entity_char(&entity)?),
                Event::Eof if open.len() > 1 => return Err(XmlError::Unclosed),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        open.pop()
            .and_then(|mut document| document.children.pop())
            .ok_or(XmlError::Empty)
    }

    /// The first child of that local name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of that local name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The trimmed text of the first child of that name; empty when there is none.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }
}

fn named(name: &str) -> Element {
    Element {
        name: name.to_owned(),
        ..Element::default()
    }
}

fn entity_char(entity: &quick_xml::events::BytesRef<'_>) -> Result<char, XmlError> {
    if let Some(character) = entity.resolve_char_ref()? {
        return Ok(character);
    }
    match &**entity {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(XmlError::Entity(other.to_owned())),
    }
}

/// What stands between the tags of the first element of a document.
pub(crate) fn inside(text: &str) -> Option<&str> {
    let mut reader = Reader::from_str(text);
    let mut from = None;
    let mut depth = 0_usize;
    loop {
        let at = reader.buffer_position() as usize;
        match reader.read_event().ok()? {
            Event::Start(_) => {
                depth += 1;
                from = from.or(Some(reader.buffer_position() as usize));
            }
            Event::End(_) => {
                depth -= 1;
                if depth == 0 {
                    return text.get(from?..at);
                }
            }
            Event::Empty(_) if depth == 0 => return Some(""),
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Text for an element's content.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_ignored_and_entities_read() {
        let tree = Element::parse("<?xml version='1.0'?><e:a xmlns:e='x'><e:b>x &amp; &#65;</e:b><b/></e:a>")
            .unwrap();
        assert_eq!(tree.name, "a");
        assert_eq!(
            tree.all("b").map(|b| b.text.as_str()).collect::<Vec<_>>(),
            ["x & A", ""]
        );
        assert_eq!(tree.text_of("b"), "x & A");
    }

    #[test]
    fn what_is_not_xml_is_refused_with_a_reason() {
        assert!(matches!(Element::parse(""), Err(XmlError::Empty)));
        assert!(matches!(
            Element::parse("<a>"),
            Err(XmlError::Unclosed | XmlError::Syntax(_))
        ));
        assert!(matches!(Element::parse("<a>&x;</a>"), Err(XmlError::Entity(_))));
        assert!(matches!(Element::parse(&"<a>".repeat(100)), Err(XmlError::Deep)));
    }

    #[test]
    fn the_inside_of_a_document_is_what_stands_below_its_root() {
        let text = "<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><b><A>1</A></b><!-- c --></A>\n";
        assert_eq!(inside(text), Some("<b><A>1</A></b><!-- c -->"));
        assert_eq!(inside("<A/>"), Some(""));
        assert_eq!(inside("<A><b></A>"), None);
    }
}
