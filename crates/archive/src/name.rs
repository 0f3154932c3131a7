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
