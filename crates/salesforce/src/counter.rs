//! Counts the calls that a step makes, by kind.
//!
//! Every HTTP request counts once it is on its way, whatever comes back, OAuth included: Salesforce counts alike, and
//! the org's administrator pays. A request whose connection never came to be was not made. The sum goes onto the
//! step's bill; who adds it there is left to `sync`.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use nightshift_domain::Bill;

use crate::{
    error::SalesforceError,
    rest::ApiUsage,
    watch::{Sightings, Watch},
};

/// What a request is for. Its text form is the key in `api_calls`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum CallKind {
    /// OAuth token endpoint.
    Token,
    /// `GET /services/data`.
    Versions,
    /// Who this token is.
    Identity,
    /// SOQL.
    Query,
    /// `GET /limits`.
    Limits,
    /// describeMetadata.
    Describe,
    /// listMetadata.
    List,
    /// readMetadata.
    Read,
    /// retrieve.
    Retrieve,
    /// checkRetrieveStatus without the zip.
    Poll,
    /// checkRetrieveStatus with the zip.
    Zip,
    /// A later page of a query.
    QueryPage,
    /// Several REST questions in one request, which counts once.
    Composite,
    /// What an object is made of.
    Sobject,
    /// Makes a Bulk query job.
    BulkCreate,
    /// How far a Bulk query job is.
    BulkPoll,
    /// A page of a Bulk job's rows.
    BulkResults,
    /// Aborts or deletes a Bulk query job of our own.
    BulkEnd,
}

impl CallKind {
    /// All kinds.
    pub const ALL: [Self; 18] = [
        Self::Token,
        Self::Versions,
        Self::Identity,
        Self::Query,
        Self::Limits,
        Self::Describe,
        Self::List,
        Self::Read,
        Self::Retrieve,
        Self::Poll,
        Self::Zip,
        Self::QueryPage,
        Self::Composite,
        Self::Sobject,
        Self::BulkCreate,
        Self::BulkPoll,
        Self::BulkResults,
        Self::BulkEnd,
    ];

    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Versions => "versions",
            Self::Identity => "identity",
            Self::Query => "query",
            Self::Limits => "limits",
            Self::Describe => "describe",
            Self::List => "list",
            Self::Read => "read",
            Self::Retrieve => "retrieve",
            Self::Poll => "poll",
            Self::Zip => "zip",
            Self::QueryPage => "query_page",
            Self::Composite => "composite",
            Self::Sobject => "sobject",
            Self::BulkCreate => "bulk_create",
            Self::BulkPoll => "bulk_poll",
            Self::BulkResults => "bulk_results",
            Self::BulkEnd => "bulk_end",
        }
    }
}

impl std::fmt::Display for CallKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Shared by the clones of one step's client and by its token source.
#[derive(Clone, Default, Debug)]
pub struct CallCounter(Arc<[AtomicI64; CallKind::ALL.len()]>, Arc<Watch>);

impl CallCounter {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, for at most so many calls: a further one is an error before it leaves.
    pub fn limited(calls: i64) -> Self {
        Self(Arc::default(), Arc::new(Watch::limited(calls)))
    }

    /// One call is on its way, if one is left.
    pub(crate) fn sent(&self, call: CallKind) -> Result<(), SalesforceError> {
        if !self.1.take() {
            return Err(SalesforceError::AllowanceReached { call });
        }
        self.0[call as usize].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What calls tell beside their answers.
    pub(crate) fn watch(&self) -> &Watch {
        &self.1
    }

    /// How calls to the org went, those to the token endpoint left aside.
    pub fn sightings(&self) -> Sightings {
        self.1.sightings()
    }

    /// What the last REST answer said about the day's requests.
    pub fn usage(&self) -> Option<ApiUsage> {
        self.1.usage()
    }

    /// Calls of all kinds so far.
    pub fn total(&self) -> i64 {
        self.0.iter().map(|calls| calls.load(Ordering::Relaxed)).sum()
    }

    /// It was not: no connection came to be.
    pub(crate) fn never_left(&self, kind: CallKind) {
        self.0[kind as usize].fetch_sub(1, Ordering::Relaxed);
        self.1.give_back();
    }

    /// Calls of one kind so far.
    pub fn count(&self, kind: CallKind) -> i64 {
        self.0[kind as usize].load(Ordering::Relaxed)
    }

    /// What was spent so far; kinds without a call are absent.
    pub fn bill(&self) -> Bill {
        let mut bill = Bill::default();
        for kind in CallKind::ALL {
            let calls = self.count(kind);
            if calls > 0 {
                bill.add(kind.as_str(), calls);
            }
        }
        bill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together_and_kinds_apart() {
        let counter = CallCounter::new();
        let other = counter.clone();
        counter.sent(CallKind::Poll).unwrap();
        other.sent(CallKind::Poll).unwrap();
        other.sent(CallKind::Token).unwrap();
        counter.never_left(CallKind::Token);
        assert_eq!(counter.count(CallKind::Poll), 2);
        assert_eq!(counter.bill().0, [("poll".to_owned(), 2)].into());
    }

    #[test]
    fn a_limited_counter_refuses_the_call_beyond_its_limit() {
        let counter = CallCounter::limited(1);
        counter.sent(CallKind::Poll).unwrap();
        let refused = counter.clone().sent(CallKind::List);
        assert!(matches!(
            refused,
            Err(SalesforceError::AllowanceReached { call: CallKind::List })
        ));
        assert_eq!(counter.total(), 1);
    }

    #[test]
    fn each_kind_has_a_place_of_its_own() {
        for (place, kind) in CallKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind}");
        }
    }
}
