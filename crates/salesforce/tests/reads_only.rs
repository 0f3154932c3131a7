//! The crate can only read: what it can call stands in one list, and nothing in its sources goes around that list.
//!
//! SOAP operations are compared with Salesforce's own list of them. REST requests are compared by method and path:
//! what is no GET asks a question, or is a query job of our own. That no file but `operations.rs` can begin a request
//! is read from the sources; what a request's path may become is a property there.

#![allow(
    clippy::unwrap_used,
    reason = "a test whose setting cannot be built must fail"
)]

use std::{collections::BTreeMap, fs, path::Path};

use nightshift_salesforce::operations::{self, Endpoint, Nature, Operation};

/// Operations of the port, and whether each reads.
fn port() -> BTreeMap<&'static str, bool> {
    include_str!("metadata-operations.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| match line.split_once('\t').unwrap() {
            (name, "reads") => (name, true),
            (name, "changes") => (name, false),
            (name, other) => panic!("{name}: {other}"),
        })
        .collect()
}

/// Path and code of each source, without tests and comments.
fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs")
            && !path.to_string_lossy().ends_with("_tests.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code: Vec<&str> = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(str::trim)
                .collect();
            found.push((path.display().to_string(), code.concat()));
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    assert!(found.len() > 20, "{} sources only", found.len());
    found
}

#[test]
fn every_operation_of_the_port_reads_or_is_absent() {
    let port = port();
    assert_eq!(port.len(), 15);
    for operation in operations::ALL {
        assert_eq!(port.get(operation.as_str()), Some(&true), "{operation:?}");
    }
    for (name, reads) in port {
        let here = operations::ALL.into_iter().find(|one| one.as_str() == name);
        assert!(reads || here.is_none(), "{name} changes the org");
        // Not even its name stands in the sources, where an envelope could be written around the enum. `deploy` alone
        // is a word of other things, and is no element here.
        if !reads {
            for (path, code) in all_sources() {
                assert!(!code.contains(&format!("\"{name}\"")), "{path} names {name}");
            }
        }
    }
}

#[test]
fn an_envelope_is_written_for_an_operation_of_the_list_alone() {
    // The body's one element is `operation.as_str()`: no other file writes envelopes.
    for (path, code) in all_sources() {
        let writes = code.contains("soapenv:Body");
        assert_eq!(writes, path.ends_with("soap/write.rs"), "{path}");
    }
    let names: Vec<&str> = operations::ALL.into_iter().map(Operation::as_str).collect();
    assert_eq!(names.len(), 5);
}

#[test]
fn what_is_no_get_asks_a_question_or_is_a_query_job_of_our_own() {
    for endpoint in Endpoint::ALL {
        let (method, path, nature) = endpoint.row();
        let of_query_jobs = path.starts_with("{data}/v{v}/{api}jobs/query");
        match nature {
            Nature::Reads => assert_eq!(method, "GET", "{endpoint:?}"),
            Nature::Asks => {
                assert_eq!(method, "POST", "{endpoint:?}");
                let known = [
                    "{metadata}/{v}",
                    "{data}/v{v}/composite",
                    "{data}/v{v}/composite/batch",
                ];
                assert!(known.contains(&path), "{path} was never looked at");
            }
            Nature::Session => assert_eq!((method, path), ("POST", "{token}")),
            Nature::GivesBack => assert_eq!((method, path), ("POST", "{revoke}")),
            Nature::OwnQueryJob => {
                assert!(of_query_jobs, "{path}");
                let ends_one = matches!(method, "PATCH" | "DELETE") && path.ends_with("/{name}");
                assert!(
                    ends_one || method == "POST" && path.ends_with("jobs/query"),
                    "{path}"
                );
            }
        }
        // A job that loads data is made below `jobs/ingest`; records and Apex have paths of their own.
        for writing in [
            "ingest",
            "apexrest",
            "executeAnonymous",
            "tree",
            "actions",
            "process",
        ] {
            assert!(!path.contains(writing), "{path}");
        }
    }
}

#[test]
fn no_source_but_the_list_begins_a_request_or_names_a_path() {
    let begins = [
        ".post(",
        ".put(",
        ".patch(",
        ".delete(",
        ".request(",
        ".execute(",
        "Method::",
        "Request::new",
        "client().get(",
        "\"POST\"",
        "\"PUT\"",
        "\"PATCH\"",
        "\"DELETE\"",
    ];
    for (path, code) in all_sources() {
        let is_list = path.ends_with("operations.rs");
        // `slot.put` keeps an error; it sends nothing.
        let code = code.replace("slot.put(", "");
        for word in begins {
            assert!(is_list || !code.contains(word), "{path} has {word}");
        }
        assert_eq!(code.matches(".request(").count(), usize::from(is_list), "{path}");
        let paths = if is_list { operations::PATHS.len() } else { 0 };
        // A batch names its parts from the version on: what is before it is cut off there.
        let cut_off = code.matches("trim_start_matches(\"/services/data/\")").count();
        assert_eq!(code.matches("\"/services/").count() - cut_off, paths, "{path}");
    }
}

#[test]
fn a_bundle_can_be_made_of_gets_alone() {
    let (_, code) = all_sources()
        .into_iter()
        .find(|(path, _)| path.ends_with("rest/composite.rs"))
        .unwrap();
    assert_eq!(
        code.matches("\"method\"").count(),
        code.matches("\"method\": \"GET\"").count()
    );
    assert_eq!(code.matches("\"method\": \"GET\"").count(), 2);
}
