//! Reads a Salesforce org: OAuth, REST, Bulk 2.0 queries, and the Metadata API over SOAP.
//!
//! It exists so that everything Salesforce may answer becomes either a typed value or a [`SalesforceError`] with a
//! verdict from one table. It cannot write to an org: [`operations`] names every call it can make, and a test looks
//! for others. Where tokens are kept and who may refresh them is left to `connections` (through
//! [`TokenSource`]); what is asked for, and what is done with an answer, to `sync`; the zip's bytes to `archive`.

pub mod bounds;
mod bulk;
mod client;
mod counter;
mod error;
mod hosts;
mod http;
mod listing;
mod network;
mod oauth;
pub mod operations;
mod reach;
mod read;
mod recorded;
mod rest;
mod retrieve;
mod session;
mod soap;
mod text;
mod told;
mod verdict;
mod version;
mod watch;
mod zip;

pub use bulk::{
    BULK_COLUMNS, BULK_ROW_BYTES, BulkFailure, BulkJob, BulkLocator, BulkRow, BulkRows, BulkState, BulkTime,
    DEPENDENCIES_A_JOB,
};
pub use client::{Client, Salesforce};
pub use counter::{CallCounter, CallKind};
pub use error::{Broken, Expected, Refusal, SalesforceError, Speaker, Waited, XmlFault};
pub use hosts::{HostFault, HostPolicy};
pub use http::{CallLimit, CallLimits, Http, HttpSettings, MIB};
pub use listing::{ListQuery, Listing, RawListing};
pub use network::{PROXY_FORM, Proxy};
pub use oauth::{
    App, Claims, CodeVerifier, Drawn, Grant, KeyFault, LoginState, OAuth, TokenAnswer, assertion, audience,
    authorize_url,
};
pub use operations::{Api, PathName};
pub use read::{ReadRequest, Reading, Record};
pub use recorded::Recorded;
pub use rest::{
    ApiUsage, Bundle, BundleWay, DEPENDENCIES_A_QUERY, Describe, Described, DescribedType, Identity, Limit,
    Limits, Organization, QueryKind, Records, Sobject, SobjectField, SobjectSummary, SubAnswer, SubRequest,
    User,
};
pub use retrieve::{
    AsyncId, RetrieveFailure, RetrieveMessage, RetrieveRequest, RetrieveStatus, RetrieveTypes,
};
pub use session::{JustGiven, Session, TokenError, TokenGeneration, TokenSource};
pub use verdict::{Culprit, MessageReading, Ruled, Ruling, read_message};
pub use version::{ApiVersion, VersionError};
pub use watch::{Blame, Sightings};
pub use zip::{ZipAnswer, ZipDownload, ZipEnd, ZipReader};
