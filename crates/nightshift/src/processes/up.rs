//! `nightshift up`: scheduler and worker in one process, with what one machine lacks.
//!
//! Without `database.url` it runs a private PostgreSQL, without `broker.url` the queue inside of the process, without
//! `secrets.key` a key of its own, kept beside the data. Other commands reach it with the variables of a file that it
//! writes; the file holds the key, so only its owner may read it.

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use nightshift_queue::{InProcess, Queue};
use nightshift_scheduler::SlotClock;
use secrecy::{ExposeSecret, SecretString};

use super::{Process, scheduler_parts, worker_parts};
use crate::{
    config::Settings,
    embedded::postgres::{Keep, PrivatePostgres},
    error::CommandError,
    wiring,
};

/// Runs everything until it is stopped.
pub async fn up(given: &Settings, data: Option<PathBuf>) -> Result<ExitCode, CommandError> {
    Process::run(given, "up", async |process| {
        let mut settings = given.clone();
        let postgres = embed(&mut settings, data)?;
        if postgres.is_some() {
            wiring::store(&settings).await?.migrate().await?;
        }
        let store = wiring::store_with_patience(&settings).await?;
        let queue: Arc<dyn Queue> = match settings.broker.url {
            Some(_) => wiring::queue_with_patience(&settings).await?,
            None => Arc::new(InProcess::new()),
        };
        process.watch(&store, Arc::clone(&queue));
        let scheduler = scheduler_parts(&settings, &store, Arc::clone(&queue), SlotClock::Database);
        let worker = worker_parts(&settings, &store, queue, &[])?;
        tracing::info!("scheduler and worker run");
        tokio::join!(
            nightshift_scheduler::run(scheduler, process.stop.clone()),
            nightshift_worker::run(worker, process.stop.clone()),
        );
        store.close().await;
        Ok(())
    })
    .await
}

/// Fills what is not configured.
fn embed(settings: &mut Settings, data: Option<PathBuf>) -> Result<Option<PrivatePostgres>, CommandError> {
    if settings.database.url.is_some() {
        return Ok(None);
    }
    let data = data.unwrap_or_else(default_data);
    fs::create_dir_all(&data).map_err(io_at(&data))?;
    // the server's own user must be able to pass
    fs::set_permissions(&data, fs::Permissions::from_mode(0o711)).map_err(io_at(&data))?;
    if settings.secrets.key.is_none() {
        settings.secrets.key = Some(own_key(&data.join("key"))?);
    }
    let postgres = PrivatePostgres::start(&data.join("pg"), Keep::Data)?;
    settings.database.url = Some(postgres.url().into());
    write_env(&data.join("env"), settings)?;
    Ok(Some(postgres))
}

fn default_data() -> PathBuf {
    let home = std::env::home_dir().filter(|home| home != Path::new("/root") && home != Path::new("/"));
    home.map_or_else(
        || PathBuf::from("/var/lib/nightshift"),
        |home| home.join(".local/share/nightshift"),
    )
}

fn own_key(file: &Path) -> Result<SecretString, CommandError> {
    match fs::read_to_string(file) {
        Ok(key) => Ok(key.trim().into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = new_key();
            write_private(file, key.expose_secret())?;
            Ok(key)
        }
        Err(error) => Err(io_at(file)(error)),
    }
}

/// A random key for what is encrypted at rest.
pub fn new_key() -> SecretString {
    let bytes: [u8; 32] = rand::random();
    format!("own:{}", BASE64_STANDARD.encode(bytes)).into()
}

/// Writes what other commands need to a file that this user alone may read, and names the file: the key itself belongs
/// on no terminal, whose lines end up in logs and tickets.
pub fn write_env(file: &Path, settings: &Settings) -> Result<(), CommandError> {
    let value = |secret: &Option<SecretString>| secret.as_ref().map_or("", |s| s.expose_secret()).to_owned();
    let (url, key) = (value(&settings.database.url), value(&settings.secrets.key));
    let hosts = settings.salesforce.allowed_hosts.join(",");
    write_private(
        file,
        &format!(
            "NIGHTSHIFT__DATABASE__URL={url}\nNIGHTSHIFT__SECRETS__KEY={key}\nNIGHTSHIFT__SALESFORCE__ALLOWED_HOSTS={hosts}\n"
        ),
    )?;
    eprintln!(
        "nightshift: for other commands: set -a; . {}; set +a",
        file.display()
    );
    Ok(())
}

fn write_private(file: &Path, text: &str) -> Result<(), CommandError> {
    use io::Write;
    let mut options = fs::OpenOptions::new();
    let open = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    open.and_then(|mut out| out.write_all(text.as_bytes()))
        .map_err(io_at(file))
}

fn io_at(place: &Path) -> impl Fn(io::Error) -> CommandError {
    let place = place.display().to_string();
    move |source| CommandError::Io {
        place: place.clone(),
        source,
    }
}
