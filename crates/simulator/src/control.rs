//! `/_control`: how a script looks into the simulator and makes it misbehave.
//!
//! The same things that [`Simulator`](crate::Simulator) offers to a test in the same process, over HTTP.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use axum::http::Method;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    error::SimulatorError,
    faults::{FaultKind, FaultPlan, NamedFault, PlannedFault},
    http::Answer,
    inventory::extras::Quirk,
    limits::OrgLimits,
    org::Org,
    server::Shared,
};

#[derive(Deserialize)]
struct ToOrg {
    /// All orgs when absent.
    org: Option<String>,
}

#[derive(Deserialize)]
struct Night {
    org: Option<String>,
    share: Option<f64>,
    dir: Option<PathBuf>,
}

#[derive(Deserialize)]
struct QuirkOrder {
    org: Option<String>,
    quirk: Quirk,
}

#[derive(Deserialize)]
struct KeyOrder {
    org: Option<String>,
    /// PEM.
    public_key: String,
}

#[derive(Deserialize)]
struct Advance {
    millis: u64,
}

#[derive(Deserialize)]
struct Forget {
    org: Option<String>,
    fault: Option<FaultKind>,
}

/// Answers a request below `/_control/`. Errors are 400 with their text.
pub(crate) fn answer(
    shared: &Shared,
    method: &Method,
    what: &str,
    query: &[(String, String)],
    body: &[u8],
) -> Answer {
    match handle(shared, method, what, query, body) {
        Ok(value) => Answer::json(200, &value),
        Err(error) => Answer::json(400, &json!({ "error": error.to_string() })),
    }
}

fn handle(
    shared: &Shared,
    method: &Method,
    what: &str,
    query: &[(String, String)],
    body: &[u8],
) -> Result<Value, SimulatorError> {
    let asked = query
        .iter()
        .find(|(key, _)| key == "org")
        .map(|(_, value)| value.as_str());
    match (method.as_str(), what) {
        ("GET", "orgs") => Ok(json!(shared.accesses())),
        ("GET", "calls") => {
            let calls: BTreeMap<String, _> = orgs(shared, asked)?
                .iter()
                .map(|org| (org.spec.name.clone(), org.calls()))
                .collect();
            match asked.and_then(|name| calls.get(name)) {
                Some(of_one) => Ok(json!(of_one)),
                None => Ok(json!(calls)),
            }
        }
        ("GET", "most_at_once") => {
            let most: BTreeMap<String, _> = orgs(shared, asked)?
                .iter()
                .map(|org| (org.spec.name.clone(), org.most_at_once()))
                .collect();
            Ok(json!(most))
        }
        ("GET", "secrets") => {
            let secrets: BTreeMap<String, _> = orgs(shared, asked)?
                .iter()
                .map(|org| (org.spec.name.clone(), org.secrets()))
                .collect();
            Ok(json!(secrets))
        }
        ("DELETE", "calls") => {
            orgs(shared, asked)?.iter().for_each(|org| org.forget_calls());
            Ok(json!({}))
        }
        ("GET", "counts") => {
            let counts: BTreeMap<String, _> = orgs(shared, asked)?
                .iter()
                .map(|org| (org.spec.name.clone(), org.snapshot().counts()))
                .collect();
            match asked.and_then(|name| counts.get(name)) {
                Some(of_one) => Ok(json!(of_one)),
                None => Ok(json!(counts)),
            }
        }
        ("POST", "fault") => {
            shared.order(&PlannedFault::read(read(body)?)?)?;
            Ok(json!({}))
        }
        ("POST", "plan") => {
            shared.plan(&FaultPlan::parse(&String::from_utf8_lossy(body))?)?;
            Ok(json!({}))
        }
        ("GET", "faults") => {
            let named = NamedFault::all()
                .iter()
                .map(|named| json!({ "name": named.name, "row": named.row }));
            Ok(named.collect())
        }
        ("POST", "limits") => set_limits(shared, read(body)?),
        ("DELETE", "fault") => {
            let order: Forget = read(body)?;
            for org in orgs(shared, order.org.as_deref().or(asked))? {
                org.clear_faults(order.fault);
            }
            Ok(json!({}))
        }
        ("POST", "evolve" | "next") => {
            let order: Night = read(body)?;
            let chosen = orgs(shared, order.org.as_deref())?;
            let one = chosen.len() == 1;
            let mut changes = Vec::new();
            for org in chosen {
                if let Some(dir) = order.dir.clone() {
                    org.set_next(dir)?;
                }
                let night = if what == "next" {
                    org.next_night()
                } else {
                    org.evolve(order.share.unwrap_or(0.01))
                };
                match night {
                    Ok(of_org) => changes.extend(of_org.into_iter().map(|change| {
                        json!({ "org": org.spec.name, "type": change.kind, "full_name": change.full_name, "change": change.change })
                    })),
                    // Of all orgs, those that are of the other kind are left alone.
                    Err(SimulatorError::NoNextNight(_) | SimulatorError::NotGenerated(_)) if !one => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(json!(changes))
        }
        ("POST", "key") => {
            let order: KeyOrder = read(body)?;
            for org in orgs(shared, order.org.as_deref())? {
                org.register_key(&order.public_key)?;
            }
            Ok(json!({}))
        }
        ("POST", "revoke") => {
            let order: ToOrg = read(body)?;
            orgs(shared, order.org.as_deref())?
                .iter()
                .for_each(|org| org.tokens().revoke_all());
            Ok(json!({}))
        }
        ("POST", "reauthorize") => {
            let order: ToOrg = read(body)?;
            let fresh: BTreeMap<String, String> = orgs(shared, order.org.as_deref())?
                .iter()
                .map(|org| (org.spec.name.clone(), org.tokens().reauthorize()))
                .collect();
            Ok(json!(fresh))
        }
        ("POST", "expire") => {
            let order: ToOrg = read(body)?;
            orgs(shared, order.org.as_deref())?
                .iter()
                .for_each(|org| org.tokens().expire_access());
            Ok(json!({}))
        }
        ("POST", "quirk") => {
            let order: QuirkOrder = read(body)?;
            for org in orgs(shared, order.org.as_deref())? {
                org.put_quirk(order.quirk);
            }
            Ok(json!({}))
        }
        ("POST", "advance") => {
            let order: Advance = read(body)?;
            shared.clock.advance(Duration::from_millis(order.millis));
            Ok(json!({}))
        }
        _ => Err(SimulatorError::Fault(format!(
            "{method} /_control/{what} is not known"
        ))),
    }
}

/// Changes the limits that the order names; tells all of them, by org.
fn set_limits(shared: &Shared, mut order: Value) -> Result<Value, SimulatorError> {
    let name = order.as_object_mut().and_then(|order| order.remove("org"));
    let mut told = BTreeMap::new();
    for org in orgs(shared, name.as_ref().and_then(Value::as_str))? {
        let mut limits = json!(org.limits());
        if let (Some(limits), Some(order)) = (limits.as_object_mut(), order.as_object()) {
            limits.extend(order.clone());
        }
        let limits: OrgLimits =
            serde_json::from_value(limits).map_err(|error| SimulatorError::Fault(error.to_string()))?;
        org.set_limits(limits);
        told.insert(org.spec.name.clone(), limits);
    }
    Ok(json!(told))
}

/// An empty body is an empty order.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SimulatorError> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| SimulatorError::Fault(error.to_string()))
}

fn orgs(shared: &Shared, name: Option<&str>) -> Result<Vec<Arc<Org>>, SimulatorError> {
    match name {
        Some(name) => shared.org(name).map(|org| vec![org]),
        None => Ok(shared.orgs()),
    }
}
