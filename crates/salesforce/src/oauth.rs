//! The token endpoint: a grant becomes an access token, and a token is given back.
//!
//! One request, one answer, no decision about when: with rotation the old refresh token dies with the call, so who may
//! call, and that the new one is stored before anything else, is left to `connections`. The answer also says who
//! answers (organization id) and where the org lives now (instance URL). How a grant is come by stands in `oauth/web.rs`
//! (a person allows the app) and `oauth/assertion.rs` (the app's own key).

mod assertion;
mod web;

pub use assertion::{Claims, KeyFault, assertion, audience};
pub use web::{CodeVerifier, Drawn, LoginState, authorize_url};

use jiff::Timestamp;
use nightshift_domain::OrganizationId;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde::Deserialize;
use url::Url;

use crate::{
    counter::{CallCounter, CallKind},
    error::{Expected, Refusal, SalesforceError, Speaker},
    hosts::{HostPolicy, origin},
    http::{Http, Incoming},
    operations::{Api, Endpoint, Target},
    session::is_jwt,
    text,
    version::ApiVersion,
};

/// The token endpoint of any org.
#[derive(Clone, Debug)]
pub struct OAuth {
    http: Http,
    hosts: HostPolicy,
}

/// The app that asks, and where.
#[derive(Clone, Copy, Debug)]
pub struct App<'a> {
    /// The org's My Domain or instance, or the login host.
    pub address: &'a Url,
    /// Of the app.
    pub client_id: &'a str,
    /// Of the app, where it wants one.
    pub client_secret: Option<&'a SecretString>,
}

