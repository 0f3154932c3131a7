//! One sync is one trace, whichever processes run its steps and whoever asked for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nightshift_simulator::OrgSpec;

use crate::{
    collector::{Collector, Seen},
    harness::{Fleet, small_org},
    requests::publish_within,
};

/// A scheduler and a worker that send every span, and a connected org.
async fn traced() -> (Collector, Fleet) {
    let collector = Collector::start().await;
    let settings = [
        ("TELEMETRY__OTLP_ENDPOINT", collector.endpoint()),
        ("TELEMETRY__SAMPLE_RATIO", "1".to_owned()),
    ];
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let fleet = Fleet::running(&settings).await;
    let night = small_org().join("night-1");
    fleet.connect(OrgSpec::from_folder("small", night, None)).await;
    (collector, fleet)
}

/// The spans of a sync, once it is over and the processes have sent their last.
async fn of_the_sync(collector: &Collector, fleet: &mut Fleet) -> Vec<Seen> {
    fleet.org_is("small", "synced", |org| org["revision"] == 1).await;
    for process in 0..2 {
        fleet.signal(process, "TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(30), fleet.process(process).wait()).await;
        assert!(ended.unwrap().unwrap().success());
    }
    let seen = collector.seen();
    let steps: Vec<_> = seen.iter().filter(|span| span.name == "step").collect();
    let traces: BTreeSet<_> = steps.iter().map(|step| &step.trace).collect();
    assert_eq!(traces.len(), 1, "the steps of one sync are one trace: {steps:#?}");
    let jobs: BTreeSet<_> = steps.iter().map(|step| step.attribute("job.id")).collect();
    assert!(
        jobs.len() >= 6,
        "a sync has six kinds of steps at least: {jobs:?}"
    );
    let trace = steps[0].trace.clone();
    seen.into_iter().filter(|span| span.trace == trace).collect()
}

/// Each span has a parent that was sent too, but those that hang on `first`; each step on what told the queue of it.
fn assert_linked(spans: &[Seen], first: &str) {
    let by_number: BTreeMap<&str, &Seen> = spans.iter().map(|span| (span.number.as_str(), span)).collect();
    assert_eq!(by_number.len(), spans.len(), "each span has a number of its own");
    let mut told_by = BTreeSet::new();
    for span in spans.iter().filter(|span| span.parent != first) {
        let parent = by_number.get(span.parent.as_str());
        let parent = parent.unwrap_or_else(|| panic!("the parent of this was never sent: {span:#?}"));
        if span.name == "step" {
            assert_eq!(parent.name, "announce", "{span:#?}");
            assert_eq!(parent.attribute("job.id"), span.attribute("job.id"));
            assert_eq!(span.service, "nightshift-worker");
            told_by.insert(parent.service.as_str());
        }
    }
    let both = BTreeSet::from(["nightshift-scheduler", "nightshift-worker"]);
    assert_eq!(
        told_by, both,
        "the first step was told of by one process, later ones by the other"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_night_are_one_trace_that_begins_in_the_scheduler() {
    let (collector, mut fleet) = traced().await;
    fleet.slot_comes("small").await;
    let spans = of_the_sync(&collector, &mut fleet).await;
    assert_linked(&spans, "");
    assert_calls(&spans, &fleet.simulator.secrets("small").unwrap());
    let first: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(first.len(), 1, "{first:#?}");
    assert_eq!(
        (first[0].name.as_str(), first[0].service.as_str()),
        ("fire", "nightshift-scheduler")
    );
}

/// Each call to Salesforce hangs on the step that made it, says which it was, and nothing that is secret.
fn assert_calls(spans: &[Seen], secrets: &[String]) {
    let steps: BTreeSet<&str> = spans
        .iter()
        .filter(|span| span.name == "step")
        .map(|span| span.number.as_str())
        .collect();
    let calls: Vec<_> = spans.iter().filter(|span| span.name == "salesforce").collect();
    let mut seen = BTreeSet::new();
    for call in &calls {
        assert!(steps.contains(call.parent.as_str()), "{call:#?}");
        assert_eq!(
            (call.attribute("status"), call.attribute("outcome")),
            ("200".to_owned(), "answered".to_owned()),
            "{call:#?}"
        );
        seen.insert((call.attribute("api"), call.attribute("call")));
    }
    for (api, call) in [
        ("soap", "retrieve"),
        ("soap", "zip"),
        ("soap", "list"),
        ("rest", "versions"),
    ] {
        assert!(
            seen.contains(&(api.to_owned(), call.to_owned())),
            "{api} {call}: {seen:?}"
        );
    }
    let told = format!("{spans:?}");
    assert!(secrets.len() > 1 && secrets.iter().all(|secret| !told.contains(secret.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_within_a_trace_makes_the_sync_a_part_of_it() {
    let (collector, mut fleet) = traced().await;
    let (trace, client) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let request = r#"{"version":1,"request":"sync","org":"small","mode":"full","reason":"a test"}"#;
    publish_within(&fleet, Some(&format!("00-{trace}-{client}-01")), &[request]).await;
    let spans = of_the_sync(&collector, &mut fleet).await;
    assert_eq!(spans[0].trace, trace);
    assert_linked(&spans, client);
    assert!(
        spans.iter().any(|span| span.parent == client),
        "something hangs on the client's own span"
    );
}
