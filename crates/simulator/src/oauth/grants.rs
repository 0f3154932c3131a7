//! The token endpoint: what is given for a code, a refresh token, an assertion, an app's or a person's password.

use std::collections::HashMap;

use serde_json::json;

use super::{SCOPE, assertion, identity::identity_url, refused, shown_organization};
use crate::{
    calls::Call,
    faults::FaultKind,
    http::Answer,
    org::Org,
    server::Shared,
    tables::username,
    tokens::{AccessShape, Issued},
};

const EXPIRED: &str = "expired access/refresh token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a client sees when no org owns its token or knows its app.
pub(crate) fn nobody(form: &HashMap<String, String>) -> Answer {
    match form.get("grant_type").map_or("", String::as_str) {
        "refresh_token" => refused("invalid_grant", EXPIRED),
        _ => refused("invalid_client_id", "client identifier invalid"),
    }
}

/// POST /services/oauth2/token for the org that owns the token or the app.
pub(crate) fn token(shared: &Shared, org: &Org, form: &HashMap<String, String>) -> Answer {
    let ordered = org.fault(Call::Token, KINDS, |_| true);
    match ordered {
        Some(fault) if fault.kind == FaultKind::RevokedToken => {
            org.tokens().revoke_all();
            return refused("invalid_grant", EXPIRED);
        }
        Some(fault) if fault.kind == FaultKind::FiveMoreGrants => {
            for _ in 0..5 {
                org.tokens()
                    .authorize(shared.clock.now(), shared.settings.access_token_lifetime);
            }
        }
        Some(fault) if fault.kind == FaultKind::JwtAccessToken => org.tokens().shaped(AccessShape::Jwt),
        Some(fault) if fault.kind == FaultKind::RotatedToken => {
            return match issue(shared, org, form) {
                Ok(mut issued) => {
                    issued.refresh = org
                        .tokens()
                        .rotate_once(form.get("refresh_token").map_or("", String::as_str));
                    told(shared, org, &issued)
                }
                Err((error, description)) => refused(error, description),
            };
        }
        Some(fault) => {
            let text = fault.text.as_deref().unwrap_or("retry your request");
            return refused(fault.code.as_deref().unwrap_or("unknown_error"), text);
        }
        None => {}
    }
    match issue(shared, org, form) {
        Ok(issued) => told(shared, org, &issued),
        Err((error, description)) => refused(error, description),
    }
}

/// Faults that concern the token endpoint alone.
const KINDS: &[FaultKind] = &[
    FaultKind::RevokedToken,
    FaultKind::OauthError,
    FaultKind::RotatedToken,
    FaultKind::FiveMoreGrants,
    FaultKind::JwtAccessToken,
];

type Refusal = (&'static str, &'static str);

/// Gives tokens, or says why not.
fn issue(shared: &Shared, org: &Org, form: &HashMap<String, String>) -> Result<Issued, Refusal> {
    let of = |key: &str| form.get(key).map_or("", String::as_str);
    let (now, lifetime) = (shared.clock.now(), shared.settings.access_token_lifetime);
    let kind = of("grant_type");
    if kind == JWT_BEARER {
        let refusal = assertion::refusal(
            of("assertion"),
            org.app_key().as_ref(),
            &username(org),
            &shared.base_url(),
            wall_clock().as_second() as f64,
        );
        return match refusal {
            Some(why) => Err(("invalid_grant", why)),
            None => Ok(org.tokens().session(now, lifetime)),
        };
    }
    if !matches!(
        kind,
        "refresh_token" | "authorization_code" | "client_credentials" | "password"
    ) {
        return Err(("unsupported_grant_type", "grant type not supported"));
    }
    if of("client_id") != org.client_id {
        return Err(("invalid_client_id", "client identifier invalid"));
    }
    let secret = org.spec.client_secret.as_deref();
    if secret.is_some_and(|secret| secret != of("client_secret")) {
        return Err(("invalid_client", "invalid client credentials"));
    }
    match kind {
        "refresh_token" => org
            .tokens()
            .refresh(of("refresh_token"), now, lifetime)
            .map_err(|_| ("invalid_grant", EXPIRED)),
        "authorization_code" => {
            let code = org.codes().remove(of("code"));
            let code = code.ok_or(("invalid_grant", "invalid authorization code"))?;
            code.fits(of("redirect_uri"), of("code_verifier"), now)
                .map_err(|why| ("invalid_grant", why))?;
            Ok(org.tokens().authorize(now, lifetime))
        }
        "password" if of("username") != username(org) || !of("password").starts_with(&org.password) => {
            Err(("invalid_grant", "authentication failure"))
        }
        _ => Ok(org.tokens().session(now, lifetime)),
    }
}

fn told(shared: &Shared, org: &Org, issued: &Issued) -> Answer {
    let mut answer = json!({
        "access_token": issued.access,
        "signature": "c2lnbmF0dXJlIG9mIHRoZSBzaW11bGF0b3I=",
        "scope": SCOPE,
        "instance_url": shared.instance_url(org),
        "id": identity_url(shared, org, &shown_organization(org, Call::Token)),
        "token_type": "Bearer",
        "issued_at": wall_clock().as_millisecond().to_string(),
    });
    if let Some(refresh) = &issued.refresh {
        answer["refresh_token"] = refresh.as_str().into();
    }
    Answer::json(200, &answer)
}

fn wall_clock() -> jiff::Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "a foreign server tells the time by its own clock"
    )]
    jiff::Timestamp::now()
}
