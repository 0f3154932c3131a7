//! Connecting a connected org anew, and disconnecting it.
//!
//! What Salesforce gave before is given back when it is replaced or no longer wanted: a user may have five grants of one
//! app, and the sixth silently ends the oldest, which may be another environment's. Giving back is a courtesy; that it
//! failed stops nothing.

use nightshift_salesforce::{App, CallCounter, Salesforce, SalesforceError};
use nightshift_store::{Grant, Store, connections::Connection, orgs::OrgRow};
use secrecy::{ExposeSecret, SecretString};

use crate::{connect::prove, error::ConnectError};

/// What a person gives to connect an org anew.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// To be proven.
    pub grant: Grant,
    /// The app's, when it is another one than before.
    pub client_secret: Option<SecretString>,
}

/// Gives a connected org a new grant, after proving that the same org answers.
pub async fn reauthenticate(
    store: &Store,
    salesforce: &Salesforce,
    org: &OrgRow,
    new: Renewal,
) -> Result<(), ConnectError> {
    let before = store.connections().show(org.id).await?;
    let address = salesforce.hosts().origin(&before.login_url)?;
    let app = App {
        address: &address,
        client_id: &before.client_id,
        client_secret: new.client_secret.as_ref().or(before.client_secret.as_ref()),
    };
    let calls = CallCounter::new();
    let answer = prove(salesforce, &app, &new.grant, store.now().await?, &calls).await?;
    if answer.organization_id != org.organization_id {
        let (found, wanted) = (
            answer.organization_id.to_string(),
            org.organization_id.to_string(),
        );
        return Err(ConnectError::OtherOrg { found, wanted });
    }
    let (rotates, grant) = (
        answer.refresh_token.is_some(),
        kept(&new.grant, answer.refresh_token),
    );
    store
        .connections()
        .reauthenticate(
            org.id,
            new.client_secret.as_ref(),
            &grant,
            rotates,
            &answer.access_token,
            answer.instance_url.as_str(),
        )
        .await?;
    if let Some(token) = replaced(&before, &new.grant) {
        give_back(salesforce, &app, token, &calls).await;
    }
    Ok(())
}

/// The grant to store: with rotation the proof has spent the refresh token and brought the next one.
pub(crate) fn kept(proven: &Grant, rotated: Option<SecretString>) -> Grant {
    match (proven, rotated) {
        (Grant::RefreshToken(_), Some(next)) => Grant::RefreshToken(next),
        (proven, _) => proven.clone(),
    }
}

/// The refresh token that nobody needs any more. None when it is the new one, or may be spent already: a spent one that
/// comes back makes Salesforce revoke its successor too.
fn replaced<'a>(before: &'a Connection, new: &Grant) -> Option<&'a SecretString> {
    let Some(Grant::RefreshToken(old)) = &before.grant else {
        return None;
    };
    let same = matches!(new, Grant::RefreshToken(token) if token.expose_secret() == old.expose_secret());
    let doubtful = before.broken_with.is_some() || before.unanswered_since.is_some();
    (!same && !doubtful).then_some(old)
}

/// What became of the token when an org was disconnected.
#[derive(Debug)]
pub enum GivenBack {
    /// Salesforce has taken it back.
    Yes,
    /// There was none.
    Nothing,
    /// Salesforce has not; it may still be good there.
    No(SalesforceError),
}

/// Forgets an org's secrets, fires no more nights for it, and gives its token back.
pub async fn disconnect(
    store: &Store,
    salesforce: &Salesforce,
    org: &OrgRow,
) -> Result<GivenBack, ConnectError> {
    let before = store.connections().disconnect(org.id).await?;
    let token = match &before.grant {
        Some(Grant::RefreshToken(token)) => Some(token),
        _ => before.access_token.as_ref(),
    };
    let Some(token) = token else {
        return Ok(GivenBack::Nothing);
    };
    let address = salesforce.hosts().origin(&before.login_url)?;
    let calls = CallCounter::new();
    Ok(match salesforce.oauth().revoke(&address, token, &calls).await {
        Ok(()) => GivenBack::Yes,
        Err(error) => GivenBack::No(error),
    })
}

async fn give_back(salesforce: &Salesforce, app: &App<'_>, token: &SecretString, calls: &CallCounter) {
    if let Err(error) = salesforce.oauth().revoke(app.address, token, calls).await {
        tracing::warn!(%error, "the replaced refresh token could not be given back; it counts among the user's five grants");
    }
}
