//! Faults that a test or an operator orders, and which request meets them.
//!
//! A fault says what goes wrong, which calls it concerns, how many of them it lets pass first and how many it hits.
//! What each one does to an answer is left to the place that makes the answer (`door`, `oauth`, `soap`).

use serde::Deserialize;

use crate::{calls::Call, error::SimulatorError};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
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
    /// The connection is reset before an answer.
    Reset,
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
    /// Any error of Salesforce: `code` and `text`.
    Error,
    // At the token endpoint.
    /// invalid_grant, and all tokens are revoked.
    RevokedToken,
    /// Any OAuth error: `code` and `text`.
    OauthError,
    /// Answers as if the org had another id (a refreshed sandbox).
    OtherOrgId,
    // In listings.
    /// Listing `type` answers a fault (`code` INVALID_TYPE or INSUFFICIENT_ACCESS).
    TypeMayNotBeListed,
    // In retrieves, decided when they are started.
    StaysPending,
    /// Only batches of more than `files` files, when that is given.
    StaysInProgress,
    /// A retrieve that asks for `type` `name` fails with UNKNOWN_EXCEPTION (or `code` and `text`).
    PoisonousComponent,
    /// `type` `name` is left out, with a message, of a retrieve that succeeds.
    LoadFromDbFailed,
    /// A retrieve of more than `files` files fails with LIMIT_EXCEEDED.
    LimitExceeded,
    /// A retrieve that asks for a member of `type` fails with a nested INSUFFICIENT_ACCESS.
    InsufficientAccess,
    // In status answers.
    /// 500 INVALID_CROSS_REFERENCE_KEY though the id is good.
    InvalidCrossReference,
    // In the zip, when it is handed over.
    TruncatedZip,
    FlippedBit,
    Base64BrokenOff,
    ResetInMidTransfer,
    /// Each piece of the body comes late (`millis`).
    SlowDrip,
    ZipWithDotdot,
    /// An entry of `bytes` zeros.
    ZipBomb,
    XmlWithEntities,
    #[serde(rename = "xml_10000_levels")]
    Xml10000Levels,
}

/// An ordered fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    #[serde(rename = "fault")]
    pub kind: FaultKind,
    /// Which calls it concerns; empty for all that it can.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// How many such calls pass first.
    #[serde(default)]
    pub after: u32,
    /// How many it hits; none for ever.
    pub times: Option<u32>,
    #[serde(rename = "type")]
    pub metadata_type: Option<String>,
    pub name: Option<String>,
    pub files: Option<usize>,
    pub code: Option<String>,
    pub text: Option<String>,
    pub millis: Option<u64>,
    pub bytes: Option<u64>,
}

impl Fault {
    /// A fault that hits every call it can, for ever.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            calls: Vec::new(),
            after: 0,
            times: None,
            metadata_type: None,
            name: None,
            files: None,
            code: None,
            text: None,
            millis: None,
            bytes: None,
        }
    }

    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    #[must_use]
    pub fn after(mut self, after: u32) -> Self {
        self.after = after;
        self
    }

    #[must_use]
    pub fn on(mut self, calls: &[Call]) -> Self {
        self.calls = calls.to_vec();
        self
    }

    /// Concerns a metadata type.
    #[must_use]
    pub fn of_type(mut self, metadata_type: &str) -> Self {
        self.metadata_type = Some(metadata_type.to_owned());
        self
    }

    /// Concerns one component of its type.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    #[must_use]
    pub fn over_files(mut self, files: usize) -> Self {
        self.files = Some(files);
        self
    }

    #[must_use]
    pub fn saying(mut self, code: &str, text: &str) -> Self {
        self.code = Some(code.to_owned());
        self.text = Some(text.to_owned());
        self
    }

    /// Refuses orders that could never hit or would not know what to say.
    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        use FaultKind as K;
        let missing = match self.kind {
            K::TypeMayNotBeListed | K::InsufficientAccess if self.metadata_type.is_none() => "type",
            K::PoisonousComponent | K::LoadFromDbFailed if self.metadata_type.is_none() => "type",
            K::PoisonousComponent | K::LoadFromDbFailed if self.name.is_none() => "name",
            K::Error | K::OauthError if self.code.is_none() => "code",
            K::Slow | K::SlowDrip if self.millis.is_none() => "millis",
            K::LimitExceeded if self.files.is_none() => "files",
            _ => return Ok(()),
        };
        Err(SimulatorError::Fault(format!("{:?} needs `{missing}`", self.kind)))
    }
}

/// The faults of one org, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    orders: Vec<Fault>,
}

impl Faults {
    pub(crate) fn order(&mut self, fault: Fault) {
        self.orders.push(fault);
    }

    /// Forgets all faults, or those of one kind.
    pub(crate) fn clear(&mut self, kind: Option<FaultKind>) {
        self.orders.retain(|order| kind.is_some_and(|kind| order.kind != kind));
    }

    pub(crate) fn active(&self, kind: FaultKind) -> bool {
        self.orders.iter().any(|order| order.kind == kind)
    }

    /// The first fault that hits this call among those that `concerns` accepts. Counts it.
    pub(crate) fn take(&mut self, call: Call, concerns: impl Fn(&Fault) -> bool) -> Option<Fault> {
        for order in &mut self.orders {
            let called = order.calls.is_empty() || order.calls.contains(&call);
            if !called || order.times == Some(0) || !concerns(order) {
                continue;
            }
            if order.after > 0 {
                order.after -= 1;
                continue;
            }
            if let Some(times) = &mut order.times {
                *times -= 1;
            }
            return Some(order.clone());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_lets_pass_hits_and_ends() {
        let mut faults = Faults::default();
        faults.order(Fault::new(FaultKind::Html503).after(1).times(2).on(&[Call::List]));
        let mut hit = |call| faults.take(call, |fault| fault.kind == FaultKind::Html503).is_some();
        let hits = [hit(Call::List), hit(Call::Retrieve), hit(Call::List), hit(Call::List), hit(Call::List)];
        assert_eq!(hits, [false, false, true, true, false]);
    }

    #[test]
    fn an_order_is_read_from_json_and_refused_with_a_reason() {
        let read = |text: &str| serde_json::from_str::<Fault>(text);
        let fault = read(r#"{"fault":"poisonous_component","type":"ApexClass","name":"A","times":1}"#).unwrap();
        assert!(fault.check().is_ok());
        assert!(read(r#"{"fault":"html_503"}"#).is_ok() && read(r#"{"fault":"xml_10000_levels"}"#).is_ok());
        assert!(read(r#"{"fault":"nonsense"}"#).is_err());
        let missing = read(r#"{"fault":"poisonous_component","type":"ApexClass"}"#).unwrap();
        assert_eq!(missing.check().unwrap_err().to_string(), "fault is not understood: PoisonousComponent needs `name`");
    }
}
