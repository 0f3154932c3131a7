//! Makes foreign text fit to be kept: bounded, printable, without secrets.
//!
//! Errors travel into timelines and cases. What Salesforce or a proxy answered may be a page of 2 MB, and may repeat
//! the request with its token; this is the one gate through which such text enters an error.

use secrecy::{ExposeSecret, SecretString};

/// Longest text that an error keeps, in bytes.
pub(crate) const KEPT: usize = 4 << 10;

/// Words before a value that must not be kept (`access_token=...`, `"refresh_token":"..."`, `<sessionId>...`).
const MARKERS: [&str; 9] = [
    "access_token",
    "refresh_token",
    "oauth_token",
    "client_secret",
    "code_verifier",
    "id_token",
    "assertion",
    "sessionId",
    "Bearer ",
];

const HIDDEN: &str = "[removed]";

/// `raw`, cut to `limit` bytes, with control characters made spaces, known secrets and all that looks like one removed.
pub(crate) fn keep(raw: &str, limit: usize, secrets: &[&SecretString]) -> String {
    // Secrets go before the cut: half a token at the end would no longer be found. Far more than is kept is dropped
    // first, so that a large page is not walked.
    let head = cut(raw, limit * 4);
    let mut text: String = head
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for secret in secrets {
        let secret = secret.expose_secret();
        if secret.len() >= 4 {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text = text.replace(secret, HIDDEN).replace(&encoded, HIDDEN);
        }
    }
    for marker in MARKERS {
        text = hide_after(&text, marker);
    }
    text = hide_sessions(&text);
    cut(text.trim(), limit).to_owned()
}

/// The longest beginning of at most `limit` bytes that ends between characters.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn hide_after(text: &str, marker: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(marker) {
        let after = &rest[at + marker.len()..];
        let value = after.trim_start_matches(['"', '\'', '=', ':', ' ', '>', '%', '3', 'D']);
        let length = value
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'' | '<' | ',' | '}'))
            .unwrap_or(value.len());
        out.push_str(&rest[..rest.len() - value.len()]);
        // Words such as "access_token expired" are no secrets; every real one is longer than any word.
        out.push_str(if length >= 12 { HIDDEN } else { &value[..length] });
        rest = &value[length..];
    }
    out.push_str(rest);
    out
}

/// Removes what has the shape of a session id: an organization id, `!`, and the rest.
fn hide_sessions(text: &str) -> String {
    text.split_inclusive(' ')
        .map(|word| match word.find("00D") {
            Some(at) if word[at..].contains('!') => format!("{}{HIDDEN} ", &word[..at]),
            _ => word.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_are_removed_plain_and_encoded() {
        let token: SecretString = "5Aep861/tok+en==".into();
        let kept = keep(
            "bad 5Aep861/tok+en== and 5Aep861%2Ftok%2Ben%3D%3D!",
            KEPT,
            &[&token],
        );
        assert_eq!(kept, "bad [removed] and [removed]!");
    }

    #[test]
    fn what_looks_like_a_secret_is_removed_too() {
        for raw in [
            "x?access_token=abcdefghijklmnop&y",
            r#"{"refresh_token":"abcdefghijklmnop"}"#,
            "<sessionId>abcdefghijklmnop</sessionId>",
            "Authorization: Bearer abcdefghijklmnop",
            "session 00Dxx0000001gER!abcdefghijklmnop",
            "access_token%3Dabcdefghijklmnop",
        ] {
            let kept = keep(raw, KEPT, &[]);
            assert!(!kept.contains("abcdefghijklmnop"), "{kept}");
        }
        assert_eq!(
            keep("expired access/refresh token", KEPT, &[]),
            "expired access/refresh token"
        );
        assert_eq!(keep("access_token expired", KEPT, &[]), "access_token expired");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_made_printable() {
        let kept = keep(&"ä\n".repeat(10_000), 101, &[]);
        assert!(kept.len() <= 101 && !kept.contains('\n'));
        assert_eq!(cut("aä", 2), "a");
    }
}
