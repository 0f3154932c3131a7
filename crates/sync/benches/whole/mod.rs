//! A whole ingest: from an HTTP answer to staged rows, by the production path, in a process of its own.

mod salesforce;

use std::{process::Command, sync::Arc, time::Duration};

use nightshift_domain::{Class, Door, Kind, Mode, NewJob, OrgId, SyncRequest};
use nightshift_metadata::Described;
use nightshift_salesforce::{
    ApiVersion, AsyncId, CallCounter, HostPolicy, Http, HttpSettings, Proxy, Salesforce, ZipAnswer,
};
use nightshift_store::{
    Store,
    jobs::{Claim, ClaimAnswer, JobsFilter},
    syncs::{Opening, Patience},
};
use nightshift_sync::ingest::{InParts, stage_zip};
use nightshift_testkit::{TestDb, new_org};

use crate::measure::{cpu_seconds, line_of, peak_megabytes};
pub use salesforce::serve;

const LEASE: Duration = Duration::from_secs(1_800);

/// What an ingest of a retrieve writes.
pub const TABLES: [&str; 3] = ["staged_component", "staged_file", "blob"];

/// As it was before any ingest.
pub async fn empty(database: &TestDb) {
    for table in TABLES {
        database.empty(table).await;
    }
}

/// What a run says about itself.
#[derive(Clone, Copy)]
pub struct Run {
    pub seconds: f64,
    pub cpu: f64,
    pub peak: f64,
    pub members: usize,
}

/// Runs one in a process of its own, on these cores.
pub fn run(database: &TestDb, answer_at: &str, org: u32, cores: &str) -> Run {
    let mut child = Command::new("taskset");
    child
        .args(["-c", cores])
        .arg(std::env::current_exe().unwrap())
        .args(["--child", database.url(), answer_at, &org.to_string()]);
    let line = line_of(&mut child);
    let words: Vec<&str> = line.split_whitespace().collect();
    Run {
        seconds: words[0].parse().unwrap(),
        cpu: words[1].parse().unwrap(),
        peak: words[2].parse().unwrap(),
        members: words[3].parse().unwrap(),
    }
}

/// The other side of `run`.
#[tokio::main]
pub async fn child(arguments: &[String]) {
    let database = TestDb::at(&arguments[0]);
    let store = database.store().await;
    let (org, claim) = claimed(&store, arguments[2].parse().unwrap()).await;
    let http = Http::new(HttpSettings {
        proxy: Proxy::None,
        ..HttpSettings::default()
    });
    let salesforce = Salesforce::new(http.unwrap(), HostPolicy::new(["127.0.0.1"]));
    let tokens = Arc::new(salesforce::session(&arguments[1]));
    let client = salesforce.client(org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED);
    let me = std::process::id();

    let (began, cpu) = (std::time::Instant::now(), cpu_seconds(me));
    let id = AsyncId::new("09S5g000000AbCdEAK").unwrap();
    let ZipAnswer::Zip(download) = client.retrieve_zip(&id).await.unwrap() else {
        panic!("the answer has no zip");
    };
    let mut staging = store.staging().writer(&claim, LEASE);
    let staged = stage_zip(
        download.reader,
        Described::default(),
        &InParts::none(),
        &mut staging,
    )
    .await
    .unwrap();
    staged.read.unwrap();
    download.end.wait().await.unwrap();
    staging.flush().await.unwrap();
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds(me) - cpu);

    println!("{seconds} {cpu} {} {}", peak_megabytes(me), staged.got.len());
}

/// A claimed job of a new org, under which rows may be staged.
async fn claimed(store: &Store, n: u32) -> (OrgId, Claim) {
    let now = store.now().await.unwrap();
    let org = store.orgs().add(&new_org(n, now)).await.unwrap();
    let request = SyncRequest {
        org,
        mode: Mode::Full,
        door: Door::Hand,
        reason: None,
    };
    let job = NewJob::new(Kind::new("ingest"), Class::Ingest, serde_json::json!({}));
    let opening = Opening {
        request: &request,
        patience: Patience::For(LEASE),
        first: &job,
        traceparent: None,
    };
    store.syncs().admit(&opening).await.unwrap();
    let filter = JobsFilter {
        org: Some(org),
        limit: 1,
        ..JobsFilter::default()
    };
    let job = store.jobs().list(&filter).await.unwrap()[0].id;
    match store.jobs().claim(org, job, LEASE, 5).await.unwrap() {
        ClaimAnswer::Ours(claimed) => (org, claimed.claim),
        ClaimAnswer::Refused => panic!("nobody else wants this job"),
    }
}