/// For what a token is given.
#[derive(Clone, Copy, Debug)]
pub enum Grant<'a> {
    /// Good for one call where the app rotates it.
    RefreshToken(&'a SecretString),
    /// A person allowed the app just now.
    Code {
        /// Good once, for some minutes.
        code: &'a SecretString,
        /// Byte for byte as it was asked with.
        redirect_uri: &'a str,
        /// What was hashed for the question.
        verifier: &'a CodeVerifier,
    },
    /// Signed with the app's key: see [`assertion`].
    Assertion(&'a SecretString),
    /// The app itself, by its secret.
    ClientCredentials,
}

impl<'a> Grant<'a> {
    /// The fields of the form, and which of them are secret.
    fn form(self, app: &App<'a>) -> (Vec<(&'static str, &'a str)>, Vec<&'a SecretString>) {
        let mut form = vec![("client_id", app.client_id)];
        let mut secrets = Vec::new();
        let secret = |name, secret: &'a SecretString| (name, secret.expose_secret());
        match self {
            Self::RefreshToken(token) => {
                form.extend([("grant_type", "refresh_token"), secret("refresh_token", token)]);
                secrets.push(token);
            }
            Self::Code {
                code,
                redirect_uri,
                verifier,
            } => {
                form.extend([
                    ("grant_type", "authorization_code"),
                    secret("code", code),
                    ("redirect_uri", redirect_uri),
                    secret("code_verifier", verifier.secret()),
                ]);
                secrets.extend([code, verifier.secret()]);
            }
            Self::Assertion(assertion) => {
                // it names the app itself, and the key stands for the secret
                form = vec![("grant_type", JWT_BEARER), secret("assertion", assertion)];
                return (form, vec![assertion]);
            }
            Self::ClientCredentials => form.push(("grant_type", "client_credentials")),
        }
        if let Some(of_app) = app.client_secret {
            form.push(secret("client_secret", of_app));
            secrets.push(of_app);
        }
        (form, secrets)
    }
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What came of it.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// For the next calls.
    pub access_token: SecretString,
    /// Replaces the one that was used; store it before the access token is used. `None`: the old one stays good.
    pub refresh_token: Option<SecretString>,
    /// Where the org lives now: scheme, host and port. Not checked yet: a rotated token must be kept wherever the org is
    /// said to live, and each call checks before it sends anything there.
    pub instance_url: Url,
    /// Who answers.
    pub organization_id: OrganizationId,
    /// Salesforce's id of the user, 18 characters.
    pub user_id: String,
    /// When Salesforce issued it, by its own clock.
    pub issued_at: Option<Timestamp>,
}

impl TokenAnswer {
    /// Whether it is a token that the Metadata API refuses. What else came (a rotated refresh token) must be kept even so.
    pub fn is_jwt(&self) -> bool {
        is_jwt(&self.access_token)
    }

    /// The answer, if an org may be connected with it: an access token that SOAP takes, of a host that may have it.
    pub fn usable(self, hosts: &HostPolicy) -> Result<Self, SalesforceError> {
        if self.is_jwt() {
            return Err(SalesforceError::JwtToken);
        }
        let call = CallKind::Token;
        hosts
            .check(&self.instance_url)
            .map_err(|fault| SalesforceError::Host { call, fault })?;
        Ok(self)
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
    instance_url: String,
    id: String,
    issued_at: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl OAuth {
    pub(crate) fn new(http: Http, hosts: HostPolicy) -> Self {
        Self { http, hosts }
    }

    /// Gives a token for a grant. Exactly one request; counted on `calls` as `token`.
    pub async fn token(
        &self,
        app: &App<'_>,
        grant: Grant<'_>,
        calls: &CallCounter,
    ) -> Result<TokenAnswer, SalesforceError> {
        let (form, secrets) = grant.form(app);
        let mut incoming = self
            .submit(app.address, Endpoint::Token, &form, &secrets, calls)
            .await?;
        let mut body = incoming.body.bytes().await?;
        let answer = serde_json::from_slice::<Answer>(&body);
        let answer = match answer {
            Ok(answer) => read(&incoming, answer),
            Err(_) => Err(incoming.unexpected(Expected::Json, &body, &secrets)),
        };
        body.zeroize();
        answer
    }

    /// Gives a token back: a refresh token with all that came of it, or an access token. Exactly one request.
    pub async fn revoke(
        &self,
        address: &Url,
        token: &SecretString,
        calls: &CallCounter,
    ) -> Result<(), SalesforceError> {
        let form = [("token", token.expose_secret())];
        self.submit(address, Endpoint::Revoke, &form, &[token], calls)
            .await
            .map(drop)
    }

    async fn submit(
        &self,
        address: &Url,
        endpoint: Endpoint,
        form: &[(&str, &str)],
        secrets: &[&SecretString],
        calls: &CallCounter,
    ) -> Result<Incoming, SalesforceError> {
        let call = CallKind::Token;
        self.hosts
            .check(address)
            .map_err(|fault| SalesforceError::Host { call, fault })?;
        let post = Target::of(endpoint, ApiVersion::NEWEST_TESTED, Api::Data)
            .begin(self.http.client(), address)
            .form(form)
            .header("accept", "application/json");
        let mut incoming = self.http.send(call, post, calls).await?;
        if incoming.status == 200 && endpoint == Endpoint::Revoke {
            return Ok(incoming);
        }
        incoming.refuse_page(secrets).await?;
        if incoming.status == 200 {
            Ok(incoming)
        } else {
            Err(refused(&mut incoming, secrets).await)
        }
    }
}

fn read(incoming: &Incoming, answer: Answer) -> Result<TokenAnswer, SalesforceError> {
    let mut ends = answer.id.rsplit('/');
    let (user_id, organization_id) = (ends.next().unwrap_or(""), ends.next().unwrap_or(""));
    let organization_id = organization_id
        .parse()
        .map_err(|_| incoming.unexpected(Expected::OrganizationId, answer.id.as_bytes(), &[]))?;
    let user_id = user_id.split('?').next().unwrap_or("").to_owned();
    let instance_url = answer
        .instance_url
        .parse()
        .map_err(|_| incoming.unexpected(Expected::InstanceUrl, answer.instance_url.as_bytes(), &[]))?;
    Ok(TokenAnswer {
        access_token: answer.access_token.into(),
        refresh_token: answer.refresh_token.map(SecretString::from),
        instance_url: origin(instance_url),
        organization_id,
        user_id,
        issued_at: answer
            .issued_at
            .and_then(|millis| millis.parse().ok())
            .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
    })
}

async fn refused(incoming: &mut Incoming, secrets: &[&SecretString]) -> SalesforceError {
    let body = incoming.body.head().await;
    let (code, words) = match serde_json::from_slice::<Failure>(&body) {
        Ok(failure) => (failure.error, failure.error_description),
        // what will not be given back is said as a form
        Err(_) if body.starts_with(b"error=") => in_form(&body),
        Err(_) => (String::new(), String::from_utf8_lossy(&body).into_owned()),
    };
    let words = text::keep(&words, text::KEPT, secrets);
    SalesforceError::Refused(Box::new(Refusal::new(
        CallKind::Token,
        Speaker::Token,
        incoming.status,
        &text::keep(&code, 100, secrets),
        &words,
    )))
}

fn in_form(body: &[u8]) -> (String, String) {
    let field = |name: &str| {
        let found = url::form_urlencoded::parse(body).find(|(key, _)| key == name);
        found.map_or_else(String::new, |(_, value)| value.into_owned())
    };
    (field("error"), field("error_description"))
}
