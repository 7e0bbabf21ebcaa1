//! The names that a caller may ask for, as each dialect lists them.

use bytes::Bytes;
use serde::Serialize;

use super::{Dialect, anthropic, gemini, openai};

/// A name that the caller may ask for. What OpenAI's own entries do not have is left out where it is not known; SDKs keep
/// such extra fields.
#[derive(Clone, Debug, Serialize)]
pub struct ModelEntry<'a> {
    /// What to put into `model`.
    pub id: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// Whose it is.
    pub owned_by: &'a str,
    /// Size of the window, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// The longest answer, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// What it is good at.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub skills: &'a [Box<str>],
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceEntry<'a>>,
}

/// US dollars per million tokens, as decimal strings.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PriceEntry<'a> {
    /// For input.
    pub input_per_mtok: &'a str,
    /// For output.
    pub output_per_mtok: &'a str,
    /// For input read from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_per_mtok: Option<&'a str>,
    /// For input written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_per_mtok: Option<&'a str>,
    /// For reasoning; none: as output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_per_mtok: Option<&'a str>,
    /// For audio input; none: as input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input_per_mtok: Option<&'a str>,
    /// For audio output; none: as output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output_per_mtok: Option<&'a str>,
}

/// All of them, as a dialect lists them.
pub fn list(dialect: Dialect, entries: &[ModelEntry<'_>]) -> Bytes {
    match dialect {
        Dialect::OpenAi => openai::models::list(entries),
        Dialect::Anthropic => anthropic::models::list(entries),
        Dialect::Gemini => gemini::models::list(entries),
    }
}

/// One of them.
pub fn one(dialect: Dialect, entry: &ModelEntry<'_>) -> Bytes {
    match dialect {
        Dialect::OpenAi => openai::models::one(entry),
        Dialect::Anthropic => anthropic::models::one(entry),
        Dialect::Gemini => gemini::models::one(entry),
    }
}
