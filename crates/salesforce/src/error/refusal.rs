//! Salesforce's no, taken apart: who said it, its code and words, the codes and numbers inside the words.
//!
//! A code is kept without its prefix and the words without the code, bounded, so that the table of verdicts and a case
//! see the same thing whichever API refused.

use std::fmt;

use crate::{counter::CallKind, text};

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
    /// The state of a Bulk job, which failed as a whole.
    Bulk,
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

impl Refusal {
    /// Whether it is how a job ended, told by a good answer to a poll.
    pub(crate) fn is_result(&self) -> bool {
        matches!(self.speaker, Speaker::Retrieve | Speaker::Bulk)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SalesforceError;

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
