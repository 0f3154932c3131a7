//! What the commands do: read with `store`, act through the same doors as the processes, print.
//!
//! One module for each noun of the command line. Nothing here decides; a refusal is a domain rule's, a text an error's.

mod calls;
mod case;
mod dictionary;
mod doctor;
mod hands;
mod org;
mod queue;
mod server;
mod sync;

pub use calls::calls;
pub use case::{case, summary as case_summary};
pub use dictionary::dictionary;
pub use doctor::doctor;
pub use org::org;
pub use queue::queue;
pub use server::{migrate, ready, simulator};
pub use sync::{start as start_sync, sync};

use std::{path::Path, process::ExitCode};

use jiff::Timestamp;
use nightshift_domain::failure::FailureCode;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    cli::Json,
    config::{Settings, rows, show},
    error::CommandError,
    output,
};

/// `config show`.
pub fn config_show(settings: &Settings, json: Json) -> ExitCode {
    if json.json {
        output::json(&show(settings));
    } else {
        let rows: Vec<_> = rows(settings)
            .into_iter()
            .map(|(key, value)| vec![key, value])
            .collect();
        output::table(&["key", "value"], &rows);
    }
    ExitCode::SUCCESS
}

/// A file that holds a secret of many lines, such as a key.
fn text_file(path: &Path) -> Result<SecretString, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|source| CommandError::Io {
        place: path.display().to_string(),
        source,
    })?;
    Ok(SecretString::from(text))
}

/// The first line of a file that holds one secret.
fn secret_file(path: &Path) -> Result<SecretString, CommandError> {
    let text = text_file(path)?;
    let secret = text.expose_secret().trim();
    if secret.is_empty() {
        return Err(CommandError::Usage(format!(
            "{} is empty; it should hold one secret",
            path.display()
        )));
    }
    if secret.contains(char::is_whitespace) {
        let place = path.display();
        return Err(CommandError::Usage(format!(
            "{place} holds more than one word; it should hold one secret"
        )));
    }
    Ok(SecretString::from(secret))
}

/// An id as the command line gives it.
fn id<T: std::str::FromStr>(thing: &str, text: &str) -> Result<T, CommandError> {
    text.parse().map_err(|_| {
        CommandError::Usage(format!(
            "{text:?} is no {thing} id; one looks like 0198c0de-0000-7000-8000-000000000000"
        ))
    })
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn maybe<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// What to do first about a failure.
fn first_step(code: FailureCode) -> &'static str {
    code.entry().first_step()
}
