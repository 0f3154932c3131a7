//! A profile as a retrieve gives it: with permissions about components of the same retrieve alone.
//!
//! What the org does not have cannot be asked for; permissions about it always come (a profile of a folder names much
//! that the folder does not hold). Permission sets are whole since API 40.0.

use quick_xml::{Reader, events::Event};

/// Elements of a profile, and what each is about: the leaf that names it, the type, and whether the name is the part
/// before the last dot.
const ABOUT: [(&str, &str, &str, Named); 14] = [
    (
        "applicationVisibilities",
        "application",
        "CustomApplication",
        Named::Whole,
    ),
    ("classAccesses", "apexClass", "ApexClass", Named::Whole),
    ("customMetadataTypeAccesses", "name", "CustomObject", Named::Whole),
    ("customPermissions", "name", "CustomPermission", Named::Whole),
    ("customSettingAccesses", "name", "CustomObject", Named::Whole),
    (
        "externalDataSourceAccesses",
        "externalDataSource",
        "ExternalDataSource",
        Named::Whole,
    ),
    ("fieldPermissions", "field", "CustomObject", Named::ParentOfDotted),
    ("flowAccesses", "flow", "Flow", Named::Whole),
    ("layoutAssignments", "layout", "Layout", Named::Whole),
    (
        "layoutAssignments",
        "recordType",
        "CustomObject",
        Named::ParentOfDotted,
    ),
    ("objectPermissions", "object", "CustomObject", Named::Whole),
    ("pageAccesses", "apexPage", "ApexPage", Named::Whole),
    (
        "recordTypeVisibilities",
        "recordType",
        "CustomObject",
        Named::ParentOfDotted,
    ),
    ("tabVisibilities", "tab", "CustomTab", Named::Whole),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Named {
    Whole,
    ParentOfDotted,
}

/// The profile without what is about `absent` components: those that the org has and the retrieve did not ask for.
pub(crate) fn sparse(text: &str, absent: impl Fn(&str, &str) -> bool) -> Result<String, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    let (mut depth, mut begin, mut drop) = (0_usize, 0, false);
    let (mut element, mut leaf) = (String::new(), None);
    loop {
        let from = reader.buffer_position() as usize;
        let event = reader.read_event()?;
        let to = reader.buffer_position() as usize;
        match event {
            Event::Start(start) => {
                depth += 1;
                let name = start.local_name().as_ref().to_owned();
                match depth {
                    2 => (begin, drop, element) = (from, false, name),
                    3 => leaf = Some((name, to)),
                    _ => {}
                }
            }
            Event::End(_) => {
                if let (3, Some((name, value))) = (depth, leaf.take()) {
                    drop |= is_absent(&element, &name, &text[value..from], &absent);
                }
                if depth == 2 && drop {
                    out.push_str(text[copied..begin].trim_end());
                    copied = to;
                }
                depth -= 1;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

fn is_absent(element: &str, leaf: &str, value: &str, absent: impl Fn(&str, &str) -> bool) -> bool {
    ABOUT
        .iter()
        .filter(|(about, by, ..)| *about == element && *by == leaf)
        .any(|(.., kind, named)| match named {
            Named::Whole => absent(kind, value.trim()),
            Named::ParentOfDotted => value
                .trim()
                .split_once('.')
                .is_some_and(|(parent, _)| absent(kind, parent)),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permissions_about_what_was_asked_for_beside_it_stay() {
        let profile = "<Profile>\n  <custom>true</custom>\n  <fieldPermissions><field>A__c.B__c</field></fieldPermissions>\n  \
             <fieldPermissions><field>C__c.D__c</field></fieldPermissions>\n  \
             <layoutAssignments><layout>A__c-One</layout><recordType>C__c.R</recordType></layoutAssignments>\n</Profile>";
        let without = |gone: &str| sparse(profile, |_, name| name == gone).unwrap();
        assert_eq!(sparse(profile, |_, _| false).unwrap(), profile);
        assert!(!without("A__c").contains("A__c.B__c") && without("A__c").contains("A__c-One"));
        assert!(!without("C__c").contains("C__c.D__c") && !without("C__c").contains("A__c-One"));
        assert!(
            without("A__c-One").contains("<custom>") && !without("A__c-One").contains("layoutAssignments")
        );
    }
}
