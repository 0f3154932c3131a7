//! The one table that says what an answer of Salesforce means.
//!
//! `verdicts.toml` has the rows in the order of decision: our own findings (network, limits, broken answers), web
//! pages, the token endpoint, failed Bulk jobs, codes of REST, SOAP and failed retrieves, and at last the bare HTTP status. The first
//! row that fits decides. The code inside an `UNKNOWN_EXCEPTION` is looked up before the wrapper. What no row fits
//! is tried again a few times and then reported as `salesforce_unexpected`, with all that was said.

use std::{sync::LazyLock, time::Duration};

use nightshift_domain::{FailureCode, LeftOutReason, Verdict, WaitReason};
use serde::Deserialize;

use crate::{
    counter::CallKind,
    error::{Broken, Refusal, SalesforceError, Speaker, Waited},
};

/// What an error means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ruling {
    /// What the sync fails with, if it does.
    pub code: FailureCode,
    /// What to do.
    pub ruled: Ruled,
    /// At most so many tries of the same; `None`: the job's own limit.
    pub tries: Option<u32>,
    /// The row's name, for support.
    pub row: String,
}

/// What to do about an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ruled {
    /// As any step does.
    Step(Verdict),
    /// The work is too large as it is: halve it; a single member is left out.
    Split,
    /// This part cannot be had; `None`: whatever was asked for alone.
    LeaveOut(Option<Culprit>),
}

/// Who makes a call fail, as far as the words name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Culprit {
    /// Type, in Salesforce's spelling (the case may differ from the listing's).
    pub type_name: String,
    /// Member; `None` when the whole type is meant.
    pub name: Option<String>,
}

impl Ruling {
    /// What a step that cannot split or leave out does: it fails.
    pub fn verdict(&self) -> Verdict {
        match self.ruled {
            Ruled::Step(verdict) => verdict,
            Ruled::Split | Ruled::LeaveOut(_) => Verdict::Permanent,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Own,
    Page,
    Token,
    Bulk,
    Code,
    Status,
    Message,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Retry,
    Wait,
    Reauthenticate,
    Permanent,
    Split,
    LeaveOut,
}

/// How the words name the culprit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Naming {
    /// `... on entity: Type`
    Entity,
    /// `type:Type and file name:Name.`
    TypeAndFile,
    /// `'Type' ... 'Name'`
    Quoted,
    /// `'Type'`
    QuotedType,
    /// `Cannot use: Type in ...`, `Unknown type:Type`
    AfterColon,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    stage: Stage,
    /// Rows of salesforce-facts section 11 that this one covers.
    #[serde(default)]
    #[cfg_attr(not(test), expect(dead_code, reason = "the test of coverage reads it"))]
    seen: Vec<String>,
    #[serde(default)]
    codes: Vec<String>,
    /// Any of these parts, without regard to case.
    #[serde(default)]
    text: Vec<String>,
    #[serde(default)]
    calls: Vec<String>,
    #[serde(default)]
    statuses: Vec<u16>,
    failure: Option<FailureCode>,
    act: Option<Act>,
    after_seconds: Option<u64>,
    why: Option<WaitReason>,
    tries: Option<u32>,
    culprit: Option<Naming>,
    reason: Option<LeftOutReason>,
}

/// What is looked up: one line of facts.
struct Question<'a> {
    stage: Stage,
    call: Option<CallKind>,
    code: &'a str,
    text: &'a str,
    status: u16,
}

impl Row {
    fn fits(&self, question: &Question<'_>, lower_text: &str) -> bool {
        self.stage == question.stage
            && (self.codes.is_empty() || self.codes.iter().any(|code| code == question.code))
            && (self.statuses.is_empty() || self.statuses.contains(&question.status))
            && (self.calls.is_empty()
                || question
                    .call
                    .is_some_and(|call| self.calls.iter().any(|name| name == call.as_str())))
            && (self.text.is_empty()
                || self
                    .text
                    .iter()
                    .any(|part| lower_text.contains(&part.to_lowercase())))
    }

