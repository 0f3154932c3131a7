//! What generated files refer to: components of the same org that really exist.
//!
//! Only names of the first night are used, since a file must not change when another component comes or goes; so a
//! reference may point to what a later night has deleted, as in orgs it does.

use super::generated::GeneratedOrg;
use crate::{mix::Numbers, types::TypeId};

/// Draws references for one file.
pub(crate) struct References<'a> {
    org: &'a GeneratedOrg,
}

impl<'a> References<'a> {
    pub(crate) fn of(org: &'a GeneratedOrg) -> Self {
        Self { org }
    }

    fn count(&self, kind: &str) -> Option<(TypeId, u32)> {
        let kind = TypeId::named(kind)?;
        self.org
            .base
            .get(&kind)
            .map(|&count| (kind, count))
            .filter(|(_, count)| *count > 0)
    }

    /// The full name of one component of a type; none where the org has none.
    pub(crate) fn one(&self, kind: &str, numbers: &mut Numbers) -> Option<String> {
        let (kind, count) = self.count(kind)?;
        Some(self.org.names().name(kind, numbers.below(count as usize) as u32))
    }

    /// The first `most` components of a type.
    pub(crate) fn first(&self, kind: &str, most: u32) -> Vec<String> {
        let Some((kind, count)) = self.count(kind) else {
            return Vec::new();
        };
        (0..count.min(most))
            .map(|slot| self.org.names().name(kind, slot))
            .collect()
    }

    /// An object's name by a number that need not be one of an object.
    pub(crate) fn object(&self, number: u32) -> String {
        let count = self.count("CustomObject").map_or(1, |(_, count)| count);
        self.org.names().object(number % count)
    }

    /// The field of an object, by numbers that need not be those of any; none where it has no fields of its own.
    pub(crate) fn field(&self, object: u32, nth: u32) -> Option<String> {
        let (_, objects) = self.count("CustomObject")?;
        let (kind, fields) = self.count("CustomField")?;
        let object = object % objects;
        // Fields are dealt to the objects in turn.
        let of_object = (fields + objects - 1 - object) / objects;
        let nth = nth.checked_rem(of_object)?;
        Some(self.org.names().key(kind, object + nth * objects))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::inventory::{Inventory, Part};

    #[test]
    fn fields_belong_to_their_object_and_exist() {
        let org = GeneratedOrg::weighing(3, 2_000, 0, &[]);
        let references = References::of(&org);
        let kind = TypeId::named("CustomField").unwrap();
        for object in 0..60 {
            for nth in 0..7 {
                if let Some(field) = references.field(object, nth) {
                    let name = format!("{}.{field}", references.object(object));
                    assert!(org.find(kind, &name).is_some(), "{name}");
                }
            }
        }
        assert!(references.field(3, 0).is_some());
    }

    #[test]
    fn code_pages_flows_and_layouts_name_what_is_there() {
        let org = GeneratedOrg::weighing(3, 3_000, 0, &[]);
        let mut known = HashSet::new();
        for kind in ["ApexClass", "CustomObject", "CustomField"].map(|name| TypeId::named(name).unwrap()) {
            for member in org.list(kind, None) {
                let name = org.describe(member).full_name;
                known.insert(name.rsplit('.').next().unwrap().to_owned());
            }
        }
        for kind in [
            "ApexClass",
            "ApexTrigger",
            "ApexPage",
            "Flow",
            "Layout",
            "QuickAction",
            "ValidationRule",
        ] {
            let kind = TypeId::named(kind).unwrap();
            let with = org
                .list(kind, None)
                .into_iter()
                .filter(|&member| {
                    let (holder, part) = match org.parent(member) {
                        Some(parent) => (parent, Part::Children(vec![member])),
                        None => (member, Part::Whole),
                    };
                    let files = org.files(holder, &part).unwrap();
                    let own = org.describe(member).full_name;
                    let text: String = files
                        .iter()
                        .map(|file| String::from_utf8_lossy(&file.bytes))
                        .collect();
                    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .any(|word| !own.contains(word) && known.contains(word))
                })
                .count();
            let all = org.list(kind, None).len();
            assert!(with * 10 >= all * 8, "{with} of {all} {}", kind.name());
        }
    }
}
