//! XML tokens that can be relied on: borrowed, with references resolved, inside the limits, well-formed to the end.
//!
//! quick-xml accepts much that a dictionary must not: a file that breaks off, two roots, unknown entities, any depth.
//! This layer refuses all of it by name and keeps the reader flat: no recursion, memory only for the names of open
//! elements. What the tokens mean is left to `canonical.rs`.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    errors::{Error as QuickError, SyntaxError},
    events::{BytesDecl, BytesStart, Event},
};

use crate::{error::MetadataError, limits::XmlLimits};

/// One piece of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Token<'a> {
    /// An element begins at byte `at`; its attributes as they stand.
    Open {
        name: &'a str,
        attributes: &'a str,
        at: usize,
    },
    /// The innermost open element ends before byte `to`.
    Close { name: &'a str, to: usize },
    /// A piece of text, line ends normalised, references resolved. One text may come in several pieces.
    Text(Cow<'a, str>),
    /// The file is over, and was whole.
    End,
}

/// A reader of tokens over one file.
pub(crate) struct Tokens<'a> {
    reader: Reader<&'a [u8]>,
    source: &'a str,
    /// Bytes of a byte order mark that was taken off: positions are those of the file.
    shift: usize,
    limits: XmlLimits,
    open: Vec<&'a str>,
    elements: usize,
    text_bytes: usize,
    rooted: bool,
    /// The element that `<a/>` opened and that closes with the next token.
    empty: bool,
    has_cr: bool,
    after: After,
    /// White space that begins here was handed out already.
    told: Option<usize>,
}

