//! The web-server flow up to the code: the address that a person opens, and the two secrets that protect it.
//!
//! PKCE (RFC 7636) ties the code to whoever asked for it: Salesforce is shown a hash and later what was hashed. The
//! state ties the answer to the question: an answer with another one was not asked for. Both are drawn by the caller;
//! who listens for the answer, and for how long, is left to it too.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::operations;

/// What the app asks for: the API, and a refresh token.
const SCOPE: &str = "api refresh_token";
/// Asks even a person who is logged in already: else an org is connected by whoever the browser happens to be.
const PROMPT: &str = "login consent";

/// Bytes to draw for a verifier, and for a state.
pub type Drawn = [u8; 32];

/// A secret that the token endpoint is shown with the code.
#[derive(Clone, Debug)]
pub struct CodeVerifier(SecretString);

impl CodeVerifier {
    /// From drawn bytes: 43 characters.
    pub fn new(drawn: Drawn) -> Self {
        Self(URL_SAFE_NO_PAD.encode(drawn).into())
    }

    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.0.expose_secret().as_bytes()))
    }
}

/// What comes back with the answer to this question, and with no other.
#[derive(Clone, Debug)]
pub struct LoginState(SecretString);

impl LoginState {
    /// From drawn bytes.
    pub fn new(drawn: Drawn) -> Self {
        Self(URL_SAFE_NO_PAD.encode(drawn).into())
    }

    /// Whether an answer is to this question.
    pub fn is(&self, answered: &str) -> bool {
        self.0.expose_secret() == answered
    }
}

/// The address at which a person allows the app; `redirect_uri` exactly as the app's settings have it.
pub fn authorize_url(
    login: &Url,
    client_id: &str,
    redirect_uri: &str,
    state: &LoginState,
    verifier: &CodeVerifier,
) -> Url {
    let mut url = login.clone();
    url.set_path(operations::AUTHORIZE_PATH);
    url.query_pairs_mut()
        .clear()
        .append_pair("response_type", "code")
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("scope", SCOPE)
        .append_pair("prompt", PROMPT)
        .append_pair("state", state.0.expose_secret())
        .append_pair("code_challenge", &verifier.challenge())
        .append_pair("code_challenge_method", "S256");
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let drawn = URL_SAFE_NO_PAD
            .decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
            .unwrap();
        let verifier = CodeVerifier::new(drawn.try_into().unwrap());
        assert_eq!(verifier.secret().expose_secret().len(), 43);
        assert_eq!(
            verifier.challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn the_address_shows_the_challenge_and_the_state_and_never_the_verifier() {
        let (verifier, state) = (CodeVerifier::new([1; 32]), LoginState::new([2; 32]));
        let login: Url = "https://acme.my.salesforce.com/".parse().unwrap();
        let callback = "http://localhost:1717/OauthRedirect";
        let url = authorize_url(&login, "3MVG9 app&", callback, &state, &verifier);
        let query: std::collections::BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(url.path(), "/services/oauth2/authorize");
        assert_eq!(query["client_id"], "3MVG9 app&");
        assert_eq!(query["redirect_uri"], callback);
        assert_eq!(query["code_challenge_method"], "S256");
        assert!(state.is(&query["state"]) && !state.is("") && !LoginState::new([3; 32]).is(&query["state"]));
        assert!(!url.as_str().contains(verifier.secret().expose_secret()));
    }
}
