//! Whether a host of Salesforce can be reached from here: for `doctor`, without a token.

use crate::{
    client::Salesforce,
    counter::{CallCounter, CallKind},
    error::SalesforceError,
    operations::{Api, Endpoint, Target},
    version::ApiVersion,
};

impl Salesforce {
    /// Asks a host for its versions, by the same way through our own network as every call. That it answers is enough,
    /// whatever it answers; a web page is none of its answers.
    pub async fn reach(&self, host: &str) -> Result<(), SalesforceError> {
        let call = CallKind::Versions;
        let address = self
            .hosts()
            .origin(host)
            .map_err(|fault| SalesforceError::Host { call, fault })?;
        let get = Target::of(Endpoint::Versions, ApiVersion::NEWEST_TESTED, Api::Data)
            .begin(self.http().client(), &address)
            .header("accept", "application/json");
        let mut incoming = self.http().send(call, get, &CallCounter::new()).await?;
        incoming.refuse_page(&[]).await
    }
}
