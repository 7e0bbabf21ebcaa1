//! Answers of our own in the caller's dialect: a text that is said in a model's place.

use bytes::Bytes;

use super::{Api, Dialect, openai};

/// What an answer of ours says.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<'a> {
    /// The text, all of it.
    pub text: &'a str,
    /// The model that the answer names.
    pub model: &'a str,
    /// The answer's id, prefix included.
    pub id: &'a str,
    /// When it was made, in seconds of Unix time.
    pub created: i64,
    /// Whether the caller asked for usage at the end of a stream. Without effect on plain answers, and on operations
    /// that always report it.
    pub include_usage: bool,
}

/// A complete answer of one choice that says this text and has used nothing: a body, or with `stream` all of its
/// events. None for an operation that writes no text.
pub fn fixed(dialect: Dialect, api: Api, stream: bool, says: &Fixed<'_>) -> Option<Bytes> {
    match dialect {
        Dialect::OpenAi => openai::answer::fixed(api, stream, says),
    }
}
