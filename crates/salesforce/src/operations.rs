//! Every call this crate can make. All of them read, but one, which gives a token of ours back.
//!
//! The list is data so that a test can compare it with the sources: no path and no SOAP operation may be written
//! anywhere else, and none of them may be one that changes an org. What [`GIVES_BACK`] names changes no more than our
//! own way in.

/// Where a person allows the app (opened in a browser, never called).
pub(crate) const AUTHORIZE_PATH: &str = "/services/oauth2/authorize";
/// Gives a token of ours back (POST): when an org is disconnected, or connected anew.
pub(crate) const REVOKE_PATH: &str = "/services/oauth2/revoke";
/// OAuth's token endpoint (POST).
pub(crate) const TOKEN_PATH: &str = "/services/oauth2/token";
/// Who this token is (GET).
pub(crate) const USERINFO_PATH: &str = "/services/oauth2/userinfo";
/// The org's API versions; REST lies below (GET).
pub(crate) const DATA_PATH: &str = "/services/data";
/// The Metadata API (POST of a SOAP envelope).
pub(crate) const METADATA_PATH: &str = "/services/Soap/m";

/// The paths that read.
pub const PATHS: [&str; 5] = [
    AUTHORIZE_PATH,
    TOKEN_PATH,
    USERINFO_PATH,
    DATA_PATH,
    METADATA_PATH,
];

/// The one that ends a token of ours.
pub const GIVES_BACK: [&str; 1] = [REVOKE_PATH];

/// An operation of the Metadata API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// What types the org has.
    DescribeMetadata,
    /// What components of up to three types.
    ListMetadata,
    /// Starts to put components into a zip.
    Retrieve,
    /// How far that is; hands the zip over.
    CheckRetrieveStatus,
}

impl Operation {
    /// The element of the envelope's body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DescribeMetadata => "describeMetadata",
            Self::ListMetadata => "listMetadata",
            Self::Retrieve => "retrieve",
            Self::CheckRetrieveStatus => "checkRetrieveStatus",
        }
    }
}

/// The SOAP operations.
pub const ALL: [Operation; 4] = [
    Operation::DescribeMetadata,
    Operation::ListMetadata,
    Operation::Retrieve,
    Operation::CheckRetrieveStatus,
];
