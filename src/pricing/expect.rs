//! How much output an answer of a model usually has, told from its earlier answers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::units::Tokens;

/// How long nine of ten answers of one model are at most, as far as is known. Shared by all calls, without a lock.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    /// Answers seen, up to [`FIRST`], in the lowest byte; above it tokens, in parts of [`ONE`].
    state: AtomicU64,
}

/// Before so many answers nothing is known.
const FIRST: u64 = 10;
/// One token.
const ONE: u64 = 1 << 8;
/// Beyond what is expected, the expectation grows by nine 128ths of itself; below, it shrinks by one: it rests where
/// one answer of ten is longer.
const STEP: u64 = 128;
const UP: u64 = 9;
/// No answer is longer: 2^40 tokens.
const LONGEST: u64 = ONE << 40;

impl Expectation {
    /// What to expect of an answer; none before ten answers were seen. Never zero.
    pub(super) fn tokens(&self) -> Option<Tokens> {
        let (seen, expected) = unpacked(self.state.load(Ordering::Relaxed));
        (seen >= FIRST).then(|| Tokens(expected.div_ceil(ONE).max(1)))
    }

    /// Takes in how much output an answer had. Of the first ten the longest is expected; then each moves it by a
    /// fourteenth at most.
    pub(super) fn learn(&self, output: Tokens) {
        let came = output.0.saturating_mul(ONE).clamp(ONE, LONGEST);
        let step = |state| {
            let (seen, expected) = unpacked(state);
            let next = if seen < FIRST {
                expected.max(came)
            } else if came > expected {
                expected + (expected * UP).div_ceil(STEP)
            } else {
                expected - expected / STEP
            };
            Some(packed((seen + 1).min(FIRST), next.clamp(ONE, LONGEST)))
        };
        // It fails only where `step` gives nothing.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }
}

fn unpacked(state: u64) -> (u64, u64) {
    (state & 0xff, state >> 8)
}

fn packed(seen: u64, expected: u64) -> u64 {
    seen | expected << 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(answers: impl IntoIterator<Item = u64>) -> Option<u64> {
        let expectation = Expectation::default();
        answers.into_iter().for_each(|output| expectation.learn(Tokens(output)));
        expectation.tokens().map(|tokens| tokens.0)
    }

    #[test]
    fn nothing_is_expected_before_ten_answers_and_then_the_longest_of_them() {
        assert_eq!(after([]), None);
        assert_eq!(after([50; 9]), None);
        assert_eq!(after((1..=10).map(|n| n * 10)), Some(100));
    }

    #[test]
    fn an_answer_without_output_is_expected_to_have_a_token() {
        assert_eq!(after([0; 20]), Some(1));
    }

    #[test]
    fn one_answer_of_ten_is_longer_than_expected() {
        // Lengths from 1 to 1,000, evenly, in no order.
        let lengths = (0..20_000_u64).map(|n| n * 617 % 1_000 + 1);
        let expected = after(lengths).unwrap();
        assert!((800..1_000).contains(&expected), "{expected}");
    }

    #[test]
    fn what_is_expected_follows_a_model_that_becomes_brief_or_long() {
        let brief = after([1_000; 20].into_iter().chain([50; 1_000])).unwrap();
        assert!(brief <= 60, "{brief}");
        let long = after([50; 20].into_iter().chain([1_000; 100])).unwrap();
        assert!(long >= 990, "{long}");
    }

    proptest! {
        #[test]
        fn it_stays_within_what_can_be_counted(answers in prop::collection::vec(any::<u64>(), 10..200)) {
            let expected = after(answers).unwrap();
            prop_assert!((1..=1 << 40).contains(&expected));
        }
    }
}
