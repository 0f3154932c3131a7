//! Connecting an org.
//!
//! Nothing is stored before Salesforce has accepted the grant and said which org answers: a refused one leaves no trace,
//! and an organization that is connected already is named.

use std::sync::Arc;

use domain::{
    OrgId, OrgName,
    schedule::{Days, LocalMinute, Schedule, Window, Zone, ZoneError, draw_slot},
};
use jiff::Timestamp;
use nightshift_domain as domain;
use nightshift_salesforce::{
    ApiVersion, App, CallCounter, JustGiven, Organization, Salesforce, Session, TokenAnswer, TokenGeneration,
};
use nightshift_store::{Grant, Store, orgs::NewOrg};
use rand::{Rng, RngExt};
use secrecy::SecretString;

use crate::{ask::ask, error::ConnectError, renew::kept};

/// Hosts at which any org logs in, and none by client credentials.
const LOGIN_HOSTS: [&str; 2] = ["login.salesforce.com", "test.salesforce.com"];

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
    pub grant: Grant,
    /// `None`: the org's own.
    pub time_zone: Option<String>,
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
    let address = salesforce.hosts().origin(&new.login_url)?;
    let app = App {
        address: &address,
        client_id: &new.client_id,
        client_secret: new.client_secret.as_ref(),
    };
    let answer = prove(salesforce, &app, &new.grant, store.now().await?, &calls).await?;
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
        rotates: answer.refresh_token.is_some(),
        grant: kept(&new.grant, answer.refresh_token),
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

/// Asks for a token, as a sync would: what cannot be used then is refused now.
pub(crate) async fn prove(
    salesforce: &Salesforce,
    app: &App<'_>,
    grant: &Grant,
    now: Timestamp,
    calls: &CallCounter,
) -> Result<TokenAnswer, ConnectError> {
    if matches!(grant, Grant::ClientCredentials) {
        let host = app.address.host_str().unwrap_or_default();
        if LOGIN_HOSTS.contains(&host) {
            return Err(ConnectError::NeedsMyDomain {
                host: host.to_owned(),
            });
        }
        if app.client_secret.is_none() {
            return Err(ConnectError::NeedsSecret);
        }
    }
    let answer = ask(&salesforce.oauth(), app, grant, now, calls).await?;
    Ok(answer.usable(salesforce.hosts())?)
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
