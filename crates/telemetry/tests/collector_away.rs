//! A collector that is away at full load. A process of its own, so that its memory is what the test weighs.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::time::{Duration, Instant};

use nightshift_telemetry::{Service, TelemetrySettings, start};

const SPANS: u64 = 200_000;
/// What spans that wait for a collector may weigh; all of these would weigh a hundred MiB and more.
const MORE: u64 = 40 << 20;

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

#[tokio::test(flavor = "multi_thread")]
async fn b135_a_collector_that_is_away_at_full_load_costs_no_memory_and_no_time() {
    let settings = TelemetrySettings {
        otlp_endpoint: "http://127.0.0.1:1".into(),
        log: "error".into(),
        ..TelemetrySettings::default()
    };
    let service = Service {
        role: "worker",
        version: "1.2.3",
        instance: "w-1".into(),
    };
    let telemetry = start(&settings, &service).unwrap();
    let spans = |count: u64| {
        for n in 0..count {
            tracing::info_span!(
                "step",
                job.step = "ingest",
                n,
                detail = "some words that weigh a little"
            )
            .in_scope(|| {});
        }
    };
    spans(20_000);
    let (before, begun) = (resident(), Instant::now());
    spans(SPANS);
    let (after, took) = (resident(), begun.elapsed());
    assert!(after < before + MORE, "{before} bytes became {after}");
    // nobody waits for the collector: that is its time-out, once
    assert!(took < Duration::from_secs(30), "{took:?}");
    let begun = Instant::now();
    let _ = telemetry.shutdown(Duration::from_secs(2)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
