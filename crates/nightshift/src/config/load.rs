//! Reads the sources and refuses what nobody knows, naming key, source and accepted form.

use std::{io::Read, path::PathBuf};

use config::{Config, ConfigError as Inner, File, FileFormat, Map, Source, Value, ValueKind};
use serde_json::Value as Json;

use super::{
    Settings,
    limits::{self, FILE_BYTES_MAX},
};

/// Where values come from, in rising order of strength.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that must exist; `None` = `nightshift.toml` here, if there is one.
    pub file: Option<PathBuf>,
    /// `NIGHTSHIFT__*` variables as `(name, value)`.
    pub variables: Vec<(String, String)>,
    /// `--set key=value` flags.
    pub flags: Vec<(String, String)>,
}

/// Why the configuration cannot be used. Every text names key and source; values of secret keys are never shown.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key that nobody knows.
    #[error("unknown key `{key}` in {source_name}; known here: {known}")]
    UnknownKey {
        /// As written.
        key: String,
        /// File, variable or flag.
        source_name: String,
        /// Its neighbours.
        known: String,
    },
    /// A value that cannot be used.
    #[error("bad value for `{key}`: {reason}")]
    BadValue {
        /// Which.
        key: String,
        /// What was wanted, and from where it came.
        reason: String,
    },
    /// A file that is no TOML, or missing.
    #[error("{file}: {reason}")]
    File {
        /// Which.
        file: String,
        /// Place and reason.
        reason: String,
    },
}

/// A file that has been read.
#[derive(Clone, Debug)]
pub struct FileText {
    /// Its path, for people.
    pub name: String,
    /// TOML.
    pub text: String,
}

/// Reads all sources.
pub fn load(sources: &Sources) -> Result<Settings, ConfigError> {
    let file = file_text(sources)?;
    load_texts(file.as_ref(), &sources.variables, &sources.flags)
}

/// Reads sources of which the file, if any, is a text already.
pub fn load_texts(
    file: Option<&FileText>,
    variables: &[(String, String)],
    flags: &[(String, String)],
) -> Result<Settings, ConfigError> {
    let mut builder = Config::builder();
    if let Some(file) = file {
        let values = toml(file)?;
        refuse_unknown(&values, &file.name)?;
        builder = builder.add_source(InFile(values));
    }
    for pairs in [Pairs::variables(variables), Pairs::flags(flags)] {
        for (key, origin, text) in &pairs.0 {
            refuse_unknown_key(key, origin, text)?;
        }
        builder = builder.add_source(pairs);
    }
    let settings: Settings = builder
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|error| bad_value(&error))?;
    limits::check(&settings)?;
    check_words(&settings)?;
    Ok(settings)
}

fn file_text(sources: &Sources) -> Result<Option<FileText>, ConfigError> {
    let (path, required) = match &sources.file {
        Some(path) => (path.clone(), true),
        None => (PathBuf::from("nightshift.toml"), false),
    };
    let name = path.display().to_string();
    match std::fs::File::open(&path).and_then(read_bounded) {
        Ok(text) => Ok(Some(FileText { name, text })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(None),
        Err(error) => Err(ConfigError::File {
            file: name,
            reason: format!("{error}; a TOML file is wanted, --config names another one"),
        }),
    }
}

/// One byte more than is allowed, so that whoever counts sees it.
fn read_bounded(file: std::fs::File) -> std::io::Result<String> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn toml(file: &FileText) -> Result<Map<String, Value>, ConfigError> {
    if file.text.len() > FILE_BYTES_MAX {
        return Err(ConfigError::File {
            file: file.name.clone(),
            reason: format!(
                "it has more than {FILE_BYTES_MAX} bytes; a configuration is a few lines of TOML"
            ),
        });
    }
    File::from_str(&file.text, FileFormat::Toml)
        .collect()
        .map(|values| from(&file.name, values))
        .map_err(|error| ConfigError::File {
            file: file.name.clone(),
            reason: format!("{}; {REMEDY}", error.to_string().trim_end()),
        })
}

/// Ends what a library says of a value or a file.
const REMEDY: &str = "docs/settings.md has each key with an example";

/// With the file's name on each value, for errors that are found later.
fn from(name: &String, values: Map<String, Value>) -> Map<String, Value> {
    let named = |value: Value| {
        let kind = match value.kind {
            ValueKind::Table(inside) => ValueKind::Table(from(name, inside)),
            other => other,
        };
        Value::new(Some(name), kind)
    };
    values
        .into_iter()
        .map(|(key, value)| (key, named(value)))
        .collect()
}

/// A file's values, already checked.
#[derive(Clone, Debug)]
struct InFile(Map<String, Value>);

impl Source for InFile {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, Inner> {
        Ok(self.0.clone())
    }
}

/// Key, origin, value.
#[derive(Clone, Debug)]
struct Pairs(Vec<(String, String, String)>);

impl Pairs {
    fn variables(variables: &[(String, String)]) -> Self {
        let pairs = variables.iter().filter_map(|(name, value)| {
            let key = name
                .strip_prefix("NIGHTSHIFT__")?
                .to_lowercase()
                .replace("__", ".");
            Some((key, format!("the variable {name}"), value.clone()))
        });
        Self(pairs.collect())
    }

    fn flags(flags: &[(String, String)]) -> Self {
        Self(
            flags
                .iter()
                .map(|(key, value)| (key.clone(), format!("the flag --set {key}"), value.clone()))
                .collect(),
        )
    }
}

impl Source for Pairs {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    /// Texts are handed on as texts, so that a password of digits stays itself; lists are cut at commas.
    fn collect(&self) -> Result<Map<String, Value>, Inner> {
        let defaults = known();
        let value = |(key, origin, text): &(String, String, String)| {
            let kind = if matches!(at(&defaults, key), Some(Json::Array(_))) {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                ValueKind::Array(items.map(|item| Value::new(Some(origin), item)).collect())
            } else {
                ValueKind::String(text.clone())
            };
            (key.clone(), Value::new(Some(origin), kind))
        };
        Ok(self.0.iter().map(value).collect())
    }
}

/// The tree of all keys with their defaults; secrets, which have none, as null.
fn known() -> Json {
    let mut tree = serde_json::to_value(Settings::default()).expect("settings are plain data");
    for (section, key) in super::show::SECRETS {
        tree[section][key] = Json::Null;
    }
    tree
}

fn at<'a>(tree: &'a Json, key: &str) -> Option<&'a Json> {
    key.split('.').try_fold(tree, |node, part| node.get(part))
}

