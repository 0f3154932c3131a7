//! The web-server flow as a use case: a question with two secrets, an answer that must fit, a code that becomes a
//! refresh token.
//!
//! Who opens the address and who listens for the answer is left to the caller. The refresh token is proven like any
//! other when the org is connected with it.

use nightshift_salesforce::{
    App, CallCounter, CodeVerifier, Drawn, Grant, LoginState, Salesforce, authorize_url,
};
use rand::{Rng, RngExt};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::error::ConnectError;

/// Longest part of Salesforce's words that is told, in characters.
const WORDS: usize = 300;

/// The app with which a person logs in.
#[derive(Clone, Debug)]
pub struct LoginApp {
    /// Where the org logs in.
    pub login_url: String,
    /// Of the app.
    pub client_id: String,
    /// Of the app, if it has one.
    pub client_secret: Option<SecretString>,
    /// To where Salesforce sends the answer, exactly as the app's settings have it.
    pub redirect_uri: String,
}

/// A login that waits for its answer; good for one.
#[derive(Debug)]
pub struct Login {
    app: LoginApp,
    address: Url,
    state: LoginState,
    verifier: CodeVerifier,
}

/// What Salesforce sends a browser back with.
#[derive(Clone, Default, Debug, Deserialize)]
pub struct LoginAnswer {
    /// Good once, for some minutes.
    pub code: Option<SecretString>,
    /// Of the question.
    pub state: Option<String>,
    /// Instead of a code.
    pub error: Option<String>,
    /// The error's words.
    pub error_description: Option<String>,
}

impl Login {
    /// Draws the two secrets.
    pub fn begin(salesforce: &Salesforce, app: LoginApp, rng: &mut impl Rng) -> Result<Self, ConnectError> {
        let address = salesforce.hosts().origin(&app.login_url)?;
        Ok(Self {
            app,
            address,
            state: LoginState::new(rng.random::<Drawn>()),
            verifier: CodeVerifier::new(rng.random::<Drawn>()),
        })
    }

    /// The address that the person opens.
    pub fn url(&self) -> Url {
        let (id, back) = (&self.app.client_id, &self.app.redirect_uri);
        authorize_url(&self.address, id, back, &self.state, &self.verifier)
    }

    /// Turns the answer into a refresh token.
    pub async fn finish(
        self,
        salesforce: &Salesforce,
        answer: LoginAnswer,
    ) -> Result<SecretString, ConnectError> {
        let code = self.code(answer)?;
        let app = App {
            address: &self.address,
            client_id: &self.app.client_id,
            client_secret: self.app.client_secret.as_ref(),
        };
        let grant = Grant::Code {
            code: &code,
            redirect_uri: &self.app.redirect_uri,
            verifier: &self.verifier,
        };
        let given = salesforce.oauth().token(&app, grant, &CallCounter::new()).await?;
        given.refresh_token.ok_or(ConnectError::NoRefreshToken)
    }

    /// The state is looked at first: what came with another one was not asked for, whatever it says.
    fn code(&self, answer: LoginAnswer) -> Result<SecretString, ConnectError> {
        if !answer.state.is_some_and(|state| self.state.is(&state)) {
            return Err(ConnectError::LoginState);
        }
        let Some(error) = answer.error else {
            return answer.code.ok_or(ConnectError::LoginWithoutCode);
        };
        let (error, description) = (
            plain(&error),
            plain(&answer.error_description.unwrap_or_default()),
        );
        Err(if error == "access_denied" {
            ConnectError::LoginDenied { description }
        } else {
            ConnectError::LoginRefused { error, description }
        })
    }
}

/// Words from an address, fit for a terminal.
fn plain(words: &str) -> String {
    let printable = words.chars().filter(|c| !c.is_control());
    printable.take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use nightshift_salesforce::{HostPolicy, Http, HttpSettings, Proxy};
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn login() -> Login {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = Http::new(HttpSettings {
            proxy: Proxy::None,
            ..HttpSettings::default()
        });
        let salesforce = Salesforce::new(http.unwrap(), HostPolicy::default());
        let app = LoginApp {
            login_url: "https://login.salesforce.com".into(),
            client_id: "app".into(),
            client_secret: None,
            redirect_uri: "http://localhost:1717/OauthRedirect".into(),
        };
        Login::begin(&salesforce, app, &mut StdRng::seed_from_u64(1)).unwrap()
    }

    fn state_of(login: &Login) -> String {
        let url = login.url();
        let found = url.query_pairs().find(|(name, _)| name == "state");
        found.unwrap().1.into_owned()
    }

    #[test]
    fn an_answer_with_another_state_is_refused_whatever_it_brings() {
        let login = login();
        for state in [None, Some(String::new()), Some("another".to_owned())] {
            let answer = LoginAnswer {
                code: Some("code".into()),
                state,
                ..LoginAnswer::default()
            };
            assert!(matches!(login.code(answer), Err(ConnectError::LoginState)));
        }
        let state = Some(state_of(&login));
        let code = Some("code".into());
        let answer = LoginAnswer {
            code,
            state,
            ..LoginAnswer::default()
        };
        assert!(login.code(answer).is_ok());
    }

    #[test]
    fn a_no_is_told_in_salesforces_words_without_control_characters() {
        let login = login();
        let said = |error: &str, words: &str| {
            let answer = LoginAnswer {
                code: None,
                state: Some(state_of(&login)),
                error: Some(error.to_owned()),
                error_description: Some(words.to_owned()),
            };
            login.code(answer).unwrap_err()
        };
        let denied = said("access_denied", "end-user denied authorization");
        assert!(matches!(denied, ConnectError::LoginDenied { .. }), "{denied}");
        let refused = said("invalid_scope", "not\u{1b}[31m allowed").to_string();
        assert_eq!(
            refused,
            "Salesforce refused the login: invalid_scope: not[31m allowed"
        );
        let empty = login.code(LoginAnswer {
            state: Some(state_of(&login)),
            ..LoginAnswer::default()
        });
        assert!(matches!(empty, Err(ConnectError::LoginWithoutCode)));
    }

    #[test]
    fn no_two_logins_ask_with_the_same_secrets() {
        let mut rng = StdRng::seed_from_u64(1);
        let drawn: std::collections::BTreeSet<Drawn> = (0..100).map(|_| rng.random()).collect();
        assert_eq!(drawn.len(), 100);
        assert!(!format!("{:?}", login()).contains(&state_of(&login())));
    }
}
