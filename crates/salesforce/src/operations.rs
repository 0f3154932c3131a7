//! Every call this crate can make. All of them read, but those that end what is our own: a token, a query job.
//!
//! The list is data so that a test can compare it with the sources and with Salesforce's own list of operations. A
//! request to Salesforce begins here and nowhere else ([`Target::begin`]): a method or a path that is not on the list
//! has no way out. What is not a GET says why it is harmless ([`Nature`]).

use reqwest::{Client, Method, RequestBuilder};
use url::Url;

use crate::version::ApiVersion;

/// Where a person allows the app: opened in a browser, never called.
pub(crate) const AUTHORIZE_PATH: &str = "/services/oauth2/authorize";
/// Gives a token of ours back: when an org is disconnected, or connected anew.
pub(crate) const REVOKE_PATH: &str = "/services/oauth2/revoke";
/// OAuth's token endpoint.
pub(crate) const TOKEN_PATH: &str = "/services/oauth2/token";
/// Who this token is.
pub(crate) const USERINFO_PATH: &str = "/services/oauth2/userinfo";
/// The org's API versions; REST lies below.
pub(crate) const DATA_PATH: &str = "/services/data";
/// The Metadata API (a SOAP envelope).
pub(crate) const METADATA_PATH: &str = "/services/Soap/m";

/// The paths.
pub const PATHS: [&str; 6] = [
    AUTHORIZE_PATH,
    REVOKE_PATH,
    TOKEN_PATH,
    USERINFO_PATH,
    DATA_PATH,
    METADATA_PATH,
];

/// An operation of the Metadata API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// What types the org has.
    DescribeMetadata,
    /// What components of up to three types.
    ListMetadata,
    /// What some members are, in full.
    ReadMetadata,
    /// Starts to put components into a zip.
    Retrieve,
    /// How far that is; hands the zip over.
    CheckRetrieveStatus,
}

impl Operation {
    /// The element of the envelope's body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DescribeMetadata => "describeMetadata",
            Self::ListMetadata => "listMetadata",
            Self::ReadMetadata => "readMetadata",
            Self::Retrieve => "retrieve",
            Self::CheckRetrieveStatus => "checkRetrieveStatus",
        }
    }
}

/// The SOAP operations.
pub const ALL: [Operation; 5] = [
    Operation::DescribeMetadata,
    Operation::ListMetadata,
    Operation::ReadMetadata,
    Operation::Retrieve,
    Operation::CheckRetrieveStatus,
];

/// Which of an org's two REST APIs is meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Api {
    /// Records.
    Data,
    /// Metadata as records.
    Tooling,
}

/// What a request does to the org.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nature {
    /// A GET, which changes nothing.
    Reads,
    /// A POST whose body is a question: an envelope of a reading operation, or GETs in a bundle.
    Asks,
    /// OAuth: gives a session, touches no data and no metadata.
    Session,
    /// OAuth: ends a token of our own, and with it no more than our way in.
    GivesBack,
    /// Makes, ends or clears away a Bulk *query* job of our own: a question that Salesforce answers later, and that
    /// would otherwise work on, or take its seven days of room, for nobody.
    OwnQueryJob,
}

