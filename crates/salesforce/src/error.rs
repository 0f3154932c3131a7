//! Everything that can go wrong between us and an org, as facts.
//!
//! An error says what happened: which call, who refused it, with which code and words, where an answer broke off. What
//! to do about it is read from the table in `verdict.rs`, and nowhere else. Texts are bounded and free of secrets
//! from the moment they enter (`text.rs`).

use std::{collections::BTreeMap, fmt, time::Duration};

use nightshift_domain::StepError;

use crate::{
    bounds::{HEADER_BYTES, HEADER_FIELDS},
    counter::CallKind,
    hosts::HostFault,
    session::TokenError,
    text,
};

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
    /// Whoever asked for the answer went away before its end.
    #[error("{call}: the answer was not read to its end")]
    Abandoned {
        /// The call.
        call: CallKind,
    },
}

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
    /// Nobody accepts the connection.
    Connect,
    /// No secure connection.
    Tls,
    /// The connection or its compressed stream ended in the middle.
    Cut,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host's name is not known",
            Self::Connect => "no connection",
            Self::Tls => "no secure connection",
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

/// Who refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Speaker {
    /// The OAuth token endpoint.
    Token,
    /// REST.
    Rest,
    /// A SOAP fault.
    Soap,
    /// The result of a retrieve, which failed as a whole.
    Retrieve,
}

/// Salesforce's no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The call.
    pub call: CallKind,
    /// Who said it.
    pub speaker: Speaker,
    /// HTTP status.
    pub status: u16,
    /// Salesforce's code without prefix, such as `INVALID_SESSION_ID`; empty when none came.
    pub code: String,
    /// Its words without the code, at most 4 KiB.
    pub text: String,
    /// A code inside the words of an `UNKNOWN_EXCEPTION`.
    pub nested: Option<String>,
    /// Salesforce's number of the event, such as `1346469402-20479`.
    pub error_id: Option<String>,
    /// Salesforce's number of the place in its code, such as `-673032061`: the same in every org with one fault.
    pub stack: Option<String>,
}

impl Refusal {
    /// From a code and words that were made fit to keep.
    pub(crate) fn new(call: CallKind, speaker: Speaker, status: u16, code: &str, words: &str) -> Self {
        let code = code.rsplit(':').next().unwrap_or(code).trim();
        let words = words.trim();
        let text = match words.strip_prefix(code).map(str::trim_start) {
            Some(rest) if !code.is_empty() => rest.strip_prefix(':').map_or(words, str::trim_start),
            _ => words,
        };
        let (error_id, stack) = error_id(text);
        Self {
            call,
            speaker,
            status,
            code: text::cut(code, 100).to_owned(),
            nested: (code == "UNKNOWN_EXCEPTION").then(|| nested_code(text)).flatten(),
            text: text::cut(text, text::KEPT).to_owned(),
            error_id,
            stack,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = if self.code.is_empty() {
            "no code"
        } else {
            &self.code
        };
        write!(
            f,
            "{}: refused with {code} (HTTP {}): {}",
            self.call,
            self.status,
            text::cut(&self.text, 500)
        )
    }
}

/// `INSUFFICIENT_ACCESS: ...` inside an `UNKNOWN_EXCEPTION`.
fn nested_code(text: &str) -> Option<String> {
    let (word, _) = text.split_once(':')?;
    let is_code = word.len() >= 5
        && word.contains('_')
        && word
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    is_code.then(|| word.to_owned())
}

/// `1346469402-20479 (-673032061)`: the event's number and the stack's.
fn error_id(text: &str) -> (Option<String>, Option<String>) {
    let Some(at) = text.find("ErrorId") else {
        return (None, None);
    };
    let digits_or_dash = |word: &&str| {
        word.contains('-') && word.len() > 2 && word.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    let mut words = text[at..].split_whitespace();
    let id = words.find(digits_or_dash).map(str::to_owned);
    let stack = words
        .next()
        .and_then(|word| word.strip_prefix('('))
        .and_then(|word| word.trim_end_matches('.').strip_suffix(')'))
        .filter(|word| word.parse::<i64>().is_ok())
        .map(str::to_owned);
    (id, stack)
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
            | Self::Abandoned { call } => Some(*call),
            Self::Refused(refusal) | Self::SessionNotUsable(refusal) | Self::WrongHost(refusal) => {
                Some(refusal.call)
            }
            Self::Base64Invalid { .. } | Self::Base64Truncated { .. } => Some(CallKind::Zip),
            Self::JwtToken | Self::TokenBeingRefreshed { .. } | Self::TokenStore(_) => Some(CallKind::Token),
            Self::NoCommonVersion { .. } => Some(CallKind::Versions),
            Self::Settings(_) => None,
        }
    }

    /// Salesforce's no, when it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) | Self::SessionNotUsable(refusal) | Self::WrongHost(refusal) => {
                Some(refusal)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b17_error_id_and_stack_number_are_kept_apart() {
        let words = "UNKNOWN_EXCEPTION: An unexpected error occurred. Please include this ErrorId if you contact \
                     support: 1486965398-178195 (-1073734177)";
        let refusal = Refusal::new(
            CallKind::Retrieve,
            Speaker::Retrieve,
            200,
            "UNKNOWN_EXCEPTION",
            words,
        );
        assert_eq!(refusal.error_id.as_deref(), Some("1486965398-178195"));
        assert_eq!(refusal.stack.as_deref(), Some("-1073734177"));
        assert!(
            refusal.text.starts_with("An unexpected error"),
            "{}",
            refusal.text
        );
        assert_eq!(refusal.nested, None);
        let evidence = SalesforceError::Refused(Box::new(refusal)).evidence();
        assert_eq!(evidence["stack"], "-1073734177");
    }

    #[test]
    fn a_code_inside_an_unknown_exception_is_found() {
        let words = "UNKNOWN_EXCEPTION: INSUFFICIENT_ACCESS: insufficient access rights on entity: X";
        let refusal = Refusal::new(CallKind::Poll, Speaker::Soap, 500, "sf:UNKNOWN_EXCEPTION", words);
        assert_eq!(refusal.code, "UNKNOWN_EXCEPTION");
        assert_eq!(refusal.nested.as_deref(), Some("INSUFFICIENT_ACCESS"));
    }

    #[test]
    fn evidence_stays_small_whatever_salesforce_says() {
        let refusal = Refusal::new(
            CallKind::List,
            Speaker::Soap,
            500,
            &"C".repeat(9000),
            &"x".repeat(100_000),
        );
        let error = SalesforceError::Refused(Box::new(refusal)).step_error();
        let bytes: usize = error.evidence.iter().map(|(k, v)| k.len() + v.len()).sum();
        assert!(bytes + error.message.len() < 4096, "{bytes}");
    }
}
