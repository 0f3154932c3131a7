//! Answers that are here already, piece by piece, and need no network: those of a recording, a test or a fuzzer.
//!
//! They take the way of every answer of the Metadata API from the first byte of the body on; status, headers and
//! time limits are `http.rs`'s and are met with a server alone.

use bytes::Bytes;

use crate::{
    counter::CallKind,
    error::SalesforceError,
    listing::Listing,
    rest::{self, Describe},
    retrieve::{self, AsyncId, RetrieveStatus},
    soap::Envelope,
    zip::{self, ZipAnswer},
};

/// The body of an answer with status 200, cut as it came.
#[derive(Clone, Debug)]
pub struct Recorded(pub Vec<Bytes>);

impl Recorded {
    fn envelope(self, call: CallKind) -> Envelope {
        Envelope::of_pieces(call, self.0)
    }

    /// As the answer of `listMetadata`.
    pub async fn listing(self) -> Result<Listing, SalesforceError> {
        Listing::open(self.envelope(CallKind::List)).await
    }

    /// As the answer of `describeMetadata`.
    pub async fn describe(self) -> Result<Describe, SalesforceError> {
        rest::read_describe(self.envelope(CallKind::Describe)).await
    }

    /// As the answer of `retrieve`.
    pub async fn started(self) -> Result<AsyncId, SalesforceError> {
        retrieve::read_started(self.envelope(CallKind::Retrieve)).await
    }

    /// As the answer of `checkRetrieveStatus` without the zip.
    pub async fn status(self) -> Result<RetrieveStatus, SalesforceError> {
        retrieve::read_status(self.envelope(CallKind::Poll)).await
    }

    /// As the answer of `checkRetrieveStatus` with the zip.
    pub async fn zip(self) -> Result<ZipAnswer, SalesforceError> {
        zip::open(self.envelope(CallKind::Zip)).await
    }
}
