//! How much XML one file may hold before it is refused.
//!
//! Real metadata stays far below each bound; what passes one is a mistake or an attack, and would cost memory or time
//! that other orgs need. The bounds of the zip around the files belong to `archive`.

/// Longest full name of a component, in bytes: as much as a file's name in a zip, and as an index can hold.
pub const NAME_BYTES: usize = 1_024;

/// Longest name of a type, in bytes.
pub const TYPE_NAME_BYTES: usize = 255;

/// Bounds of one XML file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct XmlLimits {
    /// Levels of elements; Flow and Report files stay under 30. Beyond: `xml_too_deep`.
    pub depth: usize,
    /// Attributes of one tag. Beyond: `xml_too_complex`.
    pub attributes: usize,
    /// Bytes of one tag. Beyond: `xml_too_complex`.
    pub tag_bytes: usize,
    /// Bytes of one text. Beyond: `xml_text_too_large`.
    pub text_bytes: usize,
    /// Elements of one file. Beyond: `xml_too_complex`.
    pub elements: usize,
}

impl XmlLimits {
    /// The bounds in production.
    pub const DEFAULT: Self = Self {
        depth: 256,
        attributes: 64,
        tag_bytes: 64 << 10,
        text_bytes: 32 << 20,
        elements: 2_000_000,
    };
}

impl Default for XmlLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
