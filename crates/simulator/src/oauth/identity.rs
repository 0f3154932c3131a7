//! The documents that tell who a token belongs to: identity, userinfo, introspection.

use std::collections::HashMap;

use serde_json::json;

use crate::{
    calls::Call, faults::FaultKind, http::Answer, ids::id18, mix::mix_text, org::Org, server::Shared,
    tables::username,
};

/// Where the identity document is; the last two parts are the ids of org and user.
pub(super) fn identity_url(shared: &Shared, org: &Org, organization_id: &str) -> String {
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
    let base = shared.base_url();
    Answer::json(
        200,
        &json!({
            "id": identity_url(shared, org, &organization_id),
            "asserted_user": true,
            "user_id": org.user_id,
            "organization_id": organization_id,
            "username": username(org),
            "nick_name": "sim",
            "display_name": "Sim Admin",
            "email": "admin@example.com",
            "email_verified": true,
            "first_name": "Sim",
            "last_name": "Admin",
            "photos": { "picture": format!("{base}/profilephoto/005/F"), "thumbnail": format!("{base}/profilephoto/005/T") },
            "addr_street": null,
            "addr_city": null,
            "addr_state": null,
            "addr_country": "US",
            "addr_zip": null,
            "mobile_phone": null,
            "mobile_phone_verified": false,
            "is_lightning_login_user": false,
            "status": { "created_date": null, "body": null },
            "utcOffset": -28_800_000,
            "timezone": org.spec.time_zone,
            "urls": urls(&base, &organization_id, &org.user_id),
            "active": true,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "last_modified_date": "2026-01-01T00:00:00Z",
        }),
    )
}

/// The addresses of the APIs; `{version}` stays for the client to fill in.
fn urls(base: &str, organization_id: &str, user_id: &str) -> serde_json::Value {
    let short = &organization_id[..15];
    let soap = |api: &str| format!("{base}/services/Soap/{api}/{{version}}/{short}");
    let rest = |path: &str| format!("{base}/services/data/v{{version}}/{path}");
    json!({
        "enterprise": soap("c"),
        "metadata": soap("m"),
        "partner": soap("u"),
        "tooling_soap": soap("T"),
        "rest": rest(""),
        "sobjects": rest("sobjects/"),
        "search": rest("search/"),
        "query": rest("query/"),
        "recent": rest("recent/"),
        "tooling_rest": rest("tooling/"),
        "profile": format!("{base}/{user_id}"),
        "custom_domain": base,
    })
}

/// POST /services/oauth2/introspect, asked by the app itself.
pub(crate) fn introspect(shared: &Shared, org: Option<&Org>, form: &HashMap<String, String>) -> Answer {
    let token = form.get("token").map_or("", String::as_str);
    let known = org.filter(|org| {
        let mut tokens = org.tokens();
        tokens.is_good(token, shared.clock.now(), None) || tokens.may_refresh(token)
    });
    let Some(org) = known else {
        return Answer::json(200, &json!({ "active": false }));
    };
    Answer::json(
        200,
        &json!({
            "active": true,
            "scope": super::SCOPE,
            "client_id": org.client_id,
            "username": username(org),
            "sub": identity_url(shared, org, &org.organization_id),
            "token_type": if token.contains('!') || token.starts_with("eyJ") { "access_token" } else { "refresh_token" },
        }),
    )
}
