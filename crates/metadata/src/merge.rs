//! One file from its parts: what Salesforce sends of a profile depends on what is asked for beside it.
//!
//! Where the companions pass one retrieve, the file comes with each part of them and is whole in none. The merged file
//! has each element below the root that any part has: elements with a key (that of the canonical form) once for each key, the longer one where two
//! differ; others as often as the part that has the most of them. What is asked for with what is planned by `sync`.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use crate::{
    canonical::{Key, Naming, Rules},
    error::MetadataError,
    limits::XmlLimits,
    tokens::{Token, Tokens},
};

/// An element below the root.
struct Element<'a> {
    name: &'a str,
    key: Option<Key<'a>>,
    bytes: &'a [u8],
}

/// The elements below the root, and what stands before the first and behind the last.
struct Cut<'a> {
    elements: Vec<Element<'a>>,
    head: &'a [u8],
    tail: &'a [u8],
}

/// What tells an element from all others; the number counts those that nothing else tells apart.
type Identity<'a> = (&'a str, Option<Key<'a>>, &'a [u8], usize);

/// Merges the parts of one file; `Ok(None)` when there are none.
pub fn merge(
    parts: &[Vec<u8>],
    rules: Rules<'_>,
    limits: XmlLimits,
) -> Result<Option<Vec<u8>>, MetadataError> {
    let mut merged: Vec<&[u8]> = Vec::new();
    let mut places: HashMap<Identity<'_>, usize> = HashMap::new();
    let mut around: Option<(&[u8], &[u8])> = None;
    for part in parts {
        let cut = cut(part, rules, limits)?;
        if !cut.elements.is_empty() {
            around.get_or_insert((cut.head, cut.tail));
        }
        let mut seen: HashMap<(&str, Option<Key<'_>>, &[u8]), usize> = HashMap::new();
        for element in cut.elements {
            // of those with a key the key alone tells
            let told = if element.key.is_some() {
                &[][..]
            } else {
                element.bytes
            };
            let count = seen
                .entry((element.name, element.key.clone(), told))
                .and_modify(|count| *count += 1)
                .or_insert(1);
            match places.entry((element.name, element.key, told, *count)) {
                Entry::Vacant(place) => {
                    place.insert(merged.len());
                    merged.push(element.bytes);
                }
                Entry::Occupied(place) => {
                    let here = &mut merged[*place.get()];
                    if element.bytes.len() > here.len() {
                        *here = element.bytes;
                    }
                }
            }
        }
    }
    Ok(match around {
        Some((head, tail)) => {
            let mut file = head.to_vec();
            for element in merged {
                file.extend_from_slice(element);
                file.push(b'\n');
            }
            file.extend_from_slice(tail);
            Some(file)
        }
        None => parts.first().cloned(),
    })
}

fn cut<'a>(file: &'a [u8], rules: Rules<'_>, limits: XmlLimits) -> Result<Cut<'a>, MetadataError> {
    let mut tokens = Tokens::new(file, limits)?;
    let mut found: Vec<Element<'a>> = Vec::new();
    let (mut depth, mut begin, mut first, mut end) = (0_usize, 0, None, 0);
    let mut naming = Naming::of("", rules);
    let mut leaf: Option<(&str, Cow<'_, str>)> = None;
    loop {
        match tokens.next()? {
            Token::Open { name, at, .. } => {
                depth += 1;
                if depth == 2 {
                    (begin, naming) = (at, Naming::of(name, rules));
                    first.get_or_insert(at);
                }
                // what opens inside of another element makes that one no leaf
                leaf = (depth == 3).then_some((name, Cow::Borrowed("")));
            }
            Token::Text(text) => {
                if let Some((_, value)) = &mut leaf {
                    *value += text;
                }
            }
            Token::Close { name, to } => {
                if let Some((leaf, value)) = leaf.take() {
                    naming.note(leaf, value);
                }
                if depth == 2 {
                    found.push(Element {
                        name,
                        key: naming.take(),
                        bytes: &file[begin..to],
                    });
                    end = to;
                }
                depth -= 1;
            }
            Token::End => break,
        }
    }
    let first = first.unwrap_or(end);
    Ok(Cut {
        elements: found,
        head: &file[..first],
        tail: &file[end..],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{canonical_form, registry};

    fn profile(elements: &[String]) -> Vec<u8> {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Profile xmlns=\"http://soap.sforce.com/2006/04/metadata\">\n    {}\n</Profile>\n",
            elements.join("\n    ")
        )
        .into_bytes()
    }

    fn rules() -> Rules<'static> {
        Rules::of(registry().by_name("Profile").unwrap())
    }

    fn class(n: usize) -> String {
        format!("<classAccesses><apexClass>C{n}</apexClass><enabled>true</enabled></classAccesses>")
    }

    fn assignment(n: usize) -> String {
        format!(
            "<layoutAssignments><layout>L{}</layout><recordType>R{n}</recordType></layoutAssignments>",
            n / 2
        )
    }

    proptest! {
        #[test]
        fn a_file_that_is_dealt_out_and_merged_is_the_same(
            spread in proptest::collection::vec(0_usize..3, 0..40),
        ) {
            let common = ["<custom>false</custom>".to_owned(), "<loginHours><day>1</day></loginHours>".to_owned()];
            let own: Vec<String> = (0..spread.len()).map(|n| if n % 2 == 0 { class(n) } else { assignment(n) }).collect();
            let whole: Vec<String> = common.iter().chain(&own).cloned().collect();
            let parts: Vec<Vec<u8>> = (0..3)
                .map(|part| {
                    let dealt = own.iter().zip(&spread).filter(|(_, to)| **to == part).map(|(element, _)| element.clone());
                    profile(&common.iter().cloned().chain(dealt).collect::<Vec<_>>())
                })
                .collect();
            let merged = merge(&parts, rules(), XmlLimits::DEFAULT).unwrap().unwrap();
            let form = |file: &[u8]| canonical_form(file, rules(), XmlLimits::DEFAULT).unwrap();
            prop_assert_eq!(form(&merged), form(&profile(&whole)));
        }
    }

    #[test]
    fn twins_without_a_key_stay_twins_and_the_fuller_one_of_a_key_stays() {
        let range = "<loginIpRanges><startAddress>10.0.0.1</startAddress></loginIpRanges>".to_owned();
        let short = "<fieldPermissions><field>A.b</field></fieldPermissions>".to_owned();
        let long =
            "<fieldPermissions><field>A.b</field><editable>true</editable></fieldPermissions>".to_owned();
        let parts = [
            profile(&[range.clone(), range.clone(), short]),
            profile(&[range.clone(), range.clone(), long.clone()]),
        ];
        let merged = merge(&parts, rules(), XmlLimits::DEFAULT).unwrap().unwrap();
        let form = |file: &[u8]| canonical_form(file, rules(), XmlLimits::DEFAULT).unwrap();
        assert_eq!(form(&merged), form(&profile(&[range.clone(), range, long])));
    }

    #[test]
    fn empty_parts_are_an_empty_file_and_a_broken_one_is_refused() {
        let empty = b"<Profile/>".to_vec();
        let merge = |parts: &[Vec<u8>]| merge(parts, rules(), XmlLimits::DEFAULT);
        assert_eq!(merge(&[empty.clone(), empty.clone()]).unwrap(), Some(empty));
        assert_eq!(merge(&[]).unwrap(), None);
        assert!(merge(&[b"<Profile><custom>".to_vec()]).is_err());
    }
}
