//! That at most a part of what happens does something more.

use crate::sync::{AtomicU64, Ordering};

/// At most so many of a thousand events may do something (a call may be hedged). Shared by all, without a lock.
///
/// Each event that is counted pays in its part, each that does it takes a whole one out. Ten are saved up at most: a
/// long time in which none was taken does not let everything take one at once.
#[derive(Debug)]
pub struct Allowance {
    permille: AtomicU64,
    /// Thousandths.
    saved: AtomicU64,
}

/// One that is taken, in thousandths.
const ONE: u64 = 1_000;
const MOST: u64 = 10 * ONE;

impl Allowance {
    /// An allowance of which nothing is saved. More than a thousand of a thousand is a thousand.
    pub fn new(permille: u16) -> Self {
        Self { permille: AtomicU64::new(part(permille)), saved: AtomicU64::new(0) }
    }

    /// Counts by another part from now on; what is saved stays.
    pub fn adopt(&self, permille: u16) {
        self.permille.store(part(permille), Ordering::Relaxed);
    }

    /// Counts an event.
    pub fn count(&self) {
        let part = self.permille.load(Ordering::Relaxed);
        let pay = |saved: u64| (saved < MOST).then(|| (saved + part).min(MOST));
        // It fails where no more is saved.
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
    }

    /// Whether one more might do it.
    pub fn has_one(&self) -> bool {
        self.saved.load(Ordering::Relaxed) >= ONE
    }

    /// Whether one more may do it; if so, it is counted as done.
    #[must_use]
    pub fn take(&self) -> bool {
        let take = |saved: u64| saved.checked_sub(ONE);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

fn part(permille: u16) -> u64 {
    u64::from(permille).min(ONE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of so many events, each of which would, do it.
    fn taken(allowance: &Allowance, events: u32) -> u32 {
        (0..events)
            .filter(|_| {
                allowance.count();
                allowance.take()
            })
            .count() as u32
    }

    #[test]
    fn of_a_thousand_events_so_many_may() {
        assert_eq!(taken(&Allowance::new(50), 1_000), 50);
        assert_eq!(taken(&Allowance::new(0), 1_000), 0);
        assert_eq!(taken(&Allowance::new(1_000), 1_000), 1_000);
        assert_eq!(taken(&Allowance::new(u16::MAX), 1_000), 1_000);
    }

    #[test]
    fn the_first_may_not_before_enough_were_counted() {
        let allowance = Allowance::new(50);
        assert!(!allowance.take());
        assert_eq!(taken(&allowance, 19), 0);
        assert_eq!(taken(&allowance, 1), 1);
    }

    #[test]
    fn ten_are_saved_up_and_no_more() {
        let allowance = Allowance::new(100);
        (0..100_000).for_each(|_| allowance.count());
        assert_eq!((0..100).filter(|_| allowance.take()).count(), 10);
        assert_eq!(taken(&allowance, 100), 10);

        // Nor a part of one more.
        let allowance = Allowance::new(300);
        (0..100).for_each(|_| allowance.count());
        assert_eq!((0..100).filter(|_| allowance.take()).count(), 10);
        assert_eq!(taken(&allowance, 3), 0);
    }

    #[test]
    fn another_part_counts_from_then_on() {
        let allowance = Allowance::new(500);
        (0..3).for_each(|_| allowance.count());
        allowance.adopt(0);
        assert_eq!(taken(&allowance, 100), 1);
        allowance.adopt(1_000);
        assert_eq!(taken(&allowance, 100), 100);
    }

    #[test]
    fn threads_together_take_no_more_than_was_counted() {
        let allowance = Allowance::new(100);
        let taken: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&allowance, 10_000))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 4_000);
    }

    proptest! {
        #[test]
        fn at_no_moment_more_than_their_part_were_taken(
            permille in 0_u16..=1_000, events in prop::collection::vec(any::<bool>(), 1..2_000),
        ) {
            let allowance = Allowance::new(permille);
            let (mut counted, mut taken) = (0_u64, 0_u64);
            for is_taking in events {
                if is_taking {
                    taken += u64::from(allowance.take());
                } else {
                    allowance.count();
                    counted += 1;
                }
                prop_assert!(taken * 1_000 <= u64::from(permille) * counted);
            }
        }
    }
}
