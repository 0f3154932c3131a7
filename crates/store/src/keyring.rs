//! Secrets at rest: AES-256-GCM with a nonce drawn for each, bound to its place.
//!
//! What is stored is `version, length of key id, key id, nonce, ciphertext`. The associated data names table, org,
//! column and key, so that a ciphertext moved to another row or column does not open. The first key encrypts, the
//! others still open what they encrypted: that is how a key is changed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use domain::OrgId;
use nightshift_domain as domain;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

const VERSION: u8 = 1;

/// The keys, by id.
pub struct Keyring {
    keys: Vec<(String, RandomizedNonceKey)>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|(id, _)| id))
            .finish()
    }
}

/// What is wrong with keys or ciphertexts. No text shows a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The configured text.
    #[error(
        "secrets.key must look like id:BASE64 with 32 bytes (make one with: openssl rand -base64 32), more after commas"
    )]
    Form,
    /// A ciphertext of a key that is not configured.
    #[error("a secret was encrypted with key {0:?}, which secrets.key does not have")]
    UnknownKey(String),
    /// Damaged, or moved from another place.
    #[error("column {0} cannot be decrypted: damaged, or moved from another row")]
    Damaged(&'static str),
}

/// Where a secret stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub org: OrgId,
    pub column: &'static str,
}

impl Keyring {
    /// Reads `id:base64[,id:base64...]`.
    pub fn parse(text: &SecretString) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        for part in text
            .expose_secret()
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (id, encoded) = part.split_once(':').ok_or(KeyringError::Form)?;
            if id.is_empty() || id.len() > 64 {
                return Err(KeyringError::Form);
            }
            let bytes = Zeroizing::new(decode_base64(encoded).ok_or(KeyringError::Form)?);
            let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| KeyringError::Form)?;
            keys.push((id.to_owned(), key));
        }
        if keys.is_empty() {
            Err(KeyringError::Form)
        } else {
            Ok(Self { keys })
        }
    }

    /// Encrypts with the first key.
    pub(crate) fn seal(&self, place: Place, secret: &SecretString) -> Vec<u8> {
        let (id, key) = &self.keys[0];
        let mut sealed = secret.expose_secret().as_bytes().to_vec();
        let nonce = key
            .seal_in_place_append_tag(Aad::from(place.associated(id)), &mut sealed)
            .expect("a secret is far shorter than the cipher's limit");
        let mut stored = vec![VERSION, id.len() as u8];
        stored.extend_from_slice(id.as_bytes());
        stored.extend_from_slice(nonce.as_ref());
        stored.extend_from_slice(&sealed);
        stored
    }

    /// Decrypts with the key that the ciphertext names.
    pub(crate) fn open(&self, place: Place, stored: &[u8]) -> Result<SecretString, KeyringError> {
        let damaged = KeyringError::Damaged(place.column);
        let [VERSION, length, rest @ ..] = stored else {
            return Err(damaged);
        };
        let (id, rest) = rest.split_at_checked(usize::from(*length)).ok_or(damaged)?;
        let id = std::str::from_utf8(id).map_err(|_| KeyringError::Damaged(place.column))?;
        let Some((_, key)) = self.keys.iter().find(|(known, _)| known == id) else {
            return Err(KeyringError::UnknownKey(id.to_owned()));
        };
        let damaged = || KeyringError::Damaged(place.column);
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = key
            .open_in_place(nonce, Aad::from(place.associated(id)), &mut sealed)
            .map_err(|_| damaged())?;
        let text = std::str::from_utf8(opened).map_err(|_| damaged())?;
        Ok(SecretString::from(text.to_owned()))
    }
}

impl Place {
    fn associated(self, key: &str) -> Vec<u8> {
        format!("org|{}|{}|{key}", self.org, self.column).into_bytes()
    }
}

/// Standard base64 with padding; a key is too short to be worth a crate's reader here.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.decode(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn keyring(text: &str) -> Keyring {
        Keyring::parse(&text.into()).unwrap()
    }

    const A: &str = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const B: &str = "b:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn place(column: &'static str) -> Place {
        Place {
            org: OrgId::from_uuid(Uuid::nil()),
            column,
        }
    }

    #[test]
    fn a_secret_opens_in_its_own_place_alone() {
        let ring = keyring(A);
        let sealed = ring.seal(place("refresh_token"), &"s3cret".into());
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));
        assert_eq!(
            ring.open(place("refresh_token"), &sealed)
                .unwrap()
                .expose_secret(),
            "s3cret"
        );
        assert!(ring.open(place("access_token"), &sealed).is_err());
        let other = Place {
            org: OrgId::from_uuid(Uuid::max()),
            column: "refresh_token",
        };
        assert!(ring.open(other, &sealed).is_err());
    }

    #[test]
    fn an_old_key_still_opens_and_a_missing_one_is_named() {
        let sealed = keyring(A).seal(place("refresh_token"), &"x".into());
        assert!(
            keyring(&format!("{B},{A}"))
                .open(place("refresh_token"), &sealed)
                .is_ok()
        );
        let missing = keyring(B).open(place("refresh_token"), &sealed).unwrap_err();
        assert_eq!(missing, KeyringError::UnknownKey("a".into()));
    }

    #[test]
    fn a_damaged_secret_is_an_error_and_never_a_panic() {
        let ring = keyring(A);
        let sealed = ring.seal(place("refresh_token"), &"x".into());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(ring.open(place("refresh_token"), &bad).is_err(), "byte {at}");
            assert!(
                ring.open(place("refresh_token"), &sealed[..at]).is_err(),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn a_bad_key_is_refused_without_being_shown() {
        for bad in ["", "nokey", "a:short", "a:", ":AAAA"] {
            let error = Keyring::parse(&bad.into()).unwrap_err();
            assert_eq!(error, KeyringError::Form);
        }
    }
}
