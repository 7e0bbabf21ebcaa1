//! Answers of our own in the caller's dialect: a text that is said in a model's place.

use bytes::Bytes;

use super::{Api, anthropic, gemini, openai};

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
pub fn fixed(api: Api, stream: bool, says: &Fixed<'_>) -> Option<Bytes> {
    match api {
        Api::Chat | Api::Completions | Api::Embeddings | Api::Responses => {
            openai::answer::fixed(api, stream, says)
        }
        Api::Messages => Some(anthropic::answer::fixed(stream, says)),
        Api::Generate => Some(gemini::answer::fixed(stream, says)),
        Api::CountTokens | Api::EmbedContent | Api::BatchEmbedContents | Api::CountContentTokens => None,
    }
}
