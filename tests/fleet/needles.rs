//! Finds a secret in a text in whatever form it was written: plain, base64, URL-encoded or hexadecimal.
//!
//! A piece from the middle of each secret is looked for, so that one that was cut off at either end is found too; of
//! base64 each of the three alignments, so that it is found also in the middle of what was encoded with it.

use std::{collections::HashMap, fmt::Write as _};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};

/// Bytes of a form that are compared: enough to be no accident.
const COMPARED: usize = 16;
/// Bytes of the secret that are looked for.
const PIECE: usize = 24;

/// What to look for, and as what it is known.
#[derive(Default)]
pub struct Needles(HashMap<[u8; COMPARED], String>);

impl Needles {
    /// # Panics
    /// When the secret is too short to be told from chance.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= COMPARED, "{name} is too short to be looked for");
        let from = secret.len().saturating_sub(PIECE) / 2;
        let piece = &secret[from..(from + PIECE).min(secret.len())];
        for (form, text) in forms(piece) {
            let start = text[..COMPARED].try_into().unwrap();
            self.0.insert(start, format!("{name} ({form})"));
        }
    }

    /// How many forms are looked for.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The name and the form of a secret that stands in the text.
    pub fn found_in(&self, text: &[u8]) -> Option<&str> {
        text.windows(COMPARED)
            .find_map(|window| self.0.get(window))
            .map(String::as_str)
    }
}

fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |sign: &str, upper: bool| {
        let text = secret.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{sign}{byte:02x}").unwrap();
            text
        });
        if upper { text.to_uppercase() } else { text }.into_bytes()
    };
    let mut forms = vec![
        ("plain", secret.to_vec()),
        ("url-encoded", url_encoded(secret, true)),
        ("url-encoded", url_encoded(secret, false)),
        ("url-encoded", each("%", true)),
        ("url-encoded", each("%", false)),
        ("hexadecimal", each("", true)),
        ("hexadecimal", each("", false)),
    ];
    for before in 0..3 {
        // the first characters hold bits of what stands before the secret
        let shared = [0, 2, 3][before];
        let shifted = [&vec![0; before][..], secret].concat();
        for encoded in [
            BASE64_STANDARD_NO_PAD.encode(&shifted),
            BASE64_URL_SAFE_NO_PAD.encode(&shifted),
        ] {
            forms.push(("base64", encoded.into_bytes()[shared..].to_vec()));
        }
    }
    forms
}

/// As a form is sent: only what must be is encoded.
fn url_encoded(secret: &[u8], upper: bool) -> Vec<u8> {
    let mut text = String::new();
    for &byte in secret {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte));
            }
            _ if upper => write!(text, "%{byte:02X}").unwrap(),
            _ => write!(text, "%{byte:02x}").unwrap(),
        }
    }
    text.into_bytes()
}

#[test]
fn a_secret_is_found_in_every_form_and_at_every_place() {
    let secret = b"00D000000000062!AQ.abc+def/ghi=jkl_mnoPQRSTUVWXYZ0123456789";
    let mut needles = Needles::default();
    needles.add("the token", secret);
    assert_eq!(needles.found_in(&[b'x'; 400]), None);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for before in ["", "a", "ab", "Bearer "] {
        let whole = [before.as_bytes(), secret, b"\", and more"].concat();
        let cut = &whole[..whole.len() - 18];
        for leak in [
            text(&whole),
            text(cut),
            BASE64_STANDARD_NO_PAD.encode(&whole),
            BASE64_URL_SAFE_NO_PAD.encode(cut),
            text(&url_encoded(&whole, true)),
            text(&url_encoded(cut, false)),
        ] {
            assert!(needles.found_in(leak.as_bytes()).is_some(), "{leak}");
        }
        for (form, leak) in forms(&whole) {
            assert!(needles.found_in(&leak).is_some(), "{form}: {}", text(&leak));
        }
    }
}
