//! When to look again at a retrieve that Salesforce has not finished.
//!
//! The delay grows by half with each look, so that a retrieve of two hours costs some forty polls and not thousands
//! (B27), and has jitter, so that a fleet's polls do not come in step.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::settings::SyncSettings;

/// The delay after `waits` looks that found it unfinished.
pub fn next_poll(settings: &SyncSettings, waits: u32, rng: &mut impl Rng) -> Duration {
    let longest = settings.poll_max_seconds.max(1) as f64 * 1_000.0;
    let grown = settings.poll_first_millis as f64 * 1.5_f64.powi(waits.min(64) as i32);
    let millis = grown.clamp(1.0, longest);
    Duration::from_millis((millis * rng.random_range(0.8..1.2)) as u64)
}

/// The first delay: not before half the time that the instance's queue has kept retrieves lately.
pub fn first_poll(settings: &SyncSettings, queue: Duration, rng: &mut impl Rng) -> Duration {
    let longest = Duration::from_secs(settings.poll_max_seconds.max(1));
    let queue = (queue / 2).min(longest).mul_f64(rng.random_range(0.8..1.2));
    next_poll(settings, 0, rng).max(queue)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn b27_a_retrieve_of_two_hours_costs_few_polls() {
        let (settings, mut rng) = (SyncSettings::default(), StdRng::seed_from_u64(7));
        let (mut waited, mut polls) = (Duration::ZERO, 0);
        while waited < Duration::from_secs(7_200) {
            waited += next_poll(&settings, polls, &mut rng);
            polls += 1;
        }
        assert!(polls <= 45, "{polls} polls");
    }

    #[test]
    fn behind_a_long_queue_the_first_look_comes_later_and_within_the_bound() {
        let (settings, mut rng) = (SyncSettings::default(), StdRng::seed_from_u64(7));
        let first = first_poll(&settings, Duration::from_secs(100), &mut rng);
        assert!(
            first >= Duration::from_secs(40) && first <= Duration::from_secs(60),
            "{first:?}"
        );
        assert!(first_poll(&settings, Duration::from_hours(3), &mut rng) <= Duration::from_secs(288));
        assert!(first_poll(&settings, Duration::ZERO, &mut rng) <= Duration::from_millis(2_400));
    }

    #[test]
    fn the_first_look_comes_soon_and_a_later_one_within_the_bound() {
        let (settings, mut rng) = (SyncSettings::default(), StdRng::seed_from_u64(7));
        assert!(next_poll(&settings, 0, &mut rng) <= Duration::from_millis(2_400));
        for waits in 0..60 {
            assert!(next_poll(&settings, waits, &mut rng) <= Duration::from_secs(288));
        }
    }
}
