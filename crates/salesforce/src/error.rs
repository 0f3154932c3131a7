//! Everything that can go wrong between us and an org, as facts.
//!
//! An error says what happened: which call, who refused it, with which code and words, where an answer broke off. What
//! to do about it is read from the table in `verdict.rs`, and nowhere else. Texts are bounded and free of secrets
//! from the moment they enter (`text.rs`).

mod refusal;
mod ways;

use std::{collections::BTreeMap, time::Duration};

use nightshift_domain::StepError;

use crate::{
    bounds::{HEADER_BYTES, HEADER_FIELDS},
    counter::CallKind,
    hosts::HostFault,
    oauth::KeyFault,
    session::TokenError,
    text,
};

pub use refusal::{Refusal, Speaker};
pub use ways::{Broken, Expected, Waited, XmlFault};

/// A call that did not bring its answer.
#[derive(Debug, thiserror::Error)]
pub enum SalesforceError {
    /// Nothing came for too long.
    #[error("{call}: {waited} took more than {} s", limit.as_secs())]
    Timeout {
        /// The call.
        call: CallKind,
        /// What was waited for.
        waited: Waited,
        /// How long.
        limit: Duration,
    },
    /// The network is in the way, or the answer broke off.
    #[error("{call}: {broken}: {detail}")]
    Transport {
        /// The call.
        call: CallKind,
        /// In which way.
        broken: Broken,
        /// The cause's words, without the address.
        detail: String,
    },
    /// A web page came instead of data: a login or maintenance page, or a proxy's.
    #[error("{call}: a web page came instead of data (HTTP {status}): {text}")]
    Page {
        /// The call.
        call: CallKind,
        /// HTTP status; also 200 was seen.
        status: u16,
        /// Its beginning.
        text: String,
    },
    /// Salesforce said no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A session is refused that is fresh, or that no refresh can mend.
    #[error("{0}: the session cannot be used (a rule on IP addresses, the app or the session's level)")]
    SessionNotUsable(Box<Refusal>),
    /// The org lives at another address, and a fresh token did not say which.
    #[error("{0}: the org is not at this address any more")]
    WrongHost(Box<Refusal>),
    /// Larger than its limit after decompression.
    #[error("{call}: the answer is larger than {limit} bytes")]
    BodyTooLarge {
        /// The call.
        call: CallKind,
        /// In bytes.
        limit: u64,
    },
    /// More headers than [`crate::bounds::HEADER_FIELDS`], or larger than [`crate::bounds::HEADER_BYTES`].
    #[error("{call}: the answer's headers are larger than {HEADER_BYTES} bytes or more than {HEADER_FIELDS}")]
    HeadersTooLarge {
        /// The call.
        call: CallKind,
    },
    /// No well-formed answer.
    #[error("{call}: the answer cannot be read: {fault}")]
    Malformed {
        /// The call.
        call: CallKind,
        /// What is wrong with it.
        fault: XmlFault,
    },
    /// Well-formed, but not what this call answers.
    #[error("{call}: expected {expected}, got HTTP {status}: {text}")]
    Unexpected {
        /// The call.
        call: CallKind,
        /// HTTP status.
        status: u16,
        /// What should have come.
        expected: Expected,
        /// What came: its beginning.
        text: String,
    },
    /// The zip's text has a character that is no base64, or goes on after its end.
    #[error("zip: the text is no base64 at byte {at}")]
    Base64Invalid {
        /// Bytes of text before it, white space not counted.
        at: u64,
    },
    /// The zip's text ends in the middle of a group, or of the answer.
    #[error("zip: the text breaks off after {at} bytes")]
    Base64Truncated {
        /// Bytes of text that came, white space not counted.
        at: u64,
    },
    /// Credentials may not go to this address.
    #[error("{call}: {fault}")]
    Host {
        /// The call.
        call: CallKind,
        /// Why not.
        fault: HostFault,
    },
    /// A refresh token is refused after one that was sent and never answered: with rotation its successor was in
    /// the lost answer.
    #[error("{0}: an earlier answer was lost, and with it the token that takes this one's place")]
    AnswerLost(Box<Refusal>),
    /// The private key of a connection.
    #[error("token: the private key cannot be used: {0}")]
    SigningKey(KeyFault),
    /// Somebody disconnected the org.
    #[error("token: the org was disconnected")]
    Disconnected,
    /// The app issues tokens that the Metadata API refuses.
    #[error(
        "token: the app issues JWT-based access tokens, which the Metadata API refuses; switch that setting off"
    )]
    JwtToken,
    /// The org offers no version that we can speak.
    #[error("versions: the org's newest version is {newest}, the oldest that can be spoken is 31.0")]
    NoCommonVersion {
        /// The org's newest.
        newest: String,
    },
    /// Another worker refreshes the token.
    #[error("token: another worker refreshes the org's token")]
    TokenBeingRefreshed {
        /// When to look again.
        after: Duration,
    },
    /// Our store could not give or keep a token.
    #[error("token: the stored token could not be used")]
    TokenStore(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client could not be built from its settings.
    #[error("the HTTP client cannot be built: {0}")]
    Settings(String),
    /// As many rows as the object gives at most: there may be more, which no further page brings.
    #[error(
        "{call}: {rows} rows came, the most that one query of this object gives; ask for fewer at a time"
    )]
    TooManyRows {
        /// The call.
        call: CallKind,
        /// How many came.
        rows: u64,
    },
    /// A Bulk job was not done in its time, and was aborted.
    #[error("bulk_poll: the job was not done after {} s and was aborted", waited.as_secs())]
    BulkTooSlow {
        /// Since its creation.
        waited: Duration,
    },
    /// The calls that the step might make are made: this one never left.
    #[error("{call}: no call is left of what a sync may take of the org's daily requests")]
    AllowanceReached {
        /// The call.
        call: CallKind,
    },
    /// Whoever asked for the answer went away before its end.
    #[error("{call}: the answer was not read to its end")]
    Abandoned {
        /// The call.
        call: CallKind,
    },
}

