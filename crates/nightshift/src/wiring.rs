//! Puts the crates together: store, queue, Salesforce, machine.

use std::{sync::Arc, time::Duration};

use nightshift_connections::Tokens;
use nightshift_jobs::{Alone, Machine};
use nightshift_queue::{Amqp, AmqpSettings, Health, Queue};
use nightshift_salesforce::{HostPolicy, Http, HttpSettings, Proxy, Salesforce, SalesforceError};
use nightshift_store::{Keyring, Store, StoreError, StoreSettings};
use nightshift_sync::SyncContext;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::{ConfigError, Settings},
    error::CommandError,
};

/// A secret setting that has no default.
fn needed<'a>(
    setting: Option<&'a SecretString>,
    key: &'static str,
    variable: &'static str,
) -> Result<&'a SecretString, CommandError> {
    setting.ok_or(CommandError::Missing { key, variable })
}

/// The keys of secrets at rest.
pub fn keyring(settings: &Settings) -> Result<Keyring, CommandError> {
    let key = needed(
        settings.secrets.key.as_ref(),
        "secrets.key",
        "NIGHTSHIFT__SECRETS__KEY",
    )?;
    Ok(Keyring::parse(key)?)
}

/// Connects to the configured database; one try, for commands.
pub async fn store(settings: &Settings) -> Result<Store, CommandError> {
    store_of(settings, settings.database.max_connections).await
}

async fn store_of(settings: &Settings, max_connections: u32) -> Result<Store, CommandError> {
    let url = needed(
        settings.database.url.as_ref(),
        "database.url",
        "NIGHTSHIFT__DATABASE__URL",
    )?;
    let store_settings = StoreSettings {
        max_connections,
        ..StoreSettings::new(url.clone())
    };
    Ok(Store::connect(&store_settings, keyring(settings)?).await?)
}

/// The same for a process: waits for the database, and for its migrations, with a word every few seconds.
pub async fn store_with_patience(settings: &Settings) -> Result<Store, CommandError> {
    let seconds = settings.database.start_patience_seconds;
    // one is left to the probe of readiness
    let connections = settings.database.max_connections - 1;
    let patience = async {
        loop {
            match store_of(settings, connections).await {
                Ok(store) => match store.migration_state().await {
                    Ok(state) if state.applied >= state.wanted => return Ok(store),
                    Ok(state) => tracing::warn!(
                        "waiting for the migrations: the database has {}, this program wants {}; run nightshift migrate",
                        state.applied,
                        state.wanted
                    ),
                    Err(error) => tracing::warn!("waiting for the database: {}", error.detail()),
                },
                Err(CommandError::Store(error @ StoreError::Unavailable { .. })) => {
                    tracing::warn!("waiting for the database: {}", error.detail());
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(seconds), patience).await {
        Ok(answer) => answer,
        Err(_) => Err(CommandError::GaveUp {
            thing: "the database (with its migrations)",
            seconds,
            hint: "check database.url, that the server runs, and nightshift migrate; nightshift doctor tells more",
        }),
    }
}

/// Salesforce, under the host policy, by the configured way through our own network.
pub fn salesforce(settings: &Settings) -> Result<Salesforce, CommandError> {
    let of = &settings.salesforce;
    let http = Http::new(HttpSettings {
        proxy: proxy(of.proxy.as_ref(), &of.no_proxy),
        authorities: authorities(&of.ca_file)?,
        ..HttpSettings::default()
    });
    let http = http.map_err(|error| match error {
        SalesforceError::Settings(reason) => CommandError::Config(ConfigError::BadValue {
            key: "salesforce".to_owned(),
            reason,
        }),
        error => error.into(),
    })?;
    Ok(Salesforce::new(http, HostPolicy::new(&of.allowed_hosts)))
}

fn proxy(configured: Option<&SecretString>, no_proxy: &[String]) -> Proxy {
    match configured {
        None => Proxy::FromEnvironment,
        Some(url) if url.expose_secret() == "none" => Proxy::None,
        Some(url) => Proxy::At {
            url: url.clone(),
            except: no_proxy.to_vec(),
        },
    }
}

fn authorities(file: &str) -> Result<Option<Vec<u8>>, CommandError> {
    if file.is_empty() {
        return Ok(None);
    }
    std::fs::read(file).map(Some).map_err(|source| CommandError::Io {
        place: format!("salesforce.ca_file {file}"),
        source,
    })
}

/// The configured broker. It connects by itself and for ever; whether it has, its health tells.
pub fn queue(settings: &Settings) -> Result<Arc<Amqp>, CommandError> {
    let url = needed(
        settings.broker.url.as_ref(),
        "broker.url",
        "NIGHTSHIFT__BROKER__URL",
    )?;
    Ok(Arc::new(Amqp::start(&AmqpSettings {
        url: url.clone(),
        prefix: settings.broker.prefix.clone(),
    })?))
}

/// The same, connected: for commands, which do not wait longer than a few seconds.
pub async fn queue_now(settings: &Settings) -> Result<Arc<Amqp>, CommandError> {
    connected(queue(settings)?, 8).await
}

/// The same for a process: waits for the broker with a word, then gives up.
pub async fn queue_with_patience(settings: &Settings) -> Result<Arc<Amqp>, CommandError> {
    connected(queue(settings)?, settings.database.start_patience_seconds).await
}

async fn connected(queue: Arc<Amqp>, seconds: u64) -> Result<Arc<Amqp>, CommandError> {
    let mut health = queue.health();
    let wait = health.wait_for(|health| *health != Health::Connecting);
    match tokio::time::timeout(Duration::from_secs(seconds), wait).await {
        Ok(_) => Ok(queue),
        Err(_) => Err(CommandError::GaveUp {
            thing: "the broker",
            seconds,
            hint: "check broker.url and that RabbitMQ runs; nightshift doctor tells more",
        }),
    }
}

/// What runs jobs.
pub fn machine(
    settings: &Settings,
    store: &Store,
    queue: Arc<dyn Queue>,
) -> Result<Arc<Machine<SyncContext>>, CommandError> {
    let salesforce = salesforce(settings)?;
    let tokens = Arc::new(Tokens::new(store.clone(), salesforce.oauth()));
    let mut sync = settings.sync.clone();
    sync.concurrent_lists = sync.concurrent_lists.min(settings.jobs.calls_per_org);
    let context = SyncContext::new(
        store.clone(),
        salesforce,
        tokens,
        sync,
        settings.politeness.clone(),
    );
    Ok(Arc::new(Machine {
        store: store.clone(),
        queue,
        registry: nightshift_sync::registry(),
        context: Arc::new(context),
        settings: settings.jobs.clone(),
        alone: Alone::default(),
    }))
}

/// The name of this machine, for the table of processes.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// The user of this process at this machine, for the book of deeds.
pub fn person() -> String {
    let uid = std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("Uid:"))?;
            line.split_whitespace().nth(1).map(str::to_owned)
        });
    let uid = uid.unwrap_or_else(|| "unknown".to_owned());
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    format!("{}@{}", user_name(&users, &uid).unwrap_or(&uid), host())
}

fn user_name<'a>(users: &'a str, uid: &str) -> Option<&'a str> {
    users.lines().find_map(|line| {
        let mut cells = line.split(':');
        let name = cells.next()?;
        (cells.nth(1) == Some(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_the_machine_gives() {
        let users = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(users, "1000"), Some("ann"));
        assert_eq!(user_name(users, "65532"), None);
        assert!(person().contains('@'));
    }
}
