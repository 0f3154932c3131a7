//! Configurations that nobody meant: files, variables and flags, as the program reads them.

use std::{fs, path::Path, process::Command};

use nightshift::config::{ConfigError, Sources, load};
use nightshift_domain::OrgName;

use crate::{Judged, Prepared, table};

pub fn prepare(name: &str) -> Prepared {
    if name == "org_name_longer_than_its_limit" {
        return org_name();
    }
    let folder = tempfile::tempdir().unwrap();
    let sources = sources(name, &folder.path().join("nightshift.toml"));
    load(&good()).unwrap();
    Box::new(move || {
        let error = load(&sources).unwrap_err();
        drop(folder);
        Judged {
            code: word(&error).to_owned(),
            text: error.to_string(),
            harm: load(&good())
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default(),
        }
    })
}

/// What `org add` and `org login` read first; wrong usage like a configuration that is none.
fn org_name() -> Prepared {
    let names = ["x".repeat(101), "x".repeat(100)];
    Box::new(move || {
        let [bad, good] = names.map(|name| name.parse::<OrgName>().err());
        Judged {
            code: "exit_2".to_owned(),
            text: bad.map(|error| error.to_string()).unwrap_or_default(),
            harm: good.map(|error| error.to_string()).unwrap_or_default(),
        }
    })
}

fn word(error: &ConfigError) -> &'static str {
    match error {
        ConfigError::UnknownKey { .. } => "unknown_key",
        ConfigError::BadValue { .. } => "bad_value",
        ConfigError::File { .. } => "file",
    }
}

fn good() -> Sources {
    Sources {
        file: None,
        variables: vec![("NIGHTSHIFT__JOBS__LEASE_SECONDS".into(), "30".into())],
        flags: vec![],
    }
}

fn sources(name: &str, path: &Path) -> Sources {
    let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let mut sources = Sources {
        file: Some(path.to_owned()),
        ..Sources::default()
    };
    let bytes: Vec<u8> = match name {
        "configuration_missing" => return sources,
        "configuration_that_is_a_folder" => {
            fs::create_dir(path).unwrap();
            return sources;
        }
        "configuration_that_is_no_utf8" => b"[jobs]\n# \xff\xfe\n".to_vec(),
        "configuration_variable_unknown" => {
            sources.variables = pair("NIGHTSHIFT__JOBS__LEASE", "30");
            vec![]
        }
        "configuration_variable_with_too_many_items" => {
            sources.variables = pair("NIGHTSHIFT__SALESFORCE__ALLOWED_HOSTS", &"a,".repeat(1_001));
            vec![]
        }
        "configuration_flag_unknown" => {
            sources.flags = pair("jobs.leese_seconds", "3");
            vec![]
        }
        "configuration_flag_names_a_section" => {
            sources.flags = pair("jobs", "3");
            vec![]
        }
        "configuration_flag_is_a_word" => {
            sources.flags = pair("jobs.max_attempts", "yes");
            vec![]
        }
        "configuration_secret_of_another_kind" => {
            b"[database]\nurl = [\"postgres://u:hunter2@h/db\"]\n".to_vec()
        }
        other => text(other).into_bytes(),
    };
    fs::write(path, bytes).unwrap();
    sources
}

fn text(name: &str) -> String {
    match name {
        "configuration_larger_than_its_limit" => format!("# {}\n", "x".repeat(1 << 20)),
        "configuration_that_breaks_off" => "[jobs\nlease_seconds = 1".to_owned(),
        "configuration_with_a_key_twice" => "[jobs]\nlease_seconds = 1\nlease_seconds = 2\n".to_owned(),
        "configuration_section_unknown" => "[job]\nlease_seconds = 1\n".to_owned(),
        "configuration_key_unknown" => "[jobs]\nlease_second = 1\n".to_owned(),
        "configuration_section_in_capitals" => "[Jobs]\nlease_seconds = 1\n".to_owned(),
        "configuration_section_is_a_number" => "jobs = 3\n".to_owned(),
        "configuration_number_is_a_word" => "[jobs]\nlease_seconds = \"soon\"\n".to_owned(),
        "configuration_number_is_negative" => "[jobs]\nlease_seconds = -1\n".to_owned(),
        "configuration_number_is_half" => "[jobs]\nlease_seconds = 1.9\n".to_owned(),
        "configuration_number_is_beyond_all" => "[jobs]\nlease_seconds = 99999999999999999999\n".to_owned(),
        "configuration_number_is_a_table" => "[jobs.lease_seconds]\nvalue = 1\n".to_owned(),
        "configuration_duration_is_zero" => "[jobs]\nlease_seconds = 0\n".to_owned(),
        "configuration_duration_longer_than_its_limit" => {
            "[scheduler]\ntick_millis = 2592000001\n".to_owned()
        }
        "configuration_concurrency_is_zero" => "[worker]\ningest_concurrency = 0\n".to_owned(),
        "configuration_share_is_too_large" => "[telemetry]\nsample_ratio = 1.5\n".to_owned(),
        "configuration_share_is_no_number" => "[telemetry]\nsample_ratio = nan\n".to_owned(),
        "configuration_class_unknown" => "[worker]\nclasses = [\"fast\"]\n".to_owned(),
        "configuration_word_unknown" => "[telemetry]\nlog_format = \"xml\"\n".to_owned(),
        "configuration_address_is_none" => "[http]\nlisten = \"here\"\n".to_owned(),
        "configuration_levels_without_end" => format!("x = {}\n", "[".repeat(100_000)),
        other => panic!("{other} is not made here"),
    }
}

/// The program itself: wrong usage, one line, nothing secret.
#[test]
fn the_program_ends_with_two_and_says_the_same() {
    let rows = table::rows();
    let bad: Vec<_> = rows
        .iter()
        .filter(|row| row.name.starts_with("configuration_"))
        .collect();
    for row in bad {
        let folder = tempfile::tempdir().unwrap();
        let sources = sources(&row.name, &folder.path().join("nightshift.toml"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightshift"));
        command
            .env_clear()
            .envs(sources.variables.clone())
            .arg("--config")
            .arg(sources.file.as_ref().unwrap());
        for (key, value) in &sources.flags {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let output = command.args(["config", "show"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{}: {stderr}", row.name);
        for words in &row.says {
            assert!(
                stderr.contains(words),
                "{}: does not say {words:?}: {stderr}",
                row.name
            );
        }
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}
