//! Everything that Salesforce does and a client would not expect: a list (`misbehaviours.tsv`), and for each line a look
//! over HTTP.
//!
//! A line says how the misbehaviour is set: as a fault, as a quirk, by the org's limits, or not at all because it is
//! always there. What can be set must not be there before.

use std::time::Duration;

use nightshift_simulator::{ChangeKind, Extra, OrgSpec, Quirk};
use serde_json::{Value, json};

use crate::{
    client::{Session, element, rows},
    shows::shows,
};

const LIST: &str = include_str!("misbehaviours.tsv");

pub struct Line {
    pub id: &'static str,
    set: &'static str,
    order: &'static str,
}

fn lines() -> Vec<Line> {
    let columns = LIST
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>());
    columns
        .map(|columns| {
            let [id, _, set, order, _] = columns[..] else {
                panic!("{columns:?}")
            };
            Line { id, set, order }
        })
        .collect()
}

impl Line {
    async fn set(&self, session: &Session) {
        let order = || -> Value {
            let text = self.order.replace("$CLASS", CLASS);
            serde_json::from_str(&text).unwrap()
        };
        match self.set {
            "fault" => session.fault(order()).await,
            "quirk" => drop(session.control("quirk", json!({ "quirk": self.order })).await),
            "limits" => drop(session.control("limits", order()).await),
            "always" => {}
            other => panic!("{other} is no way to set a misbehaviour"),
        }
    }
}

/// A class of every org of these tests.
pub const CLASS: &str = "Known";

async fn acme() -> Session {
    let known = Extra::new("ApexClass", CLASS, "public class Known {}");
    let rules = Extra::new("Workflow", "Known__c", "<Workflow/>");
    Session::open(OrgSpec::generated("Acme", 1, 600).with(known).with(rules)).await
}

#[tokio::test]
async fn every_misbehaviour_of_the_list_is_seen_when_it_is_set_and_not_before() {
    let mut wrong = Vec::new();
    for line in lines() {
        if line.set != "always" && shows(line.id, &acme().await).await {
            wrong.push(format!("{} shows before it is set", line.id));
        }
        let session = acme().await;
        line.set(&session).await;
        if !shows(line.id, &session).await {
            wrong.push(format!("{} does not show", line.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_quirk_stands_in_the_list() {
    let set: Vec<&str> = lines()
        .iter()
        .filter(|line| line.set == "quirk")
        .map(|line| line.order)
        .collect();
    assert_eq!(set.len(), Quirk::ALL.len(), "{set:?}");
}

/// What a night does to a child leaves the date of its parent's entry as it was.
pub async fn parent_keeps_its_date(session: &Session, change: ChangeKind) -> bool {
    for _ in 0..20 {
        let before = session.list("CustomObject", None).await;
        let changes = session.simulator.evolve("Acme", 0.02).unwrap();
        let after = session.list("CustomObject", None).await;
        let whole = |name: &str| {
            changes
                .iter()
                .any(|c| c.kind == "CustomObject" && c.full_name == name)
        };
        let fields = changes
            .iter()
            .filter(|c| c.kind == "CustomField" && c.change == change);
        let parents = fields.filter_map(|field| Some(field.full_name.split_once('.')?.0.to_owned()));
        let dates = |rows: &[crate::client::Row], name: &str| {
            rows.iter()
                .find(|row| row["fullName"] == name)
                .map(|row| row["lastModifiedDate"].clone())
        };
        let mut parents = parents.filter(|parent| parent.ends_with("__c") && !whole(parent));
        if let Some(parent) = parents.next() {
            return dates(&before, &parent).is_some() && dates(&before, &parent) == dates(&after, &parent);
        }
    }
    false
}

/// A retrieve of more files than 10,000, which fails; one of fewer does not.
pub async fn ten_thousand_files_are_the_most() -> bool {
    let session = Session::open(OrgSpec::generated("Large", 1, 45_000)).await;
    let all: &[(&str, &[&str])] = &[("ApexClass", &["*"]), ("ApexPage", &["*"])];
    let id = session.retrieve(all).await;
    session.simulator.advance(Duration::from_mins(1));
    let text = session.status(&id, false).await.1;
    let few = session.retrieve(&[("ApexTrigger", &["*"])]).await;
    session.simulator.advance(Duration::from_mins(1));
    text.contains("<status>Failed</status>")
        && element(&text, "errorMessage").unwrap()
            == "LIMIT_EXCEEDED: Too many files in retrieve call, limit is: 10000."
        && session
            .status(&few, false)
            .await
            .1
            .contains("<status>Succeeded</status>")
}

/// The entry of a listing by its name.
pub async fn listed(session: &Session, kind: &str, name: &str) -> Option<crate::client::Row> {
    let (status, text) = session.list_raw(&[(kind, None)]).await;
    let all = if status == 200 {
        rows(&text, "result")
    } else {
        Vec::new()
    };
    all.into_iter()
        .find(|row| row.get("fullName").is_some_and(|found| found == name))
}