/// What the last event was, as far as white space behind it is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    Open,
    Close,
    Other,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: XmlLimits) -> Result<Self, MetadataError> {
        let shift = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        let source = utf8(&bytes[shift..])?;
        let mut reader = Reader::from_str(source);
        // Names of end tags are compared here, with the names that are kept anyway.
        reader.config_mut().check_end_names = false;
        // Most white space is layout: an event for each piece of it would be a third of all events.
        reader.config_mut().trim_text_start = true;
        Ok(Self {
            reader,
            source,
            shift,
            limits,
            open: Vec::with_capacity(16),
            elements: 0,
            text_bytes: 0,
            rooted: false,
            empty: false,
            has_cr: memchr::memchr(b'\r', source.as_bytes()).is_some(),
            after: After::Other,
            told: None,
        })
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Result<Token<'a>, MetadataError> {
        if self.empty {
            self.empty = false;
            return self.close();
        }
        loop {
            let from = self.position();
            let blank = blank_at_start(&self.source[from..]);
            if let Some(text) = self.content(from, blank) {
                return self.text(Cow::Borrowed(text));
            }
            let at = from + blank;
            let event = self.reader.read_event().map_err(|error| self.refuse(&error))?;
            self.after = After::Other;
            match event {
                Event::Start(tag) => return self.open(&tag, at),
                Event::Empty(tag) => {
                    self.empty = true;
                    return self.open(&tag, at);
                }
                Event::End(tag) => {
                    if self.open.last().is_none_or(|name| *name != tag.name().as_ref()) {
                        return Err(self.malformed("an end tag that closes another element"));
                    }
                    return self.close();
                }
                Event::Text(_) if self.open.is_empty() => {
                    return Err(self.malformed("text outside the root element"));
                }
                // with the white space before it
                Event::Text(_) => {
                    let text = &self.source[from..self.position()];
                    return self.text(Cow::Borrowed(text));
                }
                Event::CData(text) => return self.text(text.into_inner()),
                Event::GeneralRef(reference) => {
                    let name = reference.into_inner();
                    let text = self.resolve(&name)?;
                    return self.text_of_reference(text);
                }
                Event::Comment(_) => {}
                Event::Decl(declaration) => self.declared(&declaration, at)?,
                Event::DocType(_) | Event::PI(_) => {
                    return Err(MetadataError::Doctype { at: self.shift + at });
                }
                Event::Eof if self.rooted && self.open.is_empty() => return Ok(Token::End),
                Event::Eof => {
                    return Err(MetadataError::Truncated {
                        open: self.open.len(),
                    });
                }
            }
        }
    }

    /// White space at `from` that is no layout, and that the next event does not bring.
    fn content(&mut self, from: usize, blank: usize) -> Option<&'a str> {
        if blank == 0 || self.open.is_empty() || self.told == Some(from) {
            return None;
        }
        let comes_along_or_is_layout = match self.source.as_bytes()[from + blank..] {
            [b'<', b'/', ..] => self.after == After::Close,
            [b'<', b'!' | b'?', ..] | [b'&', ..] => false,
            [b'<', ..] => self.after != After::Other,
            _ => true,
        };
        if comes_along_or_is_layout {
            return None;
        }
        self.told = Some(from);
        Some(&self.source[from..from + blank])
    }

    fn open(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<Token<'a>, MetadataError> {
        self.text_bytes = 0;
        self.after = After::Open;
        self.elements += 1;
        if self.open.is_empty() {
            if self.rooted {
                return Err(self.malformed("a second root element"));
            }
            self.rooted = true;
        }
        let at_file = self.shift + at;
        if self.open.len() == self.limits.depth {
            return Err(MetadataError::TooDeep {
                limit: self.limits.depth,
                at: at_file,
            });
        }
        if self.elements > self.limits.elements {
            return Err(MetadataError::TooComplex {
                what: "elements",
                limit: self.limits.elements,
                at: at_file,
            });
        }
        let name_length = tag.name().as_ref().len();
        let length = name_length + tag.attributes_raw().len();
        if length > self.limits.tag_bytes {
            return Err(MetadataError::TooComplex {
                what: "bytes in a tag",
                limit: self.limits.tag_bytes,
                at: at_file,
            });
        }
        // The event lends its name only for its own life; the source lends it for the file's.
        let name_from = at + 1;
        let (name, attributes) = match (
            self.source.get(name_from..name_from + name_length),
            self.source.get(name_from + name_length..name_from + length),
        ) {
            (Some(name), Some(attributes)) if is_name(name) => (name, attributes),
            _ => return Err(self.malformed("an element without a proper name")),
        };
        self.open.push(name);
        Ok(Token::Open {
            name,
            attributes,
            at: at_file,
        })
    }

    fn close(&mut self) -> Result<Token<'a>, MetadataError> {
        self.text_bytes = 0;
        self.after = After::Close;
        let to = self.shift + self.position();
        match self.open.pop() {
            Some(name) => Ok(Token::Close { name, to }),
            None => Err(self.malformed("an end tag without its start")),
        }
    }

    fn text(&mut self, text: Cow<'a, str>) -> Result<Token<'a>, MetadataError> {
        // XML reads CR LF and CR as LF; only &#13; is a carriage return that somebody meant.
        let text = if self.has_cr && text.contains('\r') {
            Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
        } else {
            text
        };
        self.text_of_reference(text)
    }

    fn text_of_reference(&mut self, text: Cow<'a, str>) -> Result<Token<'a>, MetadataError> {
        if self.open.is_empty() {
            return Err(self.malformed("text outside the root element"));
        }
        self.text_bytes += text.len();
        if self.text_bytes > self.limits.text_bytes {
            let at = self.shift + self.position();
            return Err(MetadataError::TextTooLarge {
                limit: self.limits.text_bytes,
                at,
            });
        }
        Ok(Token::Text(text))
    }

    fn resolve(&self, name: &str) -> Result<Cow<'a, str>, MetadataError> {
        let at = self.shift + self.position();
        reference(name).ok_or_else(|| MetadataError::Entity {
            name: bounded(name),
            at,
        })
    }

    fn declared(&self, declaration: &BytesDecl<'_>, at: usize) -> Result<(), MetadataError> {
        if at != 0 {
            return Err(self.malformed("an xml declaration that is not at the start"));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") => {
                Ok(())
            }
            Some(Ok(name)) => Err(MetadataError::Encoding {
                found: bounded(&name),
            }),
            Some(Err(_)) => Err(self.malformed("an xml declaration that cannot be read")),
        }
    }

    fn refuse(&self, error: &QuickError) -> MetadataError {
        match error {
            QuickError::Syntax(SyntaxError::InvalidBangMarkup) => self.malformed("unknown markup behind <!"),
            QuickError::Syntax(_) => MetadataError::Truncated {
                open: self.open.len(),
            },
            QuickError::Encoding(_) => MetadataError::Encoding {
                found: "bytes that are no UTF-8".to_owned(),
            },
            QuickError::IllFormed(_) => self.malformed("a tag or reference that is not closed or not open"),
            _ => self.malformed("markup that cannot be read"),
        }
    }

    fn malformed(&self, why: &'static str) -> MetadataError {
        MetadataError::Malformed {
            at: self.shift + self.position(),
            why,
        }
    }

    fn position(&self) -> usize {
        self.reader.buffer_position() as usize
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, MetadataError> {
    let refused = |found: &str| MetadataError::Encoding {
        found: found.to_owned(),
    };
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(refused("a byte order mark of UTF-16"));
    }
    if memchr::memchr(0, bytes).is_some() {
        return Err(refused("a NUL byte"));
    }
    std::str::from_utf8(bytes).map_err(|_| refused("bytes that are no UTF-8"))
}

