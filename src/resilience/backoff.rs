//! How long to wait before the candidates are tried again.

use std::time::Duration;

use super::draw::below;
use crate::random::Random;

/// Exponential backoff with full jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub base: Duration,
    /// The longest of all.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(250), max: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// How long to wait after so many waits (the first is 0): any time up to the longest of this round, each as
    /// likely as the others, so that callers who failed together do not come back together.
    pub fn wait(&self, round: u32, random: &Random) -> Duration {
        Duration::from_nanos(below(self.longest(round).saturating_add(1), random))
    }

    /// The longest wait of a round, in nanoseconds: it doubles until `max`.
    fn longest(&self, round: u32) -> u64 {
        let doubled = u128::from(nanos(self.base)) << round.min(u64::BITS);
        u64::try_from(doubled).unwrap_or(u64::MAX).min(nanos(self.max))
    }
}

/// As nanoseconds; 584 years at most.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_longest_wait_doubles_with_each_round_until_the_longest_of_all() {
        let backoff = Backoff { base: 200 * MS, max: 5_000 * MS };
        let longest: Vec<_> = (0..7).map(|round| backoff.longest(round) / 1_000_000).collect();
        assert_eq!(longest, [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    }

    #[test]
    fn a_wait_is_anything_from_nothing_to_the_longest_and_half_of_it_on_average() {
        let backoff = Backoff { base: 100 * MS, max: 5_000 * MS };
        let random = Random::seeded(2);
        let waits: Vec<_> = (0..10_000).map(|_| backoff.wait(1, &random)).collect();
        assert!(waits.iter().all(|wait| *wait <= 200 * MS));
        assert!(waits.iter().any(|wait| *wait < 2 * MS) && waits.iter().any(|wait| *wait > 198 * MS));
        let average = waits.iter().sum::<Duration>() / 10_000;
        assert!((98 * MS..102 * MS).contains(&average), "{average:?}");
    }

    #[test]
    fn one_that_never_waits_never_waits() {
        let backoff = Backoff { base: Duration::ZERO, max: Duration::MAX };
        assert_eq!(backoff.wait(u32::MAX, &Random::seeded(1)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn no_round_waits_longer_than_the_longest_of_all(
            base in any::<Duration>(), max in any::<Duration>(), round in any::<u32>(), seed in any::<u64>(),
        ) {
            let wait = Backoff { base, max }.wait(round, &Random::seeded(seed));
            prop_assert!(wait <= max);
            prop_assert!(round > 0 || wait <= base);
        }
    }
}
