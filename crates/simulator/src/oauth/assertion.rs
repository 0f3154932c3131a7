//! The assertion of the JWT bearer flow.
//!
//! Clients disagree about `exp`: seconds, seconds in quotes, and milliseconds have been seen and are read. The
//! signature is not looked at, since no app of a simulated org has a certificate.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

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
pub(super) fn refusal(assertion: &str, username: &str, base_url: &str, now: f64) -> Option<&'static str> {
    let Some(claims) = read(assertion) else {
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
    use super::*;

    fn assertion(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn refusal_of(claims: &str) -> Option<&'static str> {
        refusal(&assertion(claims), "a@b", "http://sim", 1_700_000_000.0)
    }

    #[test]
    fn a_time_is_read_in_all_the_ways_that_clients_write_it() {
        for exp in ["1700000060", "\"1700000060\"", "1700000060000.5"] {
            let claims = format!(r#"{{"iss":"c","sub":"a@b","aud":"http://sim","exp":{exp}}}"#);
            assert_eq!(refusal_of(&claims), None, "{exp}");
            assert_eq!(issuer(&assertion(&claims)).as_deref(), Some("c"));
        }
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
        assert_eq!(
            refusal("x.y", "a@b", "http://sim", 0.0),
            Some("invalid assertion")
        );
    }
}
