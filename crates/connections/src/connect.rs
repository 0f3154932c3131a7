//! Connecting an org, and connecting it again.
//!
//! Nothing is stored before Salesforce has accepted the token and said which org answers: a refused token leaves no
//! trace, and an organization that is connected already is named.

use std::sync::Arc;

use domain::{
    OrgId, OrgName,
    schedule::{Days, LocalMinute, Schedule, ScheduleError, Window, Zone, ZoneError, draw_slot},
};
use futures::future::BoxFuture;
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_salesforce::{
    ApiVersion, CallCounter, HostFault, Organization, RefreshRequest, Salesforce, SalesforceError, Session,
    TokenAnswer, TokenError, TokenGeneration, TokenSource,
};
use nightshift_store::{
    Store, StoreError,
    orgs::{NewOrg, OrgRow},
};
use rand::{Rng, RngExt};
use secrecy::SecretString;

/// What an administrator gives.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// As the org is to be called.
    pub name: OrgName,
    /// Where it logs in.
    pub login_url: String,
    /// Of the connected app.
    pub client_id: String,
    /// Of the connected app, if it has one.
    pub client_secret: Option<SecretString>,
    /// To be proven.
    pub refresh_token: SecretString,
    /// `None`: the org's own.
    pub time_zone: Option<String>,
}

/// Why an org is not connected. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address.
    #[error("login URL: {0}")]
    Host(#[from] HostFault),
    /// Salesforce.
    #[error("Salesforce did not accept the connection: {0}")]
    Salesforce(#[from] SalesforceError),
    /// The zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Another org answers than the connected one.
    #[error("the token is for organization {found}, the org is connected to {wanted}; nothing was changed")]
    OtherOrg {
        /// Whose token it is.
        found: String,
        /// The connected one.
        wanted: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Connects an org: proves the token, reads who answers, draws a slot, stores.
///
/// `floor` is the instant after which the first slot must lie: the database's now, or a simulation's virtual one.
pub async fn connect(
    store: &Store,
    salesforce: &Salesforce,
    new: NewConnection,
    floor: Option<Timestamp>,
    rng: &mut impl Rng,
) -> Result<OrgId, ConnectError> {
    let calls = CallCounter::new();
    let app = (new.client_id.as_str(), new.client_secret.as_ref());
    let answer = prove(salesforce, &new.login_url, app, &new.refresh_token, &calls).await?;
    let organization = read_organization(salesforce, &answer, calls).await?;
    let zone = match &new.time_zone {
        Some(zone) => zone.parse()?,
        None => zone_of(&organization),
    };
    let connected_at = match floor {
        Some(floor) => floor,
        None => store.now().await?,
    };
    let schedule = draw(store, zone, connected_at, rng).await?;
    let next = schedule.next_run(None, connected_at)?;
    let org = NewOrg {
        name: new.name,
        organization_id: answer.organization_id,
        login_url: new.login_url,
        instance_url: answer.instance_url.to_string(),
        client_id: new.client_id,
        client_secret: new.client_secret,
        refresh_token: answer.refresh_token.unwrap_or(new.refresh_token),
        access_token: answer.access_token,
        is_sandbox: organization.is_sandbox,
        instance_name: organization.instance_name,
        edition: organization.organization_type,
        schedule,
        next_run: next.slot,
        connected_at,
    };
    Ok(store.orgs().add(&org).await?)
}

/// Gives a connected org a new refresh token, after proving that the same org answers.
pub async fn reauthenticate(
    store: &Store,
    salesforce: &Salesforce,
    org: &OrgRow,
    refresh_token: SecretString,
) -> Result<(), ConnectError> {
    let (login_url, client_id, client_secret) = store.connections().app(org.id).await?;
    let calls = CallCounter::new();
    let app = (client_id.as_str(), client_secret.as_ref());
    let answer = prove(salesforce, &login_url, app, &refresh_token, &calls).await?;
    if answer.organization_id != org.organization_id {
        let (found, wanted) = (
            answer.organization_id.to_string(),
            org.organization_id.to_string(),
        );
        return Err(ConnectError::OtherOrg { found, wanted });
    }
    let refresh_token = answer.refresh_token.unwrap_or(refresh_token);
    let instance_url = answer.instance_url.to_string();
    Ok(store
        .connections()
        .reauthenticate(org.id, &refresh_token, &answer.access_token, &instance_url)
        .await?)
}

async fn prove(
    salesforce: &Salesforce,
    login_url: &str,
    (client_id, client_secret): (&str, Option<&SecretString>),
    refresh_token: &SecretString,
    calls: &CallCounter,
) -> Result<TokenAnswer, ConnectError> {
    let address = salesforce.hosts().origin(login_url)?;
    let request = RefreshRequest {
        address: &address,
        client_id,
        client_secret,
        refresh_token,
    };
    Ok(salesforce.oauth().refresh(&request, calls).await?)
}

/// The organization's row, read with the token that was just given.
async fn read_organization(
    salesforce: &Salesforce,
    answer: &TokenAnswer,
    calls: CallCounter,
) -> Result<Organization, ConnectError> {
    let session = Session {
        instance_url: answer.instance_url.clone(),
        access_token: answer.access_token.clone(),
        generation: TokenGeneration(0),
    };
    let nobody = OrgId::from_uuid(uuid::Uuid::nil());
    let client = salesforce.client(
        nobody,
        Arc::new(JustGiven(session)),
        calls,
        ApiVersion::NEWEST_TESTED,
    );
    let version = client.choose_version().await?;
    Ok(client.at(version).organization().await?)
}

/// A zone that the bundled data does not know is no reason to refuse an org: its nights are then London's winter ones.
fn zone_of(organization: &Organization) -> Zone {
    let named = organization.time_zone_sid_key.as_deref().unwrap_or("GMT");
    named.parse().unwrap_or_else(|error: ZoneError| {
        tracing::warn!(%error, "the org's time zone is not known; its nights are counted in GMT");
        "GMT".parse().expect("the bundled data has GMT")
    })
}

/// A random minute of the window, the less loaded of two draws.
async fn draw(
    store: &Store,
    zone: Zone,
    now: Timestamp,
    rng: &mut impl Rng,
) -> Result<Schedule, ConnectError> {
    let load = store.orgs().load_by_utc_minute().await?;
    let window = Window::NIGHT;
    let draws = [(); 2].map(|()| window.minute(rng.random_range(0..window.length())));
    let offset_minutes = i64::from(zone.time_zone().to_offset(now).seconds()) / 60;
    let busy = |minute: LocalMinute| {
        let utc = (i64::from(minute.minutes()) - offset_minutes).rem_euclid(i64::from(LocalMinute::DAY));
        load.iter()
            .find(|(at, _)| i64::from(*at) == utc)
            .map_or(0, |(_, orgs)| *orgs)
    };
    Ok(Schedule::new(zone, window, draw_slot(draws, busy), Days::ALL)?)
}

/// A session that nothing replaces: the token is minutes old and not stored yet.
struct JustGiven(Session);

impl TokenSource for JustGiven {
    fn token<'a>(&'a self, _: OrgId, _: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }

    fn refresh<'a>(
        &'a self,
        _: OrgId,
        _: TokenGeneration,
        _: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}
