//! What a provider's own error says: what decides whether another try, key, model or provider may help.

use std::fmt;
use std::time::Duration;

use crate::dialect::{Dialect, anthropic, gemini, openai};

/// What an error says, whatever words, codes or status it says it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// Too many calls or tokens for now; a wait helps.
    RateLimited,
    /// Money, credit, or a quota of a day or longer is used up; no short wait helps.
    OutOfCredit,
    /// The key is wrong, or may not do this.
    KeyRefused,
    /// The provider has no such model, or not for this key.
    ModelUnknown,
    /// The prompt is longer than the model takes; one with a larger window may take it.
    ContextTooLong,
    /// The prompt or the answer is not let through for what it says.
    ContentFiltered,
    /// The provider has no room for the call now.
    Overloaded,
    /// The call itself is at fault, in some other way.
    BadRequest,
    /// Nothing that we know.
    Nothing,
}

impl Said {
    /// Everything that an error may say.
    pub const ALL: [Self; 9] = [
        Self::RateLimited,
        Self::OutOfCredit,
        Self::KeyRefused,
        Self::ModelUnknown,
        Self::ContextTooLong,
        Self::ContentFiltered,
        Self::Overloaded,
        Self::BadRequest,
        Self::Nothing,
    ];

    /// The name that logs and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::OutOfCredit => "out_of_credit",
            Self::KeyRefused => "key_refused",
            Self::ModelUnknown => "model_unknown",
            Self::ContextTooLong => "context_too_long",
            Self::ContentFiltered => "content_filtered",
            Self::Overloaded => "overloaded",
            Self::BadRequest => "bad_request",
            Self::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an error says: the body of an answer that is one, or the data of an event. The status that came with it is not
/// asked; one that the body repeats is. A body that is no JSON says nothing.
pub fn said(dialect: Dialect, body: &[u8]) -> Said {
    match dialect {
        Dialect::OpenAi => openai::error::said(body),
        Dialect::Anthropic => anthropic::error::said(body),
        Dialect::Gemini => gemini::error::said(body),
    }
}

/// How long an error asks to wait, where it says so in its body and the wait is no longer than a day.
pub fn retry_after(dialect: Dialect, body: &[u8]) -> Option<Duration> {
    match dialect {
        Dialect::OpenAi => openai::error::retry_after(body),
        Dialect::Anthropic => None,
        Dialect::Gemini => gemini::error::retry_after(body),
    }
}
