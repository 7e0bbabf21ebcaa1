use proptest::prelude::*;

use super::*;

fn per_million(dollars: &str) -> PerMillion {
    dollars.parse().unwrap()
}

/// As gpt-4.1 had it.
fn listed() -> Price {
    Price { cache_read: per_million("0.50"), ..Price::new(per_million("2.00"), per_million("8.00")) }
}

/// A price of its own for each part, in the order of [`usage_of`].
fn price_of(parts: [PerMillion; 7]) -> Price {
    let [input, cache_read, cache_write, input_audio, output, reasoning, output_audio] = parts;
    Price { input, cache_read, cache_write, input_audio, output, reasoning, output_audio }
}

fn usage_of(parts: [u64; 7]) -> Usage {
    let [input, cache_read, cache_write, input_audio, output, reasoning, output_audio] = parts.map(Tokens);
    Usage { input, cache_read, cache_write, input_audio, output, reasoning, output_audio }
}

#[test]
fn a_call_costs_the_sum_of_its_parts() {
    let usage = usage_of([1_000, 500, 0, 0, 200, 100, 0]);
    // 1,000 at 2.00, 500 at 0.50, 300 at 8.00 a million.
    assert_eq!(listed().of(&usage).to_string(), "0.00465");
}

#[test]
fn a_part_without_a_price_of_its_own_costs_what_input_or_output_costs() {
    let million = |at: usize| {
        let mut parts = [0; 7];
        parts[at] = 1_000_000;
        Price::new(per_million("3"), per_million("15")).of(&usage_of(parts)).to_string()
    };
    assert_eq!(std::array::from_fn(million), ["3", "3", "3", "3", "15", "15", "15"]);
}

#[test]
fn nothing_used_costs_nothing_and_the_least_use_costs_something() {
    let least = Price::new(per_million("0.000000001"), per_million("0"));
    assert_eq!(least.of(&Usage::default()), NanoUsd::ZERO);
    assert_eq!(least.of(&usage_of([1, 0, 0, 0, 0, 0, 0])), NanoUsd(1));
    assert_eq!(least.of(&usage_of([0, 0, 0, 0, 1_000, 0, 0])), NanoUsd::ZERO, "what is free stays free");
}

#[test]
fn the_most_that_text_can_cost_is_that_all_of_it_is_cached_or_reasoning() {
    let million = Tokens(1_000_000);
    let most = |price: Price| {
        (price.most(million, million).to_string(), price.dearest(million, million).to_string())
    };
    assert_eq!(most(listed()), ("10".into(), "10".into()), "what is cheaper is not counted on");
    let cached = Price { cache_write: per_million("2.5"), reasoning: per_million("9"), ..listed() };
    assert_eq!(most(cached), ("11.5".into(), "11.5".into()));
    let spoken = Price { input_audio: per_million("30"), output_audio: per_million("60"), ..listed() };
    assert_eq!(most(spoken), ("10".into(), "90".into()));
}

#[test]
fn all_parts_are_rounded_as_one() {
    let least = Price::new(per_million("0.000000001"), per_million("0.000000001"));
    assert_eq!(least.of(&usage_of([1; 7])), NanoUsd(1));
    assert_eq!(least.of(&usage_of([400_000, 0, 0, 0, 600_000, 0, 0])), NanoUsd(1));
    assert_eq!(least.of(&usage_of([400_000, 0, 0, 0, 600_001, 0, 0])), NanoUsd(2));
}

#[test]
fn the_largest_use_at_the_largest_price_is_the_largest_amount() {
    let largest = per_million("9999999.999999999");
    assert_eq!(Price::new(largest, largest).of(&usage_of([u64::MAX; 7])), NanoUsd(u64::MAX));
    // The last amount below the largest, and the first beyond it, in the wide division.
    let one = Price::new(per_million("1"), per_million("0.000000001"));
    let below = usage_of([18_446_744_073_709_551, 0, 0, 0, 614_000_000, 0, 0]);
    assert_eq!(one.of(&below), NanoUsd(u64::MAX - 1));
    let beyond = usage_of([18_446_744_073_709_551, 0, 0, 0, 616_000_000, 0, 0]);
    assert_eq!(one.of(&beyond), NanoUsd(u64::MAX));
}

#[test]
fn a_price_is_less_than_ten_million_dollars() {
    assert!("9999999.999999999".parse::<PerMillion>().is_ok());
    assert_eq!("10000000".parse::<PerMillion>(), Err(AmountFault::TooLarge));
    assert_eq!(PerMillion::new(NanoUsd(u64::MAX)), None);
}

/// Small and large, so that both divisions and the end of the range are met.
fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, 0..10_000_000_u64, any::<u64>()]
}

