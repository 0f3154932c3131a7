//! Several questions in one request, which counts once against the org's day.
//!
//! A part is a GET by its type ([`SubRequest`] can be made of nothing else), so that a bundle reads as a single
//! request does. Each part has its own answer: that one is refused says nothing of the others.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ask, Failure, query::QueryKind};
use crate::{
    client::Client,
    counter::CallKind,
    error::{Expected, Refusal, SalesforceError, Speaker},
    operations::{Api, Endpoint, PathName, Target},
    text,
    version::ApiVersion,
};

/// Most parts of a bundle.
const PARTS: usize = 25;
/// Most queries among the parts of `composite`.
const QUERIES: usize = 5;

/// One part: a question of the client's own list, and a GET.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SubRequest {
    /// The first page of a query.
    Query(QueryKind, String),
    /// One object in full.
    Sobject(Api, PathName),
    /// What is left of the org's allowances.
    Limits,
}

/// By which way a bundle goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BundleWay {
    /// `composite`: at most 5 queries among 25 parts.
    Composite,
    /// `composite/batch`: 25 parts, each for itself.
    Batch,
}

/// Parts that fit one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    way: BundleWay,
    parts: Vec<SubRequest>,
}

impl Bundle {
    /// Cuts parts, in their order, into as many bundles as Salesforce's limits ask for.
    pub fn cut(way: BundleWay, parts: impl IntoIterator<Item = SubRequest>) -> Vec<Self> {
        let mut bundles: Vec<Self> = Vec::new();
        for part in parts {
            match bundles.last_mut() {
                Some(bundle) if bundle.takes(&part) => bundle.parts.push(part),
                _ => bundles.push(Self {
                    way,
                    parts: vec![part],
                }),
            }
        }
        bundles
    }

    /// The parts, in the order of the answers.
    pub fn parts(&self) -> &[SubRequest] {
        &self.parts
    }

    fn takes(&self, part: &SubRequest) -> bool {
        let is_query = |part: &SubRequest| matches!(part, SubRequest::Query(..));
        let queries = self.parts.iter().filter(|part| is_query(part)).count();
        let queries_fit = self.way == BundleWay::Batch || !is_query(part) || queries < QUERIES;
        self.parts.len() < PARTS && queries_fit
    }

    fn body(&self, version: ApiVersion) -> Value {
        let paths = self.parts.iter().map(|part| part.path(version));
        match self.way {
            BundleWay::Composite => {
                let parts: Vec<Value> = paths
                    .enumerate()
                    .map(|(at, url)| json!({ "method": "GET", "url": url, "referenceId": reference(at) }))
                    .collect();
                json!({ "allOrNone": false, "compositeRequest": parts })
            }
            BundleWay::Batch => {
                // Batches name their parts from the version on.
                let own = |url: String| url.trim_start_matches("/services/data/").to_owned();
                let parts: Vec<Value> = paths
                    .map(|url| json!({ "method": "GET", "url": own(url) }))
                    .collect();
                json!({ "haltOnError": false, "batchRequests": parts })
            }
        }
    }
}

fn reference(at: usize) -> String {
    format!("part{at}")
}

impl SubRequest {
    fn path(&self, version: ApiVersion) -> String {
        match self {
            Self::Query(kind, soql) => {
                let (endpoint, api) = kind.place();
                Target::of(endpoint, version, api).inside(&[("q", soql)])
            }
            Self::Sobject(api, name) => Target::named(Endpoint::Sobject, version, *api, name).inside(&[]),
            Self::Limits => Target::of(Endpoint::Limits, version, Api::Data).inside(&[]),
        }
    }
}

