//! Hands out sessions, and refreshes them one at a time per org.

use std::time::Duration;

use domain::{FailureCode, OrgId, Verdict};
use futures::future::BoxFuture;
use nightshift_domain as domain;
use nightshift_salesforce::{
    App, Broken, CallCounter, OAuth, SalesforceError, Session, TokenAnswer, TokenError, TokenGeneration,
    TokenSource, Waited,
};
use nightshift_store::{
    Grant, Store, StoreError,
    connections::{
        Begun, Refresh, RefreshFailure, Refreshed, StoredToken, TokenGeneration as StoredGeneration,
    },
};
use url::Url;

use crate::ask::ask;

/// How long one refresh may hold the org's token: longer than the token call's own limit.
const HOLD: Duration = Duration::from_secs(60);
/// How soon a waiting worker looks again, at the most.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// The tokens of all orgs, as the database has them.
#[derive(Clone, Debug)]
pub struct Tokens {
    store: Store,
    oauth: OAuth,
}

impl Tokens {
    /// Over the store and the token endpoint.
    pub fn new(store: Store, oauth: OAuth) -> Self {
        Self { store, oauth }
    }

    async fn current(&self, org: OrgId, calls: &CallCounter) -> Result<Session, TokenError> {
        match self.store.connections().token(org).await.map_err(stored)? {
            Some(token) => session(token),
            None => self.replaced(org, None, calls).await,
        }
    }

    async fn replaced(
        &self,
        org: OrgId,
        stale: Option<StoredGeneration>,
        calls: &CallCounter,
    ) -> Result<Session, TokenError> {
        match self
            .store
            .connections()
            .begin_refresh(org, stale, HOLD)
            .await
            .map_err(stored)?
        {
            Begun::StillGood(token) => session(token),
            Begun::SomebodyElse { .. } => Err(TokenError::BeingRefreshed { after: LOOK_AGAIN }),
            Begun::Ours(refresh) => self.refreshed(org, *refresh, calls).await,
            Begun::Disconnected => Err(SalesforceError::Disconnected.into()),
        }
    }

    async fn refreshed(
        &self,
        org: OrgId,
        refresh: Refresh,
        calls: &CallCounter,
    ) -> Result<Session, TokenError> {
        let answer = self.ask(&refresh, calls).await;
        let outcome = if answer.is_ok() { "refreshed" } else { "refused" };
        tracing::info!(target: "nightshift::metric", counter = "nightshift_token_refreshes_total", outcome, value = 1_u64);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let error = explained(error, &refresh);
                let failure = failure(&error);
                self.store
                    .connections()
                    .fail_refresh(refresh, failure)
                    .await
                    .map_err(stored)?;
                return Err(error.into());
            }
        };
        // another org's token must not be used for anything: the step compares and fails with its own code
        let brought = Refreshed {
            access_token: answer.access_token,
            refresh_token: answer.refresh_token,
            instance_url: answer.instance_url.to_string(),
        };
        let other = answer.organization_id != refresh.organization_id;
        let token = self
            .store
            .connections()
            .end_refresh(refresh, &brought)
            .await
            .map_err(stored)?;
        if other {
            tracing::warn!(org.id = %org, "another organization answered the token refresh");
        }
        session(token)
    }

    async fn ask(&self, refresh: &Refresh, calls: &CallCounter) -> Result<TokenAnswer, SalesforceError> {
        // the login address stays good when an instance moves; the My Domain is it for most orgs
        let address: Url = refresh
            .login_url
            .parse()
            .map_err(|_| SalesforceError::Settings("the org's login URL is no address".to_owned()))?;
        let app = App {
            address: &address,
            client_id: &refresh.client_id,
            client_secret: refresh.client_secret.as_ref(),
        };
        ask(&self.oauth, &app, &refresh.grant, refresh.now, calls).await
    }
}

impl TokenSource for Tokens {
    fn token<'a>(&'a self, org: OrgId, calls: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(self.current(org, calls))
    }

    fn refresh<'a>(
        &'a self,
        org: OrgId,
        stale: TokenGeneration,
        calls: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(self.replaced(org, Some(StoredGeneration(stale.0)), calls))
    }
}

/// A refresh token that is refused after a lost answer is not just revoked: its successor was in that answer. Where the
/// app is known not to rotate, it is.
fn explained(error: SalesforceError, refresh: &Refresh) -> SalesforceError {
    let lost = matches!(refresh.grant, Grant::RefreshToken(_))
        && refresh.unanswered_since.is_some()
        && refresh.rotates != Some(false)
        && error.ruling().code == FailureCode::TokenRevoked;
    match error {
        SalesforceError::Refused(refusal) if lost => SalesforceError::AnswerLost(refusal),
        error => error,
    }
}

/// What the failed call means for the token.
fn failure(error: &SalesforceError) -> RefreshFailure {
    let answer = error.step_error();
    match answer.verdict {
        Verdict::Reauthenticate => RefreshFailure::NeedsPerson(answer.code),
        _ if may_have_been_answered(error) => RefreshFailure::NoAnswer,
        _ => RefreshFailure::PassesByItself,
    }
}

/// Whether Salesforce may have carried out what we know no answer of.
fn may_have_been_answered(error: &SalesforceError) -> bool {
    match error {
        SalesforceError::Timeout { waited, .. } => *waited != Waited::Connect,
        SalesforceError::Transport { broken, .. } => *broken == Broken::Cut,
        SalesforceError::Refused(refusal) => refusal.status >= 500,
        SalesforceError::Page { .. }
        | SalesforceError::Unexpected { .. }
        | SalesforceError::BodyTooLarge { .. } => true,
        _ => false,
    }
}

fn session(token: StoredToken) -> Result<Session, TokenError> {
    let instance_url = token
        .instance_url
        .parse()
        .map_err(|error: url::ParseError| TokenError::Store(error.into()))?;
    Ok(Session {
        instance_url,
        access_token: token.access_token,
        generation: TokenGeneration(token.generation.0),
    })
}

fn stored(error: StoreError) -> TokenError {
    TokenError::Store(Box::new(error))
}