/// A request over HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Endpoint {
    /// OAuth's token endpoint.
    Token,
    /// Gives a token back.
    Revoke,
    /// Who this token is.
    Identity,
    /// The org's API versions.
    Versions,
    /// What is left of the org's allowances.
    Limits,
    /// First page of a query.
    Query,
    /// First page of a query that finds deleted and archived rows too.
    QueryAll,
    /// A later page, at the address that the page before gave.
    QueryPage,
    /// All objects in short.
    Sobjects,
    /// One object in full.
    Sobject,
    /// Up to 25 GETs at once.
    Composite,
    /// The same, each answered for itself.
    Batch,
    /// The Metadata API.
    Metadata,
    /// Makes a Bulk query job.
    BulkCreate,
    /// How far a Bulk query job is.
    BulkJob,
    /// Its rows.
    BulkResults,
    /// Ends it early.
    BulkAbort,
    /// Clears it away.
    BulkDelete,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Token,
        Self::Revoke,
        Self::Identity,
        Self::Versions,
        Self::Limits,
        Self::Query,
        Self::QueryAll,
        Self::QueryPage,
        Self::Sobjects,
        Self::Sobject,
        Self::Composite,
        Self::Batch,
        Self::Metadata,
        Self::BulkCreate,
        Self::BulkJob,
        Self::BulkResults,
        Self::BulkAbort,
        Self::BulkDelete,
    ];

    /// Method, path and nature. In the path `{v}` is the API version, `{api}` nothing or `tooling/`, `{name}` an
    /// object's name or a job's id, `{page}` what an answer named as the next page.
    pub fn row(self) -> (&'static str, &'static str, Nature) {
        use Nature::{Asks, GivesBack, OwnQueryJob, Reads, Session};
        match self {
            Self::Token => ("POST", "{token}", Session),
            Self::Revoke => ("POST", "{revoke}", GivesBack),
            Self::Identity => ("GET", "{userinfo}", Reads),
            Self::Versions => ("GET", "{data}", Reads),
            Self::Limits => ("GET", "{data}/v{v}/limits", Reads),
            Self::Query => ("GET", "{data}/v{v}/{api}query", Reads),
            Self::QueryAll => ("GET", "{data}/v{v}/{api}queryAll", Reads),
            Self::QueryPage => ("GET", "{data}/{page}", Reads),
            Self::Sobjects => ("GET", "{data}/v{v}/{api}sobjects", Reads),
            Self::Sobject => ("GET", "{data}/v{v}/{api}sobjects/{name}/describe", Reads),
            Self::Composite => ("POST", "{data}/v{v}/composite", Asks),
            Self::Batch => ("POST", "{data}/v{v}/composite/batch", Asks),
            Self::Metadata => ("POST", "{metadata}/{v}", Asks),
            Self::BulkCreate => ("POST", "{data}/v{v}/{api}jobs/query", OwnQueryJob),
            Self::BulkJob => ("GET", "{data}/v{v}/{api}jobs/query/{name}", Reads),
            Self::BulkResults => ("GET", "{data}/v{v}/{api}jobs/query/{name}/results", Reads),
            Self::BulkAbort => ("PATCH", "{data}/v{v}/{api}jobs/query/{name}", OwnQueryJob),
            Self::BulkDelete => ("DELETE", "{data}/v{v}/{api}jobs/query/{name}", OwnQueryJob),
        }
    }

    fn method(self) -> Method {
        match self.row().0 {
            "POST" => Method::POST,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => Method::GET,
        }
    }

    /// Whether an answer with this status is the wanted one.
    pub(crate) fn is_answered_by(self, status: u16) -> bool {
        match self {
            Self::BulkDelete => matches!(status, 200 | 204),
            Self::BulkCreate => matches!(status, 200 | 201),
            Self::Sobject => matches!(status, 200 | 304),
            _ => status == 200,
        }
    }
}

/// A name that stands in a path: letters, digits and `_` alone, so that no name leads out of its place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PathName(String);

impl PathName {
    /// `None` for a text that is no API name and no id.
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=255).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a request goes: an endpoint and its path on the org's host. Made here alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    endpoint: Endpoint,
    path: String,
}

impl Target {
    /// An endpoint whose path has no name.
    pub(crate) fn of(endpoint: Endpoint, version: ApiVersion, api: Api) -> Self {
        Self::filled(endpoint, version, api, "")
    }

    /// An endpoint of one object or job.
    pub(crate) fn named(endpoint: Endpoint, version: ApiVersion, api: Api, name: &PathName) -> Self {
        Self::filled(endpoint, version, api, name.as_str())
    }

    fn filled(endpoint: Endpoint, version: ApiVersion, api: Api, name: &str) -> Self {
        let api = match api {
            Api::Data => "",
            Api::Tooling => "tooling/",
        };
        let path = endpoint
            .row()
            .1
            .replace("{token}", TOKEN_PATH)
            .replace("{revoke}", REVOKE_PATH)
            .replace("{userinfo}", USERINFO_PATH)
            .replace("{data}", DATA_PATH)
            .replace("{metadata}", METADATA_PATH)
            .replace("{v}", &version.to_string())
            .replace("{api}", api)
            .replace("{name}", name);
        Self { endpoint, path }
    }

    /// The page that an answer of the org at `base` names as its next: `None` when that is not a query's page on the
    /// org's own host, where alone the token may go.
    pub(crate) fn next_page(base: &Url, named: &str) -> Option<Self> {
        let url = base.join(named).ok()?;
        let own = url.origin() == base.origin() && url.username().is_empty() && url.password().is_none();
        let mut parts = url.path().strip_prefix(DATA_PATH)?.strip_prefix("/v")?.split('/');
        let is_version = parts
            .next()
            .is_some_and(|part| part.parse::<ApiVersion>().is_ok());
        let mut kind = parts.next();
        if kind == Some("tooling") {
            kind = parts.next();
        }
        let is_page = matches!(kind, Some("query" | "queryAll"))
            && parts.next().is_some_and(|locator| !locator.is_empty())
            && parts.next().is_none();
        (own && is_version && is_page && url.query().is_none()).then(|| Self {
            endpoint: Endpoint::QueryPage,
            path: url.path().to_owned(),
        })
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Path and query as a request inside another names them, from `/services/data` on.
    pub(crate) fn inside(&self, query: &[(&str, &str)]) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(query)
            .finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{query}", self.path)
    }

