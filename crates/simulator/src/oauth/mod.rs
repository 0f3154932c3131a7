//! OAuth: the page that gives codes (`authorize`), the endpoint that gives tokens (`grants`), and the documents about
//! whose a token is (`identity`). What a token is worth is known by `tokens`.

mod assertion;
mod authorize;
mod grants;
mod identity;

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use url::form_urlencoded;

pub(crate) use assertion::{AppKey, issuer};
pub(crate) use authorize::{Code, authorize, error_page};
pub(crate) use grants::{nobody, token};
pub(crate) use identity::{identity, introspect, shown_organization, userinfo};

use crate::{http::Answer, org::Org};

/// What every token may do.
const SCOPE: &str = "refresh_token api";

/// A form, last value of a key wins. An app may name itself by Basic authorization instead.
pub(crate) fn form(body: &[u8], authorization: &str) -> HashMap<String, String> {
    let mut form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    if let Some((id, secret)) = basic(authorization) {
        form.insert("client_id".to_owned(), id);
        form.insert("client_secret".to_owned(), secret);
    }
    form
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, coded) = authorization.split_once(' ')?;
    let plain = STANDARD.decode(coded.trim()).ok()?;
    let plain = String::from_utf8(plain).ok()?;
    let (id, secret) = plain.split_once(':')?;
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| (id.to_owned(), secret.to_owned()))
}

fn refused(error: &str, description: &str) -> Answer {
    Answer::json(400, &json!({ "error": error, "error_description": description }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_names_itself_in_the_form_or_in_the_header() {
        let in_form = form(b"client_id=a&client_secret=b", "Bearer x");
        let in_header = form(b"grant_type=client_credentials", "Basic YTpi");
        for found in [in_form, in_header] {
            assert_eq!(
                (found["client_id"].as_str(), found["client_secret"].as_str()),
                ("a", "b")
            );
        }
    }
}
