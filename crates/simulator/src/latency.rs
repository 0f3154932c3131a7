//! How long calls take, and how long retrieves and Bulk jobs stay in each state: drawn, not fixed.
//!
//! Each kind of call has a log-normal distribution, as waiting times over a network have: a median and a spread
//! (`latencies.tsv`, with where each number comes from; most of them are not measured on a live org). What is drawn depends on the
//! simulator's seed, the org, the kind and how many of the kind there were before: the same run takes the same time.
//! A speed divides all of it; without a speed calls take no time and retrieves the fixed times of `RetrievePace`.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use crate::{
    calls::Call,
    mix::{Numbers, mix, mix_text},
    org::Org,
    settings::RetrievePace,
};

/// Longest time that is ever drawn, before the speed: beyond it stands a fault, not chance.
const LONGEST: Duration = Duration::from_mins(30);

/// How fast the simulated Salesforce is.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Latency {
    /// Calls take no time.
    #[default]
    None,
    /// Drawn, and divided by this: 1 is as slow as the stated distributions, 100 a hundred times faster.
    Drawn { speed: f64 },
}

/// A log-normal distribution.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Spread {
    median_millis: f64,
    /// Standard deviation of the logarithm.
    sigma: f64,
}

static TABLE: LazyLock<BTreeMap<&'static str, Spread>> = LazyLock::new(|| {
    let lines = include_str!("latencies.tsv").lines().skip(1);
    lines
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (name, median, sigma) = (columns.next()?, columns.next()?, columns.next()?);
            let spread = Spread {
                median_millis: median.parse().ok()?,
                sigma: sigma.parse().ok()?,
            };
            Some((name, spread))
        })
        .collect()
});

impl Spread {
    /// One value, by the method of Box and Muller.
    fn draw(self, seed: u64) -> Duration {
        let mut numbers = Numbers::new(seed);
        let mut even = || ((numbers.next() >> 11) as f64 + 1.0) / ((1_u64 << 53) as f64 + 1.0);
        let normal = (-2.0 * even().ln()).sqrt() * (std::f64::consts::TAU * even()).cos();
        let millis = self.median_millis * (self.sigma * normal).exp();
        Duration::from_secs_f64(millis / 1_000.0).min(LONGEST)
    }
}

impl Latency {
    /// How long the `nth` call of a kind in an org takes.
    pub(crate) fn of(self, org: &Org, call: Call, nth: u64) -> Duration {
        match serde_json::to_value(call) {
            Ok(serde_json::Value::String(name)) => self.drawn(&name, mix(org.number, nth)),
            _ => Duration::ZERO,
        }
    }

    /// How long a retrieve or a Bulk job of that number stays in each state.
    pub(crate) fn pace(self, number: u64, otherwise: RetrievePace) -> RetrievePace {
        match self {
            Self::None => otherwise,
            Self::Drawn { .. } => RetrievePace {
                pending: self.drawn("state_pending", number),
                in_progress: self.drawn("state_in_progress", number),
                per_file: self.drawn("state_per_file", number),
            },
        }
    }

    fn drawn(self, name: &str, number: u64) -> Duration {
        let Self::Drawn { speed } = self else {
            return Duration::ZERO;
        };
        let Some(spread) = TABLE.get(name) else {
            return Duration::ZERO;
        };
        spread
            .draw(mix_text(number, name))
            .div_f64(speed.max(f64::MIN_POSITIVE))
            .min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_call_and_every_state_has_its_distribution() {
        for call in Call::ALL {
            let name = serde_json::to_value(call).unwrap();
            assert!(TABLE.contains_key(name.as_str().unwrap()), "{name}");
        }
        assert_eq!(
            TABLE.len(),
            Call::ALL.len() + 3,
            "a row of the table belongs to nothing"
        );
    }

    #[test]
    fn what_is_drawn_has_the_median_and_the_spread_that_are_stated() {
        for (name, spread) in TABLE.iter() {
            let mut drawn: Vec<f64> = (0..20_000)
                .map(|seed| spread.draw(mix_text(seed, name)).as_secs_f64() * 1_000.0)
                .collect();
            drawn.sort_by(f64::total_cmp);
            let (low, middle, high) = (drawn[3_174], drawn[10_000], drawn[16_826]);
            assert!(
                (middle / spread.median_millis - 1.0).abs() < 0.05,
                "{name}: {middle}"
            );
            let sigma = (high / low).ln() / 2.0;
            assert!((sigma - spread.sigma).abs() < 0.05, "{name}: {sigma}");
        }
    }

    #[test]
    fn a_speed_divides_and_the_same_number_draws_the_same() {
        let (slow, fast) = (Latency::Drawn { speed: 1.0 }, Latency::Drawn { speed: 10.0 });
        let pace = |latency: Latency| latency.pace(7, RetrievePace::default()).pending;
        assert_eq!(pace(slow), pace(slow));
        assert!(pace(slow).abs_diff(pace(fast) * 10) < Duration::from_micros(1));
        assert_eq!(pace(Latency::None), RetrievePace::default().pending);
    }
}
