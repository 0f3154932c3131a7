//! The resources that tell about the API itself: versions, what a version has, limits.

use serde_json::{Value, json};

use crate::{http::Answer, org::Org, server::Shared, tables::Api};

/// Versions before 31.0 are retired.
const OLDEST: u32 = 310;

fn versions_of(shared: &Shared) -> impl Iterator<Item = String> {
    (OLDEST..=shared.settings.greatest_version)
        .step_by(10)
        .map(|version| format!("{}.{}", version / 10, version % 10))
}

/// Whether the version is one of those that are served.
pub(super) fn is_served(shared: &Shared, version: &str) -> bool {
    versions_of(shared).any(|served| served == version)
}

/// GET /services/data.
pub(crate) fn versions(shared: &Shared) -> Answer {
    let list: Vec<Value> = versions_of(shared)
        .map(|version| {
            json!({ "label": format!("Release {version}"), "url": format!("/services/data/v{version}"), "version": version })
        })
        .collect();
    Answer::json(200, &Value::from(list))
}

/// GET /services/data/vXX.X and .../tooling.
pub(super) fn resources(shared: &Shared, org: &Org, version: &str, api: Api) -> Answer {
    let base = format!("/services/data/v{version}/{}", api.path());
    let mut all = json!({
        "query": format!("{base}query"), "queryAll": format!("{base}queryAll"), "sobjects": format!("{base}sobjects"),
        "jobs": format!("{base}jobs"),
    });
    if api == Api::Data {
        for name in ["composite", "limits", "tooling"] {
            all[name] = format!("{base}{name}").into();
        }
        let identity = format!("{}/id/{}/{}", shared.base_url(), org.organization_id, org.user_id);
        all["identity"] = identity.into();
    }
    Answer::json(200, &all)
}

/// GET /services/data/vXX.X/limits.
pub(super) fn limits(org: &Org) -> Answer {
    let daily = org.limits().daily_requests;
    let left = daily.saturating_sub(org.used());
    let untouched = [
        ("ConcurrentAsyncGetReportInstances", 200),
        ("DailyAsyncApexExecutions", 250_000),
        ("DailyBulkApiBatches", 15_000),
        ("DailyBulkV2QueryFileStorageMB", 976_562),
        ("DailyBulkV2QueryJobs", 10_000),
        ("PermissionSets", 1_500),
        ("SingleEmail", 15),
    ];
    let mut all = json!({
        "DailyApiRequests": { "Max": daily, "Remaining": left },
        "DataStorageMB": { "Max": 1_024, "Remaining": 1_000 },
        "FileStorageMB": { "Max": 1_024, "Remaining": 1_000 },
    });
    for (name, most) in untouched {
        all[name] = json!({ "Max": most, "Remaining": most });
    }
    Answer::json(200, &all)
}

/// Value of the header that every REST answer carries.
pub(crate) fn limit_info(org: &Org) -> String {
    format!("api-usage={}/{}", org.used(), org.limits().daily_requests)
}
