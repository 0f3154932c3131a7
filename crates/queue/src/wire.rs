//! The bytes of messages. Each has a version, and each version ever sent has a golden file in the tests.

use domain::{Class, JobId, Mode, OrgId};
use nightshift_domain as domain;
use serde::{Deserialize, Serialize};

/// Longest message of our own, in bytes.
pub const JOB_BYTES_MAX: usize = 4 << 10;
/// Longest request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Most headers of a request.
pub const REQUEST_HEADERS_MAX: usize = 32;
/// Longest reason in a request, in characters.
pub const REASON_CHARACTERS_MAX: usize = 1_000;

/// Longest id of a request, in characters.
pub const ID_CHARACTERS_MAX: usize = 200;
/// Longest name of an org in a request, in characters.
pub const ORG_CHARACTERS_MAX: usize = 100;

/// Says that a job is due. What a worker needs it reads from the row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobMessage {
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub job: JobId,
    /// Its queue.
    pub class: Class,
    /// W3C trace context; a header in AMQP.
    pub traceparent: Option<String>,
}

/// A message that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// Longer than any of ours.
    #[error("a job message has at most {JOB_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// Another version.
    #[error("version {0} of job messages is not known")]
    Version(u32),
    /// Not JSON, or not ours.
    #[error("no job message: {0}")]
    Form(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobBody {
    version: u32,
    org: OrgId,
    job: JobId,
    class: Class,
}

impl JobMessage {
    /// The body; the trace context travels beside it.
    pub fn encode(&self) -> Vec<u8> {
        let body = JobBody {
            version: 1,
            org: self.org,
            job: self.job,
            class: self.class,
        };
        serde_json::to_vec(&body).expect("four plain fields")
    }

    /// Reads a body.
    pub fn decode(body: &[u8], traceparent: Option<String>) -> Result<Self, WireError> {
        if body.len() > JOB_BYTES_MAX {
            return Err(WireError::TooLong(body.len()));
        }
        let body: JobBody =
            serde_json::from_slice(body).map_err(|error| WireError::Form(error.to_string()))?;
        match body.version {
            1 => Ok(Self {
                org: body.org,
                job: body.job,
                class: body.class,
                traceparent,
            }),
            other => Err(WireError::Version(other)),
        }
    }
}

/// A request of another program: start a sync at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestMessage {
    /// Our id, the name, or Salesforce's organization id.
    pub org: String,
    /// How much.
    pub mode: Mode,
    /// Why, in the sender's words.
    pub reason: Option<String>,
    /// The sender's own id: the same one twice starts one sync.
    pub id: Option<String>,
}

/// Why a request is refused. The text goes into a header of the dead letter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RequestError {
    /// Too long.
    #[error("request_invalid: a request has at most {REQUEST_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// Too many headers.
    #[error("request_invalid: a request has at most {REQUEST_HEADERS_MAX} headers, this one has {0}")]
    Headers(usize),
    /// Not JSON, or other fields.
    #[error(
        "request_invalid: {0}; send {{\"version\":1,\"request\":\"sync\",\"org\":\"...\",\"mode\":\"incremental\"}}"
    )]
    Form(String),
    /// Another version.
    #[error("request_invalid: version {0} is not known; send version 1")]
    Version(u32),
    /// Another wish.
    #[error("request_invalid: {0:?} is not known; the one request is \"sync\"")]
    Request(String),
    /// A field that is too long or empty, or has a NUL, which no text of PostgreSQL can hold.
    #[error("request_invalid: field {field} has 1 to {max} characters, and none of them is NUL")]
    Field {
        /// Which.
        field: &'static str,
        /// At most.
        max: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    version: u32,
    request: String,
    org: String,
    #[serde(default = "incremental")]
    mode: Mode,
    reason: Option<String>,
    id: Option<String>,
}

fn incremental() -> Mode {
    Mode::Incremental
}

impl RequestMessage {
    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, RequestError> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::TooLong(body.len()));
        }
        let body: RequestBody =
            serde_json::from_slice(body).map_err(|error| RequestError::Form(error.to_string()))?;
        if body.version != 1 {
            return Err(RequestError::Version(body.version));
        }
        if body.request != "sync" {
            return Err(RequestError::Request(body.request.chars().take(100).collect()));
        }
        length("org", &body.org, ORG_CHARACTERS_MAX)?;
        if let Some(reason) = &body.reason {
            length("reason", reason, REASON_CHARACTERS_MAX)?;
        }
        if let Some(id) = &body.id {
            length("id", id, ID_CHARACTERS_MAX)?;
        }
        Ok(Self {
            org: body.org,
            mode: body.mode,
            reason: body.reason,
            id: body.id,
        })
    }
}

pub(crate) fn length(field: &'static str, text: &str, max: usize) -> Result<(), RequestError> {
    if (1..=max).contains(&text.chars().count()) && !text.contains('\0') {
        Ok(())
    } else {
        Err(RequestError::Field { field, max })
    }
}
