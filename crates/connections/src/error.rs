//! Why a person's wish about a connection was not carried out. Nothing was stored then.

use nightshift_domain::schedule::{ScheduleError, ZoneError};
use nightshift_salesforce::{HostFault, SalesforceError};
use nightshift_store::StoreError;

/// Why an org is not connected. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address.
    #[error("login URL: {0}")]
    Host(#[from] HostFault),
    /// Salesforce.
    #[error("Salesforce did not accept the connection: {0}")]
    Salesforce(#[from] SalesforceError),
    /// The zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Client credentials at a host that gives none.
    #[error(
        "client credentials are given at the org's My Domain alone, such as https://acme.my.salesforce.com, not at {host}"
    )]
    NeedsMyDomain {
        /// The login host.
        host: String,
    },
    /// Client credentials without a secret.
    #[error("client credentials need the app's client secret")]
    NeedsSecret,
    /// Another org answers than the connected one.
    #[error("the token is for organization {found}, the org is connected to {wanted}; nothing was changed")]
    OtherOrg {
        /// Whose token it is.
        found: String,
        /// The connected one.
        wanted: String,
    },
    /// An answer to another question.
    #[error(
        "the answer has another state than this login: it belongs to an earlier one, or somebody made it up; start the login again"
    )]
    LoginState,
    /// The person said no.
    #[error("the login was denied: {description}")]
    LoginDenied {
        /// Salesforce's words.
        description: String,
    },
    /// Salesforce said no.
    #[error("Salesforce refused the login: {error}: {description}")]
    LoginRefused {
        /// Salesforce's code.
        error: String,
        /// Salesforce's words.
        description: String,
    },
    /// An answer with neither code nor error.
    #[error("the answer has no code in it; start the login again")]
    LoginWithoutCode,
    /// The app may not have one.
    #[error("the app gave no refresh token; let its OAuth scopes include refresh_token and try again")]
    NoRefreshToken,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
