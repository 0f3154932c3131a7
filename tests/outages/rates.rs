//! What a fleet does, by class, a second: read from its processes' own metrics, as an operator reads it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nightshift_domain::Class;
use nightshift_testkit::free_port;

use crate::harness::Fleet;

/// What the processes say they have done so far.
#[derive(Clone, Default)]
pub struct Reading {
    pub claims: BTreeMap<Class, f64>,
    pub refused: f64,
    /// Announcements of jobs that had waited for a worker until they counted as lost.
    pub repeated: f64,
}

impl Reading {
    pub fn deliveries(&self) -> f64 {
        self.refused + self.claims.values().sum::<f64>()
    }

    /// A second, since another reading.
    fn rates(&self, since: &Self, seconds: f64) -> BTreeMap<Class, f64> {
        let rate = |(class, claims): (&Class, &f64)| (*class, (claims - since.claims[class]) / seconds);
        self.claims.iter().map(rate).collect()
    }
}

/// A scheduler and two workers with an address each.
pub struct Processes {
    ports: Vec<u16>,
    class_of: BTreeMap<String, Class>,
}

impl Processes {
    pub fn of(fleet: &mut Fleet) -> Self {
        let mut ports = Vec::new();
        for role in ["scheduler", "worker", "worker"] {
            let port = free_port();
            let listen = format!("127.0.0.1:{port}");
            fleet.start(role, &[("NIGHTSHIFT__HTTP__LISTEN", &listen)]);
            ports.push(port);
        }
        let class_of = nightshift_sync::registry()
            .kinds()
            .map(|(kind, class)| (kind.as_str().to_owned(), class))
            .collect();
        Self { ports, class_of }
    }

    pub async fn read(&self) -> Reading {
        let mut reading = Reading::default();
        for class in self.class_of.values() {
            reading.claims.insert(*class, 0.0);
        }
        for port in &self.ports {
            let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await;
            for line in answer.unwrap().text().await.unwrap().lines() {
                self.add(line, &mut reading);
            }
        }
        reading
    }

    fn add(&self, line: &str, reading: &mut Reading) {
        let Some((series, value)) = line.rsplit_once(' ') else {
            return;
        };
        if let Some(labels) = series.strip_prefix("nightshift_claims_total{") {
            let kind = labels.split('"').nth(1).unwrap();
            *reading.claims.get_mut(&self.class_of[kind]).unwrap() += value.parse::<f64>().unwrap();
        } else if series.starts_with("nightshift_claims_refused_total{") {
            reading.refused += value.parse::<f64>().unwrap();
        } else if series.starts_with("nightshift_announcements_repeated_total{") {
            reading.repeated += value.parse::<f64>().unwrap();
        }
    }

    /// The rates of a while from now on.
    pub async fn rates(&self, of: Duration) -> BTreeMap<Class, f64> {
        let (before, begun) = (self.read().await, Instant::now());
        tokio::time::sleep(of).await;
        self.read().await.rates(&before, begun.elapsed().as_secs_f64())
    }
}