    fn ruling(&self, text: &str) -> Option<Ruling> {
        let after = self.after_seconds.map(Duration::from_secs);
        let ruled = match self.act? {
            Act::Retry => Ruled::Step(Verdict::Retry { after }),
            Act::Wait => Ruled::Step(Verdict::Wait {
                why: self.why?,
                after: after?,
            }),
            Act::Reauthenticate => Ruled::Step(Verdict::Reauthenticate),
            Act::Permanent => Ruled::Step(Verdict::Permanent),
            Act::Split => Ruled::Split,
            Act::LeaveOut => Ruled::LeaveOut(self.culprit.and_then(|naming| naming.read(text))),
        };
        Some(Ruling {
            code: self.failure?,
            ruled,
            tries: self.tries,
            row: self.name.clone(),
        })
    }
}

fn table() -> &'static [Row] {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        row: Vec<Row>,
    }
    static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
        toml::from_str::<File>(include_str!("verdicts.toml"))
            .expect("a test reads the table")
            .row
    });
    &TABLE
}

fn find(question: &Question<'_>) -> Option<&'static Row> {
    let lower = question.text.to_lowercase();
    table().iter().find(|row| row.fits(question, &lower))
}

fn look_up(question: &Question<'_>) -> Option<Ruling> {
    find(question).and_then(|row| row.ruling(question.text))
}

fn refused(refusal: &Refusal) -> Option<Ruling> {
    let ask = |stage, code| {
        look_up(&Question {
            stage,
            // A job that failed is no stumble of the poll that brought the news.
            call: (!refusal.is_result()).then_some(refusal.call),
            code,
            text: &refusal.text,
            status: refusal.status,
        })
    };
    let stages: &[Stage] = match refusal.speaker {
        Speaker::Token => &[Stage::Token],
        Speaker::Bulk => &[Stage::Bulk, Stage::Code],
        Speaker::Rest | Speaker::Soap | Speaker::Retrieve => &[Stage::Code],
    };
    let by_code = |stage: &Stage| {
        let nested = refusal.nested.as_deref();
        nested
            .and_then(|nested| ask(*stage, nested))
            .or_else(|| ask(*stage, &refusal.code))
    };
    stages.iter().find_map(by_code).or_else(|| {
        // The result of a job travels in a good answer: its status says nothing.
        (!refusal.is_result()).then(|| ask(Stage::Status, "")).flatten()
    })
}

impl SalesforceError {
    /// The word under which the table knows one of our own findings.
    fn word(&self) -> &'static str {
        match self {
            Self::Timeout { waited, .. } => match waited {
                Waited::Connect => "timeout_connect",
                Waited::FirstByte => "timeout_first_byte",
                Waited::Idle => "timeout_idle",
                Waited::Whole => "timeout_whole",
            },
            Self::Transport { broken, .. } => match broken {
                Broken::Dns => "dns",
                Broken::Resolver => "resolver",
                Broken::Connect => "connect",
                Broken::Tls => "tls",
                Broken::UnknownAuthority => "tls_authority",
                Broken::CertificateExpired => "tls_expired",
                Broken::CertificateName => "tls_name",
                Broken::ProxyUnreachable => "proxy_unreachable",
                Broken::ProxyAuthorization => "proxy_authorization",
                Broken::ProxyRefused => "proxy_refused",
                Broken::Cut => "cut",
            },
            Self::Page { .. } => "page",
            Self::Refused(_) => "refused",
            Self::SessionNotUsable(_) => "session_not_usable",
            Self::WrongHost(_) => "wrong_host",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::Malformed { .. } => "malformed",
            Self::Unexpected { .. } => "unexpected",
            Self::Base64Invalid { .. } => "base64_invalid",
            Self::Base64Truncated { .. } => "base64_truncated",
            Self::Host { .. } => "host",
            Self::AnswerLost(_) => "answer_lost",
            Self::SigningKey(_) => "signing_key",
            Self::Disconnected => "disconnected",
            Self::JwtToken => "jwt_token",
            Self::NoCommonVersion { .. } => "no_common_version",
            Self::TokenBeingRefreshed { .. } => "token_being_refreshed",
            Self::TokenStore(_) => "token_store",
            Self::Settings(_) => "settings",
            Self::AllowanceReached { .. } => "allowance_reached",
            Self::Abandoned { .. } => "abandoned",
            Self::TooManyRows { .. } => "too_many_rows",
            Self::BulkTooSlow { .. } => "bulk_too_slow",
        }
    }

    /// What the table says.
    pub fn ruling(&self) -> Ruling {
        let ask = |stage, code, text, status| {
            look_up(&Question {
                stage,
                call: self.call(),
                code,
                text,
                status,
            })
        };
        let found = match self {
            Self::Refused(refusal) => refused(refusal),
            Self::Page { status, text, .. } => ask(Stage::Page, "", text, *status),
            Self::Unexpected { status, text, .. } => ask(Stage::Own, self.word(), text, *status),
            Self::TokenBeingRefreshed { after } => {
                ask(Stage::Own, self.word(), "", 0).map(|ruling| match ruling.ruled {
                    Ruled::Step(Verdict::Wait { why, .. }) => Ruling {
                        ruled: Ruled::Step(Verdict::Wait { why, after: *after }),
                        ..ruling
                    },
                    _ => ruling,
                })
            }
            _ => ask(Stage::Own, self.word(), "", 0),
        };
        found.unwrap_or_else(unknown)
    }
}

