//! A session with an org, and the door through which the client gets one.
//!
//! Tokens are shared by all workers and refreshed once at a time per org; both need the database, which this crate
//! does not know. So it names what it needs as a trait, and `connections` implements it.

use std::time::Duration;

use futures::future::BoxFuture;
use nightshift_domain::OrgId;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{counter::CallCounter, error::SalesforceError};

/// Which of an org's successive access tokens this is: grows with every refresh that was stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TokenGeneration(pub i64);

/// What a call needs to reach an org. Read at use, never carried in a job or a message.
#[derive(Clone, Debug)]
pub struct Session {
    /// Scheme, host and port of the org, as the last token answer named it.
    pub instance_url: Url,
    /// Opaque; never logged.
    pub access_token: SecretString,
    /// Which token it is.
    pub generation: TokenGeneration,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Another worker refreshes this org's token: look again later. Costs no attempt.
    #[error("another worker refreshes the org's token")]
    BeingRefreshed {
        /// When to look again.
        after: Duration,
    },
    /// Salesforce answered the refresh with an error, or could not be asked.
    #[error(transparent)]
    Salesforce(#[from] SalesforceError),
    /// Our own store could not be asked, or has no connection for the org.
    #[error("the org's token could not be read or stored")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hands out sessions. Implemented by `connections`.
pub trait TokenSource: Send + Sync {
    /// The current session of `org`. Must not call Salesforce when one is stored.
    fn token<'a>(&'a self, org: OrgId, calls: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>>;

    /// A session newer than `stale`, which Salesforce has refused: refreshed here, or by whoever was faster.
    /// Token calls are counted on `calls`.
    fn refresh<'a>(
        &'a self,
        org: OrgId,
        stale: TokenGeneration,
        calls: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>>;
}

/// A session that nothing replaces: its token is minutes old and not stored yet, or its server takes any.
#[derive(Debug)]
pub struct JustGiven(pub Session);

impl TokenSource for JustGiven {
    fn token<'a>(&'a self, _: OrgId, _: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn refresh<'a>(
        &'a self,
        _: OrgId,
        _: TokenGeneration,
        _: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// Whether an access token is a JWT (three base64url parts): SOAP refuses those with INVALID_SESSION_ID, so that a
/// client that refreshes would do so for ever.
pub(crate) fn is_jwt(token: &SecretString) -> bool {
    let parts: Vec<&str> = token.expose_secret().split('.').collect();
    let base64url = |part: &&str| {
        part.len() >= 2
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    parts.len() == 3 && parts[0].starts_with("ey") && parts.iter().all(base64url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_three_base64url_parts_is_a_jwt_and_an_opaque_one_is_not() {
        assert!(is_jwt(&"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln_-".into()));
        assert!(!is_jwt(&"00Dxx0000001gER!AQEAQ.abc.def".into()));
        assert!(!is_jwt(&"a.b".into()));
    }

    #[test]
    fn a_session_shows_no_token() {
        let session = Session {
            instance_url: "https://acme.my.salesforce.com".parse().unwrap(),
            access_token: "00Dxx!SECRET".into(),
            generation: TokenGeneration(1),
        };
        assert!(!format!("{session:?}").contains("SECRET"));
    }
}
