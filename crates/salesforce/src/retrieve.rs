//! The words of a retrieve: what is asked for, its id, how far it is.
//!
//! A retrieve is started, polled, and its zip fetched once. The status comes in any order of elements and with nil in
//! odd places; this file reads all of them alike, with the zip (`zip.rs`) and without it.

use std::fmt;

use crate::{
    bounds::FILES,
    counter::CallKind,
    error::{Expected, Refusal, SalesforceError, Speaker, XmlFault},
    listing::RawListing,
    soap::{Envelope, Fields, Nil, Part},
    text,
    version::ApiVersion,
};

/// Salesforce's id of a running retrieve (`09S...`). Store it before the first poll.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AsyncId(String);

impl AsyncId {
    /// From a stored text or an answer: 18 ASCII letters and digits, the one form that the API's schema allows.
    pub fn new(text: &str) -> Option<Self> {
        let fits = text.len() == 18 && text.bytes().all(|b| b.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AsyncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Members of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetrieveTypes {
    /// The type as a package.xml names it: a folder is a member of its content's type.
    pub type_name: String,
    /// Full names as Salesforce sent them, escapes kept.
    pub members: Vec<String>,
}

/// What a retrieve asks for. It always asks for an unpackaged, single package of named members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetrieveRequest {
    /// By type.
    pub types: Vec<RetrieveTypes>,
}

impl RetrieveRequest {
    pub(crate) fn parts(&self, version: ApiVersion) -> Vec<Part> {
        let mut unpackaged: Vec<Part> = self
            .types
            .iter()
            .map(|types| {
                let members = types.members.iter().map(|member| Part::leaf("members", member));
                Part::Node(
                    "types",
                    members.chain([Part::leaf("name", &types.type_name)]).collect(),
                )
            })
            .collect();
        unpackaged.push(Part::leaf("version", version.to_string()));
        vec![Part::Node(
            "retrieveRequest",
            vec![
                Part::leaf("apiVersion", version.to_string()),
                // The zip has a top folder only without it; the dictionary's paths are those below `unpackaged/`.
                Part::leaf("singlePackage", "false"),
                Part::Node("unpackaged", unpackaged),
            ],
        )]
    }
}

/// The arguments of a checkRetrieveStatus call.
pub(crate) fn status_arguments(id: &AsyncId, include_zip: &str) -> Vec<Part> {
    vec![
        Part::leaf("asyncProcessId", id.as_str()),
        Part::leaf("includeZip", include_zip),
    ]
}

/// A warning of a retrieve that succeeded; [`crate::read_message`] reads its words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetrieveMessage {
    /// The file it is about, if any.
    pub file_name: Option<String>,
    /// Salesforce's words, at most 4 KiB.
    pub problem: String,
}

/// Why Salesforce ended a retrieve without a zip. [`SalesforceError::from`] gives its ruling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetrieveFailure(pub(crate) Refusal);

impl RetrieveFailure {
    /// Code, words and numbers.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }
}

impl From<RetrieveFailure> for SalesforceError {
    fn from(failure: RetrieveFailure) -> Self {
        Self::Refused(Box::new(failure.0))
    }
}

/// How far a retrieve is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetrieveStatus {
    /// In Salesforce's queue.
    Pending,
    /// Salesforce works on it.
    InProgress,
    /// The zip can be fetched, once.
    Succeeded {
        /// How many files the zip has, package.xml included, as far as the answer says.
        files: usize,
        /// Warnings: what did not come, and why.
        messages: Vec<RetrieveMessage>,
    },
    /// It ended without a zip.
    Failed(RetrieveFailure),
}

/// What a RetrieveResult says beside its zip.
#[derive(Default, Debug)]
pub(crate) struct Parts {
    pub(crate) done: bool,
    pub(crate) status: Option<String>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) files: Vec<RawListing>,
    pub(crate) file_count: usize,
    pub(crate) messages: Vec<RetrieveMessage>,
}

/// Whether file properties are wanted or only counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    Files,
    Count,
}

/// Where reading a RetrieveResult stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stopped {
    /// Just inside `zipFile`, whose text follows.
    AtZip,
    /// Behind the result.
    AtEnd,
}

