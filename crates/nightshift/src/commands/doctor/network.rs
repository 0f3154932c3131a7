//! The way to Salesforce: proxy, private CA, names, TLS. Asked are the login hosts of the connected orgs, or Salesforce's own.

use std::collections::BTreeSet;

use nightshift_salesforce::{Salesforce, SalesforceError};

use super::{Finding, PATIENCE, of};
use crate::{commands::first_step, config::Settings, wiring};

/// Asked while no org is connected.
const LOGIN: &str = "https://login.salesforce.com";
/// Most hosts that are asked.
const HOSTS: usize = 5;

pub async fn check(settings: &Settings) -> Vec<Finding> {
    let salesforce = match wiring::salesforce(settings) {
        Ok(salesforce) => salesforce,
        Err(error) => {
            let remedy =
                "check salesforce.proxy (http://user:password@host:port) and salesforce.ca_file (PEM)";
            return vec![of::SALESFORCE.bad(error.chain(), remedy)];
        }
    };
    let hosts = login_hosts(settings).await;
    // a machine that is being set up may have no network yet
    let must =
        !hosts.is_empty() || settings.salesforce.proxy.is_some() || !settings.salesforce.ca_file.is_empty();
    let asked = if hosts.is_empty() {
        vec![LOGIN.to_owned()]
    } else {
        hosts
    };
    let found = futures::future::join_all(
        asked
            .iter()
            .map(|host| ask(&salesforce, host, way(settings), must)),
    );
    found.await
}

async fn login_hosts(settings: &Settings) -> Vec<String> {
    let listed = async { wiring::store(settings).await.ok()?.orgs().list().await.ok() };
    let orgs = tokio::time::timeout(PATIENCE, listed)
        .await
        .ok()
        .flatten()
        .unwrap_or_default();
    let hosts: BTreeSet<String> = orgs
        .into_iter()
        .filter(|org| org.disconnected_at.is_none())
        .map(|org| org.login_url)
        .collect();
    hosts.into_iter().take(HOSTS).collect()
}

/// By which way it is asked: never the proxy's address, which may hold a password.
fn way(settings: &Settings) -> &'static str {
    match (&settings.salesforce.proxy, settings.salesforce.ca_file.is_empty()) {
        (None, true) => "",
        (Some(_), true) => ", by salesforce.proxy",
        (None, false) => ", with salesforce.ca_file",
        (Some(_), false) => ", by salesforce.proxy and with salesforce.ca_file",
    }
}

async fn ask(salesforce: &Salesforce, host: &str, way: &str, must: bool) -> Finding {
    let (saw, remedy) = match tokio::time::timeout(PATIENCE, salesforce.reach(host)).await {
        Ok(Ok(())) => return of::SALESFORCE.good(format!("{host} answers{way}")),
        Ok(Err(error)) => (format!("{host}{way}: {error}"), remedy(&error)),
        Err(_) => (
            format!("{host}{way}: no answer within 10 s"),
            "check the network, and whether a proxy is needed: salesforce.proxy",
        ),
    };
    if must {
        of::SALESFORCE.bad(saw, remedy)
    } else {
        of::SALESFORCE.note(saw, remedy)
    }
}

fn remedy(error: &SalesforceError) -> &'static str {
    first_step(error.ruling().code)
}
