//! What is in force, for people and programs; secrets only as "set" or "not set".

use secrecy::SecretString;
use serde_json::{Value, json};

use super::Settings;

/// Keys whose values are never shown.
pub(super) const SECRETS: [(&str, &str); 4] = [
    ("database", "url"),
    ("broker", "url"),
    ("secrets", "key"),
    ("salesforce", "proxy"),
];

/// The settings as a tree, secrets replaced.
pub fn show(settings: &Settings) -> Value {
    let mut tree = serde_json::to_value(settings).expect("settings are plain data");
    let secret = |value: &Option<SecretString>| {
        if value.is_some() {
            json!("(set, hidden)")
        } else {
            json!("(not set)")
        }
    };
    tree["database"]["url"] = secret(&settings.database.url);
    tree["broker"]["url"] = secret(&settings.broker.url);
    tree["secrets"]["key"] = secret(&settings.secrets.key);
    tree["salesforce"]["proxy"] = secret(&settings.salesforce.proxy);
    tree
}

/// `key` and value of each setting, in order: for tables.
pub fn rows(settings: &Settings) -> Vec<(String, String)> {
    let tree = show(settings);
    let sections = tree.as_object().into_iter().flatten();
    sections
        .flat_map(|(section, keys)| {
            let keys = keys.as_object().into_iter().flatten();
            keys.map(move |(key, value)| (format!("{section}.{key}"), text(value)))
        })
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let mut settings = Settings::default();
        settings.database.url = Some("postgres://u:hunter2@h/db".into());
        settings.secrets.key = Some("k:hunter2".into());
        settings.salesforce.proxy = Some("http://u:hunter2@proxy:3128".into());
        let shown = format!("{} {:?} {:?}", show(&settings), rows(&settings), settings);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("(set, hidden)"));
    }
}
