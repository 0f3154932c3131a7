//! Bulk API 2.0 query jobs: made, looked at, fetched page by page, aborted, cleared away.
//!
//! For questions of more than some thousand rows, and for dependencies, of which a query gives 2,000 rows and a job on
//! the tooling path 100,000. Salesforce works on a job by itself, so each call here is one short question and nothing
//! waits: when to look again is left to whoever asks. A job past its time is aborted at the look that finds it late.
//! A page can be read again from its locator while the job is there; rows stream (`rows.rs`).

mod rows;

use std::time::Duration;

pub use rows::{BULK_COLUMNS, BULK_ROW_BYTES, BulkRow, BulkRows};
use serde::Deserialize;
use serde_json::json;

use crate::{
    client::Client,
    counter::CallKind,
    error::{Expected, Refusal, SalesforceError, Speaker},
    operations::{Api, Endpoint, PathName},
    rest::{Ask, QueryKind},
    text,
    version::ApiVersion,
};

/// Most rows of MetadataComponentDependency that one job gives.
pub const DEPENDENCIES_A_JOB: u64 = 100_000;

/// A query job of ours. Store its parts before the first look: they are all that is needed to go on.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BulkJob {
    api: Api,
    version: ApiVersion,
    id: PathName,
}

impl BulkJob {
    /// From stored parts; `id` has 15 or 18 letters and digits. Salesforce wants each question about a job in the
    /// version with which it was made.
    pub fn new(api: Api, version: ApiVersion, id: &str) -> Option<Self> {
        let id = PathName::new(id).filter(|id| matches!(id.as_str().len(), 15 | 18))?;
        (!id.as_str().contains('_')).then_some(Self { api, version, id })
    }

    /// On which path it was made.
    pub fn api(&self) -> Api {
        self.api
    }

    /// In which version it was made.
    pub fn version(&self) -> ApiVersion {
        self.version
    }

    /// Salesforce's id.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    fn ask(&self, endpoint: Endpoint) -> Ask {
        Ask::named(endpoint, self.version, self.api, &self.id)
    }
}

/// A place in a job's rows, good while the job is there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BulkLocator(String);

