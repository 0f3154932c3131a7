//! The assertion of the JWT bearer flow: who asks, for whom, until when, signed with the app's private key (RS256).
//!
//! The app's certificate lies in Salesforce, the key with us; nobody types a password and no refresh token exists. What
//! is signed lives for three minutes by the caller's clock.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

/// How long an assertion is good, in seconds: Salesforce takes none that lives for much longer.
const LIFE: i64 = 180;

/// What is asserted.
#[derive(Clone, Copy, Debug)]
pub struct Claims<'a> {
    /// Of the app.
    pub client_id: &'a str,
    /// For whom: the user's name in the org.
    pub username: &'a str,
    /// To whom: see [`audience`].
    pub audience: &'a str,
    /// When.
    pub now: Timestamp,
}

/// Why a private key cannot sign. No text shows a part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFault {
    /// No key, or one under a pass phrase.
    #[error("it is no PEM of a private key without a pass phrase (decrypt it with: openssl pkcs8)")]
    NoKey,
    /// A key of another kind, or a damaged one.
    #[error("it is no RSA key of 2,048 to 8,192 bits")]
    NotRsa,
    /// The library refused to sign.
    #[error("nothing can be signed with it")]
    NoSignature,
}

/// Signs.
pub fn assertion(claims: &Claims<'_>, key: &SecretString) -> Result<SecretString, KeyFault> {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(&json!({ "alg": "RS256", "typ": "JWT" }));
    let body = part(&json!({
        "iss": claims.client_id,
        "sub": claims.username,
        "aud": claims.audience,
        "exp": claims.now.as_second() + LIFE,
    }));
    let text = format!("{head}.{body}");
    let key = read(key)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .map_err(|_| KeyFault::NoSignature)?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

fn read(key: &SecretString) -> Result<RsaKeyPair, KeyFault> {
    let pem = key.expose_secret().as_bytes();
    let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyFault::NoKey)? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(KeyFault::NotRsa),
    };
    key.map_err(|_| KeyFault::NotRsa)
}

/// To whom an assertion is addressed that goes to `login`: the login host of production or of sandboxes; where neither
/// is meant, the address itself.
///
/// No rule holds for all orgs (Salesforce's own CLI tries several), so people may say another one.
pub fn audience(login: &Url) -> String {
    let host = login.host_str().unwrap_or_default();
    let of_test = ["--", ".sandbox.my.", ".scratch.my."];
    if host == "test.salesforce.com" || of_test.iter().any(|part| host.contains(part)) {
        "https://test.salesforce.com".to_owned()
    } else if host.ends_with(".salesforce.com") {
        "https://login.salesforce.com".to_owned()
    } else {
        login.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::KeySize,
        signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn claims(audience: &str) -> Claims<'_> {
        Claims {
            client_id: "3MVG9app",
            username: "admin@acme.test",
            audience,
            now: Timestamp::from_second(NOW).unwrap(),
        }
    }

    fn pem(kind: &str, der: &[u8]) -> SecretString {
        format!(
            "-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n",
            STANDARD.encode(der)
        )
        .into()
    }

    #[test]
    fn what_is_signed_is_what_was_claimed_and_the_public_key_knows_it() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let signed = assertion(
            &claims("https://login.salesforce.com"),
            &pem("PRIVATE KEY", der.as_ref()),
        )
        .unwrap();
        let parts: Vec<&str> = signed.expose_secret().split('.').collect();
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&decoded(parts[1])).unwrap();
        assert_eq!(
            body,
            json!({ "iss": "3MVG9app", "sub": "admin@acme.test", "aud": "https://login.salesforce.com", "exp": NOW + 180 })
        );
        let text = format!("{}.{}", parts[0], parts[1]);
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
            .verify(text.as_bytes(), &decoded(parts[2]))
            .unwrap();
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_without_being_shown() {
        for bad in [
            "",
            "hunter2",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
        ] {
            let fault = assertion(&claims("x"), &bad.into()).unwrap_err();
            assert!(
                fault == KeyFault::NoKey && !fault.to_string().contains("hunter2"),
                "{bad}"
            );
        }
        for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert_eq!(
                assertion(&claims("x"), &pem(kind, b"junk")).unwrap_err(),
                KeyFault::NotRsa,
                "{kind}"
            );
        }
    }

    #[test]
    fn the_audience_follows_the_kind_of_org() {
        for (login, expected) in [
            ("https://login.salesforce.com/", "https://login.salesforce.com"),
            ("https://acme.my.salesforce.com/", "https://login.salesforce.com"),
            ("https://test.salesforce.com/", "https://test.salesforce.com"),
            (
                "https://acme--dev.sandbox.my.salesforce.com/",
                "https://test.salesforce.com",
            ),
            (
                "https://acme--dev.cs92.my.salesforce.com/",
                "https://test.salesforce.com",
            ),
            ("http://127.0.0.1:8700/", "http://127.0.0.1:8700"),
        ] {
            assert_eq!(audience(&login.parse().unwrap()), expected, "{login}");
        }
    }
}