    /// Begins the request: the one door out of this crate.
    pub(crate) fn begin(&self, client: &Client, base: &Url) -> RequestBuilder {
        let mut url = base.clone();
        url.set_path(&self.path);
        url.set_query(None);
        client.request(self.endpoint.method(), url)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMED: [Endpoint; 5] = [
        Endpoint::Sobject,
        Endpoint::BulkJob,
        Endpoint::BulkResults,
        Endpoint::BulkAbort,
        Endpoint::BulkDelete,
    ];

    fn sent(target: &Target) -> (Method, String) {
        let client = Client::builder().build().unwrap();
        let base = "https://acme.my.salesforce.com/else?x=y".parse().unwrap();
        let request = target.begin(&client, &base).build().unwrap();
        assert_eq!(request.url().host_str(), Some("acme.my.salesforce.com"));
        (request.method().clone(), request.url().path().to_owned())
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_path_the_request_is_the_one_on_the_list(text in ".{0,40}|[A-Za-z0-9_./%]{1,20}") {
            let version = ApiVersion::NEWEST_TESTED;
            for (endpoint, api) in NAMED.into_iter().flat_map(|one| [(one, Api::Data), (one, Api::Tooling)]) {
                let Some(name) = PathName::new(&text) else {
                    prop_assert!(text.is_empty() || text.chars().any(|c| !c.is_ascii_alphanumeric() && c != '_'));
                    continue;
                };
                let (method, path) = sent(&Target::named(endpoint, version, api, &name));
                let (listed, template, _) = endpoint.row();
                prop_assert_eq!(method.as_str(), listed);
                prop_assert_eq!(path.matches('/').count(), template.replace("{data}", DATA_PATH).matches('/').count()
                    + usize::from(api == Api::Tooling));
                let segment = format!("/{text}");
                prop_assert!(path.contains(&segment));
            }
        }

        #[test]
        fn a_next_page_never_leaves_the_orgs_own_queries(named in ".{0,60}|(https?://[a-z.]{1,20})?/services/data/v[0-9]{1,2}\\.0/(tooling/)?[a-zA-Z.]{1,8}/[a-zA-Z0-9./?#-]{0,20}") {
            let base: Url = "https://acme.my.salesforce.com/".parse().unwrap();
            if let Some(target) = Target::next_page(&base, &named) {
                let (method, path) = sent(&target);
                prop_assert_eq!(method, Method::GET);
                prop_assert!(path.contains("/query/") || path.contains("/queryAll/"), "{}", path);
                prop_assert!(path.starts_with("/services/data/v"), "{}", path);
            }
        }
    }

    #[test]
    fn the_next_page_is_taken_as_named_and_from_nowhere_else() {
        let base: Url = "http://127.0.0.1:4711/".parse().unwrap();
        let page = |named: &str| Target::next_page(&base, named).map(|target| target.path);
        let good = "/services/data/v67.0/tooling/query/0r8xx-2000";
        assert_eq!(page(good).as_deref(), Some(good));
        assert_eq!(
            page(&format!("http://127.0.0.1:4711{good}")).as_deref(),
            Some(good)
        );
        for bad in [
            "http://evil.test/services/data/v67.0/query/0r8-2000",
            "//evil.test/services/data/v67.0/query/0r8-2000",
            "http://127.0.0.1:4712/services/data/v67.0/query/0r8-2000",
            "https://127.0.0.1:4711/services/data/v67.0/query/0r8-2000",
            "http://u:p@127.0.0.1:4711/services/data/v67.0/query/0r8-2000",
            "/services/data/v67.0/query/../../../apexrest/x",
            "/services/data/v67.0/sobjects/Account/0r8",
            "/services/data/v67.0/query/",
            "/services/data/v67.0/query/0r8?q=x",
            "/services/apexrest/query/0r8",
            "",
        ] {
            assert_eq!(page(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_endpoint_without_a_name_has_a_path_without_gaps() {
        for endpoint in Endpoint::ALL {
            let (method, template, _) = endpoint.row();
            assert_eq!(endpoint.method().as_str(), method);
            let open = NAMED.contains(&endpoint) || endpoint == Endpoint::QueryPage;
            if !open {
                let target = Target::of(endpoint, ApiVersion::NEWEST_TESTED, Api::Data);
                assert!(!target.path.contains(['{', '}']), "{}", target.path);
                assert!(
                    PATHS.iter().any(|path| target.path.starts_with(path)),
                    "{}",
                    target.path
                );
                assert_eq!(sent(&target).1, target.path);
            }
            assert_eq!(
                template.contains("{name}"),
                NAMED.contains(&endpoint),
                "{template}"
            );
        }
    }
}
