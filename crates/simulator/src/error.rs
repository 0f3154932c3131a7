//! What can go wrong when a simulator is started or an org is read.
//!
//! Answers of the simulated Salesforce are not errors of ours: they are made in `soap`, `rest` and `oauth`.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why the simulator cannot do what its caller asked.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("cannot listen on {address}: {source}; choose another port or 0 for any")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot use {path} for TLS: {reason}; give a certificate and its key as PEM files")]
    Tls { path: PathBuf, reason: String },
    #[error("cannot read {path}: {source}; give a folder in Metadata API format")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not well-formed XML: {reason}")]
    Xml { path: PathBuf, reason: String },
    #[error(
        "{0} holds no component; give a folder in Metadata API format (classes, objects, ...) or a project (sfdx-project.json)"
    )]
    EmptyFolder(PathBuf),
    #[error("org {0} is not there; GET /_control/orgs lists the names")]
    NoSuchOrg(String),
    #[error("an org named {0} is there already")]
    DuplicateOrg(String),
    #[error("org {0} has no next night: it was not made with a second folder, or the night has come")]
    NoNextNight(String),
    #[error("org {0} is read from a folder: only generated orgs evolve")]
    NotGenerated(String),
    #[error("metadata type {0} is not in the simulator's table")]
    UnknownType(String),
    #[error("cannot read the project {path}: {reason}")]
    Project { path: PathBuf, reason: String },
    #[error("the app's key cannot be used: {0}; give its public half as PEM (openssl rsa -pubout)")]
    Key(String),
    #[error("fault is not understood: {0}")]
    Fault(String),
    #[error("cannot read the fault plan {path}: {source}")]
    PlanFile { path: PathBuf, source: io::Error },
}
