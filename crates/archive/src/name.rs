//! Which names an entry may have: relative, inside, printable.

use crate::{error::ArchiveError, limits::Limits};

/// Checks a raw name.
pub(crate) fn check(raw: &[u8], limits: &Limits) -> Result<String, ArchiveError> {
    let shown = || {
        String::from_utf8_lossy(&raw[..raw.len().min(200)])
            .escape_debug()
            .to_string()
    };
    let bad = |reason| {
        Err(ArchiveError::BadPath {
            name: shown(),
            reason,
        })
    };
    if raw.is_empty() || raw.len() > limits.name_bytes {
        return bad("empty or too long");
    }
    let Ok(name) = std::str::from_utf8(raw) else {
        return bad("no UTF-8");
    };
    if name.chars().any(char::is_control) {
        return bad("a control character");
    }
    if name.contains('\\') {
        return bad("a backslash");
    }
    if name.starts_with('/') {
        return bad("an absolute path");
    }
    if name.as_bytes().get(1) == Some(&b':') && name.as_bytes()[0].is_ascii_alphabetic() {
        return bad("a drive letter");
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return bad("an empty segment, . or ..");
    }
    if path.split('/').count() > limits.depth {
        return bad("too many folders");
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(name: &[u8]) -> &'static str {
        match check(name, &Limits::default()) {
            Err(ArchiveError::BadPath { reason, .. }) => reason,
            other => panic!("{name:?}: {other:?}"),
        }
    }

    #[test]
    fn the_names_that_orgs_have_are_taken_as_they_stand() {
        for name in [
            "unpackaged/package.xml",
            "unpackaged/layouts/Account-^ %C2%B0 ! %22 $ %25 & %2F %28 %29 = ä ß 製.layout",
            "unpackaged/reports/unfiled$public/My Report..report",
            "unpackaged/lwc/x/__tests__/..hidden.js",
            "unpackaged/documents/",
        ] {
            assert_eq!(check(name.as_bytes(), &Limits::default()).unwrap(), name);
        }
    }

    #[test]
    fn each_name_that_may_harm_is_refused_for_its_own_reason() {
        for (name, expected) in [
            (&b""[..], "empty or too long"),
            (b"a/\xff", "no UTF-8"),
            (b"a\0b", "a control character"),
            (b"a\nb", "a control character"),
            (b"a\xc2\x85b", "a control character"),
            (b"a\\..\\b", "a backslash"),
            (b"/etc/passwd", "an absolute path"),
            (b"/", "an absolute path"),
            (b"//host/share", "an absolute path"),
            (b"C:/windows", "a drive letter"),
            (b"c:x", "a drive letter"),
            (b"../x", "an empty segment, . or .."),
            (b"a/../../x", "an empty segment, . or .."),
            (b"a/..", "an empty segment, . or .."),
            (b"./x", "an empty segment, . or .."),
            (b"a//b", "an empty segment, . or .."),
            (b"a//", "an empty segment, . or .."),
        ] {
            assert_eq!(reason(name), expected, "{:?}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn the_limits_are_taken_to_their_last_byte_and_folder() {
        let limits = Limits::default();
        let name = |folders: usize, bytes: usize| {
            let path = "f/".repeat(folders - 1);
            format!("{path}{}", "x".repeat(bytes - path.len()))
        };
        assert!(check(name(limits.depth, limits.name_bytes).as_bytes(), &limits).is_ok());
        assert_eq!(
            reason(name(1, limits.name_bytes + 1).as_bytes()),
            "empty or too long"
        );
        assert_eq!(reason(name(limits.depth + 1, 100).as_bytes()), "too many folders");
    }

    #[test]
    fn a_refused_name_is_shown_short_and_without_control_characters() {
        let raw = [b"\x1b[2J".as_slice(), &[b'x'; 5000]].concat();
        let Err(ArchiveError::BadPath { name, .. }) = check(&raw, &Limits::default()) else {
            panic!("it is too long");
        };
        assert!(name.len() < 300 && !name.contains('\x1b'), "{name}");
    }
}
