//! The refresh-token flow: a refresh token becomes an access token.
//!
//! One request, one answer, no decision about when: with rotation the old refresh token dies with the call, so who may
//! call, and that the new one is stored before anything else, is left to `connections`. The answer also says who
//! answers (organization id) and where the org lives now (instance URL).

use jiff::Timestamp;
use nightshift_domain::OrganizationId;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde::Deserialize;
use url::Url;

use crate::{
    counter::{CallCounter, CallKind},
    error::{Expected, Refusal, SalesforceError, Speaker},
    hosts::HostPolicy,
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

/// What a refresh needs.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// The org's My Domain or instance, or the login host.
    pub address: &'a Url,
    /// Of the app.
    pub client_id: &'a str,
    /// Of the app, where it wants one.
    pub client_secret: Option<&'a SecretString>,
    /// Good for one call where the app rotates it.
    pub refresh_token: &'a SecretString,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// For the next calls.
    pub access_token: SecretString,
    /// Replaces the one that was used; store it before the access token is used. `None`: the old one stays good.
    pub refresh_token: Option<SecretString>,
    /// Where the org lives now: scheme, host and port; checked against the host policy.
    pub instance_url: Url,
    /// Who answers.
    pub organization_id: OrganizationId,
    /// Salesforce's id of the user, 18 characters.
    pub user_id: String,
    /// When Salesforce issued it, by its own clock.
    pub issued_at: Option<Timestamp>,
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

    /// Refreshes. Exactly one request; counted on `calls` as `token`.
    pub async fn refresh(
        &self,
        request: &RefreshRequest<'_>,
        calls: &CallCounter,
    ) -> Result<TokenAnswer, SalesforceError> {
        let call = CallKind::Token;
        self.hosts
            .check(request.address)
            .map_err(|fault| SalesforceError::Host { call, fault })?;
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", request.client_id),
            ("refresh_token", request.refresh_token.expose_secret()),
        ];
        let mut secrets = vec![request.refresh_token];
        if let Some(secret) = request.client_secret {
            form.push(("client_secret", secret.expose_secret()));
            secrets.push(secret);
        }
        let post = Target::of(Endpoint::Token, ApiVersion::NEWEST_TESTED, Api::Data)
            .begin(self.http.client(), request.address)
            .form(&form)
            .header("accept", "application/json");
        let mut incoming = self.http.send(call, post, calls).await?;
        incoming.refuse_page(&secrets).await?;
        if incoming.status != 200 {
            return Err(refused(&mut incoming, &secrets).await);
        }
        let mut body = incoming.body.bytes().await?;
        let answer = serde_json::from_slice::<Answer>(&body);
        let answer = match answer {
            Ok(answer) => self.read(&incoming, answer),
            Err(_) => Err(incoming.unexpected(Expected::Json, &body, &secrets)),
        };
        body.zeroize();
        answer
    }

    fn read(&self, incoming: &Incoming, answer: Answer) -> Result<TokenAnswer, SalesforceError> {
        let call = CallKind::Token;
        let access_token = SecretString::from(answer.access_token);
        if is_jwt(&access_token) {
            return Err(SalesforceError::JwtToken);
        }
        let mut ends = answer.id.rsplit('/');
        let (user_id, organization_id) = (ends.next().unwrap_or(""), ends.next().unwrap_or(""));
        let organization_id = organization_id
            .parse()
            .map_err(|_| incoming.unexpected(Expected::OrganizationId, answer.id.as_bytes(), &[]))?;
        let user_id = user_id.split('?').next().unwrap_or("").to_owned();
        let instance_url = self
            .hosts
            .origin(&answer.instance_url)
            .map_err(|fault| SalesforceError::Host { call, fault })?;
        Ok(TokenAnswer {
            access_token,
            refresh_token: answer.refresh_token.map(SecretString::from),
            instance_url,
            organization_id,
            user_id,
            issued_at: answer
                .issued_at
                .and_then(|millis| millis.parse().ok())
                .and_then(|millis| Timestamp::from_millisecond(millis).ok()),
        })
    }
}

async fn refused(incoming: &mut Incoming, secrets: &[&SecretString]) -> SalesforceError {
    let body = incoming.body.head().await;
    let (code, words) = match serde_json::from_slice::<Failure>(&body) {
        Ok(failure) => (failure.error, failure.error_description),
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
