//! Prices of tokens, and what tokens cost at them. Integers only; rounded once.

use std::str::FromStr;

use crate::units::{AmountFault, NanoUsd, Tokens};
use crate::usage::Usage;

/// What a million tokens cost; less than ten million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMillion(NanoUsd);

const MILLION: u64 = 1_000_000;

impl PerMillion {
    /// What no price reaches, in whole dollars: ten dollars for a single token.
    pub const BELOW: u64 = 10_000_000;

    /// This amount for a million tokens; none where it is too large.
    pub fn new(amount: NanoUsd) -> Option<Self> {
        (amount.0 < Self::BELOW * NanoUsd::DOLLAR.0).then_some(Self(amount))
    }

    /// What a million tokens cost.
    pub fn amount(self) -> NanoUsd {
        self.0
    }

    /// What the tokens cost, in millionths of a nano-dollar. Below 2^118: a thousand of them can be added.
    fn times(self, tokens: Tokens) -> u128 {
        u128::from(self.0.0) * u128::from(tokens.0)
    }
}

impl FromStr for PerMillion {
    type Err = AmountFault;

    /// Dollars in decimal: `2.00`.
    fn from_str(text: &str) -> Result<Self, AmountFault> {
        Self::new(text.parse()?).ok_or(AmountFault::TooLarge)
    }
}

/// The price of a model: of each part of a usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Of input that was neither read from nor written to a cache, and is not audio.
    pub input: PerMillion,
    /// Of input read from the provider's cache.
    pub cache_read: PerMillion,
    /// Of input written to the provider's cache.
    pub cache_write: PerMillion,
    /// Of audio input.
    pub input_audio: PerMillion,
    /// Of output that is neither reasoning nor audio.
    pub output: PerMillion,
    /// Of reasoning.
    pub reasoning: PerMillion,
    /// Of audio output.
    pub output_audio: PerMillion,
}

impl Price {
    /// One price for all input and one for all output.
    pub const fn new(input: PerMillion, output: PerMillion) -> Self {
        Self {
            input,
            cache_read: input,
            cache_write: input,
            input_audio: input,
            output,
            reasoning: output,
            output_audio: output,
        }
    }

    /// The most that so much text can cost: its input may be written to a cache, its output be reasoning.
    pub fn most(&self, input: Tokens, output: Tokens) -> NanoUsd {
        let (of_input, of_output) = self.of_text();
        Self::new(of_input, of_output).of(&Usage { input, output, ..Usage::default() })
    }

    /// The most that so many tokens of whatever kind can cost.
    pub fn dearest(&self, input: Tokens, output: Tokens) -> NanoUsd {
        let spoken = Self {
            input: self.input.max(self.input_audio),
            output: self.output.max(self.output_audio),
            ..*self
        };
        spoken.most(input, output)
    }

    /// The dearest price of text: of its input, of its output.
    fn of_text(&self) -> (PerMillion, PerMillion) {
        (self.input.max(self.cache_read).max(self.cache_write), self.output.max(self.reasoning))
    }

    /// What the tokens cost. The sum is exact and rounded up once: what costs anything costs something. It
    /// stops at the largest amount.
    pub fn of(&self, usage: &Usage) -> NanoUsd {
        let Usage { input, cache_read, cache_write, input_audio, output, reasoning, output_audio } = *usage;
        let millionths = self.input.times(input)
            + self.cache_read.times(cache_read)
            + self.cache_write.times(cache_write)
            + self.input_audio.times(input_audio)
            + self.output.times(output)
            + self.reasoning.times(reasoning)
            + self.output_audio.times(output_audio);
        // Calls below 18,446 dollars fit into 64 bits, where a division is one instruction.
        let nanos = match u64::try_from(millionths) {
            Ok(millionths) => millionths.div_ceil(MILLION),
            Err(_) => u64::try_from(millionths.div_ceil(MILLION.into())).unwrap_or(u64::MAX),
        };
        NanoUsd(nanos)
    }

    /// The most output that costs no more than `room`, beside so much input; none where the input alone costs more.
    /// The inverse of [`Price::most`]: exact, so that one token more would not fit.
    pub fn output_within(&self, input: Tokens, room: NanoUsd) -> Option<Tokens> {
        let (of_input, of_output) = self.of_text();
        let left = (u128::from(room.0) * u128::from(MILLION)).checked_sub(of_input.times(input))?;
        let most = match u128::from(of_output.0.0) {
            0 => u64::MAX,
            price => u64::try_from(left / price).unwrap_or(u64::MAX),
        };
        Some(Tokens(most))
    }
}

#[cfg(test)]
mod tests;
