//! How long to wait before the next attempt.
//!
//! The only place that uses crate `backoff`, and only its policy: it is no longer maintained (RUSTSEC-2025-0012), so
//! nothing else may depend on it and replacing it stays a matter of this file. Workers are stateless, so the
//! interval of attempt n is found by playing n steps of the policy; the jitter is ours, and full: a fleet that failed
//! together must not come back together.

use std::time::Duration;

use backoff::{ExponentialBackoffBuilder, backoff::Backoff};
use rand::{Rng, RngExt};

use crate::settings::JobsSettings;

/// The delay before the attempt after `attempts` errors (1 for the first): anything up to the policy's interval.
pub fn delay(settings: &JobsSettings, attempts: u32, rng: &mut impl Rng) -> Duration {
    jitter(interval(settings, attempts), rng)
}

/// Anything up to `longest`.
pub fn jitter(longest: Duration, rng: &mut impl Rng) -> Duration {
    Duration::from_millis(rng.random_range(0..=longest.as_millis() as u64))
}

/// The policy's interval: doubled each time, bounded.
fn interval(settings: &JobsSettings, attempts: u32) -> Duration {
    let max = Duration::from_secs(settings.backoff_max_seconds);
    let mut policy = ExponentialBackoffBuilder::new()
        .with_initial_interval(Duration::from_secs(settings.backoff_initial_seconds).min(max))
        .with_multiplier(2.0)
        .with_randomization_factor(0.0)
        .with_max_interval(max)
        .with_max_elapsed_time(None)
        .build();
    let steps = attempts.clamp(1, 64);
    (0..steps)
        .filter_map(|_| policy.next_backoff())
        .last()
        .unwrap_or(max)
        .min(max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn the_interval_doubles_up_to_its_bound() {
        let settings = JobsSettings::default();
        let seconds: Vec<_> = (1..=10)
            .map(|attempts| interval(&settings, attempts).as_secs())
            .collect();
        assert_eq!(seconds, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    proptest! {
        #[test]
        fn a_delay_never_passes_the_bound(attempts in 0_u32..1_000, max in 0_u64..10_000, seed: u64) {
            let settings = JobsSettings { backoff_max_seconds: max, ..JobsSettings::default() };
            let delay = delay(&settings, attempts, &mut StdRng::seed_from_u64(seed));
            prop_assert!(delay <= Duration::from_secs(max));
        }
    }
}
