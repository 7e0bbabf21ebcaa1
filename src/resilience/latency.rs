//! How soon a target's answers begin, as far as its earlier ones tell.

use std::sync::Arc;
use std::time::Duration;

use super::quantile::Quantile;
use crate::clock::Instant;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Times of one target, to the first token or to the whole answer, and how many tries are under way there. Shared by all calls.
///
/// What is expected is a moving average that peaks at once and falls slowly (peak EWMA, as in Finagle): a target that
/// becomes slow is left at once, and comes back bit by bit.
#[derive(Debug, Default)]
pub struct Latency {
    under_way: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    average: Option<Average>,
    most: Quantile,
}

#[derive(Clone, Copy, Debug)]
struct Average {
    nanos: f64,
    at: Instant,
}

/// After so long, a peak weighs a third (1/e) of what it did.
const DECAY: Duration = Duration::from_secs(10);
/// Of a target that nobody has measured, and where somebody is about to.
const UNMEASURED: Duration = Duration::from_secs(1);

impl Latency {
    /// A target that nobody has measured.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in how long the first token of one try took.
    pub fn observe(&self, took: Duration, now: Instant) {
        let mut seen = self.seen.lock();
        seen.most.learn(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let took = took.as_nanos() as f64;
        let nanos = match seen.average {
            Some(average) if average.nanos > took => {
                let weight = average.weight(now);
                average.nanos * weight + took * (1.0 - weight)
            }
            // A peak, or the first.
            Some(_) | None => took,
        };
        let at = seen.average.map_or(now, |average| average.at.max(now));
        seen.average = Some(Average { nanos, at });
    }

    /// What one more try would cost: the expected nanoseconds to its first token, times the tries under way and itself.
    ///
    /// Where nothing is under way, what is expected falls as time goes by, so that a target which was slow is tried
    /// again; where something is, it does not: silence must not make it look fast. A target that nobody has measured
    /// costs nothing, until the first try is under way: then a second each, so that not all go there.
    pub fn cost(&self, now: Instant) -> u64 {
        let under_way = self.under_way();
        let average = self.seen.lock().average;
        let expected = match average {
            Some(average) if under_way > 0 => average.nanos,
            Some(average) => average.nanos * average.weight(now),
            None if under_way > 0 => UNMEASURED.as_nanos() as f64,
            None => 0.0,
        };
        // What is too large for the type becomes its largest value.
        (expected as u64).saturating_mul(under_way.saturating_add(1))
    }

    /// What is expected of one more try, by itself; none before one was measured.
    pub fn average(&self, now: Instant) -> Option<Duration> {
        let average = self.seen.lock().average?;
        Some(Duration::from_nanos((average.nanos * average.weight(now)) as u64))
    }

    /// How long nineteen of twenty first tokens take at most; none before twenty were seen.
    pub fn p95(&self) -> Option<Duration> {
        self.seen.lock().most.value().map(Duration::from_nanos)
    }

    /// Tries under way.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Counts a try as under way, until what comes back is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

impl Average {
    /// What is left of it, of 1.
    fn weight(self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).div_duration_f64(DECAY)).exp()
    }
}

