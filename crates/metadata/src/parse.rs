//! One XML file in: the hashes of its own content and of the whole, and the components inside it.
//!
//! The parent's content hash leaves its components out, so that a changed field is one change. The hash of the whole
//! is made of the parent's and the components' hashes: every byte is hashed once, and only what becomes a row.

use nightshift_domain::ComponentKey;

use crate::{
    canonical::{Rules, Scratch, read},
    error::MetadataError,
    limits::{NAME_BYTES, XmlLimits},
    registry::TypeInfo,
};

/// What one XML file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParsedFile {
    /// BLAKE3 of the canonical form, components left out.
    pub content_hash: [u8; 32],
    /// Of the whole file, components included; equal to `content_hash` where there are none.
    pub canonical_hash: [u8; 32],
    /// The components in the file, in canonical order.
    pub children: Vec<Child>,
}

/// A component in its parent's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    /// Its identity.
    pub key: ComponentKey,
    /// As the file spells it, behind its parent's unless it stands alone.
    pub full_name: String,
    /// Bytes `from..to` of the file: its element.
    pub slice: (u32, u32),
    /// BLAKE3 of its element's canonical form.
    pub content_hash: [u8; 32],
}

/// Reads the file of a member of type `info` that Salesforce calls `full_name`.
pub fn parse_file(info: &TypeInfo, full_name: &str, bytes: &[u8]) -> Result<ParsedFile, MetadataError> {
    parse_with(
        Rules::of(info),
        full_name,
        bytes,
        XmlLimits::DEFAULT,
        &mut Scratch::default(),
    )
}

/// The same with rules, limits and buffers of the caller's: what an ingest uses for file after file.
pub fn parse_with(
    rules: Rules<'_>,
    full_name: &str,
    bytes: &[u8],
    limits: XmlLimits,
    scratch: &mut Scratch,
) -> Result<ParsedFile, MetadataError> {
    let form = read(bytes, rules, limits, scratch)?;
    let mut own = blake3::Hasher::new();
    form.own(|piece| {
        own.update(piece);
    });
    let content_hash = *own.finalize().as_bytes();
    if let Some(long) = form.children.iter().find(|found| found.name.len() > NAME_BYTES) {
        return Err(MetadataError::NameTooLong {
            limit: NAME_BYTES,
            at: long.slice.0,
        });
    }
    let children: Vec<Child> = form
        .in_order()
        .map(|at| {
            let found = &form.children[at];
            let child_name = found.info.full_name(full_name, &found.name);
            Child {
                key: ComponentKey::new(found.info.type_name, &child_name),
                full_name: child_name,
                slice: (found.slice.0 as u32, found.slice.1 as u32),
                content_hash: *blake3::hash(form.child_bytes(at)).as_bytes(),
            }
        })
        .collect();
    let canonical_hash = if children.is_empty() {
        content_hash
    } else {
        let mut whole = blake3::Hasher::new();
        whole.update(&content_hash);
        for child in &children {
            whole.update(&child.content_hash);
        }
        *whole.finalize().as_bytes()
    };
    Ok(ParsedFile {
        content_hash,
        canonical_hash,
        children,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::registry;

    fn parsed(xml: &str) -> ParsedFile {
        let info = registry().by_name("CustomObject").unwrap();
        parse_file(info, "A__c", xml.as_bytes()).unwrap()
    }

    #[test]
    fn buffers_that_were_used_before_change_nothing() {
        let info = registry().by_name("CustomObject").unwrap();
        let long =
            "<CustomObject><fields><fullName>B__c</fullName></fields><label>long</label></CustomObject>";
        let broken = "<CustomObject><fields><fullName>B__c</fullName>";
        let mut scratch = Scratch::default();
        for xml in [long, "<CustomObject/>", broken, long] {
            let again = parse_with(
                Rules::of(info),
                "A__c",
                xml.as_bytes(),
                XmlLimits::DEFAULT,
                &mut scratch,
            );
            let fresh = parse_file(info, "A__c", xml.as_bytes());
            assert_eq!(again, fresh, "{xml}");
        }
    }

    #[test]
    fn without_components_the_whole_is_the_own_content() {
        let plain = parsed("<CustomObject><label>a</label></CustomObject>");
        assert_eq!(plain.content_hash, plain.canonical_hash);
        let with =
            parsed("<CustomObject><label>a</label><fields><fullName>F__c</fullName></fields></CustomObject>");
        assert_eq!(with.content_hash, plain.content_hash);
        assert_ne!(with.canonical_hash, plain.canonical_hash);
    }
}
