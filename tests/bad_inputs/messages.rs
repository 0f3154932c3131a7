//! Messages that are none of ours: requests of other programs, and what stands in the queues of jobs.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::Timestamp;
use nightshift_domain::{Class, Kind, NewJob, ProcessId};
use nightshift_jobs::JobsSettings;
use nightshift_queue::{Ack, InProcess, JobMessage, Queue, RequestDelivery, RequestError, WireError};
use nightshift_scheduler::{SchedulerParts, SlotClock, serve_requests};
use nightshift_testkit::{TestDb, new_org};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Judged, Prepared, retrieves::RUNTIME, table};

const GOOD: &str = r#"{"version":1,"request":"sync","org":"org-1"}"#;

/// What a client sends.
#[derive(Clone, Default)]
struct Sent {
    body: Vec<u8>,
    message_id: Option<String>,
    headers: usize,
}

impl Sent {
    fn delivery(self) -> RequestDelivery {
        RequestDelivery {
            body: self.body.into(),
            message_id: self.message_id,
            redelivered: false,
            traceparent: None,
            headers: self.headers,
            ack: Ack::new(|_| Box::pin(std::future::ready(()))),
        }
    }
}

pub fn prepare(name: &str) -> Prepared {
    let name = name.to_owned();
    if name.starts_with("job_") {
        let body = job(&name);
        return Box::new(move || Judged {
            code: wire_word(&JobMessage::decode(&body, None).unwrap_err()).to_owned(),
            text: JobMessage::decode(&body, None).unwrap_err().to_string(),
            harm: next_job(),
        });
    }
    let sent = request(&name);
    Box::new(move || {
        let delivery = sent.delivery();
        let error = delivery.read().unwrap_err();
        // it is a dead letter: nobody answers for it any more
        RUNTIME.block_on(delivery.ack.reject(&error.to_string()));
        let next = Sent {
            body: GOOD.into(),
            ..Sent::default()
        };
        Judged {
            code: request_word(&error).to_owned(),
            text: error.to_string(),
            harm: next
                .delivery()
                .read()
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default(),
        }
    })
}

fn wire_word(error: &WireError) -> &'static str {
    match error {
        WireError::TooLong(_) => "too_long",
        WireError::Version(_) => "version",
        WireError::Form(_) => "form",
    }
}

fn request_word(error: &RequestError) -> &'static str {
    match error {
        RequestError::TooLong(_) => "too_long",
        RequestError::Headers(_) => "headers",
        RequestError::Form(_) => "form",
        RequestError::Version(_) => "version",
        RequestError::Request(_) => "request",
        RequestError::Field { .. } => "field",
    }
}

fn next_job() -> String {
    let good = JobMessage {
        org: "0198f0a0-0000-7000-8000-000000000001".parse().unwrap(),
        job: "0198f0a0-0000-7000-8000-000000000002".parse().unwrap(),
        class: Class::Poll,
        traceparent: None,
    };
    match JobMessage::decode(&good.encode(), None) {
        Ok(read) if read == good => String::new(),
        other => format!("{other:?}"),
    }
}

fn job(name: &str) -> Vec<u8> {
    let good = r#"{"version":1,"org":"0198f0a0-0000-7000-8000-000000000001","job":"0198f0a0-0000-7000-8000-000000000002","class":"poll"}"#;
    match name {
        "job_longer_than_its_limit" => format!("{good}{}", " ".repeat(4 << 10)),
        "job_that_is_no_json" => "poll".to_owned(),
        "job_of_a_later_version" => good.replace("\"version\":1", "\"version\":2"),
        "job_of_an_unknown_class" => good.replace("poll", "nap"),
        "job_without_an_id" => good.replace("0198f0a0-0000-7000-8000-000000000002", "none"),
        "job_with_a_field_of_others" => good.replace("\"version\"", "\"run_as\":\"root\",\"version\""),
        other => panic!("{other} is not made here"),
    }
    .into_bytes()
}