/// A try under way; until it is dropped.
#[must_use = "dropped, the try is not under way"]
#[derive(Debug)]
pub struct InFlight(Arc<Latency>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// In milliseconds.
    fn cost(latency: &Latency, now: Instant) -> u64 {
        (latency.cost(now) + 500_000) / 1_000_000
    }

    fn latency() -> Arc<Latency> {
        Arc::new(Latency::new())
    }

    #[test]
    fn a_peak_counts_at_once_and_falls_by_and_by() {
        let (latency, start) = (latency(), Instant::now());
        latency.observe(100 * MS, start);
        assert_eq!(cost(&latency, start), 100);
        latency.observe(1_100 * MS, start + SECOND);
        assert_eq!(cost(&latency, start + SECOND), 1_100);
        // After ten seconds a third of what it was above the others is left.
        latency.observe(100 * MS, start + 11 * SECOND);
        assert_eq!(cost(&latency, start + 11 * SECOND), 100 + 368);
    }

    #[test]
    fn a_few_answers_at_one_moment_do_not_wash_a_peak_away() {
        let (latency, now) = (latency(), Instant::now());
        latency.observe(1_000 * MS, now);
        (0..100).for_each(|_| latency.observe(10 * MS, now));
        assert_eq!(cost(&latency, now), 1_000);
    }

    #[test]
    fn a_target_that_was_slow_is_tried_again_after_a_while() {
        let (slow, fast, start) = (latency(), latency(), Instant::now());
        slow.observe(8_000 * MS, start);
        let later = start + 60 * SECOND;
        fast.observe(200 * MS, later);
        assert!(slow.cost(start) > 8_000_000_000 - 1);
        assert!(slow.cost(later) < fast.cost(later));
    }

    #[test]
    fn each_try_under_way_makes_it_dearer_until_it_ends() {
        let (latency, now) = (latency(), Instant::now());
        latency.observe(100 * MS, now);
        let (one, two) = (latency.begin(), latency.begin());
        assert_eq!(cost(&latency, now), 300);
        drop(one);
        assert_eq!(cost(&latency, now), 200);
        drop(two);
        assert_eq!((cost(&latency, now), latency.under_way()), (100, 0));
    }

    #[test]
    fn a_target_that_falls_silent_does_not_look_fast() {
        let (latency, now) = (latency(), Instant::now());
        latency.observe(100 * MS, now);
        let silent = latency.begin();
        assert_eq!(cost(&latency, now + 60 * SECOND), 200);
        drop(silent);
        assert_eq!(cost(&latency, now + 60 * SECOND), 0);
    }

    #[test]
    fn one_that_nobody_has_measured_is_tried_first_but_not_by_all_at_once() {
        let (unmeasured, known, now) = (latency(), latency(), Instant::now());
        known.observe(300 * MS, now);
        assert!(unmeasured.cost(now) < known.cost(now));
        let first = unmeasured.begin();
        assert!(unmeasured.cost(now) > known.cost(now));
        unmeasured.observe(100 * MS, now);
        drop(first);
        assert!(unmeasured.cost(now) < known.cost(now));
    }

    #[test]
    fn nineteen_of_twenty_are_told_after_twenty() {
        let (latency, now) = (latency(), Instant::now());
        (1..20).for_each(|n| latency.observe(n * 10 * MS, now));
        assert_eq!(latency.p95(), None);
        latency.observe(5 * MS, now);
        assert_eq!(latency.p95(), Some(190 * MS));
    }

    #[test]
    fn what_comes_late_counts_as_now() {
        let (latency, now) = (latency(), Instant::now());
        latency.observe(100 * MS, now + 10 * SECOND);
        latency.observe(50 * MS, now);
        assert_eq!(cost(&latency, now + 10 * SECOND), 100);
    }

    proptest! {
        #[test]
        fn what_is_expected_lies_within_what_was_seen(
            seen in prop::collection::vec((0_u64..100_000, 0_u64..30_000), 1..100),
        ) {
            let (latency, mut now) = (latency(), Instant::now());
            let _under_way = latency.begin();
            for (took, gap) in &seen {
                now += *gap as u32 * MS;
                latency.observe(*took as u32 * MS, now);
            }
            let (least, most) = (seen.iter().map(|(took, _)| took).min(), seen.iter().map(|(took, _)| took).max());
            let expected = latency.cost(now) / 2;
            // Rounded down.
            prop_assert!(expected + 1 >= least.unwrap() * 1_000_000 && expected <= most.unwrap() * 1_000_000);
        }

        #[test]
        fn no_time_is_too_long(seconds in any::<u64>(), tries in 0_usize..5) {
            let (latency, now) = (latency(), Instant::now());
            latency.observe(Duration::from_secs(seconds), now);
            let under_way: Vec<_> = (0..tries).map(|_| latency.begin()).collect();
            prop_assert!(latency.cost(now) >= seconds.min(1 << 30) * 1_000_000_000);
            drop(under_way);
        }
    }
}