impl BulkLocator {
    /// From a stored text or an answer; Salesforce writes `null` for "no more".
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=2_048).contains(&text.len()) && text != "null";
        fits.then(|| Self(text.to_owned()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a job is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BulkState {
    /// Salesforce has it in its queue or works on it.
    Working,
    /// Its rows can be fetched.
    Complete {
        /// How many there are.
        rows: u64,
    },
    /// It ended without rows.
    Failed(BulkFailure),
}

/// Why a job ended without rows. [`SalesforceError::from`] gives its ruling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BulkFailure(Refusal);

impl BulkFailure {
    /// Code and words, as far as there are any: often there are none.
    pub fn refusal(&self) -> &Refusal {
        &self.0
    }
}

impl From<BulkFailure> for SalesforceError {
    fn from(failure: BulkFailure) -> Self {
        Self::Refused(Box::new(failure.0))
    }
}

/// How long a job has been there, and how long it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BulkTime {
    /// Since it was made.
    pub waited: Duration,
    /// Beyond it the job is aborted.
    pub patience: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    state: String,
    #[serde(default)]
    object: String,
    #[serde(default)]
    number_records_processed: u64,
    error_message: Option<String>,
}

impl Client {
    /// Makes a job. Not every object and not every query is fit for one: such are refused, and REST answers them.
    pub async fn bulk_create(&self, kind: QueryKind, soql: &str) -> Result<BulkJob, SalesforceError> {
        let (operation, api) = match kind {
            QueryKind::Live => ("query", Api::Data),
            QueryKind::WithDeleted => ("queryAll", Api::Data),
            QueryKind::Tooling => ("query", Api::Tooling),
            QueryKind::ToolingWithDeleted => ("queryAll", Api::Tooling),
        };
        let order = json!({
            "operation": operation, "query": soql, "columnDelimiter": "COMMA", "lineEnding": "LF",
        });
        let ask = Ask::of(Endpoint::BulkCreate, self.version(), api).body(&order);
        let told: Told = self.json(CallKind::BulkCreate, &ask).await?;
        BulkJob::new(api, self.version(), &told.id).ok_or_else(|| SalesforceError::Unexpected {
            call: CallKind::BulkCreate,
            status: 200,
            expected: Expected::BulkJob,
            text: text::keep(&told.id, 100, &[]),
        })
    }

    /// Asks once how far a job is. One that is not done in its time is aborted here: [`SalesforceError::BulkTooSlow`].
    pub async fn bulk_look(&self, job: &BulkJob, time: BulkTime) -> Result<BulkState, SalesforceError> {
        let state = self.bulk_state(job).await?;
        if state != BulkState::Working || time.waited < time.patience {
            return Ok(state);
        }
        if let Err(refused) = self.bulk_abort(job).await {
            // It may have come to its end just now; else Salesforce clears it away itself after seven days.
            let state = self.bulk_state(job).await?;
            if state != BulkState::Working {
                return Ok(state);
            }
            tracing::warn!(job = job.id(), "a late Bulk job could not be aborted: {refused}");
        }
        Err(SalesforceError::BulkTooSlow { waited: time.waited })
    }

    async fn bulk_state(&self, job: &BulkJob) -> Result<BulkState, SalesforceError> {
        let call = CallKind::BulkPoll;
        let told: Told = self.json(call, &job.ask(Endpoint::BulkJob)).await?;
        let rows = told.number_records_processed;
        match told.state.as_str() {
            "Open" | "UploadComplete" | "InProgress" => Ok(BulkState::Working),
            "JobComplete" => {
                let bounded = told.object.eq_ignore_ascii_case("MetadataComponentDependency");
                if bounded && rows >= DEPENDENCIES_A_JOB {
                    return Err(SalesforceError::TooManyRows { call, rows });
                }
                Ok(BulkState::Complete { rows })
            }
            "Failed" | "Aborted" => Ok(BulkState::Failed(BulkFailure(ended(&told)))),
            other => Err(SalesforceError::Unexpected {
                call,
                status: 200,
                expected: Expected::BulkState,
                text: text::keep(other, 100, &[]),
            }),
        }
    }

    /// Fetches at most `most` rows from `locator` on, or from the beginning. A page that breaks off is fetched again.
    pub async fn bulk_rows(
        &self,
        job: &BulkJob,
        locator: Option<&BulkLocator>,
        most: u32,
    ) -> Result<BulkRows, SalesforceError> {
        let mut ask = job
            .ask(Endpoint::BulkResults)
            .with("maxRecords", most.max(1).to_string());
        ask.accept = "text/csv";
        if let Some(locator) = locator {
            ask = ask.with("locator", locator.as_str());
        }
        let incoming = self.rest(CallKind::BulkResults, &ask).await?;
        BulkRows::open(incoming, locator).await
    }

    /// Ends a job of ours that nobody waits for any more.
    pub async fn bulk_abort(&self, job: &BulkJob) -> Result<(), SalesforceError> {
        let ask = job.ask(Endpoint::BulkAbort).body(&json!({ "state": "Aborted" }));
        self.rest(CallKind::BulkEnd, &ask).await.map(|_| ())
    }

    /// Clears away a job of ours that has ended, and its rows.
    pub async fn bulk_delete(&self, job: &BulkJob) -> Result<(), SalesforceError> {
        let ask = job.ask(Endpoint::BulkDelete);
        self.rest(CallKind::BulkEnd, &ask).await.map(|_| ())
    }
}

/// What a job that ended without rows says.
fn ended(told: &Told) -> Refusal {
    let words = text::keep(told.error_message.as_deref().unwrap_or(""), text::KEPT, &[]);
    let is_code = |word: &&str| {
        word.len() > 4
            && word
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let code = match told.state.as_str() {
        "Aborted" => "ABORTED",
        _ => words.split(':').map(str::trim).find(is_code).unwrap_or_default(),
    };
    Refusal::new(CallKind::BulkPoll, Speaker::Bulk, 200, code, &words)
}
