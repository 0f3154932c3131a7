//! Queries over REST: record after record, a page in memory at a time.
//!
//! Salesforce gives up to 2,000 records and the address of the next page; each address is used once, and only when it
//! lies on the org's own host. A locator that is gone (`INVALID_QUERY_LOCATOR`) cannot be mended here: whoever asked
//! asks anew, by keyset where the object is large. Some objects give no further page at all; for the one of them
//! whose rows would be lost in silence, a full page is an error.

use std::vec;

use futures::stream::{self, Stream};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use super::Ask;
use crate::{
    client::Client,
    counter::CallKind,
    error::{Expected, SalesforceError},
    operations::{Api, Endpoint, Target},
    text,
};

/// Most rows of MetadataComponentDependency that one query gives; there is no next page.
pub const DEPENDENCIES_A_QUERY: u64 = 2_000;

/// What a query looks at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum QueryKind {
    /// Records.
    Live,
    /// Records, deleted and archived ones too.
    WithDeleted,
    /// The Tooling API: metadata as records.
    Tooling,
    /// The same, deleted records too.
    ToolingWithDeleted,
}

impl QueryKind {
    pub(super) fn place(self) -> (Endpoint, Api) {
        match self {
            Self::Live => (Endpoint::Query, Api::Data),
            Self::WithDeleted => (Endpoint::QueryAll, Api::Data),
            Self::Tooling => (Endpoint::Query, Api::Tooling),
            Self::ToolingWithDeleted => (Endpoint::QueryAll, Api::Tooling),
        }
    }
}

#[derive(Deserialize)]
struct Page<T> {
    records: Vec<T>,
    done: Option<bool>,
    #[serde(rename = "totalSize")]
    total: Option<u64>,
    #[serde(rename = "nextRecordsUrl")]
    next: Option<String>,
}

/// A query's records, one after the other. Nothing is asked before the first is wanted.
pub struct Records<T> {
    client: Client,
    page: vec::IntoIter<T>,
    /// What to ask when the page is used up.
    ahead: Option<Ask>,
    /// The object gives so many rows at most, and no next page.
    bound: Option<u64>,
    fetched: u64,
    total: Option<u64>,
}

impl Client {
    /// Queries. Each page is a call of its own, counted when it is fetched.
    pub fn query<T: DeserializeOwned>(&self, kind: QueryKind, soql: &str) -> Records<T> {
        let (endpoint, api) = kind.place();
        let ask = Ask::of(endpoint, self.version(), api).with("q", soql);
        Records {
            client: self.clone(),
            page: Vec::new().into_iter(),
            ahead: Some(ask),
            bound: bound(soql),
            fetched: 0,
            total: None,
        }
    }
}

impl<T: DeserializeOwned> Records<T> {
    /// In pages of at most `rows` (200 to 2,000; a hint to Salesforce): for rows that are wide.
    #[must_use]
    pub fn in_pages_of(mut self, rows: u16) -> Self {
        let rows = rows.clamp(200, 2_000);
        self.ahead = self
            .ahead
            .map(|ask| ask.header("sforce-query-options", format!("batchSize={rows}")));
        self
    }

    /// How many there are in all, as the first page said.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next record; `None` at the end. After an error the same page is asked for again.
    pub async fn next(&mut self) -> Result<Option<T>, SalesforceError> {
        loop {
            if let Some(record) = self.page.next() {
                return Ok(Some(record));
            }
            let Some(ask) = &self.ahead else {
                return Ok(None);
            };
            let (page, ahead) = self.fetch(ask).await?;
            self.ahead = ahead;
            self.total = page.total.or(self.total);
            self.fetched += page.records.len() as u64;
            self.page = page.records.into_iter();
        }
    }

    /// The same as a stream, which ends with the first error.
    pub fn stream(self) -> impl Stream<Item = Result<T, SalesforceError>> {
        stream::try_unfold(self, async |mut records| {
            let record = records.next().await?;
            Ok(record.map(|record| (record, records)))
        })
    }

    /// One page, and what to ask for the next one.
    async fn fetch(&self, ask: &Ask) -> Result<(Page<T>, Option<Ask>), SalesforceError> {
        let call = call(ask);
        let (page, base): (Page<T>, Url) = self.client.json_from(call, ask).await?;
        let rows = self.fetched + page.records.len() as u64;
        if self.bound.is_some_and(|bound| rows >= bound) {
            return Err(SalesforceError::TooManyRows { call, rows });
        }
        let ahead = match &page.next {
            Some(named) => Some(next_ask(ask, &base, named)?),
            None if page.done == Some(false) => return Err(no_next_page(ask, "not done, and no next page")),
            None => None,
        };
        Ok((page, ahead))
    }
}

fn call(ask: &Ask) -> CallKind {
    if ask.target.endpoint() == Endpoint::QueryPage {
        CallKind::QueryPage
    } else {
        CallKind::Query
    }
}

/// The request of a next page. An address that was just used would be fetched for ever.
fn next_ask(ask: &Ask, base: &Url, named: &str) -> Result<Ask, SalesforceError> {
    let target = Target::next_page(base, named).filter(|target| *target != ask.target);
    let target = target.ok_or_else(|| no_next_page(ask, named))?;
    Ok(Ask {
        headers: ask.headers.clone(),
        ..Ask::to(target)
    })
}

fn no_next_page(ask: &Ask, named: &str) -> SalesforceError {
    SalesforceError::Unexpected {
        call: call(ask),
        status: 200,
        expected: Expected::NextPage,
        text: text::keep(named, 200, &[]),
    }
}

/// How many rows the queried object gives at most, where that is all one can get.
fn bound(soql: &str) -> Option<u64> {
    let mut words = soql
        .split_whitespace()
        .skip_while(|word| !word.eq_ignore_ascii_case("from"));
    let object = words.nth(1)?;
    object
        .eq_ignore_ascii_case("MetadataComponentDependency")
        .then_some(DEPENDENCIES_A_QUERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_with_a_bound_is_known_however_it_is_written() {
        for soql in [
            "SELECT Id FROM MetadataComponentDependency",
            "select Id\n  from metadatacomponentdependency where RefMetadataComponentType = 'from'",
        ] {
            assert_eq!(bound(soql), Some(DEPENDENCIES_A_QUERY), "{soql}");
        }
        for soql in ["SELECT Id FROM Account", "SELECT Id", "", "SELECT Id FROM"] {
            assert_eq!(bound(soql), None, "{soql}");
        }
    }
}