impl Parts {
    /// Reads elements of `result` until the zip's text or the result's end. Call it again after the zip.
    pub(crate) async fn read(
        &mut self,
        envelope: &mut Envelope,
        keep: Keep,
    ) -> Result<Stopped, SalesforceError> {
        while let Some((name, nil)) = envelope.child().await? {
            match name.as_str() {
                "zipFile" if nil == Nil::No => return Ok(Stopped::AtZip),
                "fileProperties" => {
                    let fields = envelope.fields().await?;
                    self.file_count += 1;
                    if keep == Keep::Files {
                        self.files.push(RawListing::from_fields(fields));
                    }
                }
                "messages" => {
                    let fields = envelope.fields().await?;
                    self.messages.push(message(fields));
                }
                "done" => self.done = envelope.text().await?.trim() == "true",
                "status" => self.status = Some(envelope.text().await?.trim().to_owned()),
                "errorStatusCode" => self.error_code = Some(envelope.text().await?),
                "errorMessage" => self.error_message = Some(envelope.text().await?),
                _ => {
                    envelope.text().await?;
                }
            }
            if self.file_count > FILES || self.messages.len() > FILES {
                return Err(SalesforceError::Malformed {
                    call: envelope.call(),
                    fault: XmlFault::TooMany,
                });
            }
        }
        Ok(Stopped::AtEnd)
    }

    /// What the parts mean, once all are read.
    pub(crate) fn status(&self, call: CallKind) -> Result<RetrieveStatus, SalesforceError> {
        let failed = || {
            let words = text::keep(self.error_message.as_deref().unwrap_or(""), text::KEPT, &[]);
            let code = self.error_code.as_deref().unwrap_or("");
            // Some failures carry their code in the words alone.
            let in_words = words.split_once(':').map_or("", |(word, _)| word);
            let is_code = |word: &str| word.contains('_') && !word.contains(' ');
            let code = if code.is_empty() && is_code(in_words) {
                in_words
            } else {
                code
            };
            RetrieveStatus::Failed(RetrieveFailure(Refusal::new(
                call,
                Speaker::Retrieve,
                200,
                code,
                &words,
            )))
        };
        Ok(match self.status.as_deref() {
            Some("Pending") => RetrieveStatus::Pending,
            Some("InProgress") => RetrieveStatus::InProgress,
            Some("Succeeded" | "SucceededPartial") => RetrieveStatus::Succeeded {
                files: self.file_count,
                messages: self.messages.clone(),
            },
            Some("Failed") => failed(),
            // Without a status the flags decide.
            None if self.done && self.error_code.is_some() => failed(),
            None if !self.done => RetrieveStatus::InProgress,
            other => {
                return Err(SalesforceError::Unexpected {
                    call,
                    status: 200,
                    expected: Expected::Status,
                    text: text::keep(other.unwrap_or("no status"), 100, &[]),
                });
            }
        })
    }
}

fn message(mut fields: Fields) -> RetrieveMessage {
    RetrieveMessage {
        file_name: fields.take("fileName"),
        problem: text::keep(fields.get("problem").unwrap_or(""), text::KEPT, &[]),
    }
}

/// Reads the answer of a poll.
pub(crate) async fn read_status(mut envelope: Envelope) -> Result<RetrieveStatus, SalesforceError> {
    enter_result(&mut envelope).await?;
    let mut parts = Parts::default();
    while parts.read(&mut envelope, Keep::Count).await? == Stopped::AtZip {
        // Not asked for; whoever sends it all the same must not fill our memory.
        let mut bytes = 0;
        while let Some(piece) = envelope.raw_text(bytes).await? {
            bytes += piece.len() as u64;
        }
        envelope.text().await?;
    }
    envelope.finish().await?;
    parts.status(CallKind::Poll)
}

pub(crate) async fn enter_result(envelope: &mut Envelope) -> Result<(), SalesforceError> {
    envelope.enter("checkRetrieveStatusResponse").await?;
    while let Some((name, _)) = envelope.child().await? {
        if name == "result" {
            return Ok(());
        }
        envelope.text().await?;
    }
    Err(SalesforceError::Unexpected {
        call: CallKind::Poll,
        status: 200,
        expected: Expected::Status,
        text: "no result".to_owned(),
    })
}

/// Reads the answer of `retrieve`.
pub(crate) async fn read_started(mut envelope: Envelope) -> Result<AsyncId, SalesforceError> {
    envelope.enter("retrieveResponse").await?;
    let mut id = None;
    while let Some((name, _)) = envelope.child().await? {
        let fields = envelope.fields().await?;
        if name == "result" {
            id = fields.get("id").and_then(|id| AsyncId::new(id.trim()));
        }
    }
    envelope.finish().await?;
    id.ok_or_else(|| SalesforceError::Unexpected {
        call: CallKind::Retrieve,
        status: 200,
        expected: Expected::AsyncId,
        text: "no id".to_owned(),
    })
}

#[cfg(test)]
#[path = "retrieve_tests.rs"]
mod tests;
