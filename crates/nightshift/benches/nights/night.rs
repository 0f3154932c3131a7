//! One night of one org, and what it cost: time, wire, calls, rows, processor and memory of the worker.

use std::{collections::BTreeMap, time::Duration};

use nightshift_simulator::{OrgLimits, OrgSpec, SimulatorSettings};

use crate::{
    harness::Fleet,
    measure::{cpu_seconds, peak_megabytes},
    wire::{Meter, Wire},
};

/// Component and body rows.
const ROWS: &str = "SELECT (SELECT count(*) FROM version) + (SELECT count(*) FROM file_version) + (SELECT count(*) FROM blob)";

/// A fleet of one scheduler and one worker with one org, and a meter on its wire.
pub struct Site {
    pub fleet: Fleet,
    meter: Meter,
    scheduler: usize,
    worker: usize,
}

/// The first sign that a sync's inventory is over.
const AFTER_INVENTORY: &str = "SELECT count(*) FROM job WHERE kind NOT IN ('start', 'inventory')";

/// What a night cost.
pub struct Night {
    pub seconds: f64,
    pub bytes: u64,
    /// Those of them that came before the first retrieve.
    pub inventory: u64,
    pub cpu: f64,
    pub peak: f64,
    pub rows: i64,
    pub asked: u64,
    pub calls: BTreeMap<String, u64>,
}

/// Which night.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only what changed is retrieved.
    Incremental,
    /// Everything is retrieved.
    Full,
}

impl Site {
    pub async fn with(mut org: OrgSpec) -> Self {
        // many nights pass here in one: their calls together must stay below one night's share
        org.limits = Some(OrgLimits {
            daily_requests: 1_000_000,
            ..OrgLimits::default()
        });
        let wire = Wire::new().await;
        let simulator = SimulatorSettings {
            public_url: Some(format!("http://{}", wire.address)),
            ..SimulatorSettings::default()
        };
        // A full night of a large org outlasts the patience of a sync that was started by hand.
        let mut fleet = Fleet::beside(simulator, &[("SYNC__PATIENCE_SECONDS", "7200")]).await;
        let meter = wire.lead_to(fleet.simulator.addr());
        let scheduler = fleet.start("scheduler", &[]);
        let worker = fleet.start("worker", &[]);
        fleet.connect(org).await;
        Self {
            fleet,
            meter,
            scheduler,
            worker,
        }
    }

    /// Lets a night pass in which nothing changed since the last.
    pub async fn night(&mut self, kind: Kind) -> Night {
        let processes = [self.scheduler, self.worker].map(|n| self.fleet.process(n).id().unwrap());
        let cpu = || processes.iter().map(|process| cpu_seconds(*process)).sum::<f64>();
        // Without it the peak of an earlier night would be told for this one.
        std::fs::write(format!("/proc/{}/clear_refs", processes[1]), "5").unwrap();
        let (rows, bytes, used) = (self.fleet.database.count(ROWS).await, self.meter.bytes(), cpu());
        let mut command = vec!["sync", "org", "--wait", "--json"];
        if kind == Kind::Full {
            command.push("--full");
        }
        let sync = self.fleet.json(&command);
        let listed = async {
            while self.fleet.database.count(AFTER_INVENTORY).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            self.meter.bytes() - bytes
        };
        let (sync, inventory) = tokio::join!(sync, listed);
        assert_eq!(sync["state"], "succeeded", "{sync}");
        let calls = sync["api_calls"].as_object().unwrap();
        Night {
            seconds: sync["seconds"].as_f64().unwrap(),
            bytes: self.meter.bytes() - bytes,
            inventory,
            cpu: cpu() - used,
            peak: peak_megabytes(processes[1]),
            rows: self.fleet.database.count(ROWS).await - rows,
            asked: sync["asked"].as_u64().unwrap(),
            calls: calls
                .iter()
                .map(|(kind, calls)| (kind.clone(), calls.as_u64().unwrap()))
                .collect(),
        }
    }
}
