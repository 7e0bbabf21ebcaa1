//! What a call used, in disjoint parts.
//!
//! Dialects disagree on what their sums include (OpenAI's and Gemini's input include cached tokens, Anthropic's
//! does not). Here no token is in two parts, so sums and prices need no knowledge of the dialect.

use crate::units::Tokens;

/// Tokens of one attempt, each counted in exactly one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input that was neither read from nor written to a cache, and is not audio.
    pub input: Tokens,
    /// Input read from the provider's prompt cache.
    pub cache_read: Tokens,
    /// Input written to the provider's prompt cache.
    pub cache_write: Tokens,
    /// Audio input.
    pub input_audio: Tokens,
    /// Output that is neither reasoning nor audio.
    pub output: Tokens,
    /// Reasoning that the provider bills as output.
    pub reasoning: Tokens,
    /// Audio output.
    pub output_audio: Tokens,
}

impl Usage {
    /// All input, cached included.
    pub fn total_input(&self) -> Tokens {
        self.input + self.cache_read + self.cache_write + self.input_audio
    }

    /// All output, reasoning included.
    pub fn total_output(&self) -> Tokens {
        self.output + self.reasoning + self.output_audio
    }

    /// All tokens.
    pub fn total(&self) -> Tokens {
        self.total_input() + self.total_output()
    }
}
