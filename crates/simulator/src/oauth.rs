//! The token endpoint, revocation, and the documents that tell who a token belongs to.

use std::collections::HashMap;

use serde_json::json;
use url::form_urlencoded;

use crate::{
    calls::Call, faults::FaultKind, http::Answer, ids::id18, mix::mix_text, org::Org, server::Shared,
    tables::username,
};

/// A form, last value of a key wins.
pub(crate) fn form(body: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn refused(error: &str, description: &str) -> Answer {
    Answer::json(400, &json!({ "error": error, "error_description": description }))
}

const EXPIRED: &str = "expired access/refresh token";

/// What a client sees when no org owns its token.
pub(crate) fn unknown_token() -> Answer {
    refused("invalid_grant", EXPIRED)
}

/// POST /services/oauth2/token for the org that owns the refresh token or the client id.
pub(crate) fn token(shared: &Shared, org: &Org, form: &HashMap<String, String>) -> Answer {
    let of = |key: &str| form.get(key).map_or("", String::as_str);
    let ordered = org.fault(
        Call::Token,
        &[FaultKind::RevokedToken, FaultKind::OauthError],
        |_| true,
    );
    match ordered {
        Some(fault) if fault.kind == FaultKind::RevokedToken => {
            org.tokens().revoke_all();
            return unknown_token();
        }
        Some(fault) => {
            let text = fault.text.as_deref().unwrap_or("retry your request");
            return refused(fault.code.as_deref().unwrap_or("unknown_error"), text);
        }
        None => {}
    }
    if of("grant_type") != "refresh_token" {
        return refused("unsupported_grant_type", "grant type not supported");
    }
    if of("client_id") != org.client_id {
        return refused("invalid_client_id", "client identifier invalid");
    }
    if org
        .spec
        .client_secret
        .as_deref()
        .is_some_and(|secret| secret != of("client_secret"))
    {
        return refused("invalid_client", "invalid client credentials");
    }
    let issued = org.tokens().refresh(
        of("refresh_token"),
        shared.clock.now(),
        shared.settings.access_token_lifetime,
    );
    let Ok(issued) = issued else {
        return unknown_token();
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a foreign server tells the time by its own clock"
    )]
    let issued_at = jiff::Timestamp::now().as_millisecond().to_string();
    let mut answer = json!({
        "access_token": issued.access,
        "signature": "c2lnbmF0dXJlIG9mIHRoZSBzaW11bGF0b3I=",
        "scope": "refresh_token api",
        "instance_url": shared.base_url(),
        "id": identity_url(shared, org, &shown_organization(org, Call::Token)),
        "token_type": "Bearer",
        "issued_at": issued_at,
    });
    if let Some(refresh) = issued.refresh {
        answer["refresh_token"] = refresh.into();
    }
    Answer::json(200, &answer)
}

fn identity_url(shared: &Shared, org: &Org, organization_id: &str) -> String {
    format!("{}/id/{organization_id}/{}", shared.base_url(), org.user_id)
}

/// The org's id, or another one when a fault makes it a refreshed sandbox.
pub(crate) fn shown_organization(org: &Org, call: Call) -> String {
    match org.fault(call, &[FaultKind::OtherOrgId], |_| true) {
        Some(fault) => fault
            .text
            .unwrap_or_else(|| id18("00D", mix_text(77, &org.organization_id))),
        None => org.organization_id.clone(),
    }
}

/// POST /services/oauth2/revoke: empty when done, form-encoded when not.
pub(crate) fn revoke(org: Option<&Org>, form: &HashMap<String, String>) -> Answer {
    let token = form.get("token").map_or("", String::as_str);
    if org.is_some_and(|org| org.tokens().revoke(token)) {
        Answer::new(200, "text/html;charset=UTF-8", "")
    } else {
        Answer::new(
            400,
            "application/x-www-form-urlencoded",
            "error=unsupported_token_type&error_description=this+token+type+is+not+supported",
        )
    }
}

/// GET /services/oauth2/userinfo.
pub(crate) fn userinfo(shared: &Shared, org: &Org) -> Answer {
    let organization_id = shown_organization(org, Call::Userinfo);
    Answer::json(
        200,
        &json!({
            "sub": identity_url(shared, org, &organization_id),
            "user_id": org.user_id,
            "organization_id": organization_id,
            "preferred_username": username(org),
            "nickname": "sim",
            "name": "Sim Admin",
            "email": "admin@example.com",
            "email_verified": true,
            "zoneinfo": org.spec.time_zone,
            "active": true,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
        }),
    )
}

/// GET /id/{org}/{user}.
pub(crate) fn identity(shared: &Shared, org: &Org) -> Answer {
    let organization_id = shown_organization(org, Call::Identity);
    let short = &organization_id[..15];
    let base = shared.base_url();
    Answer::json(
        200,
        &json!({
            "id": identity_url(shared, org, &organization_id),
            "asserted_user": true,
            "user_id": org.user_id,
            "organization_id": organization_id,
            "username": username(org),
            "display_name": "Sim Admin",
            "email": "admin@example.com",
            "timezone": org.spec.time_zone,
            "urls": {
                "metadata": format!("{base}/services/Soap/m/{{version}}/{short}"),
                "partner": format!("{base}/services/Soap/u/{{version}}/{short}"),
                "rest": format!("{base}/services/data/v{{version}}/"),
                "query": format!("{base}/services/data/v{{version}}/query/"),
            },
            "active": true,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "last_modified_date": "2026-01-01T00:00:00Z",
        }),
    )
}