impl SalesforceError {
    /// The call that failed; `None` for a fault of the settings.
    pub fn call(&self) -> Option<CallKind> {
        match self {
            Self::Timeout { call, .. }
            | Self::Transport { call, .. }
            | Self::Page { call, .. }
            | Self::BodyTooLarge { call, .. }
            | Self::HeadersTooLarge { call }
            | Self::Malformed { call, .. }
            | Self::Unexpected { call, .. }
            | Self::Host { call, .. }
            | Self::TooManyRows { call, .. }
            | Self::AllowanceReached { call }
            | Self::Abandoned { call } => Some(*call),
            Self::BulkTooSlow { .. } => Some(CallKind::BulkPoll),
            Self::Refused(refusal)
            | Self::SessionNotUsable(refusal)
            | Self::WrongHost(refusal)
            | Self::AnswerLost(refusal) => Some(refusal.call),
            Self::Base64Invalid { .. } | Self::Base64Truncated { .. } => Some(CallKind::Zip),
            Self::JwtToken
            | Self::SigningKey(_)
            | Self::Disconnected
            | Self::TokenBeingRefreshed { .. }
            | Self::TokenStore(_) => Some(CallKind::Token),
            Self::NoCommonVersion { .. } => Some(CallKind::Versions),
            Self::Settings(_) => None,
        }
    }

    /// Salesforce's no, when it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal)
            | Self::SessionNotUsable(refusal)
            | Self::WrongHost(refusal)
            | Self::AnswerLost(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the zip's transfer had begun: Salesforce hands a zip over once, so only a new retrieve helps.
    pub fn lost_the_zip(&self) -> bool {
        self.call() == Some(CallKind::Zip)
            && matches!(
                self,
                Self::Base64Invalid { .. }
                    | Self::Base64Truncated { .. }
                    | Self::Malformed { .. }
                    | Self::BodyTooLarge { .. }
                    | Self::Abandoned { .. }
                    | Self::Transport {
                        broken: Broken::Cut,
                        ..
                    }
                    | Self::Timeout {
                        waited: Waited::Idle | Waited::Whole,
                        ..
                    }
            )
    }

    /// Whether a poll was told that there is no retrieve of that id.
    pub fn knows_no_such_retrieve(&self) -> bool {
        let unknown = ["INVALID_CROSS_REFERENCE_KEY", "INVALID_ID_FIELD"];
        self.refusal()
            .is_some_and(|no| no.call == CallKind::Poll && unknown.contains(&no.code.as_str()))
    }

    /// What a step answers for this error: code, verdict, one sentence, and the facts for support.
    pub fn step_error(&self) -> StepError {
        let ruling = self.ruling();
        StepError {
            code: ruling.code,
            verdict: ruling.verdict(),
            message: text::cut(&self.to_string(), 1000).to_owned(),
            evidence: self.evidence(),
        }
    }

    /// Facts for support, at most 4 KiB together.
    pub fn evidence(&self) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                facts.insert(name.to_owned(), text::cut(value, 2000).to_owned());
            }
        };
        put("call", self.call().map_or("", CallKind::as_str));
        put("row", &self.ruling().row);
        if let Some(refusal) = self.refusal() {
            put("salesforce_code", &refusal.code);
            put("salesforce_text", &refusal.text);
            put("http_status", &refusal.status.to_string());
            put("nested_code", refusal.nested.as_deref().unwrap_or(""));
            put("error_id", refusal.error_id.as_deref().unwrap_or(""));
            put("stack", refusal.stack.as_deref().unwrap_or(""));
        }
        match self {
            Self::Page { status, text, .. } | Self::Unexpected { status, text, .. } => {
                put("http_status", &status.to_string());
                put("answer", text);
            }
            Self::Timeout { waited, limit, .. } => {
                put("waited_for", &waited.to_string());
                put("limit_seconds", &limit.as_secs().to_string());
            }
            Self::BodyTooLarge { limit, .. } => put("limit_bytes", &limit.to_string()),
            Self::TokenStore(source) => put("cause", &source.to_string()),
            _ => {}
        }
        facts
    }
}

impl From<TokenError> for SalesforceError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::BeingRefreshed { after } => Self::TokenBeingRefreshed { after },
            TokenError::Salesforce(error) => error,
            TokenError::Store(source) => Self::TokenStore(source),
        }
    }
}

impl From<SalesforceError> for StepError {
    fn from(error: SalesforceError) -> Self {
        error.step_error()
    }
}