/// What one part brought: its JSON, or why not.
pub type SubAnswer = Result<Value, SalesforceError>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompositeAnswer {
    composite_response: Vec<CompositePart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompositePart {
    #[serde(default)]
    body: Value,
    http_status_code: u16,
    reference_id: String,
}

#[derive(Deserialize)]
struct BatchAnswer {
    results: Vec<BatchPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchPart {
    status_code: u16,
    #[serde(default)]
    result: Value,
}

impl Client {
    /// Asks a bundle: one answer for each part, in the order of the parts.
    pub async fn bundle(&self, bundle: &Bundle) -> Result<Vec<SubAnswer>, SalesforceError> {
        let endpoint = match bundle.way {
            BundleWay::Composite => Endpoint::Composite,
            BundleWay::Batch => Endpoint::Batch,
        };
        let call = CallKind::Composite;
        let ask = Ask::of(endpoint, self.version(), Api::Data).body(&bundle.body(self.version()));
        let answers: Vec<(u16, Value)> = match bundle.way {
            BundleWay::Composite => {
                let mut answer: CompositeAnswer = self.json(call, &ask).await?;
                let place = |part: &CompositePart| {
                    (0..bundle.parts.len()).find(|at| reference(*at) == part.reference_id)
                };
                answer.composite_response.sort_by_key(place);
                answer
                    .composite_response
                    .into_iter()
                    .map(|part| (part.http_status_code, part.body))
                    .collect()
            }
            BundleWay::Batch => {
                let answer: BatchAnswer = self.json(call, &ask).await?;
                answer
                    .results
                    .into_iter()
                    .map(|part| (part.status_code, part.result))
                    .collect()
            }
        };
        if answers.len() != bundle.parts.len() {
            return Err(SalesforceError::Unexpected {
                call,
                status: 200,
                expected: Expected::Json,
                text: format!("{} answers to {} parts", answers.len(), bundle.parts.len()),
            });
        }
        Ok(answers.into_iter().map(answer_of).collect())
    }
}

fn answer_of((status, body): (u16, Value)) -> SubAnswer {
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let failure = Failure::gravest_of(CallKind::Composite, status, &body.to_string().into_bytes(), &[]);
    Err(SalesforceError::Refused(Box::new(failure.unwrap_or_else(|| {
        let words = text::keep(&body.to_string(), 500, &[]);
        Refusal::new(CallKind::Composite, Speaker::Rest, status, "", &words)
    }))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts() -> impl Strategy<Value = Vec<SubRequest>> {
        let query = prop_oneof![
            Just(QueryKind::Live),
            Just(QueryKind::WithDeleted),
            Just(QueryKind::Tooling)
        ];
        let api = prop_oneof![Just(Api::Data), Just(Api::Tooling)];
        let part = prop_oneof![
            (query, ".{0,30}").prop_map(|(kind, soql)| SubRequest::Query(kind, soql)),
            (api, "[A-Za-z_0-9]{1,20}")
                .prop_map(|(api, name)| SubRequest::Sobject(api, PathName::new(&name).unwrap())),
            Just(SubRequest::Limits),
        ];
        proptest::collection::vec(part, 0..90)
    }

    proptest! {
        #[test]
        fn no_bundle_passes_a_limit_and_no_part_is_lost(parts in parts()) {
            for way in [BundleWay::Composite, BundleWay::Batch] {
                let bundles = Bundle::cut(way, parts.clone());
                let all: Vec<SubRequest> = bundles.iter().flat_map(|bundle| bundle.parts.clone()).collect();
                prop_assert_eq!(&all, &parts);
                for bundle in bundles {
                    let queries = bundle.parts.iter().filter(|part| matches!(part, SubRequest::Query(..))).count();
                    prop_assert!((1..=25).contains(&bundle.parts.len()));
                    prop_assert!(way == BundleWay::Batch || queries <= 5);
                }
            }
        }

        #[test]
        fn every_part_is_a_get_of_the_orgs_own_data(parts in parts()) {
            for way in [BundleWay::Composite, BundleWay::Batch] {
                for bundle in Bundle::cut(way, parts.clone()) {
                    let body = bundle.body(ApiVersion::NEWEST_TESTED);
                    let sent = body["compositeRequest"].as_array().or(body["batchRequests"].as_array()).unwrap();
                    prop_assert_eq!(sent.len(), bundle.parts.len());
                    for (part, asked) in sent.iter().zip(bundle.parts()) {
                        prop_assert_eq!(&part["method"], "GET");
                        let url = part["url"].as_str().unwrap();
                        let base = url::Url::parse("https://acme.test/services/data/").unwrap().join(url).unwrap();
                        prop_assert!(base.path().starts_with("/services/data/v67.0/"), "{}", url);
                        if let SubRequest::Query(_, soql) = asked {
                            let sent = base.query_pairs().next().unwrap().1.into_owned();
                            prop_assert_eq!(&sent, soql);
                        }
                    }
                }
            }
        }
    }
}
