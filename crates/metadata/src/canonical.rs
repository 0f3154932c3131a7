//! The canonical form of an XML file: equal for two files exactly when nobody would call their difference a change.
//!
//! Ignored: comments, white space between elements, namespace declarations, the order of differently named siblings,
//! and that of siblings of one name when each has a distinct key. Everything else counts: attributes, texts as they
//! stand in leaves, the order of what has no keys. The form is written into one buffer while the tokens pass
//! (`canonical/read.rs`, its bytes in `canonical/write.rs`); what names an element is found in `canonical/keys.rs`,
//! children are moved by `canonical/order.rs` only where they are out of order, and `canonical/form.rs` tells the
//! parent's own content from its components. Names and hashes are `parse.rs`'s.

mod form;
mod keys;
mod order;
mod read;
mod write;

use crate::{
    error::MetadataError,
    limits::XmlLimits,
    registry::{ChildInfo, KeyedElement, Order, TypeInfo},
};

pub use keys::KEY_ELEMENTS;
pub(crate) use keys::{Key, Naming};
pub(crate) use read::read;

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

/// The canonical bytes of a whole file: for comparing files; hashes come from [`crate::parse_file`].
pub fn canonical_form(bytes: &[u8], rules: Rules<'_>, limits: XmlLimits) -> Result<Vec<u8>, MetadataError> {
    Ok(read(bytes, rules, limits, &mut Scratch::default())?.whole())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::registry;

    #[test]
    fn the_whole_form_holds_the_components_in_their_places() {
        let rules = Rules::of(registry().by_name("CustomLabels").unwrap());
        let label = |name: &str, value: &str| {
            format!("<labels><fullName>{name}</fullName><value>{value}</value></labels>")
        };
        let form = |body: String| {
            let xml = format!("<CustomLabels>{body}</CustomLabels>");
            canonical_form(xml.as_bytes(), rules, XmlLimits::DEFAULT).unwrap()
        };
        let (a, b) = (label("A", "1"), label("B", "2"));
        assert_eq!(form(format!("{a}{b}")), form(format!("{b}{a}")));
        assert_ne!(form(format!("{a}{b}")), form(format!("{a}{}", label("B", "3"))));
        let plain = |body: &str| {
            let xml = format!("<CustomLabels>{body}</CustomLabels>");
            canonical_form(xml.as_bytes(), Rules::PLAIN, XmlLimits::DEFAULT).unwrap()
        };
        assert_eq!(
            form(format!("{b}{a}")),
            plain(&format!("{a}{b}")),
            "components or not, the form is the same"
        );
    }
}
