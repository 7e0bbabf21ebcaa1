use proptest::prelude::*;

use super::*;

/// What a model that uses `per_thousand` tokens for a thousand bytes reports.
fn report(per_thousand: u64, bytes: u64) -> Tokens {
    Tokens((bytes * per_thousand).div_ceil(1_000))
}

fn calibrated(estimator: &Estimator, bytes: u64) -> u64 {
    estimator.tokens(Estimate::Calibrated, bytes, None).0
}

#[test]
fn before_any_report_three_bytes_are_a_token() {
    let new = Estimator::default();
    assert_eq!(calibrated(&new, 0), 0);
    assert_eq!(calibrated(&new, 1), 1);
    assert_eq!(calibrated(&new, 3_000), 1_000);
    assert_eq!(calibrated(&new, 3_001), 1_001);
}

#[test]
fn no_text_measured_has_more_tokens_than_the_first_estimate() {
    // Bytes per token of English, Rust, JSON, Chinese and Japanese, in hundredths.
    for hundredths in [490, 348, 360, 445, 374] {
        let bytes = 100_000;
        assert!(calibrated(&Estimator::default(), bytes) >= bytes * 100 / hundredths, "{hundredths}");
    }
}

#[test]
fn the_window_is_the_most_that_a_call_can_have_as_input() {
    let new = Estimator::default();
    for how in [Estimate::Calibrated, Estimate::UpperBound] {
        assert_eq!(new.tokens(how, 1_000_000, Some(Tokens(8_192))), Tokens(8_192));
        assert_eq!(new.tokens(how, 3, Some(Tokens(8_192))), new.tokens(how, 3, None));
        assert_eq!(new.tokens(how, 3, Some(Tokens::ZERO)), Tokens(1));
    }
}

#[test]
fn a_report_of_nothing_says_nothing() {
    let estimator = Estimator::default();
    estimator.learn(0, Tokens(5));
    estimator.learn(5_000, Tokens::ZERO);
    assert_eq!(estimator.ratio.load(Ordering::Relaxed), START);
}

#[test]
fn reports_from_many_threads_are_all_taken_in() {
    let (many, one) = (Estimator::default(), Estimator::default());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| many.learn(8_000, Tokens(1_000))));
        }
    });
    (0..400).for_each(|_| one.learn(8_000, Tokens(1_000)));
    assert_eq!(many.ratio.load(Ordering::Relaxed), one.ratio.load(Ordering::Relaxed));
}

proptest! {
    #[test]
    fn a_body_that_is_not_empty_has_input(
        reports in prop::collection::vec((any::<u64>(), any::<u64>()), 0..50), bytes in 1..u64::MAX,
        window in prop::option::of(any::<u64>()),
    ) {
        let estimator = Estimator::default();
        reports.iter().for_each(|(bytes, input)| estimator.learn(*bytes, Tokens(*input)));
        for how in [Estimate::Calibrated, Estimate::UpperBound] {
            prop_assert!(estimator.tokens(how, bytes, window.map(Tokens)) > Tokens::ZERO);
        }
    }

    #[test]
    fn a_token_has_a_byte_at_least_so_no_tokenizer_exceeds_the_upper_bound(
        text in "\\PC{0,200}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..400),
    ) {
        // Whatever a tokenizer does, its tokens are pieces of the text, none of them empty.
        let bytes = text.len() as u64;
        let cuts: std::collections::BTreeSet<_> =
            cuts.iter().filter(|_| !text.is_empty()).map(|cut| cut.index(text.len())).collect();
        let bound = Estimator::default().tokens(Estimate::UpperBound, bytes, None);
        prop_assert!(bound.0 >= cuts.len() as u64);
    }

    #[test]
    fn the_calibrated_estimate_never_exceeds_the_upper_bound(
        reports in prop::collection::vec((1..100_000_u64, any::<u64>()), 0..200), bytes in any::<u64>(),
    ) {
        let estimator = Estimator::default();
        reports.iter().for_each(|(bytes, input)| estimator.learn(*bytes, Tokens(*input)));
        let bound = estimator.tokens(Estimate::UpperBound, bytes, None);
        prop_assert!(estimator.tokens(Estimate::Calibrated, bytes, None) <= bound);
    }

    #[test]
    fn more_bytes_never_have_less_input(bytes in any::<u64>(), more in any::<u64>(), learned in 1..100_000_u64) {
        let estimator = Estimator::default();
        (0..100).for_each(|_| estimator.learn(100_000, Tokens(learned)));
        prop_assert!(calibrated(&estimator, bytes.saturating_add(more)) >= calibrated(&estimator, bytes));
    }

    #[test]
    fn an_estimate_comes_to_what_is_reported_and_an_eighth(
        per_thousand in 40..850_u64, bytes in prop::collection::vec(4_096..200_000_u64, 400),
    ) {
        let estimator = Estimator::default();
        bytes.iter().for_each(|bytes| estimator.learn(*bytes, report(per_thousand, *bytes)));
        let (estimated, used) = (calibrated(&estimator, 1_000_000), per_thousand * 1_000);
        prop_assert!(estimated >= used * 112 / 100 && estimated <= used * 114 / 100, "{} of {}", estimated, used);
    }

    #[test]
    fn where_calls_differ_most_use_no_more_than_was_estimated(
        per_thousand in prop::collection::vec(210..250_u64, 300),
    ) {
        let estimator = Estimator::default();
        per_thousand.iter().for_each(|ratio| estimator.learn(10_000, report(*ratio, 10_000)));
        prop_assert!(calibrated(&estimator, 10_000) >= report(230, 10_000).0);
    }

    #[test]
    fn one_wild_report_moves_the_estimate_by_a_sixteenth_at_most(
        per_thousand in 40..850_u64, bytes in any::<u64>(), wild in any::<u64>(),
    ) {
        let estimator = Estimator::default();
        (0..400).for_each(|_| estimator.learn(10_000, report(per_thousand, 10_000)));
        let before = calibrated(&estimator, 1_000_000);
        estimator.learn(bytes, Tokens(wild));
        let after = calibrated(&estimator, 1_000_000);
        prop_assert!(after.abs_diff(before) <= before / 16 + 1, "{before} then {after}");
    }

    #[test]
    fn a_short_body_says_less_than_a_long_one(bytes in 100..4_095_u64) {
        let (by_short, by_long) = (Estimator::default(), Estimator::default());
        by_short.learn(bytes, report(600, bytes));
        by_long.learn(8_000, report(600, 8_000));
        prop_assert!(calibrated(&by_short, 1_000_000) < calibrated(&by_long, 1_000_000));
    }
}
