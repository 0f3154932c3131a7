//! The assertion of the JWT bearer flow.
//!
//! Clients disagree about `exp`: seconds, seconds in quotes, and milliseconds have been seen and are read. It must be
//! signed (RS256) with the key whose public half was registered for the org's app, as an administrator uploads the
//! certificate of a connected app; an app without one takes no assertion.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use tokio_rustls::rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use crate::error::SimulatorError;

/// The public key of an org's app.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AppKey(Vec<u8>);

impl AppKey {
    /// From PEM (`BEGIN PUBLIC KEY`).
    pub(crate) fn from_pem(pem: &str) -> Result<Self, SimulatorError> {
        SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map(|der| Self(der.to_vec()))
            .map_err(|error| SimulatorError::Key(error.to_string()))
    }

    /// Whether an assertion was signed with its other half.
    fn knows(&self, assertion: &str) -> bool {
        let Some((signed, signature)) = assertion.rsplit_once('.') else {
            return false;
        };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok();
        let head = signed.split('.').next().and_then(decoded);
        let head: Option<Value> = head.and_then(|head| serde_json::from_slice(&head).ok());
        let is_rs256 = head.is_some_and(|head| head["alg"] == "RS256");
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0);
        is_rs256
            && decoded(signature).is_some_and(|signature| key.verify(signed.as_bytes(), &signature).is_ok())
    }
}

/// Greater than any time in seconds that a client would name.
const MILLISECONDS_FROM: f64 = 100_000_000_000.0;
/// How far a client's clock may be behind, in seconds.
const SKEW: f64 = 180.0;

struct Claims {
    audience: String,
    subject: String,
    issuer: String,
    /// In seconds.
    expires: f64,
}

fn read(assertion: &str) -> Option<Claims> {
    let mut parts = assertion.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let expires = match &claims["exp"] {
        Value::String(text) => text.parse().ok()?,
        number => number.as_f64()?,
    };
    Some(Claims {
        audience: text("aud"),
        subject: text("sub"),
        issuer: text("iss"),
        expires: if expires > MILLISECONDS_FROM {
            expires / 1_000.0
        } else {
            expires
        },
    })
}

/// The client id that an assertion names.
pub(crate) fn issuer(assertion: &str) -> Option<String> {
    read(assertion).map(|claims| claims.issuer)
}

/// Why an assertion gives no token, in Salesforce's words: nothing when it does.
pub(super) fn refusal(
    assertion: &str,
    key: Option<&AppKey>,
    username: &str,
    base_url: &str,
    now: f64,
) -> Option<&'static str> {
    let signed = key.is_some_and(|key| key.knows(assertion));
    let Some(claims) = read(assertion).filter(|_| signed) else {
        return Some("invalid assertion");
    };
    let audiences = [
        "https://login.salesforce.com",
        "https://test.salesforce.com",
        base_url,
    ];
    if !audiences.contains(&claims.audience.trim_end_matches('/')) {
        Some("Audience validation failed")
    } else if claims.expires + SKEW < now {
        Some("expired authorization code")
    } else if claims.subject != username {
        Some("user hasn't approved this consumer")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::{
        encoding::{AsDer, PublicKeyX509Der},
        rand::SystemRandom,
        rsa::KeySize,
        signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
    };
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const HEAD: &str = r#"{"alg":"RS256","typ":"JWT"}"#;

    static PAIRS: LazyLock<[RsaKeyPair; 2]> =
        LazyLock::new(|| [(); 2].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));

    fn key(pair: &RsaKeyPair) -> AppKey {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let text = STANDARD.encode(der.as_ref());
        AppKey::from_pem(&format!(
            "-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
        ))
        .unwrap()
    }

    fn assertion(head: &str, claims: &str, pair: &RsaKeyPair) -> String {
        let [head, claims] = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let text = format!("{head}.{claims}");
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            text.as_bytes(),
            &mut signature,
        )
        .unwrap();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn refused(assertion: &str) -> Option<&'static str> {
        refusal(
            assertion,
            Some(&key(&PAIRS[0])),
            "a@b",
            "http://sim",
            1_700_000_000.0,
        )
    }

    fn refusal_of(claims: &str) -> Option<&'static str> {
        refused(&assertion(HEAD, claims, &PAIRS[0]))
    }

    const GOOD: &str = r#"{"iss":"c","sub":"a@b","aud":"http://sim","exp":1700000060}"#;

    #[test]
    fn a_time_is_read_in_all_the_ways_that_clients_write_it() {
        for exp in ["1700000060", "\"1700000060\"", "1700000060000.5"] {
            let claims = format!(r#"{{"iss":"c","sub":"a@b","aud":"http://sim","exp":{exp}}}"#);
            assert_eq!(refusal_of(&claims), None, "{exp}");
            assert_eq!(issuer(&assertion(HEAD, &claims, &PAIRS[0])).as_deref(), Some("c"));
        }
    }

    #[test]
    fn what_is_not_signed_with_the_apps_own_key_is_no_assertion() {
        let good = assertion(HEAD, GOOD, &PAIRS[0]);
        assert_eq!(refused(&good), None);
        let (text, signature) = good.rsplit_once('.').unwrap();
        let other_claims = URL_SAFE_NO_PAD.encode(GOOD.replace("a@b", "x@b"));
        let head = text.split_once('.').unwrap().0;
        for bad in [
            assertion(HEAD, GOOD, &PAIRS[1]),
            assertion(&HEAD.replace("RS256", "none"), GOOD, &PAIRS[0]),
            format!("{head}.{other_claims}.{signature}"),
            format!("{text}."),
            text.to_owned(),
            "x.y".to_owned(),
        ] {
            assert_eq!(refused(&bad), Some("invalid assertion"), "{bad}");
        }
        let without_key = refusal(&good, None, "a@b", "http://sim", 1_700_000_000.0);
        assert_eq!(without_key, Some("invalid assertion"));
        assert!(AppKey::from_pem("hunter2").is_err());
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let with = |sub: &str, aud: &str, exp: u64| {
            refusal_of(&format!(
                r#"{{"iss":"c","sub":"{sub}","aud":"{aud}","exp":{exp}}}"#
            ))
        };
        assert_eq!(
            with("a@b", "http://other", 1_700_000_060),
            Some("Audience validation failed")
        );
        assert_eq!(
            with("a@b", "http://sim", 1_600_000_000),
            Some("expired authorization code")
        );
        assert_eq!(
            with("x@b", "http://sim", 1_700_000_060),
            Some("user hasn't approved this consumer")
        );
    }
}
