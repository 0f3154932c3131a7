//! Asks the token endpoint for what an org's grant gives: the one place where kinds of grants become flows.
//!
//! Who may ask, and what is stored of the answer, is left to the callers.

use jiff::Timestamp;
use nightshift_salesforce::{
    App, CallCounter, Claims, Grant as Asked, OAuth, SalesforceError, TokenAnswer, assertion, audience,
};
use nightshift_store::Grant;

/// One request for a token; `now` is what an assertion is dated by.
pub(crate) async fn ask(
    oauth: &OAuth,
    app: &App<'_>,
    grant: &Grant,
    now: Timestamp,
    calls: &CallCounter,
) -> Result<TokenAnswer, SalesforceError> {
    let signed;
    let asked = match grant {
        Grant::RefreshToken(token) => Asked::RefreshToken(token),
        Grant::ClientCredentials => Asked::ClientCredentials,
        Grant::JwtBearer(bearer) => {
            let by_login = audience(app.address);
            let claims = Claims {
                client_id: app.client_id,
                username: &bearer.username,
                audience: bearer.audience.as_deref().unwrap_or(&by_login),
                now,
            };
            signed = assertion(&claims, &bearer.key).map_err(SalesforceError::SigningKey)?;
            Asked::Assertion(&signed)
        }
    };
    oauth.token(app, asked, calls).await
}
