//! What a request asks of the model beyond its prompt, for the span of a sampled call.
//!
//! A scan of its own, made only when asked. Numbers and known words alone: nothing that a caller could have
//! written freely leaves the body by this way.

use super::{Api, anthropic, gemini, openai};

/// The parameters of a request, as far as they are given and make sense.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// The longest answer: `max_completion_tokens` before `max_tokens`; of responses `max_output_tokens`.
    pub max_tokens: Option<u64>,
    /// `temperature`
    pub temperature: Option<f64>,
    /// `top_p`
    pub top_p: Option<f64>,
    /// `frequency_penalty`
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`
    pub presence_penalty: Option<f64>,
    /// `seed`
    pub seed: Option<i64>,
    /// `n`
    pub choice_count: Option<u64>,
    /// `reasoning_effort`; of responses `reasoning.effort`.
    pub reasoning_level: Option<&'static str>,
    /// `json` or `text`, by the type of `response_format`; of responses by that of `text.format`.
    pub output_type: Option<&'static str>,
}

/// Reads the parameters of a request. A body that is no JSON object has none.
pub fn params(api: Api, body: &[u8]) -> Params {
    match api {
        Api::Chat | Api::Completions | Api::Responses => openai::params::params(api, body),
        Api::Messages => anthropic::params::params(body),
        Api::Generate => gemini::params::params(body),
        Api::Embeddings
        | Api::CountTokens
        | Api::EmbedContent
        | Api::BatchEmbedContents
        | Api::CountContentTokens => Params::default(),
    }
}