/// What no row fits.
fn unknown() -> Ruling {
    Ruling {
        code: FailureCode::SalesforceUnexpected,
        ruled: Ruled::Step(Verdict::Retry { after: None }),
        tries: Some(3),
        row: "unknown".to_owned(),
    }
}

/// What one of a retrieve's `messages` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageReading {
    /// Why something is left out; `None` for words that no row knows.
    pub reason: Option<LeftOutReason>,
    /// What, as far as the words name it.
    pub culprit: Option<Culprit>,
}

/// Reads the `problem` of one of a retrieve's `messages`: a retrieve may succeed and still lack something.
pub fn read_message(problem: &str) -> MessageReading {
    let question = Question {
        stage: Stage::Message,
        call: None,
        code: "",
        text: problem,
        status: 0,
    };
    match find(&question) {
        Some(row) => MessageReading {
            reason: row.reason,
            culprit: row.culprit.and_then(|naming| naming.read(problem)),
        },
        None => MessageReading {
            reason: None,
            culprit: Naming::Quoted.read(problem),
        },
    }
}

impl Naming {
    fn read(self, text: &str) -> Option<Culprit> {
        let word = |from: &str| -> Option<String> {
            let word: String = from
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            (!word.is_empty()).then_some(word)
        };
        let (type_name, name) = match self {
            Self::Entity => (word(text.split_once("entity:")?.1)?, None),
            Self::AfterColon => (word(text.split_once(':')?.1)?, None),
            Self::TypeAndFile => {
                let (before, after) = text.split_once(" and file name:")?;
                let name = after.trim().trim_end_matches('.').trim();
                (
                    word(before.rsplit_once("type:")?.1)?,
                    Some(name.to_owned()).filter(|name| !name.is_empty()),
                )
            }
            Self::QuotedType => (text.split('\'').nth(1)?.to_owned(), None),
            Self::Quoted => {
                // A name may have quotes of its own: the first pair is the type, the name runs to the last quote.
                let (_, from_type) = text.split_once('\'')?;
                let (type_name, rest) = from_type.split_once('\'')?;
                let (_, from_name) = rest.split_once('\'')?;
                let (name, _) = from_name.rsplit_once('\'')?;
                (type_name.to_owned(), Some(name.to_owned()))
            }
        };
        Some(Culprit { type_name, name })
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
