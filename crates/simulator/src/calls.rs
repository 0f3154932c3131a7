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
    #[serde(rename = "query")]
    Query,
    #[serde(rename = "sobject")]
    Sobject,
    #[serde(rename = "describeMetadata")]
    Describe,
    #[serde(rename = "listMetadata")]
    List,
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
    /// Calls to the token endpoint need no session.
    pub(crate) fn is_oauth(self) -> bool {
        matches!(self, Call::Token | Call::Revoke)
    }

    pub(crate) fn is_soap(self) -> bool {
        use Call::{Describe, Download, List, OtherSoap, Poll, Retrieve};
        matches!(self, Describe | List | Retrieve | Poll | Download | OtherSoap)
    }
}

/// Number of requests by kind.
pub type CallCounts = BTreeMap<Call, u64>;
