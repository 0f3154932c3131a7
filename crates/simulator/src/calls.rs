//! The kinds of call that an org answers, and how often each was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A kind of HTTP request. The words are those of `GET /_control/calls` and of a fault's `calls`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Call {
    #[serde(rename = "oauth_token")]
    Token,
    #[serde(rename = "oauth_revoke")]
    Revoke,
    #[serde(rename = "oauth_authorize")]
    Authorize,
    #[serde(rename = "oauth_introspect")]
    Introspect,
    /// The partner API's login and logout.
    #[serde(rename = "soap_login")]
    Login,
    #[serde(rename = "userinfo")]
    Userinfo,
    #[serde(rename = "identity")]
    Identity,
    #[serde(rename = "versions")]
    Versions,
    #[serde(rename = "resources")]
    Resources,
    #[serde(rename = "limits")]
    Limits,
    /// First page of a query, of the data API or of the Tooling API.
    #[serde(rename = "query")]
    Query,
    #[serde(rename = "query_more")]
    QueryMore,
    #[serde(rename = "composite")]
    Composite,
    #[serde(rename = "bulk_create")]
    BulkCreate,
    /// Polls, aborts and deletions of a Bulk job.
    #[serde(rename = "bulk_job")]
    BulkJob,
    #[serde(rename = "bulk_results")]
    BulkResults,
    #[serde(rename = "sobject")]
    Sobject,
    #[serde(rename = "describeMetadata")]
    Describe,
    #[serde(rename = "listMetadata")]
    List,
    #[serde(rename = "readMetadata")]
    Read,
    #[serde(rename = "retrieve")]
    Retrieve,
    /// checkRetrieveStatus without the zip.
    #[serde(rename = "checkRetrieveStatus")]
    Poll,
    /// checkRetrieveStatus that asks for the zip.
    #[serde(rename = "checkRetrieveStatus_zip")]
    Download,
    #[serde(rename = "soap_other")]
    OtherSoap,
    #[serde(rename = "other")]
    Other,
}

impl Call {
    /// Every kind.
    pub const ALL: [Call; 25] = {
        use Call::{
            Authorize, BulkCreate, BulkJob, BulkResults, Composite, Describe, Download, Identity, Introspect,
            Limits, List, Login, Other, OtherSoap, Poll, Query, QueryMore, Read, Resources, Retrieve, Revoke,
            Sobject, Token, Userinfo, Versions,
        };
        [
            Token,
            Revoke,
            Authorize,
            Introspect,
            Login,
            Userinfo,
            Identity,
            Versions,
            Resources,
            Limits,
            Query,
            QueryMore,
            Composite,
            BulkCreate,
            BulkJob,
            BulkResults,
            Sobject,
            Describe,
            List,
            Read,
            Retrieve,
            Poll,
            Download,
            OtherSoap,
            Other,
        ]
    };

    /// Calls that need no session.
    pub(crate) fn is_oauth(self) -> bool {
        use Call::{Authorize, Introspect, Login, Revoke, Token};
        matches!(self, Authorize | Token | Revoke | Introspect | Login)
    }

    pub(crate) fn is_soap(self) -> bool {
        use Call::{Describe, Download, List, Login, OtherSoap, Poll, Read, Retrieve};
        matches!(
            self,
            Describe | List | Read | Retrieve | Poll | Download | OtherSoap | Login
        )
    }
}

/// Number of requests by kind.
pub type CallCounts = BTreeMap<Call, u64>;