fn request(name: &str) -> Sent {
    let with = |field: &str, value: &str| {
        format!(r#"{{"version":1,"request":"sync","org":"org-1","{field}":{value}}}"#)
    };
    let quoted = |length: usize| format!("\"{}\"", "x".repeat(length));
    let body = match name {
        "request_longer_than_its_limit" => with("reason", &quoted(64 << 10)),
        "request_empty" => String::new(),
        "request_that_is_no_json" => "sync org-1 please".to_owned(),
        "request_that_breaks_off" => GOOD[..20].to_owned(),
        "request_of_two_documents" => GOOD.repeat(2),
        "request_that_is_a_list" => format!("[{GOOD}]"),
        "request_with_an_unknown_field" => with("run_as", "\"root\""),
        "request_with_a_field_twice" => with("org", "\"org-2\""),
        "request_deeper_than_it_can_be" => with("reason", &("[".repeat(30_000) + &"]".repeat(30_000))),
        "request_of_a_later_version" => GOOD.replace("\"version\":1", "\"version\":2"),
        "request_without_a_version" => GOOD.replace("\"version\":1,", ""),
        "request_for_something_else" => GOOD.replace("\"sync\"", "\"delete\""),
        "request_of_an_unknown_mode" => with("mode", "\"everything\""),
        "request_without_an_org" => GOOD.replace("org-1", ""),
        "request_org_longer_than_its_limit" => GOOD.replace("org-1", &"x".repeat(101)),
        "request_org_with_a_nul" => GOOD.replace("org-1", "org\\u0000"),
        "request_reason_longer_than_its_limit" => with("reason", &quoted(1_001)),
        "request_reason_with_a_nul" => with("reason", r#""why\u0000""#),
        "request_id_longer_than_its_limit" => with("id", &quoted(201)),
        "request_that_is_no_utf8" => {
            return Sent {
                body: b"{\"version\":1,\"request\":\"sync\",\"org\":\"\xff\"}".to_vec(),
                ..Sent::default()
            };
        }
        "request_message_id_with_a_nul" => {
            return Sent {
                body: GOOD.into(),
                message_id: Some("a\0b".into()),
                headers: 0,
            };
        }
        "request_more_headers_than_its_limit" => {
            return Sent {
                body: GOOD.into(),
                message_id: None,
                headers: 33,
            };
        }
        other => panic!("{other} is not made here"),
    };
    Sent {
        body: body.into_bytes(),
        ..Sent::default()
    }
}

fn parts(store: &nightshift_store::Store, queue: &InProcess) -> SchedulerParts {
    let night: Timestamp = "2026-05-04T22:00:00Z".parse().unwrap();
    SchedulerParts {
        store: store.clone(),
        queue: Arc::new(queue.clone()),
        jobs: JobsSettings::default(),
        first: NewJob::new(Kind::new("start"), Class::Control, json!({})),
        patience: Duration::from_secs(600),
        clock: SlotClock::Virtual(Arc::new(move || night)),
        fire_batch: 10,
        tick: Duration::from_secs(1),
        catch_up_per_minute: 600,
        full_every_nights: 28,
        process: ProcessId::from_uuid(Uuid::now_v7()),
        host: "test".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_each_bad_request_the_next_one_is_carried_out() {
    let database = TestDb::fresh().await;
    let store = database.store().await;
    let noon: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
    store.orgs().add(&new_org(1, noon)).await.unwrap();
    let queue = InProcess::new();
    let rows = table::rows()
        .into_iter()
        .filter(|row| row.name.starts_with("request_"));
    // in process nobody sends headers
    let bad: Vec<_> = rows.filter(|row| row.code != "headers").collect();
    for (n, row) in bad.iter().enumerate() {
        let sent = request(&row.name);
        queue.request(sent.body, sent.message_id);
        queue.request(GOOD.replace('}', &format!(",\"id\":\"good-{n}\"}}")), None);
    }
    let unknown = GOOD.replace("org-1", "nobody");
    queue.request(unknown, None);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_requests(parts(&store, &queue), stop.clone()));
    let good = i64::try_from(bad.len()).unwrap();
    for _ in 0..200 {
        let done = database
            .count("SELECT count(*) FROM request_seen WHERE id LIKE 'id:good-%'")
            .await;
        if done == good && queue.list_dead(100).await.unwrap().len() > bad.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let done = database
        .count("SELECT count(*) FROM request_seen WHERE id LIKE 'id:good-%'")
        .await;
    let dead = queue.list_dead(100).await.unwrap();
    assert_eq!((done, dead.len()), (good, bad.len() + 1), "{dead:#?}");
    assert!(
        dead.iter()
            .all(|letter| letter.reason.starts_with("request_invalid: ")
                || letter.reason.starts_with("unknown_org: ")),
        "{dead:#?}"
    );
    assert_eq!(database.count("SELECT count(*) FROM sync").await, 1);
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn behind_each_bad_job_message_the_next_one_comes() {
    let queue = InProcess::new();
    let jobs: Vec<_> = (0..3)
        .map(|_| JobMessage {
            org: nightshift_domain::OrgId::from_uuid(Uuid::now_v7()),
            job: nightshift_domain::JobId::from_uuid(Uuid::now_v7()),
            class: Class::Poll,
            traceparent: None,
        })
        .collect();
    queue.announce(&jobs).await.unwrap();
    let mut deliveries = queue.consume(Class::Poll, 1);
    for job in &jobs {
        let delivery = deliveries.next().await.unwrap();
        assert_eq!(delivery.message.as_ref(), Ok(job));
        delivery.ack.reject("no job message").await;
    }
    assert_eq!(queue.list_dead(10).await.unwrap().len(), 3);
}
