//! What nineteen of twenty values do not exceed, told without keeping them.

/// Moves up by a part of itself with each value above it, down by a nineteenth of that part with each below: it rests
/// where one value of twenty is above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quantile {
    /// Values seen, up to [`FIRST`].
    seen: u8,
    value: u64,
}

/// Before so many values nothing is known.
pub(super) const FIRST: u8 = 20;
/// One 256th down, nineteen up.
const STEP: u64 = 256;
const UP: u64 = 19;
/// Whole steps, and no overflow.
const LEAST: u64 = STEP;
const MOST: u64 = 1 << 56;

impl Quantile {
    /// None before twenty values were seen.
    pub(super) fn value(&self) -> Option<u64> {
        (self.seen >= FIRST).then_some(self.value)
    }

    /// Takes a value in. Of the first twenty it is the largest; then each moves it by a thirteenth at most.
    pub(super) fn learn(&mut self, value: u64) {
        let value = value.clamp(LEAST, MOST);
        self.value = if self.seen < FIRST {
            self.seen += 1;
            self.value.max(value)
        } else if value > self.value {
            (self.value + self.value * UP / STEP).min(MOST)
        } else {
            (self.value - self.value / STEP).max(LEAST)
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(values: impl IntoIterator<Item = u64>) -> Option<u64> {
        let mut quantile = Quantile::default();
        values.into_iter().for_each(|value| quantile.learn(value));
        quantile.value()
    }

    #[test]
    fn nothing_is_known_before_twenty_values_and_then_the_largest_of_them() {
        assert_eq!(after([5_000; 19]), None);
        assert_eq!(after((1..=20).map(|n| n * 1_000)), Some(20_000));
    }

    #[test]
    fn one_value_of_twenty_is_above() {
        // From 1 to 100,000, evenly, in no order.
        let values = |n: u64| n * 61_747 % 100_000 + 1;
        let mut quantile = Quantile::default();
        let mut above = 0;
        for n in 0..60_000 {
            above += u32::from(n >= 10_000 && quantile.value().is_some_and(|known| values(n) > known));
            quantile.learn(values(n));
        }
        assert!((2_000..3_000).contains(&above), "{above} of 50,000");
        assert!((88_000..=104_000).contains(&quantile.value().unwrap()), "{quantile:?}");
    }

    #[test]
    fn it_follows_values_that_become_small_or_large() {
        let small = after([1_000_000; 20].into_iter().chain([50_000; 2_000])).unwrap();
        assert!(small < 55_000, "{small}");
        let large = after([50_000; 20].into_iter().chain([1_000_000; 100])).unwrap();
        assert!(large > 920_000, "{large}");
    }

    proptest! {
        #[test]
        fn it_stays_within_what_can_be_counted(values in prop::collection::vec(any::<u64>(), 20..200)) {
            prop_assert!((LEAST..=MOST).contains(&after(values).unwrap()));
        }
    }
}
