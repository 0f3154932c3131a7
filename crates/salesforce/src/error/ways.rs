//! The ways in which an answer fails to come or to be read: what was waited for, what broke, what was expected, what is
//! wrong with an XML text. Their words go into errors; what to do about them is left to `verdict.rs`.

use std::fmt;

/// What was waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Waited {
    /// A connection.
    Connect,
    /// The answer's head.
    FirstByte,
    /// The next bytes of a body.
    Idle,
    /// The whole answer.
    Whole,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "the connection",
            Self::FirstByte => "the beginning of the answer",
            Self::Idle => "the next bytes of the answer",
            Self::Whole => "the whole answer",
        })
    }
}

/// In which way the network failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Broken {
    /// The name is not known: for days it means a deleted sandbox or a renamed domain.
    Dns,
    /// Our resolver does not answer.
    Resolver,
    /// Nobody accepts the connection.
    Connect,
    /// No secure connection.
    Tls,
    /// The certificate's authority is not trusted here.
    UnknownAuthority,
    /// The certificate's time is over, or has not come.
    CertificateExpired,
    /// The certificate is another host's.
    CertificateName,
    /// Our proxy does not accept the connection.
    ProxyUnreachable,
    /// Our proxy wants to know who we are.
    ProxyAuthorization,
    /// Our proxy does not let us through, or could not get through itself.
    ProxyRefused,
    /// The connection or its compressed stream ended in the middle.
    Cut,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host's name is not known",
            Self::Resolver => "our resolver does not answer",
            Self::Connect => "no connection",
            Self::Tls => "no secure connection",
            Self::UnknownAuthority => "the certificate's authority is not trusted here",
            Self::CertificateExpired => "the certificate's time is over or has not come",
            Self::CertificateName => "the certificate is another host's",
            Self::ProxyUnreachable => "our proxy cannot be reached",
            Self::ProxyAuthorization => "our proxy wants a user and a password that it knows",
            Self::ProxyRefused => "our proxy makes no connection to the host",
            Self::Cut => "the connection broke off",
        })
    }
}

/// What a call answers when all is well.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Expected {
    /// A JSON document of the known shape.
    Json,
    /// A SOAP envelope with the call's response.
    Soap,
    /// No redirect: credentials are not carried elsewhere.
    NoRedirect,
    /// An id of the retrieve.
    AsyncId,
    /// A known status of a retrieve.
    Status,
    /// An organization id.
    OrganizationId,
    /// An address of one of Salesforce's hosts.
    InstanceUrl,
    /// The address of a query's next page, on the org's own host.
    NextPage,
    /// Rows of CSV, as many as announced.
    Rows,
    /// The id of a Bulk job.
    BulkJob,
    /// A known state of a Bulk job.
    BulkState,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "a JSON document of the known shape",
            Self::Soap => "a SOAP envelope with the call's response",
            Self::NoRedirect => "an answer and no redirect",
            Self::AsyncId => "the id of a retrieve",
            Self::Status => "the status of a retrieve",
            Self::OrganizationId => "an organization id",
            Self::InstanceUrl => "the address of the org",
            Self::NextPage => "a next page of the query on the org's own host",
            Self::Rows => "rows of CSV, as many as announced",
            Self::BulkJob => "the id of a Bulk job",
            Self::BulkState => "the state of a Bulk job",
        })
    }
}

/// Why a text is no readable XML answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum XmlFault {
    /// It ends before its root does.
    #[error("it breaks off")]
    Truncated,
    /// Deeper than an answer can be.
    #[error("it is nested too deeply")]
    TooDeep,
    /// One tag or text is larger than an answer's can be.
    #[error("one element of it is too large")]
    TooLarge,
    /// More entries than a call can answer.
    #[error("it has too many entries")]
    TooMany,
    /// A document type declaration: refused unread.
    #[error("it has a document type declaration")]
    Doctype,
    /// An entity that XML does not predefine.
    #[error("it has an unknown entity")]
    Entity,
    /// Not UTF-8, or with a character that XML forbids.
    #[error("it is no UTF-8 text")]
    Encoding,
    /// Anything else.
    #[error("{0}")]
    Syntax(String),
}
