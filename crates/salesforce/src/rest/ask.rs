//! One REST request, before it has a session.
//!
//! Where it goes is a [`Target`], which `operations` alone can make; the rest is what HTTP wants beside it.

use serde::Serialize;

use crate::operations::{Api, Endpoint, PathName, Target};
use crate::version::ApiVersion;

/// See the file's head.
pub(crate) struct Ask {
    pub(crate) target: Target,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<serde_json::Value>,
    pub(crate) accept: &'static str,
}

impl Ask {
    /// Of an endpoint without a name in its path.
    pub(crate) fn of(endpoint: Endpoint, version: ApiVersion, api: Api) -> Self {
        Self::to(Target::of(endpoint, version, api))
    }

    /// Of one object or job.
    pub(crate) fn named(endpoint: Endpoint, version: ApiVersion, api: Api, name: &PathName) -> Self {
        Self::to(Target::named(endpoint, version, api, name))
    }

    pub(crate) fn to(target: Target) -> Self {
        Self {
            target,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            accept: "application/json",
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body of JSON; `body` is of plain strings and lists, which always become JSON.
    pub(crate) fn body(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_value(body).ok();
        self
    }
}