fn refuse_unknown_key(key: &str, origin: &str, text: &str) -> Result<(), ConfigError> {
    let tree = known();
    let mut node = &tree;
    for part in key.split('.') {
        node = match node.get(part) {
            Some(next) => next,
            None => return Err(unknown(key, origin, node)),
        };
    }
    if node.is_object() {
        return Err(ConfigError::BadValue {
            key: key.to_owned(),
            reason: format!("{origin} names a section; name one of its keys: {}", names(node)),
        });
    }
    refuse_half_numbers(key, &ValueKind::String(text.to_owned()), node, origin)
}

fn refuse_unknown(map: &Map<String, Value>, file: &str) -> Result<(), ConfigError> {
    let tree = known();
    for (section, value) in map {
        let Some(node) = tree.get(section) else {
            return Err(unknown(section, file, &tree));
        };
        let ValueKind::Table(keys) = &value.kind else {
            let reason = format!("{file} gives one value where a section [{section}] is wanted");
            return Err(ConfigError::BadValue {
                key: section.clone(),
                reason,
            });
        };
        for (key, value) in keys {
            let whole = format!("{section}.{key}");
            let default = node
                .get(key.as_str())
                .ok_or_else(|| unknown(&whole, file, node))?;
            refuse_half_numbers(&whole, &value.kind, default, file)?;
        }
    }
    Ok(())
}

/// `config` would read 1.9 as 2 and `yes` as 1 where a whole number is wanted.
fn refuse_half_numbers(key: &str, kind: &ValueKind, default: &Json, origin: &str) -> Result<(), ConfigError> {
    let whole = default.is_u64();
    let written = match kind {
        ValueKind::Float(number) if whole => number.to_string(),
        ValueKind::I64(number) if whole && *number < 0 => number.to_string(),
        ValueKind::Boolean(word) if default.is_number() => word.to_string(),
        ValueKind::String(text) if whole && text.parse::<u64>().is_err() => format!("{text:?}"),
        ValueKind::String(text) if default.is_f64() && text.parse::<f64>().is_err() => format!("{text:?}"),
        _ => return Ok(()),
    };
    let wanted = if whole { "a whole number" } else { "a number" };
    Err(ConfigError::BadValue {
        key: key.to_owned(),
        reason: format!("{written} in {origin} is not {wanted}, such as {default}"),
    })
}

fn unknown(key: &str, source: &str, node: &Json) -> ConfigError {
    ConfigError::UnknownKey {
        key: key.to_owned(),
        source_name: source.to_owned(),
        known: names(node),
    }
}

fn names(node: &Json) -> String {
    node.as_object()
        .map(|keys| keys.keys().cloned().collect::<Vec<_>>().join(", "))
        .unwrap_or_default()
}

/// `config` names key and origin; the value is cut out where the key is secret.
fn bad_value(error: &Inner) -> ConfigError {
    let text = error.to_string();
    let key = text
        .split("for key `")
        .nth(1)
        .and_then(|rest| rest.split('`').next())
        .unwrap_or("(unknown)")
        .to_owned();
    let secret = super::show::SECRETS
        .iter()
        .any(|(section, name)| key == format!("{section}.{name}"));
    let reason = if secret {
        format!("it cannot be read (the value is not shown); {REMEDY}")
    } else {
        format!("{text}; {REMEDY}")
    };
    ConfigError::BadValue { key, reason }
}

