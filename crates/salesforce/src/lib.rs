//! Reads a Salesforce org: OAuth refresh, a little REST, and the Metadata API over SOAP.
//!
//! It exists so that everything Salesforce may answer becomes either a typed value or a [`SalesforceError`] with a
//! verdict from one table. It cannot write to an org: [`operations::ALL`] names every call it can make, and a test
//! looks for others. Where tokens are kept and who may refresh them is left to `connections` (through
//! [`TokenSource`]); what is asked for, and what is done with an answer, to `sync`; the zip's bytes to `archive`.

pub mod bounds;
mod client;
mod counter;
mod error;
mod hosts;
mod http;
mod listing;
mod oauth;
pub mod operations;
mod recorded;
mod rest;
mod retrieve;
mod session;
mod soap;
mod text;
mod verdict;
mod version;
mod zip;

pub use client::{Client, Salesforce};
pub use counter::{CallCounter, CallKind};
pub use error::{Broken, Expected, Refusal, SalesforceError, Speaker, Waited, XmlFault};
pub use hosts::{HostFault, HostPolicy};
pub use http::{CallLimits, Http, HttpSettings, MIB, Proxy};
pub use listing::{ListQuery, Listing, RawListing};
pub use oauth::{OAuth, RefreshRequest, TokenAnswer};
pub use recorded::Recorded;
pub use rest::{ApiUsage, Describe, DescribedType, Identity, Limit, Limits, Organization, User};
pub use retrieve::{
    AsyncId, RetrieveFailure, RetrieveMessage, RetrieveRequest, RetrieveStatus, RetrieveTypes,
};
pub use session::{Session, TokenError, TokenGeneration, TokenSource};
pub use verdict::{Culprit, MessageReading, Ruled, Ruling, read_message};
pub use version::{ApiVersion, VersionError};
pub use zip::{ZipAnswer, ZipDownload, ZipEnd, ZipReader};
