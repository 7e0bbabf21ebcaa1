//! What happened of late, in slots of time: the oldest is forgotten when a new one begins.

use std::time::Duration;

use crate::clock::Instant;

/// `N` slots of equal length. What they hold is nowhere older than `N` of these lengths, and nothing of the last
/// `N - 1` is missing. Moments that come late count as if they were now.
#[derive(Clone, Debug)]
pub(super) struct Ring<T, const N: usize> {
    slots: [T; N],
    length: Duration,
    at: usize,
    /// When the slot at `at` ends; none before anything happened.
    until: Option<Instant>,
}

impl<T: Copy + Default, const N: usize> Ring<T, N> {
    pub(super) fn new(length: Duration) -> Self {
        let length = length.max(Duration::from_nanos(1));
        Self { slots: [T::default(); N], length, at: 0, until: None }
    }

    /// The slot of `now`.
    pub(super) fn slot(&mut self, now: Instant) -> &mut T {
        self.advance(now);
        &mut self.slots[self.at]
    }

    /// All slots as of `now`, in no order.
    pub(super) fn slots(&mut self, now: Instant) -> &[T; N] {
        self.advance(now);
        &self.slots
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots = [T::default(); N];
        self.until = None;
    }

    fn advance(&mut self, now: Instant) {
        let Some(mut until) = self.until else {
            self.until = now.checked_add(self.length);
            return;
        };
        let mut begun = 0;
        while until <= now && begun < N {
            self.at = (self.at + 1) % N;
            self.slots[self.at] = T::default();
            until = until.checked_add(self.length).unwrap_or(now);
            begun += 1;
        }
        // Where nothing of what was is left, slots begin anew from now.
        self.until = if begun == N { now.checked_add(self.length) } else { Some(until) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sum(ring: &mut Ring<u32, 4>, now: Instant) -> u32 {
        ring.slots(now).iter().sum()
    }

    #[test]
    fn what_is_older_than_its_slots_is_forgotten() {
        let start = Instant::now();
        let mut ring = Ring::<u32, 4>::new(SECOND);
        for second in 0..4 {
            *ring.slot(start + second * SECOND) += 1 << second;
        }
        assert_eq!(sum(&mut ring, start + 3 * SECOND), 0b1111);
        assert_eq!(sum(&mut ring, start + 4 * SECOND), 0b1110);
        assert_eq!(sum(&mut ring, start + 6 * SECOND), 0b1000);
        assert_eq!(sum(&mut ring, start + 7 * SECOND), 0);
    }

    #[test]
    fn a_moment_that_comes_late_counts_as_now() {
        let start = Instant::now();
        let mut ring = Ring::<u32, 4>::new(SECOND);
        *ring.slot(start + 9 * SECOND) += 1;
        *ring.slot(start) += 2;
        assert_eq!(sum(&mut ring, start + 12 * SECOND), 3);
    }

    #[test]
    fn one_that_was_cleared_knows_nothing_and_begins_with_what_comes_next() {
        let start = Instant::now();
        let mut ring = Ring::<u32, 4>::new(SECOND);
        *ring.slot(start) += 1;
        ring.clear();
        assert_eq!(sum(&mut ring, start), 0);
        *ring.slot(start) += 1;
        assert_eq!(sum(&mut ring, start + 3 * SECOND), 1);
    }

    #[test]
    fn slots_of_no_length_and_of_any_length_do_no_harm() {
        let start = Instant::now();
        for length in [Duration::ZERO, Duration::MAX] {
            let mut ring = Ring::<u32, 4>::new(length);
            *ring.slot(start) += 1;
            *ring.slot(start + SECOND) += 1;
            assert!(sum(&mut ring, start + SECOND) > 0);
        }
    }

    proptest! {
        #[test]
        fn nothing_recent_is_missing_and_nothing_old_is_left(
            gaps in prop::collection::vec(0_u64..3_000, 1..100),
        ) {
            let mut now = Instant::now();
            let mut ring = Ring::<u32, 4>::new(SECOND);
            let mut events = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                *ring.slot(now) += 1;
                events.push(now);
                let within = |span| events.iter().filter(|at| now - **at < span).count() as u32;
                let held = sum(&mut ring, now);
                prop_assert!(within(3 * SECOND) <= held && held <= within(4 * SECOND));
            }
        }
    }
}