fn check_words(settings: &Settings) -> Result<(), ConfigError> {
    if let Some(class) = settings
        .worker
        .classes
        .iter()
        .find(|class| class.parse::<nightshift_domain::Class>().is_err())
    {
        let reason = format!("{class:?} is no class; accepted: control, poll, ingest, enrich, notify");
        return Err(ConfigError::BadValue {
            key: "worker.classes".into(),
            reason,
        });
    }
    if !settings.http.listen.is_empty() && settings.http.listen.parse::<std::net::SocketAddr>().is_err() {
        let reason = format!(
            "{:?} is no address; write it like 0.0.0.0:9090",
            settings.http.listen
        );
        return Err(ConfigError::BadValue {
            key: "http.listen".into(),
            reason,
        });
    }
    if settings.salesforce.proxy.is_none() && !settings.salesforce.no_proxy.is_empty() {
        return Err(ConfigError::BadValue {
            key: "salesforce.no_proxy".into(),
            reason: "it goes with salesforce.proxy, which is not set; the environment's proxy has NO_PROXY"
                .into(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use secrecy::ExposeSecret;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        load(&Sources {
            file: Some(empty_file()),
            variables,
            flags: vec![],
        })
    }

    fn file(text: &str) -> PathBuf {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.into_temp_path().keep().unwrap()
    }

    fn empty_file() -> PathBuf {
        file("")
    }

    fn error(text: &str) -> String {
        load(&Sources {
            file: Some(file(text)),
            ..Sources::default()
        })
        .unwrap_err()
        .to_string()
    }

    #[test]
    fn later_sources_win() {
        let path = file("[jobs]\nlease_seconds = 30\nmax_attempts = 7\n");
        let variables = vec![("NIGHTSHIFT__JOBS__LEASE_SECONDS".to_owned(), "40".to_owned())];
        let sources = |flags| Sources {
            file: Some(path.clone()),
            variables: variables.clone(),
            flags,
        };
        let settings = load(&sources(vec![])).unwrap();
        assert_eq!((settings.jobs.lease_seconds, settings.jobs.max_attempts), (40, 7));
        let settings = load(&sources(vec![("jobs.lease_seconds".into(), "50".into())])).unwrap();
        assert_eq!(settings.jobs.lease_seconds, 50);
    }

    #[test]
    fn lists_in_variables_are_cut_at_commas() {
        let settings =
            variables(&[("NIGHTSHIFT__SALESFORCE__ALLOWED_HOSTS", "127.0.0.1, localhost,")]).unwrap();
        assert_eq!(settings.salesforce.allowed_hosts, ["127.0.0.1", "localhost"]);
        assert!(
            variables(&[("NIGHTSHIFT__SALESFORCE__ALLOWED_HOSTS", "")])
                .unwrap()
                .salesforce
                .allowed_hosts
                .is_empty()
        );
    }

    #[test]
    fn a_password_of_digits_stays_itself() {
        let settings = variables(&[("NIGHTSHIFT__BROKER__URL", "007")]).unwrap();
        assert_eq!(settings.broker.url.unwrap().expose_secret(), "007");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_source() {
        assert!(error("[job]\nx = 1").contains("unknown key `job` in /"));
        let text = error("[jobs]\nlease_second = 1");
        assert!(
            text.contains("unknown key `jobs.lease_second`") && text.contains("lease_seconds"),
            "{text}"
        );
        let text = variables(&[("NIGHTSHIFT__JOBS__LEASE", "1")])
            .unwrap_err()
            .to_string();
        assert!(text.contains("the variable NIGHTSHIFT__JOBS__LEASE"), "{text}");
    }

    #[test]
    fn a_bad_value_is_refused_with_key_and_accepted_form() {
        for (text, wanted) in [
            ("[jobs]\nlease_seconds = \"soon\"", "jobs.lease_seconds"),
            ("[jobs]\nlease_seconds = 0", "1 to 2592000 seconds"),
            ("[jobs]\nmax_attempts = 0", "1 to 1000"),
            ("[jobs]\nlease_seconds = 1.9", "a whole number"),
            ("[politeness]\nnight_percent = 101", "politeness.night_percent"),
            ("[politeness]\nnight_percent = 0", "1 to 100"),
            ("jobs = 3", "section [jobs]"),
            ("[http]\nlisten = \"here\"", "0.0.0.0:9090"),
            ("[worker]\nclasses = [\"fast\"]", "control, poll, ingest"),
            ("[telemetry]\nlog_format = \"xml\"", "telemetry.log_format"),
            ("[salesforce]\nno_proxy = [\"10.0.0.0/8\"]", "salesforce.proxy"),
        ] {
            let shown = error(text);
            assert!(shown.contains(wanted), "{text}: {shown}");
        }
    }

    #[test]
    fn toml_that_breaks_off_names_file_and_place() {
        let text = error("[jobs\nlease_seconds = 1");
        assert!(text.contains("line 1"), "{text}");
        let missing = load(&Sources {
            file: Some("/nowhere/n.toml".into()),
            ..Sources::default()
        });
        assert!(missing.unwrap_err().to_string().contains("/nowhere/n.toml"));
    }
}
