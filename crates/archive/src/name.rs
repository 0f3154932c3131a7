//! Which names a member may have, and when two of them look alike.
//!
//! A name becomes a key of the dictionary, a line of a page, perhaps a file of an export: it has to be a plain
//! relative path everywhere. Nothing is mended: a name that breaks a rule stops the zip.

use unicode_normalization::UnicodeNormalization;

use crate::{error::NameRule, limits::Limits};

/// The name in `raw` when it breaks no rule. One `/` at its end (a directory) is allowed.
pub(crate) fn check<'a>(raw: &'a [u8], limits: &Limits) -> Result<&'a str, NameRule> {
    if raw.is_empty() {
        return Err(NameRule::Empty);
    }
    if raw.len() > limits.name_bytes {
        return Err(NameRule::TooLong);
    }
    let name = std::str::from_utf8(raw).map_err(|_| NameRule::NotUtf8)?;
    if name.chars().any(char::is_control) {
        return Err(NameRule::ControlCharacter);
    }
    if name.contains('\\') {
        return Err(NameRule::Backslash);
    }
    if name.starts_with('/') {
        return Err(NameRule::Absolute);
    }
    if raw[0].is_ascii_alphabetic() && raw.get(1) == Some(&b':') {
        return Err(NameRule::DriveLetter);
    }
    let path = path(name);
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(NameRule::Segment);
    }
    if path.split('/').count() > limits.name_depth {
        return Err(NameRule::TooDeep);
    }
    Ok(name)
}

/// Whether a member of this name is a directory.
pub(crate) fn is_directory(name: &str) -> bool {
    name.ends_with('/')
}

/// The name without the mark of a directory: `a` and `a/` are one place.
pub(crate) fn path(name: &str) -> &str {
    name.strip_suffix('/').unwrap_or(name)
}

/// The form in which names that look alike are equal: composed (NFC) and without case.
///
/// Upper and then lower case, so that letters with two small forms (`ς`, `σ`) or none of one letter (`ß`) meet.
pub(crate) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_plain_relative_path_is_refused_by_its_rule() {
        let deep = "a/".repeat(16) + "b";
        let long = "x".repeat(1_025);
        for (name, rule) in [
            ("", NameRule::Empty),
            ("/", NameRule::Absolute),
            ("/etc/passwd", NameRule::Absolute),
            ("C:/w", NameRule::DriveLetter),
            ("c:w", NameRule::DriveLetter),
            ("a\\..\\b", NameRule::Backslash),
            ("../x", NameRule::Segment),
            ("a/../x", NameRule::Segment),
            ("a/..", NameRule::Segment),
            ("./a", NameRule::Segment),
            ("a//b", NameRule::Segment),
            ("a//", NameRule::Segment),
            ("a/../", NameRule::Segment),
            ("a\0b", NameRule::ControlCharacter),
            ("a\nb", NameRule::ControlCharacter),
            ("a\u{85}b", NameRule::ControlCharacter),
            (deep.as_str(), NameRule::TooDeep),
            (long.as_str(), NameRule::TooLong),
        ] {
            assert_eq!(check(name.as_bytes(), &Limits::default()), Err(rule), "{name:?}");
        }
        assert_eq!(check(b"a/\xff.cls", &Limits::default()), Err(NameRule::NotUtf8));
    }

    #[test]
    fn names_of_salesforce_pass() {
        let deep = "a/".repeat(15) + "b";
        let long = "x".repeat(1_024);
        for name in [
            "unpackaged/layouts/Broker__c-v1%2E1 Broker Layout.layout",
            "unpackaged/layouts/製 ^ ° ! \" § $ & ( ) = ? ä ß.layout",
            "unpackaged/reports/",
            "a/...",
            ".forceignore",
            deep.as_str(),
            long.as_str(),
        ] {
            assert_eq!(check(name.as_bytes(), &Limits::default()), Ok(name));
        }
    }

    #[test]
    fn names_that_differ_in_case_or_composition_look_alike() {
        for (one, other) in [
            ("A.cls", "a.CLS"),
            ("Ärger", "a\u{308}rger"),
            ("STRASSE", "straße"),
            ("ΣΑΣ", "σας"),
            ("É", "e\u{301}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("a"), fold("ä"));
    }
}
