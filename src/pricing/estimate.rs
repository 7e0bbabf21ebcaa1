//! How much input a request has, told from the bytes of its body before it is sent.
//!
//! No tokenizer: they are slow, large, and there is none for most models. What providers report of earlier calls says
//! how many tokens a byte is. What a body only points to (a picture by its address, a stored conversation) is not
//! seen: such a call uses more than was estimated.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::units::Tokens;

/// How input is estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Estimate {
    /// By what earlier calls of the model used, and an eighth more.
    #[default]
    Calibrated,
    /// A token for each byte: no tokenizer makes more of a text.
    UpperBound,
}

/// What is known of one model: how many tokens a byte of a body is. Shared by all calls, without a lock.
#[derive(Debug)]
pub struct Estimator {
    /// Tokens per byte, in parts of [`ONE`].
    ratio: AtomicU64,
}

/// One token per byte.
const ONE: u64 = 1 << 32;
/// The ratio before anything was reported: with the margin a token for three bytes, which is too much for any text but
/// base64.
const START: u64 = ONE * 8 / 27;
/// The ratio stays between these: a letter beyond ASCII may be written as six bytes, and a picture in a body, of which
/// hundreds of bytes are one token, must not make text look cheap.
const LEAST: u64 = ONE / 32;
const MOST: u64 = ONE;
/// What one report weighs: a sixteenth, from a body of so many bytes on. Of a shorter one more is JSON than prompt, so
/// it weighs less.
const WEIGHT: u64 = 16;
const FULL_WEIGHT_FROM: u64 = 4096;

impl Estimator {
    /// What a body of so many bytes has as input, at most the model's window: a larger one is refused there. Never
    /// zero, but for an empty body.
    pub fn tokens(&self, how: Estimate, bytes: u64, window: Option<Tokens>) -> Tokens {
        let tokens = match how {
            Estimate::Calibrated => scaled(self.ratio.load(Ordering::Relaxed), bytes),
            Estimate::UpperBound => bytes,
        };
        Tokens(window.map_or(tokens, |window| tokens.min(window.0.max(1))))
    }

    /// Takes in what a provider reported for a body: all input, cached included. A report moves the ratio by a
    /// sixteenth at most, so that a wild one does little.
    pub fn learn(&self, bytes: u64, input: Tokens) {
        if bytes == 0 || input == Tokens::ZERO {
            return;
        }
        let reported = u128::from(input.0) * u128::from(ONE) / u128::from(bytes);
        let reported = u64::try_from(reported).unwrap_or(u64::MAX);
        let weight = bytes.min(FULL_WEIGHT_FROM);
        let step = |ratio| Some(moved(ratio, reported, weight));
        // It fails only where `step` gives nothing.
        let _ = self.ratio.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
    }
}

impl Default for Estimator {
    fn default() -> Self {
        Self { ratio: AtomicU64::new(START) }
    }
}

/// The tokens of so many bytes, an eighth more than the ratio says, rounded up; at most one for each byte.
fn scaled(ratio: u64, bytes: u64) -> u64 {
    let parts = u128::from(ratio) * 9 * u128::from(bytes);
    u64::try_from(parts.div_ceil(u128::from(ONE) * 8)).map_or(bytes, |tokens| tokens.min(bytes))
}

/// The ratio after a report, of which no more than half or twice the ratio is believed at a time.
fn moved(ratio: u64, reported: u64, weight: u64) -> u64 {
    let reported = reported.clamp(ratio / 2, ratio * 2);
    let part = |difference: u64| difference * weight / (WEIGHT * FULL_WEIGHT_FROM);
    let moved =
        if reported > ratio { ratio + part(reported - ratio) } else { ratio - part(ratio - reported) };
    moved.clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests;