fn rate() -> impl Strategy<Value = PerMillion> {
    let largest = PerMillion::BELOW * NanoUsd::DOLLAR.0 - 1;
    let nanos = prop_oneof![0..10_u64, 0..100_000_000_000_u64, 0..=largest];
    nanos.prop_map(|nanos| PerMillion::new(NanoUsd(nanos)).unwrap())
}

fn rates() -> impl Strategy<Value = [PerMillion; 7]> {
    prop::array::uniform7(rate())
}

fn parts() -> impl Strategy<Value = [u64; 7]> {
    prop::array::uniform7(tokens())
}

/// The exact sum, in millionths of a nano-dollar.
fn exact(rates: &[PerMillion; 7], parts: &[u64; 7]) -> u128 {
    let products = rates
        .iter()
        .zip(parts)
        .map(|(rate, tokens)| u128::from(rate.0.0).checked_mul(u128::from(*tokens)).unwrap());
    products.fold(0, |sum: u128, product| sum.checked_add(product).unwrap())
}

proptest! {
    #[test]
    fn no_usage_costs_more_than_the_dearest(parts in prop::array::uniform7(0..10_000_000_u64), prices in prop::array::uniform7(0..99_000_000_000_u64)) {
        let price = price_of(prices.map(|nanos| PerMillion::new(NanoUsd(nanos)).unwrap()));
        let usage = usage_of(parts);
        let (input, output) = (usage.total_input(), usage.total_output());
        prop_assert!(price.of(&usage) <= price.dearest(input, output));
        let text = Usage { input_audio: Tokens::ZERO, output_audio: Tokens::ZERO, ..usage };
        prop_assert!(price.of(&text) <= price.most(text.total_input(), text.total_output()));
    }

    #[test]
    fn a_cost_is_the_exact_sum_rounded_up_by_less_than_a_nano_dollar(rates in rates(), parts in parts()) {
        let cost = u128::from(price_of(rates).of(&usage_of(parts)).0);
        let exact = exact(&rates, &parts);
        if exact > u128::from(u64::MAX) * 1_000_000 {
            prop_assert_eq!(cost, u128::from(u64::MAX));
        } else {
            prop_assert!(cost * 1_000_000 >= exact, "rounded down");
            prop_assert!(cost * 1_000_000 - exact < 1_000_000, "rounded by a nano-dollar or more");
        }
    }

    #[test]
    fn more_of_any_part_or_at_a_higher_price_never_costs_less(
        rates in rates(), parts in parts(), at in 0..7_usize, more in tokens(), dearer in rate(),
    ) {
        let cost = price_of(rates).of(&usage_of(parts));
        let mut used = parts;
        used[at] = used[at].saturating_add(more);
        prop_assert!(price_of(rates).of(&usage_of(used)) >= cost);
        let mut raised = rates;
        raised[at] = raised[at].max(dearer);
        prop_assert!(price_of(raised).of(&usage_of(parts)) >= cost);
    }

    #[test]
    fn the_order_of_the_parts_does_not_matter(
        rates in rates(), parts in parts(), order in Just([0, 1, 2, 3, 4, 5, 6]).prop_shuffle(),
    ) {
        let moved = price_of(order.map(|at| rates[at])).of(&usage_of(order.map(|at| parts[at])));
        prop_assert_eq!(moved, price_of(rates).of(&usage_of(parts)));
    }

    #[test]
    fn a_use_told_in_two_pieces_costs_as_much_or_a_nano_dollar_more(
        rates in rates(),
        pieces in prop::array::uniform7((0..10_000_000_u64, 0..10_000_000_u64)),
    ) {
        let price = price_of(rates);
        let one = price.of(&usage_of(pieces.map(|(one, _)| one)));
        let other = price.of(&usage_of(pieces.map(|(_, other)| other)));
        let apart = one + other;
        let whole = price.of(&usage_of(pieces.map(|(one, other)| one + other)));
        prop_assert!(whole <= apart && apart.0 - whole.0 <= 1);
    }

    #[test]
    fn the_output_within_an_amount_fits_and_a_token_more_does_not(
        rates in rates(), input in 0..10_000_000_u64, room in 0..u64::MAX, shift in 0..64_u32,
    ) {
        let (price, room) = (price_of(rates), NanoUsd(room >> shift));
        let cost = |output| price.most(Tokens(input), Tokens(output));
        match price.output_within(Tokens(input), room) {
            None => prop_assert!(cost(0) > room),
            Some(most) => {
                prop_assert!(cost(most.0) <= room);
                prop_assert!(most.0 == u64::MAX || cost(most.0 + 1) > room);
            }
        }
    }

    #[test]
    fn a_price_reads_as_it_is_written(dollars in 0..PerMillion::BELOW, nanos in 0..1_000_000_000_u64) {
        let read: PerMillion = format!("{dollars}.{nanos:09}").parse().unwrap();
        prop_assert_eq!(read.0, NanoUsd(dollars * 1_000_000_000 + nanos));
    }
}
