//! What a month's work costs at a price, and how it is split. Integers only: parts add up to the whole.

use super::Price;
use crate::units::{NanoUsd, Tokens};
use crate::usage::Usage;

/// The tokens of a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// All input, cached included.
    pub input: Tokens,
    /// What of the input is read from a provider's cache; no more than the input.
    pub cached: Tokens,
    /// All output.
    pub output: Tokens,
}

/// What a workload costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// In a month.
    pub month: NanoUsd,
    /// In twelve of them.
    pub year: NanoUsd,
}

const MONTHS: u64 = 12;

impl Workload {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.input == Tokens::ZERO && self.output == Tokens::ZERO
    }

    /// What it costs at a price; none where that is beyond what is counted, some 18 billion dollars.
    pub fn cost(&self, price: &Price) -> Option<Cost> {
        let month = counted(price.of(&self.usage()))?;
        let year = month.0.checked_mul(MONTHS).map(NanoUsd).and_then(counted)?;
        Some(Cost { month, year })
    }

    fn usage(&self) -> Usage {
        let cached = Tokens(self.cached.0.min(self.input.0));
        Usage {
            input: self.input.saturating_sub(cached),
            cache_read: cached,
            output: self.output,
            ..Usage::default()
        }
    }

    /// Parts of it by their weights: each is less than a token off its exact share, and all of them are the whole. No
    /// parts where no weight says anything.
    pub fn split(&self, weights: &[u64]) -> Vec<Self> {
        let fresh = split(self.input.0.saturating_sub(self.cached.0), weights);
        let cached = split(self.cached.0.min(self.input.0), weights);
        let output = split(self.output.0, weights);
        let parts = fresh.into_iter().zip(cached).zip(output);
        parts
            .map(|((fresh, cached), output)| Self {
                input: Tokens(fresh) + Tokens(cached),
                cached: Tokens(cached),
                output: Tokens(output),
            })
            .collect()
    }
}

impl Cost {
    /// The sum; none where it is beyond what is counted.
    pub fn plus(self, other: Self) -> Option<Self> {
        let add = |one: NanoUsd, other: NanoUsd| one.0.checked_add(other.0).map(NanoUsd).and_then(counted);
        Some(Self { month: add(self.month, other.month)?, year: add(self.year, other.year)? })
    }
}

/// The largest amount stands for all that is larger.
fn counted(amount: NanoUsd) -> Option<NanoUsd> {
    (amount.0 < u64::MAX).then_some(amount)
}

/// Each part ends where the exact share of it and all before it ends, rounded down.
fn split(whole: u64, weights: &[u64]) -> Vec<u64> {
    let all: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if all == 0 {
        return Vec::new();
    }
    let mut weighed = 0_u128;
    let mut given = 0_u64;
    let parts = weights.iter().map(|weight| {
        weighed += u128::from(*weight);
        // No more than the whole, so that it fits.
        let until = u64::try_from(u128::from(whole) * weighed / all).unwrap_or(whole);
        let part = until - given;
        given = until;
        part
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pricing::PerMillion;

    fn price(input: &str, output: &str) -> Price {
        let per: [PerMillion; 2] = [input, output].map(|text| text.parse().unwrap());
        Price::new(per[0], per[1])
    }

    fn workload(input: u64, cached: u64, output: u64) -> Workload {
        Workload { input: Tokens(input), cached: Tokens(cached), output: Tokens(output) }
    }

    #[test]
    fn a_workload_costs_its_parts_at_their_prices() {
        let price = Price { cache_read: "0.50".parse().unwrap(), ..price("2.00", "8.00") };
        let cost = workload(200_000_000, 50_000_000, 100_000_000).cost(&price).unwrap();
        // 150 * 2 + 50 * 0.5 + 100 * 8
        assert_eq!(cost.month.to_string(), "1125");
        assert_eq!(cost.year.to_string(), "13500");
    }

    #[test]
    fn more_cached_than_there_is_input_is_all_of_it() {
        let all = workload(1_000_000, 1_000_000, 0).cost(&price("2.00", "8.00"));
        assert_eq!(workload(1_000_000, 5_000_000, 0).cost(&price("2.00", "8.00")), all);
    }

    #[test]
    fn what_is_too_dear_to_be_counted_has_no_cost() {
        assert_eq!(workload(u64::MAX, 0, 0).cost(&price("2.00", "8.00")), None);
        let almost = Cost { month: NanoUsd(u64::MAX - 1), year: NanoUsd(u64::MAX - 1) };
        assert_eq!(almost.plus(Cost { month: NanoUsd(1), year: NanoUsd(0) }), None);
    }

    #[test]
    fn weights_that_say_nothing_give_no_parts() {
        assert!(workload(10, 0, 10).split(&[]).is_empty());
        assert!(workload(10, 0, 10).split(&[0, 0]).is_empty());
    }

    prop_compose! {
        fn any_workload()(input in 0..1_u64 << 50, part in 0..=1000_u64, output in 0..1_u64 << 50) -> Workload {
            workload(input, input / 1000 * part, output)
        }
    }

    proptest! {
        #[test]
        fn parts_are_the_whole(all in any_workload(), weights in prop::collection::vec(0..1000_u64, 1..6)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = all.split(&weights);
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(parts.iter().map(|part| part.input).sum::<Tokens>(), all.input);
            prop_assert_eq!(parts.iter().map(|part| part.cached).sum::<Tokens>(), all.cached);
            prop_assert_eq!(parts.iter().map(|part| part.output).sum::<Tokens>(), all.output);
            let sum: u64 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = u128::from(all.output.0) * u128::from(*weight) / u128::from(sum);
                prop_assert!(u128::from(part.output.0).abs_diff(exact) <= 1);
                prop_assert!(part.cached <= part.input);
                prop_assert!(*weight > 0 || part.is_empty());
            }
        }

        #[test]
        fn parts_at_one_price_cost_the_whole_but_for_rounding(
            all in any_workload(), weights in prop::collection::vec(1..1000_u64, 1..6),
            input in 0..100_000_u64, output in 0..100_000_u64,
        ) {
            let cents = |cents: u64| PerMillion::new(NanoUsd(cents * 10_000_000)).unwrap();
            let price = Price::new(cents(input), cents(output));
            if let Some(whole) = all.cost(&price) {
                let parts = all.split(&weights).iter().map(|part| part.cost(&price).unwrap().month.0).sum::<u64>();
                prop_assert!(parts >= whole.month.0);
                prop_assert!(parts - whole.month.0 < weights.len() as u64);
                prop_assert_eq!(whole.year.0, whole.month.0 * 12);
            }
        }

        #[test]
        fn more_work_never_costs_less(all in any_workload(), more in 0..1_u64 << 40, input in 0..1000_u64) {
            let price = Price::new(PerMillion::new(NanoUsd(input * 1_000_000)).unwrap(), PerMillion::default());
            let larger = Workload { input: all.input + Tokens(more), ..all };
            if let (Some(one), Some(other)) = (all.cost(&price), larger.cost(&price)) {
                prop_assert!(one.month <= other.month && one.year <= other.year);
            }
        }
    }
}
