//! What can go wrong with a simulated org.
//!
//! A kind says what goes wrong; `order` adds which calls meet it and when, `named` has the failures that real fleets
//! reported under names of their own, `plan` reads many orders from a file. What a kind does to an answer is left to
//! the place that makes the answer (`door`, `mangle`, `oauth`, `rest`, `soap`, `spoil`).

mod named;
mod order;
mod plan;

use serde::{Deserialize, Serialize};

pub use named::{NamedFault, Seen};
pub use order::Fault;
pub(crate) use order::Faults;
pub use plan::{FaultPlan, PlannedFault};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    // At the door, before anything is looked at.
    /// 503 with a maintenance page.
    #[serde(rename = "html_503")]
    Html503,
    /// 200 with a login page.
    #[serde(rename = "html_200")]
    Html200,
    /// 420 with the edge's page.
    #[serde(rename = "html_420")]
    Html420,
    /// 406 without a body.
    #[serde(rename = "empty_406")]
    Empty406,
    /// 400 without a body.
    #[serde(rename = "empty_400")]
    Empty400,
    /// The connection is reset before an answer.
    Reset,
    /// Bytes that are no HTTP come instead of an answer, as from a proxy that speaks another protocol.
    Garbage,
    /// The right status and type, and a body that ends in the middle of a word: no parser takes it.
    GarbledAnswer,
    /// The answer comes late (`millis`).
    Slow,
    /// Session expired: this call is refused and the access tokens are gone.
    ExpiredSession,
    /// This call is refused though the token is good (IP or app rules); `text` replaces the usual one.
    SessionNotUsable,
    /// The daily limit is used up.
    RequestLimitExceeded,
    /// Too many at once.
    ConcurrentLimitExceeded,
    ServerUnavailable,
    UrlNotReset,
    /// Any error of Salesforce: `code`, `text` and, over REST, `status` (500).
    Error,
    /// The same beside a second error in one array, as REST may answer.
    SeveralErrors,
    /// The org has moved: calls to any host but that of `text` (a URL; the other name of this machine when absent) are
    /// refused with URL_NOT_RESET, and the token endpoint tells the new one.
    MovedInstance,
    // When the answer is sent.
    /// The body breaks off in the middle.
    CutBody,
    // At the token endpoint.
    /// invalid_grant, and all tokens are revoked.
    RevokedToken,
    /// Any OAuth error: `code` and `text`.
    OauthError,
    /// Answers as if the org had another id (a refreshed sandbox).
    OtherOrgId,
    /// The refresh token is exchanged for a new one and is spent, though the app has no rotation.
    RotatedToken,
    /// The user authorises the app five times more just before this call.
    FiveMoreGrants,
    /// The access token that is given is a JWT, which SOAP refuses.
    JwtAccessToken,
    /// The consent page sends the person to Salesforce's own error page: `code` and `text`. The app learns nothing.
    ApprovalError,
    // In listings.
    /// Listing `type` answers a fault (`code` INVALID_TYPE or INSUFFICIENT_ACCESS).
    TypeMayNotBeListed,
    /// Entries of `type` are listed with a nil type and a nil file name.
    NilTypeListed,
    // In retrieves, decided when they are started.
    StaysPending,
    /// Only batches of more than `files` files, when that is given.
    StaysInProgress,
    /// Pending for `millis` more.
    LongPending,
    /// In progress for `millis` more.
    LongInProgress,
    /// The retrieve's id is unknown from the first poll on.
    RetrieveLost,
    /// The retrieve fails: `code` and `text`.
    RetrieveFails,
    /// A retrieve that asks for `type` `name` fails with UNKNOWN_EXCEPTION (or `code` and `text`).
    PoisonousComponent,
    /// `type` `name` is left out, with a message, of a retrieve that succeeds.
    LoadFromDbFailed,
    /// `type`, or `name` of it, is left out of a retrieve that succeeds, with the message `text`.
    LeftOut,
    /// A message names `type` `name` in small letters, and says that it cannot be found.
    WrongCaseMessage,
    /// Profiles come without what is about objects and fields, whatever the retrieve asks for beside them.
    SparseProfiles,
    /// A retrieve of more than `files` files fails with LIMIT_EXCEEDED.
    LimitExceeded,
    /// A retrieve that asks for a member of `type` fails with a nested INSUFFICIENT_ACCESS.
    InsufficientAccess,
    // In status answers.
    /// 500 INVALID_CROSS_REFERENCE_KEY though the id is good.
    InvalidCrossReference,
    /// The same, once, when a retrieve is no longer Pending.
    CrossReferenceLeavingPending,
    // In queries.
    /// A locator is good once: a page that was fetched cannot be fetched again.
    SpentLocators,
    /// A NUL stands in the first cell of Bulk results.
    NulInResults,
    /// A Bulk job ends Failed, without a text.
    BulkJobFails,
    // In the zip, when it is handed over.
    TruncatedZip,
    FlippedBit,
    Base64BrokenOff,
    ResetInMidTransfer,
    /// Each piece of the body comes late (`millis`); of zips unless other calls are named.
    SlowDrip,
    ZipWithDotdot,
    /// An entry of `bytes` zeros.
    ZipBomb,
    XmlWithEntities,
    #[serde(rename = "xml_10000_levels")]
    Xml10000Levels,
}