/// What `&name;` stands for.
fn reference(name: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Borrowed(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => {
            let digits = name.strip_prefix('#')?;
            let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |hex| (hex, 16));
            // `from_str_radix` would take a sign.
            let number = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            let code = u32::from_str_radix(digits, radix)
                .ok()
                .filter(|code| number && *code != 0)?;
            return char::from_u32(code).map(|character| Cow::Owned(character.to_string()));
        }
    }))
}

/// Reads a tag's attributes, references resolved, in the order of their names.
pub(crate) fn attributes<'a>(
    raw: &'a str,
    at: usize,
    limits: &XmlLimits,
) -> Result<Vec<(&'a str, Cow<'a, str>)>, MetadataError> {
    let malformed = |why| MetadataError::Malformed { at, why };
    let mut found = Vec::new();
    let mut rest = raw.trim_ascii_start();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| malformed("an attribute without a value"))?;
        let name = name.trim_ascii_end();
        let after = after.trim_ascii_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
        let quote = quote.ok_or_else(|| malformed("an attribute's value without quotes"))?;
        let (value, after) = after[1..]
            .split_once(quote)
            .ok_or_else(|| malformed("an attribute's value that is not closed"))?;
        if !is_name(name) || value.contains('<') {
            return Err(malformed("an attribute that cannot be read"));
        }
        if !after.is_empty() && !after.starts_with([' ', '\t', '\r', '\n']) {
            return Err(malformed("attributes without a space between them"));
        }
        found.push((name, attribute_value(value, at)?));
        if found.len() > limits.attributes {
            return Err(MetadataError::TooComplex {
                what: "attributes in a tag",
                limit: limits.attributes,
                at,
            });
        }
        rest = after.trim_ascii_start();
    }
    found.sort_by_key(|(name, _)| *name);
    if found.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(malformed("an attribute that stands twice in one tag"));
    }
    Ok(found)
}

/// White space becomes spaces, references what they stand for: XML's normalisation of attribute values.
fn attribute_value(raw: &str, at: usize) -> Result<Cow<'_, str>, MetadataError> {
    if !raw.contains(['&', '\t', '\r', '\n']) {
        return Ok(Cow::Borrowed(raw));
    }
    let raw = raw.replace("\r\n", " ").replace(['\t', '\r', '\n'], " ");
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw.as_str();
    while let Some((before, after)) = rest.split_once('&') {
        value.push_str(before);
        let unclosed = MetadataError::Malformed {
            at,
            why: "a reference that is not closed",
        };
        let (name, after) = after.split_once(';').ok_or(unclosed)?;
        let text = reference(name).ok_or_else(|| MetadataError::Entity {
            name: bounded(name),
            at,
        })?;
        value.push_str(&text);
        rest = after;
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

fn bounded(text: &str) -> String {
    text.chars().take(32).collect()
}

/// Whether only white space is there, as between elements.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'))
}

/// How many bytes of white space a text begins with.
fn blank_at_start(text: &str) -> usize {
    let is_content = |byte: u8| !matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    text.bytes().position(is_content).unwrap_or(text.len())
}

fn is_name(name: &str) -> bool {
    let starts = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || *byte >= 0x80;
    name.as_bytes().first().is_some_and(starts) && name.bytes().all(|byte| IN_NAMES[usize::from(byte)])
}

/// Which bytes a name may have behind its first: asked for each byte of each tag.
static IN_NAMES: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0_u8);
    loop {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-' | b'.') || byte >= 0x80;
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of a file, those of one place in one piece; layout is blank or left out.
    fn texts(xml: &str) -> Vec<String> {
        let mut tokens = Tokens::new(xml.as_bytes(), XmlLimits::DEFAULT).unwrap();
        let (mut texts, mut run) = (Vec::new(), String::new());
        loop {
            match tokens.next().unwrap() {
                Token::Text(text) => run.push_str(&text),
                Token::End => return texts,
                Token::Open { .. } | Token::Close { .. } => texts.push(std::mem::take(&mut run)),
            }
        }
    }

    #[test]
    fn white_space_is_told_where_it_is_content_and_nowhere_twice() {
        for (xml, text) in [
            ("<a> </a>", " "),
            ("<a>  x </a>", "  x "),
            ("<a>&lt; &gt;</a>", "< >"),
            ("<a> &amp; x</a>", " & x"),
            ("<a>x&amp; </a>", "x& "),
            ("<a> <![CDATA[ x ]]> </a>", "  x  "),
            ("<a> <!-- c --> </a>", "  "),
            ("<a>x <!-- c --> y</a>", "x  y"),
        ] {
            assert_eq!(texts(xml), ["", text], "{xml}");
        }
        assert_eq!(texts("<a> <b/> x <b> </b> </a> "), ["", "", "", " x ", " ", ""]);
        assert_eq!(texts("\n<a>\n  <b>1</b>\n  <c/>\n</a>\n").concat(), "1");
    }
}
